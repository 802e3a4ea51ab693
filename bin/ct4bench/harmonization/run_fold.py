"""One fold of a method: what it may see goes to a process of its own, in the order in which it may see it.

    with Sandbox() as sandbox:
        result = harmonize_fold(variant, training, targets=test, adapt=None, seed=(0, 4711), sandbox=sandbox)

`result` is `Harmonized`, `NotApplicable` with a reason, or `Failure` with its reason and last lines. Rows go in the
order of their contents with ids that are drawn for the fold, so that neither order nor ids tell of series, region or
patch; results are matched by id.
"""

import ast
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.script import CODE
from ct4bench.harmonization import fold_server, remedies
from ct4bench.harmonization.methods import Declaration, Variant
from ct4bench.harmonization.wire import Lost, receive, send

SAME = 1e-9
"""Largest difference, in a feature's SD, between the transform of a subset and the subset of the transform."""
SUBSET_ROWS = 50
AGAIN_OF = 10
"""Of so many folds one, which nobody knows beforehand, is run a second time with the rows of the subset rule alone."""
VERBATIM = 1e-6
"""Rows that differ by less, in every feature's SD, are the same row."""
LIBRARIES = ("numpy", "pandas", "scipy", "sklearn", "pyarrow", "torch", "numba", "skimage", "SimpleITK")
"""What is loaded before a fold starts, where a method's file imports it."""
ENFORCED, DECLARED, BUILT_IN = "enforced", "declared, not enforced", "built in"


@dataclass(frozen=True)
class Rows:
    """Rows of features, and what is known of them; a method gets what it declares."""

    X: np.ndarray
    """(rows, features) float64, finite."""
    domain: np.ndarray
    """Text of each row."""
    features: Sequence[str] = ()
    """Names of the columns; without them `f0000` and so on."""
    covariates: pd.DataFrame | None = None
    """Columns `tissue`, `dose_mgy`, `recon`, those that are known."""
    pair: np.ndarray | None = None
    """What is equal for rows of the same patch."""

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: np.ndarray) -> "Rows":
        """Take rows by number, or by mask."""
        told = None if self.covariates is None else self.covariates.iloc[rows].reset_index(drop=True)
        pair = None if self.pair is None else np.asarray(self.pair)[rows]
        return replace(self, X=self.X[rows], domain=np.asarray(self.domain)[rows], covariates=told, pair=pair)


