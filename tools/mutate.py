#!/usr/bin/env python3
"""Make seeded single wrong edits in the numeric modules and count those that a test notices.

    .venv/bin/python tools/mutate.py [--count 300] [--seed 20261129] [--modules core.geometry ...] [--jobs 1]

Sites of edits are all places of MODULES where an operator applies (see `Sites`): arithmetic, comparisons, conditions,
constants, signs, indices, orders of arguments, statements. Docstrings, strings, annotations, decorators, texts of
errors and what is printed are none. `--count` of them are drawn, each site with the same chance; a site's turn in the
draw depends on the seed and on its own line, so that an edit elsewhere leaves the rest of the draw as it is.

The tests are those of the `--files` files of tests/unit and tests/oracle that are closest to the module by import, its
own first; none of them compares with a snapshot. Once for each test, and again after a change, it is noted how long it
takes and which functions it calls; a mutant is given to the tests that call the edited function, quick ones and those
that import the module directly first, until one fails, for at most `--patience` seconds of tests. A test that takes
much more CPU time than it did counts as failed. Tests that start the code in another process do not see the edit.

Everything happens in a copy of the checkout below `--folder`. What was found is kept in `--results` after each mutant,
and a call with the same arguments goes on from there: what was caught stays caught, what survived is tried again
once a test has changed. Exit status 1 where less than `--least` per cent were caught.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ct4bench"
MODULES = [
    "core.geometry", "core.feature_tables", "core.intervals",
    "index.ct", "index.headers", "index.names", "index.segmentation",
    "splits.splits", "splits.tasks", "splits.plan", "splits.fold",
    "pairs.similarity", "pairs.plan", "pairs.compare", "pairs.tables",
    "stability.icc", "stability.repeatability",
    "embedding.embed", "embedding.umap_layout",
    "preprocess.block", "preprocess.find_block", "preprocess.registration", "preprocess.resampling",
    "preprocess.pyramids", "preprocess.patches", "preprocess.draw", "preprocess.transforms",
    "features.radiomics", "features.texture_matrices", "features.merge",
    "profiles.noise", "profiles.sharpness", "profiles.calibration", "profiles.displacement", "profiles.patterns",
    "profiles.profiler", "profiles.own",
    "learning.mlp", "learning.mlp_kernels", "learning.train", "learning.accuracy", "learning.predictions",
    "learning.merge",
    "results.comparison", "results.features", "results.make",
]  # fmt: skip
"""The numeric core. A name without a file is left out."""
TESTS = ("tests/unit", "tests/oracle")

ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
              ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"),
              ast.BitOr: ("|", "&"), ast.BitXor: ("^", "|"), ast.LShift: ("<<", ">>"),
              ast.RShift: (">>", "<<")}  # fmt: skip
COMPARISONS = {ast.Lt: ("<", "<=", ">"), ast.LtE: ("<=", "<", ">"), ast.Gt: (">", ">=", "<"), ast.GtE: (">=", ">", "<"),
               ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
               ast.In: ("in", "not in"), ast.NotIn: ("not in", "in")}  # fmt: skip
OTHER_NAME = {
    one: other
    for pair in ("min max", "any all", "floor ceil", "minimum maximum", "argmin argmax", "nanmin nanmax", "mean median",
                 "var std", "sin cos", "zeros ones", "first last", "argmin argmax", "append appendleft")
    for one, other in (pair.split(), reversed(pair.split()))
}  # fmt: skip
OPTIONAL = {"axis", "ddof", "keepdims", "side", "ascending", "dropna", "endpoint", "reverse", "key", "initial", "where",
            "skipna", "mode", "cval", "how", "prefilter", "order", "sort", "observed", "keep_default_na"}  # fmt: skip
"""Keyword arguments of libraries that may be missing, and then mean something else."""
EITHER_WAY = {"isinstance", "getattr", "hasattr", "min", "max", "minimum", "maximum", "hypot"}
"""Calls whose arguments have no other order, or may have either."""
SPEAKS = re.compile(r"Error$|Refusal$|Warning$|^(print|warn|debug|info|warning|error|add_argument|fail|log)$")
"""Calls whose arguments are words."""


@dataclass(frozen=True)
class Mutant:
    """One wrong edit: bytes `start` to `end` of a module become `after`; lines stay where they are."""

    module: str
    line: int
    operator: str
    start: int
    end: int
    before: str
    after: str
    turn: str
    """Hash by which mutants are drawn, and which names this one in the results."""


class Sites(ast.NodeVisitor):
    """All places of a source where an edit is possible: (operator, start, end, texts to choose from)."""

    def __init__(self, source: bytes):
        self.source = source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.found: list[tuple[str, int, int, list[bytes]]] = []
        self.assigned: set[str] = set()
        self.visit(ast.parse(source))

    def start(self, node) -> int:
        """First byte of a node."""
        return self.lines[node.lineno - 1] + node.col_offset

    def end(self, node) -> int:
        """Byte after the last of a node."""
        return self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node) -> bytes:
        """Source of a node."""
        return self.source[self.start(node) : self.end(node)]

    def add(self, operator, start, end, *texts):
        """Note a site; each text is given the line ends that it replaces."""
        lost = self.source[start:end].count(b"\n")
        self.found.append((operator, start, end, [text + b"\n" * (lost - text.count(b"\n")) for text in texts]))

    def between(self, operator, left, right, old: str, *new: str):
        """Exchange the operator that stands between two nodes."""
        gap = self.source[self.end(left) : self.start(right)]
        pattern = re.compile(rb"\s+".join(re.escape(word.encode()) for word in old.split()))
        found = [m for m in pattern.finditer(gap) if b"#" not in gap[: m.start()].rpartition(b"\n")[2]]
        if found:
            at, to = (self.end(left) + place for place in found[0].span())
            self.add(operator, at, to, *(word.encode() for word in new))

    def drop(self, node, text=b"pass"):
        """A statement that is not carried out."""
        self.add("statement dropped", self.start(node), self.end(node), text)

    def negate(self, test):
        """A condition that holds where it did not."""
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            self.add("condition negated", self.start(test), self.end(test), b"(not (" + self.text(test) + b"))")

    def visit_function(self, node):
        """Body and defaults; no annotation, no decorator."""
        outer, self.assigned = self.assigned, {argument.arg for argument in node.args.args + node.args.kwonlyargs}
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.assigned = outer

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function

    def visit_ClassDef(self, node):
        """Body alone."""
        for statement in node.body:
            self.visit(statement)

    def visit_Lambda(self, node):
        """What it returns."""
        self.visit(node.body)

    def visit_JoinedStr(self, node):
        """Words."""

    def visit_Assert(self, node):
        """What must hold, without the words."""
        self.visit(node.test)

    def visit_Raise(self, node):
        """A refusal that does not happen; its words stay."""
        self.drop(node)

    def visit_AnnAssign(self, node):
        """The value alone."""
        if node.value:
            self.visit(node.value)

    def visit_Assign(self, node):
        """A value that is not set, where the target has one already."""
        names = {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        changed = all(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets)
        if changed or (names and names <= self.assigned):
            self.drop(node)
        self.generic_visit(node)
        self.assigned |= names

    def visit_AugAssign(self, node):
        """A step of another sign, or none."""
        self.drop(node)
        old, new = ARITHMETIC.get(type(node.op), (None, None))
        if old and not self.words(node.value):
            self.between("arithmetic", node.target, node.value, f"{old}=", f"{new}=")
        self.generic_visit(node)

    def visit_Expr(self, node):
        """A call that is not made."""
        if isinstance(node.value, ast.Call) and not self.speaks(node.value):
            self.drop(node)
        self.generic_visit(node)

    def visit_Break(self, node):
        """A loop that goes on."""
        self.drop(node, b"continue")

    def visit_Continue(self, node):
        """A loop that ends early."""
        self.drop(node, b"break")

    def visit_If(self, node):
        """The other branch; an early return that does not happen."""
        if ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return
        self.negate(node.test)
        if isinstance(node.body[-1], ast.Return) and not node.orelse:
            self.drop(node.body[-1])
        self.generic_visit(node)

    def visit_IfExp(self, node):
        """The other value."""
        self.negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node):
        """The loop that does not start, or does not end."""
        self.negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node):
        """What was left out is kept."""
        for test in node.ifs:
            self.negate(test)
        self.generic_visit(node)

    def visit_Return(self, node):
        """Two values the wrong way round."""
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) > 1:
            self.swap("values exchanged", *node.value.elts[:2])
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        """And for or."""
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in pairwise(node.values):
            self.between("boolean", left, right, *words)
        self.generic_visit(node)

    def visit_Compare(self, node):
        """Another comparison; strictness."""
        for left, op, right in zip((node.left, *node.comparators), node.ops, node.comparators, strict=False):
            self.between("comparison", left, right, *COMPARISONS[type(op)])
        self.generic_visit(node)

    def visit_BinOp(self, node):
        """Another operation."""
        if type(node.op) in ARITHMETIC and not self.words(node.left) and not self.words(node.right):
            self.between("arithmetic", node.left, node.right, *ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        """No sign, no negation."""
        if not isinstance(node.op, ast.UAdd):
            self.add("sign", self.start(node), self.start(node.operand), b" ")
        self.generic_visit(node)

    def visit_Constant(self, node):
        """Another number."""
        value = node.value
        if isinstance(value, bool):
            texts = [str(not value)]
        elif isinstance(value, int):
            texts = [str(value + 1), f"({value - 1})"] if value != 0 else ["1"]
        elif isinstance(value, float):
            texts = [repr(value * 1.1), repr(value * 2)] if value != 0 else ["1.0"]
        else:
            return
        self.add("constant", self.start(node), self.end(node), *(text.encode() for text in texts))

    def visit_Subscript(self, node):
        """The neighbour's value, one value more or less."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in parts:
            if isinstance(part, ast.Slice):
                places = [p for p in (part.lower, part.upper) if isinstance(p, ast.Name | ast.Attribute | ast.Call)]
            else:
                places = [part] if isinstance(part, ast.Name) and len(part.id) <= 2 else []
            for place in places:
                self.add("index", self.end(place), self.end(place), b" + 1", b" - 1")
        self.generic_visit(node)

    def visit_Call(self, node):
        """Another function, arguments the wrong way round, an option left out."""
        if self.speaks(node):
            return
        name = self.name(node)
        if name in OTHER_NAME:
            end = self.end(node.func)
            self.add("other function", end - len(name), end, OTHER_NAME[name].encode())
        if len(node.args) > 1 and name not in EITHER_WAY:
            one, two = node.args[:2]
            if not isinstance(one, ast.Starred) and not isinstance(two, ast.Starred):
                self.swap("arguments exchanged", one, two)
        values = [*node.args, *node.keywords]
        for before, keyword in pairwise([None, *values]):
            if isinstance(keyword, ast.keyword) and keyword.arg in OPTIONAL and before is not None:
                self.add("option dropped", self.end(before), self.end(keyword), b"")
        self.generic_visit(node)

    def swap(self, operator, one, two):
        """Two neighbours of a list exchange their places."""
        if ast.dump(one) != ast.dump(two) and not self.words(one) and not self.words(two):
            start, end = self.start(one), self.end(two)
            gap = self.source[self.end(one) : self.start(two)]
            if gap.strip() == b",":
                self.add(operator, start, end, self.text(two) + gap + self.text(one))

    @staticmethod
    def words(node) -> bool:
        """Whether a node is text."""
        return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))

    @staticmethod
    def name(node: ast.Call) -> str:
        """Last word of the name of what is called."""
        return getattr(node.func, "attr", getattr(node.func, "id", ""))

    def speaks(self, node: ast.Call) -> bool:
        """Whether a call is there to say something."""
        return bool(SPEAKS.search(self.name(node)))


