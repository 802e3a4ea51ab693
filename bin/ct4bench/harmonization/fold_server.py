"""The process that methods are forked from: it has loaded libraries, and neither data nor a method.

    serve(fd)        takes orders, one for each fold, each with two sockets: for data, and for what became of it
      supervise()    a process for each order: starts the method's, ends it at its limits, tells what is left of it
        work()       the method's own process: serves fit, adapt and transform as they are asked for

A fold costs two forks and no start of Python. Nothing of it serves a second fold.
"""

import contextlib
import csv
import errno
import gc
import importlib
import importlib.util
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.errors import few
from ct4bench.harmonization import isolation, remedies
from ct4bench.harmonization.wire import Lost, receive, send

MOST_OUTPUT = 1_000_000
"""Bytes that a method may print in a fold."""
TAIL = 4_000
CHECK_S = 0.25
"""Between two looks at the memory."""
MOST_WORDS = 600
"""Characters of a reason."""
REFUSAL = 3
"""Exit status of an executable that cannot be applied."""
SEED_NAME = "seed"


def serve() -> None:
    """Read from stdin what to load and the socket's number, then take orders until the other end is closed."""
    start = json.loads(sys.stdin.readline())
    sys.path.remove(start["code"])
    for name in start["preload"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    orders = socket.socket(fileno=start["fd"])
    isolates = start["isolate"] and can_isolate(start["scratch"])
    warm_up()
    gc.collect()
    gc.freeze()
    while True:
        text, fds, _, _ = socket.recv_fds(orders, 1_000_000, 2)
        _reap(0 if not text else os.WNOHANG)
        if not text:
            return
        if os.fork() == 0:
            orders.close()
            try:
                supervise(json.loads(text) | {"isolate": isolates}, *(socket.socket(fileno=fd) for fd in fds))
            except BaseException:  # noqa: BLE001  a fault of one fold is not the next one's
                traceback.print_exc()
            os._exit(0)
        for fd in fds:
            os.close(fd)


def warm_up() -> None:
    """Run what every fold runs first, so that what pandas loads at its first use is there before the forks."""
    request = {"op": "fit", "ids": ["a", "b"], "columns": ["x", "y"], "domain": ["A", "B"], "pair": ["p", "q"]}
    rows, told = frames(request, [np.array([[0.0, 1.0], [2.0, 4.0]])])
    copy = rows.copy()
    for name in sorted(told["domain"].unique()):
        own = told["domain"] == name
        copy.loc[own] = (rows[own] - rows.mean()) / rows.std()
    checked(copy.loc[rows.index])
    rows.groupby(told["domain"]).mean()
    told["domain"].equals(told["domain"].copy())


def can_isolate(scratch: str) -> bool:
    """Tell whether the kernel gives a process namespaces of its own, all of them: tried in one that ends then."""
    probe = os.fork()
    if probe == 0:
        with contextlib.suppress(OSError, KeyError):
            place = tempfile.mkdtemp(prefix="probe-", dir=scratch)
            isolation.enter_user_namespace()
            inner = os.fork()
            if inner == 0:
                with contextlib.suppress(OSError, KeyError):
                    isolation.build_root(place, scratch, [], [], 1)
                    os._exit(0)
                os._exit(1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) != 0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]) == 0


def _reap(options: int) -> None:
    """Take note of the processes that ended, so that their cost counts."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def supervise(order: dict, data: socket.socket, control: socket.socket) -> None:
    """Run a method's process within its limits, and send on `control` what became of it."""
    os.setsid()
    isolation.be_reaper()
    isolation.end_with_parent()
    place = tempfile.mkdtemp(prefix="fold-", dir=order["scratch"])
    reads, writes = os.pipe()
    if order["isolate"]:
        isolation.enter_user_namespace()
    child = os.fork()
    if child == 0:
        control.close()
        os.close(reads)
        work(order, data, writes, place)
    os.close(writes)
    data.close()
    ended = _watch(order, child, reads, control)
    left = _end(child, ended)
    ended |= {"left_behind": left}
    with contextlib.suppress(OSError):
        shutil.rmtree(place)
    with contextlib.suppress(Lost):
        send(control, ended)