@dataclass(frozen=True)
class Harmonized:
    """What a method made of a fold's rows."""

    training: np.ndarray
    """(rows, features) float64, in the order of the training rows."""
    targets: np.ndarray
    """(rows, features) float64, in the order of the target rows."""
    enforced: str = BUILT_IN
    """`ENFORCED`, `DECLARED` or `BUILT_IN`: whether what it was not told was out of its reach."""
    verbatim: int = 0
    """Target rows that came back as a training row, which they are not."""
    notes: tuple[str, ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    n_features: int = field(default=0, repr=False)


@dataclass(frozen=True)
class NotApplicable:
    """The fold does not have what the method needs, or it says so itself."""

    reason: str


@dataclass(frozen=True)
class Failure:
    """The method did not end as it must."""

    reason: str
    lines: tuple[str, ...] = ()
    """The last ones that it printed."""
    kind: str = ""
    """One of `remedies`: which way of failing it is."""


class Sandbox:
    """The process that folds are forked from; it starts with the first fold, and closes with the context.

    `preload` are modules to load beforehand, `threads` those of numerical libraries. It may be used by several threads.
    """

    def __init__(self, preload: Iterable[str] = (), threads: int = 1, hash_seed: int = 0, isolate: bool = True):
        self.preload, self.threads, self.hash_seed, self.isolate = tuple(preload), threads, hash_seed, isolate
        self._lock = threading.Lock()
        self._server: subprocess.Popen | None = None
        self._orders: socket.socket | None = None
        self._scratch = ""

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def environment(self) -> dict[str, str]:
        """List the variables of a method's process, HOME and TMPDIR apart."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_NUM_THREADS")
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        # as in a run's tasks, python3 is the project's own
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        own = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": str(self.hash_seed)}
        return kept | own | dict.fromkeys(names, str(self.threads))

    def open(self, order: dict) -> tuple[socket.socket, socket.socket]:
        """Open a fold's process: its sockets for data, and for what becomes of it."""
        with self._lock:
            if self._server is None:
                self._start()
            mine, its = socket.socketpair()
            control, supervisor = socket.socketpair()
            order = order | {
                "scratch": self._scratch, "environment": self.environment(),
                "hidden": [str(CODE.parents[1]), os.getcwd(), os.path.expanduser("~")], "fork": self.threads == 1,
            }  # fmt: skip
            with its, supervisor:
                socket.send_fds(self._orders, [json.dumps(order).encode()], [its.fileno(), supervisor.fileno()])
        return mine, control

    def _start(self) -> None:
        self._scratch = tempfile.mkdtemp(prefix="ct4bench-folds-")
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        start = {"code": str(CODE.parent), "fd": its.fileno(), "preload": self.preload,
                 "isolate": self.isolate, "scratch": self._scratch}  # fmt: skip
        code = "import json, sys; start = sys.stdin.readline(); sys.path.append(json.loads(start)['code']); " \
               "import io; sys.stdin = io.StringIO(start); " \
               "from ct4bench.harmonization.fold_server import serve; serve()"  # fmt: skip
        # memory that is given back to the kernel costs a fault for each of its pages when it is needed again; of large
        # pages there are fewer
        memory = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28),
                  "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # fmt: skip
        environment = self.environment() | memory | {"HOME": self._scratch, "TMPDIR": self._scratch}
        self._server = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            pass_fds=[its.fileno()], env=environment, cwd="/",
        )  # fmt: skip
        its.close()
        self._server.stdin.write(json.dumps(start) + "\n")
        self._server.stdin.close()
        self._orders = mine

    def close(self) -> None:
        """End the process and take away its folder."""
        with self._lock:
            if self._server is not None:
                self._orders.close()
                self._server.wait()
                shutil.rmtree(self._scratch, ignore_errors=True)
            self._server = None