def mutants_of(module: str, source: bytes, seed: int) -> list[Mutant]:
    """One mutant for each site of a module, with its turn in the draw."""
    made, seen = [], {}
    lines = source.split(b"\n")
    for operator, start, end, texts in Sites(source).found:
        row = source.count(b"\n", 0, start)
        column = start - (source.rfind(b"\n", 0, start) + 1)
        indent = len(lines[row]) - len(lines[row].lstrip())
        place = f"{seed} {module} {operator} {lines[row].strip().decode()} {column - indent}"
        seen[place] = seen.get(place, 0) + 1
        turn = hashlib.sha256(f"{place} {seen[place]}".encode()).hexdigest()
        after = texts[int(turn[-8:], 16) % len(texts)]
        made.append(Mutant(module, row + 1, operator, start, end, source[start:end].decode(), after.decode(), turn))
    return made


def parses(source: bytes, mutant: Mutant) -> bool:
    """Whether the edit leaves a program, and another one."""
    after = source[: mutant.start] + mutant.after.encode() + source[mutant.end :]
    try:
        return ast.dump(ast.parse(after)) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def draw(modules: list[str], count: int, seed: int, root: Path) -> list[Mutant]:
    """`count` mutants of all sites of the modules, in the order of modules and lines."""
    sources = {module: file_of(root, module).read_bytes() for module in modules if file_of(root, module).exists()}
    found = [mutant for module, source in sources.items() for mutant in mutants_of(module, source, seed)]
    in_turn = (mutant for mutant in sorted(found, key=lambda mutant: mutant.turn))
    drawn = list(islice((mutant for mutant in in_turn if parses(sources[mutant.module], mutant)), count))
    print(f"{len(found)} sites in {len(sources)} modules, {len(drawn)} drawn by seed {seed}")
    return sorted(drawn, key=lambda mutant: (modules.index(mutant.module), mutant.start))