def _watch(order: dict, child: int, reads: int, control: socket.socket) -> dict:
    """Wait until the client is done, the process ends, or a limit is passed; say which."""
    until = time.monotonic() + 60 * order["max_minutes"]
    most_kb = order["max_gb"] * 1024**2
    tail, printed, why, kind, asked = b"", 0, "", "", False
    process = os.pidfd_open(child)
    with selectors.DefaultSelector() as waiting:
        for what in (reads, control, process):
            waiting.register(what, selectors.EVENT_READ)
        base_kb = _memory_kb(child)
        while not why and not asked:
            ready = {key.fileobj for key, _ in waiting.select(CHECK_S)}
            if reads in ready:
                got = os.read(reads, 65536)
                if not got:
                    waiting.unregister(reads)
                printed += len(got)
                tail = (tail + got)[-TAIL:]
            if control in ready:
                asked = True
            elif process in ready:
                why = "ended"
            elif time.monotonic() > until:
                why, kind = f"it took more than {order['max_minutes']:g} minutes (max_minutes)", remedies.TIME
            elif printed > MOST_OUTPUT:
                why, kind = f"it printed more than {MOST_OUTPUT} bytes", remedies.PRINTED
            elif not ready and _total_kb(child) - base_kb > most_kb:
                why, kind = f"it took more than {order['max_gb']:g} GB of memory (max_gb)", remedies.MEMORY
    left = sorted(_descendants(child))
    os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    os.set_blocking(reads, False)
    with contextlib.suppress(OSError):
        while more := os.read(reads, 65536):
            tail = (tail + more)[-TAIL:]
    return {
        "why": why,
        "kind": kind,
        "status": status,
        "left": left,
        "lines": tail.decode("utf-8", "replace").splitlines()[-12:],
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


def _end(child: int, ended: dict) -> int:
    """End all that the method started; the number of processes that were there beside its own."""
    left = set(ended.pop("left"))
    while True:
        more = _descendants(os.getpid())
        if not more:
            return len(left)
        left |= more
        for pid in more:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass


def _descendants(pid: int) -> set[int]:
    """Processes below one, those that ended apart."""
    found, waiting = set(), [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                text = Path(f"/proc/{one}/task/{task}/children").read_text()
                waiting += [int(word) for word in text.split()]
        if one != pid:
            with contextlib.suppress(OSError, IndexError):
                if Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.add(one)
    return found


def _memory_kb(pid: int) -> float:
    """Memory of a process that is its own and not of a file."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") / 1024
    except (OSError, IndexError):
        return 0.0


def _total_kb(pid: int) -> float:
    return sum(_memory_kb(one) for one in {pid} | _descendants(pid))


def work(order: dict, data: socket.socket, output: int, place: str) -> None:
    """Run as the method's process: cut off, within limits, with the listed environment; serve until told to end."""
    try:
        isolation.end_with_parent()
        home, folder, enforced = f"{place}/fold", order["folder"], order["isolate"]
        if enforced:
            shown = isolation.libraries(order["hidden"])
            isolation.build_root(place, folder, shown, order["hidden"], int(1024 * order["max_gb"]))
            home, folder = isolation.FOLD, isolation.METHOD
        else:
            for name in isolation.OWN_FOLDERS.values():
                os.makedirs(f"{home}/{name}")
        os.chdir(home)
        _redirect(output)
        _close_others(data.fileno())
        os.environ.clear()
        own = {variable: f"{home}/{name}" for variable, name in isolation.OWN_FOLDERS.items()}
        os.environ.update(order["environment"] | own)
        tempfile.tempdir = None
        isolation.drop_rights()
        isolation.limit(order["max_gb"], enforced)
        send(data, {"enforced": enforced})
        kind = ImagesInPython if order["level"] != "feature" else InPython
        kind = kind if order["entry"].endswith(".py") else Executable
        serve_method(kind(order, folder, home), data, order["fork"])
    except Lost:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001  whatever a method's thread or import ends with
        print_own(error)
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _redirect(output: int) -> None:
    """Let stdin be empty, and both outputs go to one pipe."""
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def _close_others(kept: int) -> None:
    """Close every file but the three standard ones and one."""
    os.closerange(3, kept)
    os.closerange(kept + 1, 4096)


def serve_method(method, data: socket.socket, fork: bool) -> None:
    """Run requests until the other end is closed; those `apart` in a process of its own, where forks are."""
    while True:
        request, arrays = receive(data)
        if request["op"] == "end":
            send(data, {"done": True})
        elif fork and request.get("apart"):
            pid = os.fork()
            if pid == 0:
                answer(method, request, arrays, data)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if status:
                os._exit(1)
        else:
            answer(method, request, arrays, data)


def answer(method, request: dict, arrays: list, data: socket.socket) -> None:
    """Send the result of what is asked, or why there is none."""
    try:
        message, given = method.do(request, arrays, data)
    except Refused as refusal:
        message, given = {"refused": str(refusal)}, []
    except Exception as error:  # noqa: BLE001  a method may raise anything
        if type(error).__name__ == "NotApplicable":
            message, given = {"refused": str(error)}, []
        else:
            print_own(error)
            words = f"{error}" if isinstance(error, Faulty) else f"{type(error).__name__}: {error}"
            words = f"{asked(request, method.known)}: {words}"[:MOST_WORDS]
            message, given = {"failed": words, "kind": kind_of(error, request, method.known)}, []
    sys.stdout.flush()
    sys.stderr.flush()
    send(data, message, given)


class Refused(Exception):
    """The method says that it cannot be applied."""


class Faulty(Exception):
    """What a method gives is not what the contract asks for; `kind` is one of `remedies`."""

    def __init__(self, words: str, kind: str):
        super().__init__(words)
        self.kind = kind


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """List the frames of an error that are the method's or those of what it calls."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if frame.filename != __file__ and not frame.filename.startswith("<frozen ")]


def print_own(error: BaseException) -> None:
    """Write an error's traceback without what called the method; of what the contract asks for the message says all."""
    if isinstance(error, Faulty):
        return
    told = traceback.TracebackException.from_exception(error)
    told.stack = traceback.StackSummary.from_list(own_frames(error))
    print("".join(told.format()), file=sys.stderr)


def asked(request: dict, known: set[str]) -> str:
    """Tell what was asked for: the call, its rows or volume, and which of their domains it had not been given."""
    domains = request.get("domain", [])
    if isinstance(domains, str):
        what, domains = "a volume", [domains]
    else:
        what = f"{len(domains)} rows"
    names = sorted(set(domains))
    new = [name for name in names if name not in known] if request["op"] == "transform" else []
    more = f" (not fitted on: {few(new, 3)})" if new else ""
    return f"{request['op']} of {what} of {few(names, 3)}{more}" if names else request["op"]


def kind_of(error: Exception, request: dict, known: set[str]) -> str:
    """Return which of the kinds of `remedies` an error of a method is."""
    if isinstance(error, Faulty):
        return error.kind
    for kind, name in ((ImportError, remedies.IMPORT), (SyntaxError, remedies.SYNTAX), (MemoryError, remedies.MEMORY)):
        if isinstance(error, kind):
            return name
    if not own_frames(error):  # it did not come as far as the method's code
        if isinstance(error, TypeError):
            made = any(name in str(error) for name in ("__init__", "Method()"))
            return remedies.CONSTRUCTOR if made else remedies.CALL
        if isinstance(error, AttributeError):
            return remedies.NO_FUNCTION
    domains = request.get("domain", [])
    new = set([domains] if isinstance(domains, str) else domains) - known
    return remedies.UNSEEN if request["op"] == "transform" and new else remedies.RAISES


def load_class(folder: str, entry: str):
    """Load the class `Method` of a file."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("method", f"{folder}/{entry}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["method"] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "Method"):
        raise Faulty(f"{entry} has no class Method", remedies.NO_CLASS)
    return module.Method


def frames(request: dict, arrays: list) -> tuple[pd.DataFrame, dict]:
    """Build the rows of a request, and what else is told of them, as series on their index."""
    index = pd.Index(request["ids"], name="row", dtype=object)
    rows = pd.DataFrame(np.array(arrays[0]), index=index, columns=request["columns"], copy=False)
    told = {"domain": pd.Series(request["domain"], index=index, name="domain", dtype=object)}
    if request.get("covariates"):
        told["covariates"] = pd.DataFrame(request["covariates"], index=index)
    if request.get("pair"):
        told["pair"] = pd.Series(request["pair"], index=index, name="pair", dtype=object)
    return rows, told


def checked(result) -> tuple[dict, list]:
    """Take the rows of a result as they are sent; nothing is cast."""
    if not isinstance(result, pd.DataFrame):
        raise Faulty(f"transform gave a {type(result).__name__}, not a data frame", remedies.TYPE)
    kinds = {str(kind) for kind in result.dtypes} - {"float64"}
    if kinds:
        raise Faulty(f"transform gave columns of {', '.join(sorted(kinds))}, not of float64", remedies.TYPE)
    names = [[str(name) for name in axis] for axis in (result.index, result.columns)]
    return {"ids": names[0], "columns": names[1]}, [result.to_numpy(np.float64)]


class InPython:
    """A class `Method` of a Python file."""

    def __init__(self, order: dict, folder: str, home: str):
        self._make = lambda: load_class(folder, order["entry"])(seed=order["seed"], **order["parameters"])
        self._method = None
        self.known: set[str] = set()
        """Domains of what it was fitted on or adapted to."""

    def do(self, request: dict, arrays: list, data: socket.socket) -> tuple[dict, list]:
        """Run fit, adapt or transform."""
        if request["op"] == "fit":
            self._method = self._make()
        if request["op"] != "transform":
            self.known.update(request["domain"])
        rows, told = frames(request, arrays)
        domain = told.pop("domain")
        before = [frame.copy() for frame in (domain, *told.values())]
        result = getattr(self._method, request["op"])(rows, domain, **told)
        same = all(a.equals(b) for a, b in zip(before, (domain, *told.values()), strict=True))
        as_sent = np.array_equal(arrays[0], rows.to_numpy()) if rows.shape == arrays[0].shape else False
        if not same or not as_sent:
            raise Faulty(f"{request['op']} changed what it was given", remedies.INPUT)
        return checked(result) if request["op"] == "transform" else ({"done": True}, [])


class Executable:
    """A program that is called as `method fit|adapt|transform --in DIR --out DIR`."""

    def __init__(self, order: dict, folder: str, home: str):
        entry = f"{folder}/{order['entry']}"
        self._entry = Path(entry)
        self._command = ["Rscript", "--vanilla", entry] if entry.lower().endswith(".r") else [entry]
        self._home, self._format = home, order["format"]
        self._parameters = {SEED_NAME: order["seed"], **order["parameters"]}
        self._calls = 0
        self.known: set[str] = set()

    def do(self, request: dict, arrays: list, data: socket.socket) -> tuple[dict, list]:
        """Run fit, adapt or transform in a process of its own, by files."""
        op = request["op"]
        if op != "transform":
            self.known.update(request["domain"])
        self._calls += 1
        given, made = Path(self._home, f"in{self._calls}"), Path(self._home, f"out{self._calls}")
        given.mkdir()
        made.mkdir()
        state = Path(self._home, "state")
        if state.exists():
            shutil.copytree(state, given / "state")
        (given / "parameters.json").write_text(json.dumps(self._parameters, indent=1) + "\n", encoding="utf-8")
        rows, told = frames(request, arrays)
        write_rows(given, rows, told, self._format)
        self._call(op, given, made)
        shutil.rmtree(given)
        if op == "transform":
            result = read_rows(made, self._format)
            shutil.rmtree(made)
            return checked(result)
        shutil.rmtree(state, ignore_errors=True)
        made.rename(state)
        return {"done": True}, []

    def _call(self, op: str, given: Path, made: Path) -> None:
        try:
            done = subprocess.run(
                [*self._command, op, "--in", str(given), "--out", str(made)], stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE, stdout=None, check=False, cwd=made,
            )  # fmt: skip
        except OSError as error:
            raise Faulty(*why_not_run(self._entry, self._command[0], error)) from error
        words = done.stderr[-TAIL:].decode("utf-8", "replace")
        if done.returncode == REFUSAL:
            raise Refused((words.strip().splitlines() or ["no reason given"])[-1])
        print(words, file=sys.stderr)
        if done.returncode:
            ended = (
                f"it ended by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
            )
            raise Faulty(ended, kind_of_program(self._entry, done.returncode, words))


NOT_FOUND = 127
"""Exit status of shells and of env where there is no such command."""
LACKING = ("No module named", "there is no package called", "cannot open shared object file")
"""What Python, R and the loader say where a package or library is not there."""


def first_line(entry: Path) -> str:
    """Read the first line of a program, with its end."""
    with contextlib.suppress(OSError), open(entry, "rb") as file:
        return file.readline(500).decode("utf-8", "replace")
    return ""


def why_not_run(entry: Path, command: str, error: OSError) -> tuple[str, str]:
    """Tell why a program could not be started, and the kind of that."""
    first, name = first_line(entry), entry.name
    if command == "Rscript" and error.errno == errno.ENOENT:
        return "Rscript is not there", remedies.NO_R
    if error.errno == errno.EACCES and not os.access(entry, os.X_OK):
        return f"{name} is not executable", remedies.NOT_EXECUTABLE
    if error.errno == errno.ENOENT and first.startswith("#!"):
        if first.endswith("\r\n"):
            return f"{name} cannot be run: its first line ends as in Windows (CR LF)", remedies.LINE_ENDS
        interpreter = (first[2:].split() or ["nothing"])[0]
        return f"{name} cannot be run: its first line names {interpreter}, which is not there", remedies.NO_INTERPRETER
    if error.errno == errno.ENOEXEC:
        return f"{name} cannot be run: its first line is not #! and an interpreter", remedies.NO_FIRST_LINE
    return f"{name} cannot be run ({error.strerror})", remedies.STATUS


def kind_of_program(entry: Path, status: int, words: str) -> str:
    """Return the kind of a failure by a program's exit status and what it said."""
    if status == NOT_FOUND:
        return remedies.LINE_ENDS if first_line(entry).endswith("\r\n") else remedies.NO_INTERPRETER
    return remedies.PACKAGE if any(said in words for said in LACKING) else remedies.STATUS


def write_rows(folder: Path, rows: pd.DataFrame, told: dict, form: str) -> None:
    """Write X (row and features) and rows (row, domain, covariates, pair) as CSV with 17 digits, or Parquet."""
    about = pd.concat(list(told.values()), axis=1)
    about.index.name = "row"
    if form == "parquet":
        rows.reset_index().to_parquet(folder / "X.parquet", index=False)
        about.reset_index().to_parquet(folder / "rows.parquet", index=False)
        return
    about.reset_index().to_csv(folder / "rows.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    with open(folder / "X.csv", "w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerow(["row", *rows.columns])
        for name, values in zip(rows.index, rows.to_numpy(), strict=True):
            out.write(f"{name},{','.join(map(number_text, values))}\n")


def number_text(value: float) -> str:
    """Return a number with 17 digits, and with a point where it is whole: readers take `3` for an integer."""
    text = f"{value:.17g}"
    return text if any(sign in text for sign in ".en") else f"{text}.0"


def _parquet(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def _csv(path: Path) -> pd.DataFrame:
    head = pd.read_csv(path, nrows=0).columns
    blank = {name: ["", "NA", "NaN", "nan"] for name in head if name != "row"}
    table = pd.read_csv(path, dtype={"row": str}, float_precision="round_trip", keep_default_na=False, na_values=blank)
    whole = [name for name, kind in table.dtypes.items() if name != "row" and kind.kind in "iu"]
    table[whole] = table[whole].astype(np.float64)  # CSV has no types: 3 is a number as 3.0 is
    return table


def read_rows(folder: Path, form: str) -> pd.DataFrame:
    """Read what an executable wrote."""
    path = folder / f"X.{form}"
    if not path.is_file() or path.is_symlink():
        raise Faulty(f"it ended with status 0 and wrote no X.{form}", remedies.NO_OUTPUT)
    try:
        table = _parquet(path) if form == "parquet" else _csv(path)
    except (ValueError, OSError) as error:  # what pandas and pyarrow raise of a file that is no table
        raise Faulty(f"X.{form} cannot be read: {' '.join(str(error).split())}", remedies.NO_TABLE) from error
    if "row" not in table:
        raise Faulty(f"X.{form} has no column row", remedies.NO_TABLE)
    return table.set_index("row")


class ImagesInPython:
    """A class `Method` of volumes: float32 (slices, rows, columns) in HU, spacing in mm, and the domain."""

    def __init__(self, order: dict, folder: str, home: str):
        self._make = lambda: load_class(folder, order["entry"])(seed=order["seed"], **order["parameters"])
        self._method = None
        self.known: set[str] = set()

    def do(self, request: dict, arrays: list, data: socket.socket) -> tuple[dict, list]:
        """Run fit, which asks for one volume after the other, or transform, which has one."""
        if request["op"] == "fit":
            self._method = self._make()
            self._method.fit(self._volumes(data))
            return {"done": True}, []
        result = self._method.transform(*_volume(request, arrays))
        if not isinstance(result, np.ndarray):
            raise Faulty(f"transform gave a {type(result).__name__}, not an array", remedies.TYPE)
        if result.dtype not in (np.float32, np.float64):
            raise Faulty(f"transform gave {result.dtype}, not float32", remedies.TYPE)
        return {"done": True}, [result.astype("<f4", copy=False)]

    def _volumes(self, data: socket.socket) -> Iterator[tuple]:
        """What `fit` learns from, as it asks for it."""
        while (one := _next_volume(data)) is not None:
            self.known.add(one[0]["domain"])
            yield _volume(*one)


def _next_volume(data: socket.socket):
    send(data, {"next": True})
    request, arrays = receive(data)
    return (request, arrays) if arrays else None


def _volume(request: dict, arrays: list) -> tuple:
    return np.array(arrays[0]), tuple(request["spacing_mm"]), request["domain"]