def imports_of(variants: Iterable[Variant]) -> list[str]:
    """List the modules of `LIBRARIES` that the variants' Python files import, for `Sandbox(preload=…)`."""
    found = {}
    for path in dict.fromkeys(variant.declaration.file for variant in variants if variant.name != NO_METHOD):
        if path.suffix != ".py":
            continue
        with contextlib.suppress(SyntaxError, ValueError, OSError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    found |= dict.fromkeys(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found |= {node.module: None} | dict.fromkeys(f"{node.module}.{a.name}" for a in node.names)
    return [name for name in found if name.split(".")[0] in LIBRARIES]


def method_seed(seed: int | Sequence[int]) -> int:
    """Draw the seed that a method gets, which tells nothing of the seeds of ids and orders."""
    return int.from_bytes(hashlib.sha256(f"method|{_numbers(seed)}".encode()).digest()[:4], "little") >> 1


def _numbers(seed: int | Sequence[int]) -> list[int]:
    return [int(number) for number in np.atleast_1d(seed)]


def row_hashes(values: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """Compute a hash of each row, uint64: a function of the row's bytes and the seed alone."""
    odd = np.random.default_rng(seed).integers(0, 2**63, values.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    mixed = np.ascontiguousarray(values, np.float64).view(np.uint64) @ odd
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


@dataclass(frozen=True)
class _Told:
    """Rows as a method gets them, and the way back."""

    message: dict
    X: np.ndarray
    order: np.ndarray

    def back(self, ids: list[str], values: np.ndarray, columns: list[str]) -> np.ndarray:
        """The result's rows in the order of the rows that were asked for; `Fault` says what is wrong with them."""
        wanted, names = self.message["ids"], self.message["columns"]
        if len(columns) != len(names) or set(columns) != set(names):
            words = f"transform gave {len(columns)} columns that are not the {len(names)} it was given"
            raise Fault(words, remedies.COLUMNS)
        if len(ids) != len(wanted) or len(set(ids)) != len(ids) or set(ids) != set(wanted):
            new = len(set(ids) - set(wanted))
            raise Fault(
                f"transform gave {len(ids)} rows for {len(wanted)}, {len(ids) - len(set(ids))} twice, {new} unknown: "
                "each row must come back once, under its index", remedies.ROWS,
            )  # fmt: skip
        if values.shape != self.X.shape:
            raise Fault(f"transform gave {values.shape} numbers for {self.X.shape}", remedies.SHAPE)
        if not np.isfinite(values).all():
            bad = ~np.isfinite(values)
            domains = sorted(
                {self.message["domain"][wanted.index(ids[row])] for row in np.flatnonzero(bad.any(axis=1))}
            )
            words = f"transform gave numbers that are missing or infinite (domain {', '.join(domains[:3])})"
            raise Fault(words, remedies.NOT_FINITE)
        if columns != names:
            values = values[:, [columns.index(name) for name in names]]
        result = np.empty_like(self.X)
        if ids == wanted:
            result[self.order] = values
        else:
            place = {name: at for at, name in enumerate(wanted)}
            result[self.order[[place[name] for name in ids]]] = values
        return result


class _Secret:
    """Ids and orders of a fold."""

    def __init__(self, seed: int | Sequence[int], variant: Variant, shown: tuple[int, int] = (0, 0)):
        self._seed = [*_numbers(seed), 1, shown[0]]
        self._rng = np.random.default_rng([*_numbers(seed), 2, shown[1]])
        self._declared = variant.declaration
        self._pairs: dict = {}

    def tell(self, rows: Rows, op: str) -> _Told:
        """Anonymise rows: those of an equal content stand together, all else has no order."""
        declared = self._declared
        X = np.ascontiguousarray(rows.X, np.float64)
        hashes = row_hashes(X, self._seed)
        domain = np.asarray(rows.domain).astype(str)
        order = np.lexsort((domain, hashes))
        names = list(rows.features) or [f"f{i:04d}" for i in range(X.shape[1])]
        message = {
            "op": op,
            "ids": [f"r{number:09x}" for number in self._rng.choice(16**9, len(X), replace=False).tolist()],
            "columns": [str(name) for name in names],
            "domain": domain[order].tolist(),
        }
        if declared.covariates:
            told = rows.covariates.iloc[order]
            message["covariates"] = {name: _plain(told[name]) for name in declared.covariates}
        if declared.information == "calibration" and op != "transform" and rows.pair is not None:
            message["pair"] = self._anonymous(np.asarray(rows.pair)[order])
        return _Told(message, X[order], order)

    def _anonymous(self, pairs: np.ndarray) -> list[str]:
        """Numbers for pairs in the order in which they are first seen, which is that of contents."""
        for pair in pairs.tolist():
            self._pairs.setdefault(pair, f"p{len(self._pairs)}")
        return [self._pairs[pair] for pair in pairs.tolist()]


def _plain(values: pd.Series) -> list:
    return values.astype(float).tolist() if values.name == "dose_mgy" else values.astype(str).tolist()


def not_applicable(variant: Variant, training: Rows, targets: Rows, adapt: Rows | None) -> str:
    """Tell why a method cannot be applied to a fold by what it declares; blank where it can."""
    declared = variant.declaration
    if not len(training) and declared.learns != "nothing":
        return "no training rows"
    domains, counts = np.unique(np.asarray(training.domain).astype(str), return_counts=True)
    if len(domains) < declared.min_domains:
        return f"needs {declared.min_domains} training domains, and has {len(domains)}"
    if len(counts) and counts.min() < declared.min_rows:
        return f"needs {declared.min_rows} rows of each domain; {domains[counts.argmin()]} has {counts.min()}"
    unseen = sorted(set(np.asarray(targets.domain).astype(str)) - set(domains))
    if unseen and declared.unseen == "refuse":
        return f"refuses domains that it has not seen: {', '.join(unseen)}"
    seen, few = set(), ""
    if adapt is not None:
        names, counts = np.unique(np.asarray(adapt.domain).astype(str), return_counts=True)
        seen = set(names.tolist())
        few = f"needs {declared.min_rows} rows of each domain; {names[counts.argmin()]} has {counts.min()} to adapt to"
        few = few if counts.min() < declared.min_rows else ""
    if declared.unseen == "adapt" and (missing := [name for name in unseen if name not in seen]):
        return f"needs rows of the target to adapt to: {', '.join(missing)}"
    if few:
        return few
    if declared.covariates:
        there = set() if training.covariates is None else set(training.covariates.columns)
        if missing := [name for name in declared.covariates if name not in there]:
            return f"needs {', '.join(missing)} of each row, which is not known"
    if declared.information == "calibration" and training.pair is None:
        return "needs to know which rows are the same patch"
    return ""


def resolve_parameters(variant: Variant, domains: Iterable[str]) -> tuple[dict, tuple[str, ...]]:
    """Return a fold's parameters; a `reference` that is not trained on gives way to the first domain, with a note."""
    parameters, notes = dict(variant.parameters), ()
    names = sorted(set(map(str, domains)))
    wanted = parameters.get("reference")
    if wanted is not None and names and wanted not in names:
        notes = (f"reference {names[0]} in place of {wanted}, which is not trained on",)
        parameters["reference"] = names[0]
    return parameters, notes


def adapts(declared: Declaration) -> bool:
    """Tell whether a method gets rows of the target: of information transductive, and calibration with series of it."""
    return declared.information == "transductive" or (
        declared.information == "calibration" and declared.calibration_series > 0
    )


@dataclass(frozen=True)
class Checks:
    """What is looked at in a fold."""

    subset: bool = True
    """Whether the transform of some rows, in a fork that sees these alone, is that part of the transform of all."""
    again: bool = False
    """Whether the same is looked at in a second process, too, that never sees the others: nothing can be kept from one
    call to the next on disk or in memory. It costs a fold."""
    twice: bool = False
    """Whether a second call gives the same."""
    shown: tuple[int, int] = (0, 0)
    """Other numbers give the rows in another order, and with other ids, to the same method with the same seed."""


@dataclass(frozen=True)
class _Fold:
    variant: Variant
    training: Rows
    targets: Rows
    adapt: Rows | None
    seed: int | Sequence[int]
    checks: Checks

    def secret(self) -> _Secret:
        return _Secret(self.seed, self.variant, self.checks.shown)

    def part_differs(self, rows: np.ndarray, part: np.ndarray, whole: np.ndarray) -> str:
        """What is wrong with the transform of some rows beside that of all; blank if nothing."""
        off = (np.abs(part - whole[rows]) / scales(self.training.X, self.targets.X, whole)).max(initial=0)
        if off <= max(SAME, self.variant.declaration.tolerance):
            return ""
        return (
            f"the transform of {len(rows)} rows is not that part of the transform of all: it differs by {off:.2g} SD; "
            "a row's result may depend on nothing but the row and what was fitted"
        )


def harmonize_fold(
    variant: Variant,
    training: Rows,
    *,
    targets: Rows,
    adapt: Rows | None = None,
    seed: int | Sequence[int] = 0,
    sandbox: Sandbox | None = None,
    checks: Checks | None = None,
) -> Harmonized | NotApplicable | Failure:
    """Fit a variant on training rows and transform them and the targets.

    `adapt` are rows of the target, which a method of information transductive or calibration gets after `fit`; it needs
    none of another level and does not get them. `seed` is that of the fold: one number or several. `checks` say what is
    looked at beside rows, columns and numbers; without them it is what belongs to every fold of a run.
    """
    declared = variant.declaration
    if variant.name == NO_METHOD:
        return Harmonized(training.X, targets.X)
    if not adapts(declared) or (adapt is not None and not len(adapt)):
        adapt = None
    if reason := not_applicable(variant, training, targets, adapt):
        return NotApplicable(reason)
    fold = _Fold(variant, training, targets, adapt, seed, checks or Checks(again=secrets.randbelow(AGAIN_OF) == 0))
    if sandbox is None:
        with Sandbox(imports_of([variant])) as sandbox:
            return _run(fold, sandbox)
    return _run(fold, sandbox)


def _run(fold: _Fold, sandbox: Sandbox) -> Harmonized | NotApplicable | Failure:
    started = time.monotonic()
    parameters, notes = resolve_parameters(fold.variant, fold.training.domain)
    one = run_session(fold.variant, parameters, fold.seed, sandbox, lambda data: _exchange(fold, data))
    if not isinstance(one, Session):
        return one
    training_out, targets_out = one.made
    if fold.checks.again and len(fold.targets):
        rows = subset_rows(fold.targets, 1)
        less = replace(fold, targets=fold.targets.take(rows), checks=Checks(subset=False))
        other = run_session(fold.variant, parameters, fold.seed, sandbox, lambda data: _exchange(less, data))
        if not isinstance(other, Session):
            words = f"of two processes with the same rows and seed one did not end: {other.reason}"
            return Failure(words, getattr(other, "lines", ()), getattr(other, "kind", ""))
        if fault := fold.part_differs(rows, other.made[1], targets_out):
            return Failure(f"in a process that sees no others, {fault}", kind=remedies.SUBSET)
    seen = fold.training.X if fold.adapt is None else np.concatenate([fold.training.X, fold.adapt.X])
    return Harmonized(
        training_out, targets_out, one.enforced,
        len(verbatim_rows(seen, fold.targets.X, training_out, targets_out)), notes,
        one.cpu_s, time.monotonic() - started, one.peak_mb,
    )  # fmt: skip


@dataclass(frozen=True)
class Session:
    """What came of a method's process that did all that was asked."""

    made: object
    enforced: str
    cpu_s: float
    peak_mb: float


def run_session(variant: Variant, parameters: dict, seed, sandbox: Sandbox, exchange: Callable):
    """Run `exchange(data)` with a method's process: a `Session`, or why there is none."""
    declared = variant.declaration
    order = {
        "folder": str(declared.folder), "entry": declared.entry, "level": declared.level, "format": declared.format,
        "parameters": parameters, "seed": method_seed(seed), "max_minutes": declared.max_minutes,
        "max_gb": declared.max_gb,
    }  # fmt: skip
    made, fault, kind, lost = None, "", "", False
    data, control = sandbox.open(order)
    with data, control:
        try:
            enforced = receive(data, 0)[0].get("enforced") is True
            made = exchange(data)
            ask(data, {"op": "end"})
        except Declined as refusal:
            return NotApplicable(str(refusal))
        except (ValueError, Lost) as error:
            fault, kind, lost = str(error), getattr(error, "kind", ""), isinstance(error, Lost)
        with contextlib.suppress(Lost):
            send(control, {"end": True})
        try:
            ended, _ = receive(control)
        except Lost:
            return Failure("its process cannot be watched any more")
    lines = tuple(str(line) for line in ended["lines"])
    if ended["why"] not in ("", "ended"):
        return Failure(ended["why"], lines, str(ended["kind"]))
    if lost:
        return Failure(_how_it_ended(ended["status"]), lines, remedies.ENDED)
    if fault:
        return Failure(fault, lines, kind)
    if ended["left_behind"]:
        return Failure(f"it left {ended['left_behind']} processes behind", lines, remedies.PROCESSES)
    said = ENFORCED if enforced else BUILT_IN if declared.shipped else DECLARED
    return Session(made, said, ended["cpu_s"], ended["peak_mb"])


class Declined(Exception):
    """The method says that it cannot be applied."""


class Fault(ValueError):
    """What is wrong with an answer of a method; `kind` is one of `remedies`."""

    def __init__(self, words: str, kind: str):
        super().__init__(words)
        self.kind = kind


def _exchange(fold: _Fold, data) -> tuple[np.ndarray, np.ndarray]:
    """Ask for all of a fold, in turn; `Fault` says what is wrong with an answer."""
    secret, targets = fold.secret(), fold.targets
    told = secret.tell(fold.training, "fit")
    ask(data, told.message, told.X)
    if fold.adapt is not None:
        more = secret.tell(fold.adapt, "adapt")
        ask(data, more.message, more.X)
    training_out = _transform(data, secret.tell(fold.training, "transform"))
    if not len(targets):
        return training_out, np.empty_like(targets.X)
    # first some rows, so that what comes of them cannot depend on the others
    subset = subset_rows(targets) if fold.checks.subset else np.empty(0, np.int64)
    part = _transform(data, secret.tell(targets.take(subset), "transform"), apart=True) if len(subset) else None
    targets_out = _transform(data, secret.tell(targets, "transform"))
    if part is not None and (fault := fold.part_differs(subset, part, targets_out)):
        raise Fault(fault, remedies.SUBSET)
    if fold.checks.twice:
        again = _transform(data, secret.tell(targets, "transform"))
        if fold.part_differs(np.arange(len(targets)), again, targets_out):
            words = "a second call with the same rows gives another result: something is kept between calls"
            raise Fault(words, remedies.KEPT)
    return training_out, targets_out


def ask(data, message: dict, X: np.ndarray | None = None, most: int = 0) -> tuple[dict, list]:
    """Send a request and wait for its answer, of at most `most` bytes; `Fault` where the method failed."""
    send(data, message, [] if X is None else [X])
    answer, arrays = receive(data, most)
    if "refused" in answer:
        raise Declined(str(answer["refused"])[:500])
    if "failed" in answer:
        raise Fault(str(answer["failed"]), str(answer.get("kind", "")))
    return answer, arrays


def _transform(data, told: _Told, apart: bool = False) -> np.ndarray:
    """A transform; `apart`, in a fork, of which the method knows nothing afterwards."""
    answer, arrays = ask(data, {**told.message, "apart": apart}, told.X, 2 * told.X.nbytes + 1024)
    ids, columns = ([str(name) for name in answer.get(key, [])] for key in ("ids", "columns"))
    if len(arrays) != 1 or arrays[0].ndim != 2 or arrays[0].shape != (len(ids), len(columns)):
        raise Fault("transform gave no table", remedies.TYPE)
    return told.back(ids, arrays[0], columns)


def subset_rows(targets: Rows, part: int = 0) -> np.ndarray:
    """Choose the rows of the subset rule by their contents: at most `SUBSET_ROWS`, and at most half of all.

    Part 1 has other rows than part 0, where there are two.
    """
    n = min(SUBSET_ROWS, (len(targets) + 1) // 2)
    order = np.argsort(row_hashes(targets.X, [7]), kind="stable")
    return order[part * n : (part + 1) * n] if len(order) > n else order


def scales(*tables: np.ndarray) -> np.ndarray:
    """Compute what a difference of each feature is measured by: its largest SD, and rounding of its largest value."""
    spread = np.max([table.std(axis=0) for table in tables if len(table)], axis=0)
    largest = np.max([np.abs(table).max(axis=0) for table in tables if len(table)], axis=0)
    return np.maximum(spread, largest * 1e-5) + np.finfo(float).tiny


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"its process ended by signal {os.WTERMSIG(status)}"
    return f"its process ended with status {os.WEXITSTATUS(status)} before it had answered"


def verbatim_rows(seen: np.ndarray, targets: np.ndarray, *made: np.ndarray) -> np.ndarray:
    """Find the targets that came back as a row that was fitted or adapted to (`seen`), and were not one before.

    `made` are training rows and targets after the method. Of fewer than three features that differ, none counts.
    """
    training_out, targets_out = made
    if not len(targets) or (targets.std(axis=0) > 0).sum() < 3:
        return np.empty(0, np.int64)
    before = set(matches(seen, targets).tolist())
    found = {*matches(seen, targets_out).tolist(), *matches(training_out, targets_out).tolist()}
    return np.array(sorted(found - before), np.int64)


def matches(rows: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Find the asked rows that equal one of `rows` to `VERBATIM` of each feature's SD."""
    if not len(rows):
        return np.empty(0, np.int64)
    scale = scales(rows, asked)
    way = np.random.default_rng(0).normal(size=rows.shape[1]) / np.sqrt(rows.shape[1])
    centre = rows.mean(axis=0)
    along, place = (((table - centre) / scale) @ way for table in (rows, asked))
    order = np.argsort(along, kind="stable")
    reach = VERBATIM * np.abs(way).sum() * 1.01
    first, last = (
        np.searchsorted(along[order], place + sign * reach, side) for sign, side in ((-1, "left"), (1, "right"))
    )
    found = []
    for i in np.flatnonzero(last > first):
        near = order[first[i] : min(last[i], first[i] + 200)]
        if (np.abs(rows[near] - asked[i]) <= VERBATIM * scale).all(axis=1).any():
            found.append(i)
    return np.array(found, np.int64)


_ = fold_server  # the server's module belongs to what a task runs