def file_of(root: Path, module: str) -> Path:
    """File of a module that is named without the package."""
    return root / "bin" / PACKAGE / Path(*module.split(".")).with_suffix(".py")


def edited(root: Path, mutant: Mutant) -> bytes:
    """Source of a module with the edit."""
    source = file_of(root, mutant.module).read_bytes()
    return source[: mutant.start] + mutant.after.encode() + source[mutant.end :]


# Names: what refers to what, for the choice of tests and for kernels that must be compiled again ----------------------


class Names:
    """Top-level names of the package and of the tests, and which of them each one mentions."""

    def __init__(self, root: Path):
        self.root = root
        files = [*(root / "bin" / PACKAGE).rglob("*.py"), *(root / "tests").rglob("*.py")]
        trees = {file: ast.parse(file.read_bytes()) for file in files}
        known = {self.module(file) for file in files}
        self.mentions: dict[str, set[str]] = {}
        self.called: set[str] = set()
        """Functions that Python calls, and the note of calls therefore sees."""
        self.spans: dict[str, list[tuple[int, int, str]]] = {}
        for file, tree in trees.items():
            self.read(self.module(file), tree, known)

    def module(self, file: Path) -> str:
        """Name of a file's module: `core.geometry`, or `tests/unit/core/test_geometry.py`."""
        package = self.root / "bin" / PACKAGE
        if file.is_relative_to(package):
            return ".".join(file.relative_to(package).with_suffix("").parts)
        return file.relative_to(self.root).as_posix()

    def read(self, module: str, tree: ast.Module, known: set[str]):
        """Note the names of one module."""
        imported = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                source = node.module.removeprefix(f"{PACKAGE}.")
                for alias in node.names:
                    whole = f"{source}.{alias.name}"
                    helper = f"tests/{node.module}.py"
                    at = whole if whole in known else f"{helper if helper in known else source}:{alias.name}"
                    imported[alias.asname or alias.name] = at
        own = [(statement, name) for statement in tree.body for name in defined(statement)]
        local = {name for _, name in own}
        for statement, name in own:
            found = self.mentions.setdefault(f"{module}:{name}", set())
            self.spans.setdefault(module, []).append((first_line(statement), statement.end_lineno, name))
            if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
                self.called.add(f"{module}:{name}")
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id != name:
                    if node.id in local:
                        found.add(f"{module}:{node.id}")
                    elif ":" in imported.get(node.id, ""):
                        found.add(imported[node.id])
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    other = imported.get(node.value.id, "")
                    if other and ":" not in other:
                        found.add(f"{other}:{node.attr}")

    def at(self, module: str, line: int) -> set[str]:
        """Names that the statement of a line defines."""
        return {f"{module}:{name}" for start, end, name in self.spans.get(module, []) if start <= line <= end}

    def reached(self, calls: set[str]) -> set[str]:
        """Names that take part where functions of `calls` run: kernels and constants have no call to be noted."""
        at_import = set()
        open_, done = list(calls), set(calls)
        while open_:
            name = open_.pop()
            constant = name not in self.called and (name not in calls or name in at_import)
            for other in self.mentions.get(name, ()):
                if other not in done and (other not in self.called or constant):
                    done.add(other)
                    open_.append(other)
                    if constant:
                        at_import.add(other)
        return done

    @cache  # noqa: B019 - one object a run
    def users(self, names: frozenset) -> set[str]:
        """Names that mention any of `names`, or one that does."""
        done, open_ = set(names), True
        while open_:
            more = {name for name, found in self.mentions.items() if name not in done and found & done}
            done |= more
            open_ = bool(more)
        return done


def defined(statement) -> list[str]:
    """Names that a top-level statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def first_line(statement) -> int:
    """Line where a statement starts, decorators included."""
    return min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])


def imports_of(root: Path, file: Path) -> set[Path]:
    """Files of the package and of the tests that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            place = Path(*name.split(".")).with_suffix(".py")
            found |= {path for path in (root / "bin" / place, root / "tests" / place, root / place) if path.exists()}
    return found


def distances(root: Path, file: Path) -> dict[Path, int]:
    """Steps of import from a file to each file that it depends on."""
    steps, ring = {file: 0}, [file]
    while ring:
        ring = [path for source in ring for path in sorted(imports_of(root, source)) if path not in steps
                and not steps.update({path: steps[source] + 1})]  # fmt: skip
    return steps


# Children: one process for each file of tests or each mutant, forked from one that has the libraries ------------------


def copy_checkout(target: Path):
    """Make `target` the checkout as it is now; files that are the same keep their time."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    names = {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}
    for path in [path for path in target.rglob("*") if path.is_file() and "__pycache__" not in path.parts]:
        if path.relative_to(target).as_posix() not in names:
            path.unlink()
    for name in names:
        old, new = target / name, ROOT / name
        if not old.exists() or old.read_bytes() != new.read_bytes():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(new, old)


def import_libraries(tree: Path):
    """Import what the code and its tests import from elsewhere, once for all children."""
    own = {PACKAGE, "tests", *(path.stem for path in [*(tree / "tests").glob("*.py"), *(tree / "bin").glob("*.py")])}
    names = set()
    for file in [*(tree / "bin").rglob("*.py"), *(tree / "tests").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names.add(node.module)
    for name in sorted(names):
        if name.split(".")[0] not in own:
            with contextlib.suppress(Exception):  # what is not installed is skipped by its tests
                importlib.import_module(name)


class Edited(importlib.machinery.SourceFileLoader):
    """Loader of a module whose source is not that of its file; what asks the file finds it as it was."""

    def __init__(self, name, path, source):
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname):
        """Code of the edited source."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


class EditedFinder:
    """Finder of the one module that is edited."""

    def __init__(self, name: str, path: Path, source: bytes):
        self.name, self.path, self.source = name, str(path), source

    def find_spec(self, name, path=None, target=None):
        """Spec of the edited module, else nothing."""
        if name == self.name:
            return importlib.util.spec_from_file_location(name, self.path, loader=Edited(name, self.path, self.source))
        return None


class Reporter:
    """Plugin that says which test starts, ends and fails, chooses tests and, on request, notes calls."""

    def __init__(self, pipe: int, tree: Path, wanted: list[str] | None, note: bool):
        self.pipe, self.tree, self.wanted, self.note = pipe, tree, wanted, note
        self.calls: set[str] = set()
        self.of_fixture: dict = {}
        self.names: dict = {}
        self.started = time.perf_counter()

    def say(self, *words):
        """One line to the parent."""
        os.write(self.pipe, (json.dumps(words) + "\n").encode())

    def pytest_collection_modifyitems(self, items):
        """Only the wanted tests, in their order."""
        self.say("collected", time.perf_counter() - self.started)
        if self.wanted is not None:
            by_id = {item.nodeid: item for item in items}
            items[:] = [by_id[name] for name in self.wanted if name in by_id]

    def pytest_collectreport(self, report):
        """A file that cannot be imported."""
        if report.failed:
            self.say("failed", report.nodeid)

    def pytest_runtest_logstart(self, nodeid):
        """A test starts."""
        self.seconds, self.outcome = 0.0, "passed"
        self.say("started", nodeid)

    def pytest_runtest_logreport(self, report):
        """A part of a test is over."""
        self.seconds += report.duration
        if report.outcome != "passed" and self.outcome != "failed":
            self.outcome = "skipped" if report.outcome == "skipped" or hasattr(report, "wasxfail") else "failed"
        if self.outcome == "failed":
            self.say("failed", report.nodeid)

    def pytest_runtest_logfinish(self, nodeid):
        """A test is over."""
        if not self.note:
            self.say("done", nodeid)

    def trace(self, frame, event, argument):
        """Note a call of a function of the checkout."""
        code = frame.f_code
        name = self.names.get(code, 0)
        if name == 0:
            name, path = None, code.co_filename
            if path.startswith(str(self.tree)):
                inside = Path(path).relative_to(self.tree)
                top = code.co_qualname.split(".")[0]
                if inside.parts[:2] == ("bin", PACKAGE):
                    name = f"{'.'.join(inside.with_suffix('').parts[2:])}:{top}"
                elif inside.parts[0] == "tests":
                    name = f"{inside.as_posix()}:{top}"
            self.names[code] = name
        if name:
            self.calls.add(name)


class Noting(Reporter):
    """Reporter that notes calls; a fixture that several tests share counts for each."""

    import pytest

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        """Calls of a fixture are kept with it."""
        outer, self.calls = self.calls, set()
        yield
        self.of_fixture[fixturedef] = self.calls
        self.calls = outer | self.calls

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        """Calls of a test, with those of the fixtures that it found ready."""
        self.calls = set()
        sys.settrace(self.trace)
        yield
        sys.settrace(None)
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for definition in definitions:
                self.calls |= self.of_fixture.get(definition, set())
        self.say("noted", item.nodeid, self.outcome, self.seconds, sorted(self.calls))


class Child:
    """A forked process that runs pytest, and what it said so far."""

    def __init__(self, tree: Path, cache_folder: Path, files, wanted=None, mutant=None, note=False, log=None):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            self.run(writing, tree, cache_folder, files, wanted, mutant, note, log)
        os.close(writing)
        self.pipe, self.rest, self.closed = reading, b"", False
        self.begun = time.monotonic()

    def run(self, pipe, tree, cache_folder, files, wanted, mutant, note, log):
        """The child's life; never returns."""
        status = 70
        try:
            os.setsid()
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(tree)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (12 << 30, 12 << 30))
            os.environ["NUMBA_CACHE_DIR"] = str(cache_folder)
            import numba.core.config
            import pytest

            numba.core.config.CACHE_DIR = str(cache_folder)
            if mutant:
                finder = EditedFinder(f"{PACKAGE}.{mutant.module}", file_of(tree, mutant.module), edited(tree, mutant))
                sys.meta_path.insert(0, finder)
            plugin = (Noting if note else Reporter)(pipe, tree, wanted, note)
            options = [
                "-q",
                "-p",
                "no:cacheprovider",
                "--rootdir",
                str(tree),
                "--basetemp",
                str(log.with_suffix(".tmp")),
            ]
            status = pytest.main([*options, *([] if note else ["-x"]), *map(str, files)], plugins=[plugin])
        finally:
            sys.stdout.flush()
            os._exit(int(status))

    def lines(self, timeout: float) -> list:
        """What the child says within a time."""
        if self.closed or not select.select([self.pipe], [], [], timeout)[0]:
            return []
        data = os.read(self.pipe, 1 << 20)
        self.closed = not data
        whole = (self.rest + data).split(b"\n")
        self.rest = whole.pop()
        return [json.loads(line) for line in whole]

    def cpu_s(self) -> float:
        """CPU seconds of the child and of its own children that have ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def end(self, kill=False) -> int:
        """Exit status; kills the child's processes first where asked to."""
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.pipe)
        return status


def in_turn(tasks, jobs: int):
    """Carry out generators, `jobs` at a time; each yields while it waits for its child."""
    tasks, running = iter(tasks), []
    while True:
        while len(running) < jobs:
            task = next(tasks, None)
            if task is None:
                break
            running.append(task)
        if not running:
            return
        for task in list(running):
            try:
                next(task)
            except StopIteration:
                running.remove(task)


# Notes of tests -------------------------------------------------------------------------------------------------------


@cache
def digest(root: Path, file: Path) -> str:
    """Digest of a file of tests and of all that it depends on."""
    found = sorted({*distances(root, file), root / "tests" / "conftest.py", root / "pyproject.toml"})
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in found)).hexdigest()


def closest_files(tree: Path, module: str, most: int) -> dict[str, int]:
    """Files of tests that import a module, with the steps of import: the module's own one first, then the closest."""
    target, found = file_of(tree, module), []
    for file in (file for place in TESTS for file in sorted((tree / place).rglob("test_*.py"))):
        steps = distances(tree, file).get(target)
        if steps is not None:
            package, name = module.split(".")
            near = file.parent.name == package
            order = (not (near and file.stem == f"test_{name}"), steps, not near, TESTS[0] not in file.as_posix())
            found.append((*order, file.relative_to(tree).as_posix()))
    return {name: steps for _, steps, *_, name in sorted(found)[:most]}


def note_tests(folder: Path, wanted: dict[str, int], jobs: int, most_s: float) -> dict:
    """Seconds, outcome and calls of the tests of some files, each for `most_s` seconds at most.

    What has not changed is taken from the last time.
    """
    tree, path = folder / "tree", folder / "tests.json"
    notes = json.loads(path.read_text()) if path.exists() else {}
    digests = {name: digest(tree, tree / name) for name in wanted}

    def one(name):
        note = {"digest": digests[name], "collect_s": 0.0, "tests": {}}
        child = Child(tree, folder / "numba", [name], note=True, log=folder / f"{Path(name).stem}.log")
        while not child.closed and time.monotonic() - child.begun < most_s:
            for kind, *words in child.lines(0.2):
                if kind == "collected":
                    note["collect_s"] = words[0]
                elif kind == "noted":
                    note["tests"][words[0]] = dict(zip(("outcome", "seconds", "calls"), words[1:], strict=True))
            yield
        child.end(kill=not child.closed)
        notes[name] = note
        path.write_text(json.dumps(notes))
        bad = [test for test, found in note["tests"].items() if found["outcome"] == "failed"]
        spent = time.monotonic() - child.begun
        failing = f", failing without an edit: {', '.join(bad)}" if bad else ""
        print(f"noted {name}: {len(note['tests'])} tests, {spent:.1f} s{failing}", flush=True)

    in_turn((one(name) for name in wanted if notes.get(name, {}).get("digest") != digests[name]), jobs)
    return {name: notes[name] for name in wanted}


@dataclass
class Plan:
    """Tests for a mutant, in their order, with the seconds that each took."""

    tests: list[str]
    seconds: dict[str, float]
    left_out: int


class Tests:
    """What is known of the tests of one module: which of them a mutant is for."""

    def __init__(self, notes: dict, steps: dict[str, int], names: Names):
        self.names, self.rows = names, []
        self.digests = {file: note["digest"] for file, note in notes.items()}
        for file, note in notes.items():
            for test, found in note["tests"].items():
                if found["outcome"] == "passed":
                    reached = names.reached(set(found["calls"]) | {f"{file}:{test.split('::')[1].split('[')[0]}"})
                    self.rows.append((file, note["collect_s"], test, found["seconds"], reached, steps[file]))

    def plan(self, mutant: Mutant, patience: float) -> Plan:
        """Tests that call what is edited: quick ones and close ones first, as many as `patience` seconds allow."""
        edited_names = self.names.at(mutant.module, mutant.line)
        rows = []
        for file, collect, test, seconds, reached, steps in self.rows:
            if reached & edited_names:
                slow = sum(seconds >= limit for limit in (0.2, 1, 5))
                rows.append((slow, steps, file, seconds, test, collect))
        spent, files, chosen = 0.0, set(), []
        for row in sorted(rows):
            cost = row[3] + (0 if row[2] in files else row[5])
            if spent + cost <= patience or not chosen:
                spent += cost
                files.add(row[2])
                chosen.append(row)
        return Plan([row[4] for row in chosen], {row[4]: row[3] for row in chosen}, len(rows) - len(chosen))


# Mutants --------------------------------------------------------------------------------------------------------------


def link_kernels(folder: Path, target: Path, stale: set[str]):
    """A folder of compiled kernels like the one of the unedited code, without those that `stale` names."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    gone = {(name.split(".")[0], name.split(".")[1].split(":")[0] + "." + name.split(":")[1]) for name in stale
            if name.count(".") == 1 and "/" not in name}  # fmt: skip
    for place in (folder / "numba").iterdir():
        package = place.name.rpartition("_")[0]
        (target / place.name).mkdir()
        for file in place.iterdir():
            kernel = file.name.partition("-")[0]
            if not any(package == p and (kernel == k or kernel.startswith(f"{k}.")) for p, k in gone):
                os.link(file, target / place.name / file.name)


def try_mutant(mutant: Mutant, tests: Tests, folder: Path, patience: float, note):
    """Run the tests of one mutant; `note(caught, by, seconds, left_out)` is told."""
    tree, names = folder / "tree", tests.names
    plan = tests.plan(mutant, patience)
    if not plan.tests:
        note(False, "no test calls it", 0.0, plan.left_out)
        return
    stale = names.users(frozenset(names.at(mutant.module, mutant.line)))
    compiles = bool(stale - names.called)
    work = folder / "work" / mutant.turn[:12]
    link_kernels(folder, work / "numba", stale)
    files = dict.fromkeys(test.split("::")[0] for test in plan.tests)
    child = Child(tree, work / "numba", files, plan.tests, mutant, log=work / "log")
    limit_s, used_s, since = 120.0, 0.0, time.monotonic()
    failed, running, timeout = None, "collection", False
    while not child.closed and failed is None and not timeout:
        for kind, *words in child.lines(0.1):
            if kind == "started":
                running, used_s, since = words[0], child.cpu_s(), time.monotonic()
                limit_s = 15 + 8 * plan.seconds[running] + (90 if compiles else 0)
            elif kind == "failed" and failed is None:
                failed = words[0]
        # What else the machine does must not make a test look endless: CPU time counts, and time only tenfold.
        timeout = child.cpu_s() - used_s > limit_s or time.monotonic() - since > 10 * limit_s
        yield
    status = child.end(kill=timeout or failed is not None)
    if timeout:
        failed = f"{running} (takes too long)"
    elif failed is None and status not in (0, 5):
        failed = f"{running} (exit status {status})"
    shutil.rmtree(work, ignore_errors=True)
    note(failed is not None, failed or f"{len(plan.tests)} tests", time.monotonic() - child.begun, plan.left_out)


def describe(mutant: Mutant, source: bytes) -> str:
    """A mutant in words: where, and the line before and after."""
    first = source.rfind(b"\n", 0, mutant.start) + 1
    last = source.find(b"\n", mutant.end)
    last = len(source) if last < 0 else last
    before = source[first:last].decode()
    after = (source[first : mutant.start] + mutant.after.encode() + source[mutant.end : last]).decode()
    place = f"bin/{PACKAGE}/{mutant.module.replace('.', '/')}.py:{mutant.line}"
    both = [" ".join(line.split()) for line in (before, after)]
    return f"{place}  {mutant.operator}\n    - {both[0]}\n    + {both[1]}"


def parse_args(argv):
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--modules", nargs="+", default=MODULES, metavar="PACKAGE.MODULE", help="instead of the list")
    parser.add_argument("--count", type=int, default=300, help="mutants to draw (300)")
    parser.add_argument("--seed", type=int, default=20261129, help="seed of the draw (20261129)")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at the same time (1)")
    parser.add_argument("--time", type=float, default=float("inf"), help="seconds after which no further one is tried")
    parser.add_argument("--patience", type=float, default=30, help="seconds of tests that a mutant is given (30)")
    parser.add_argument("--files", type=int, default=6, help="files of tests that a module is tried with (6)")
    parser.add_argument("--least", type=float, default=85, help="per cent to be caught for exit status 0 (85)")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "mutants.json", help="what was found so far")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / f"{PACKAGE}_mutants_{os.getuid()}",
                        help="where the copy, its compiled kernels and the notes of tests are kept")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the drawn mutants, run nothing")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    """Draw mutants, try them, print survivors and the share that was caught."""
    args = parse_args(argv)
    begun = time.monotonic()
    drawn = draw(args.modules, args.count, args.seed, ROOT)
    sources = {module: file_of(ROOT, module).read_bytes() for module in {m.module for m in drawn}}
    if args.list:
        for mutant in drawn:
            print(describe(mutant, sources[mutant.module]))
        return 0
    folder, tree = args.folder.resolve(), args.folder.resolve() / "tree"
    (folder / "numba").mkdir(parents=True, exist_ok=True)
    tree.mkdir(exist_ok=True)
    copy_checkout(tree)
    os.environ.setdefault("CT4BENCH_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
    os.environ.setdefault("MPLBACKEND", "Agg")
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != Path(__file__).parent]
    import_libraries(tree)
    names = Names(tree)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}

    def settled(mutant, files):
        """Whether a mutant was caught, or went through these files of tests as they are now."""
        found = results.get(mutant.turn)
        if not found or found["after"] != mutant.after:
            return False
        return found["caught"] or all(found["tried"].get(file) == digest(tree, tree / file) for file in files)

    def one(mutant, tests):
        def note(caught, by, seconds, left_out):
            before = results.get(mutant.turn, {"seconds": 0.0, "tried": {}})
            results[mutant.turn] = asdict(mutant) | {
                "caught": caught, "by": by, "seconds": round(before["seconds"] + seconds, 2), "left_out": left_out,
                "tried": before["tried"] | tests.digests,
            }  # fmt: skip
            args.results.parent.mkdir(parents=True, exist_ok=True)
            args.results.write_text(json.dumps(results, indent=1))
            word = "caught " if caught else "passes "
            print(f"{word} {mutant.module}:{mutant.line} {mutant.operator}, {by}, {seconds:.1f} s", flush=True)

        if time.monotonic() - begun < args.time:
            yield from try_mutant(mutant, tests, folder, args.patience, note)

    done = []
    for module in dict.fromkeys(mutant.module for mutant in drawn):
        own = [mutant for mutant in drawn if mutant.module == module]
        files = closest_files(tree, module, args.files)
        # Most are caught by the module's own tests; those of other files are asked for what is left.
        for part in (dict(list(files.items())[:1]), dict(list(files.items())[1:])):
            left = [mutant for mutant in own if not settled(mutant, part)]
            if left and time.monotonic() - begun < args.time:
                tests = Tests(note_tests(folder, part, args.jobs, 4 * args.patience), part, names)
                in_turn((one(mutant, tests) for mutant in left), args.jobs)
        done += [mutant for mutant in own if settled(mutant, files)]
    alive = [mutant for mutant in done if not results[mutant.turn]["caught"]]
    for mutant in alive:
        print(describe(mutant, sources[mutant.module]), f"\n    {results[mutant.turn]['by']}", flush=True)
    for module in args.modules:
        own = [results[mutant.turn]["caught"] for mutant in done if mutant.module == module]
        if own:
            print(f"{module:30s} {sum(own):4d} of {len(own)}")
    if not done:
        return 1
    share = 100 * (len(done) - len(alive)) / len(done)
    spent = sum(results[mutant.turn]["seconds"] for mutant in done)
    caught = f"{len(done) - len(alive)} of {len(done)} caught ({share:.1f} %)"
    print(f"{caught}, {len(drawn) - len(done)} not tried, {spent:.0f} s")
    return 0 if share >= args.least and len(done) == len(drawn) else 1


if __name__ == "__main__":
    sys.exit(main())
