"""The house: packages on floors, no import upwards, no circle; processes, scripts and modules named by one rule."""

import ast
import re
import subprocess
import sys

import pandas as pd
import pytest
from tests.conftest import ROOT

from ct4bench.core.benchmark import NO_METHOD

PACKAGE = ROOT / "bin" / "ct4bench"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
FLOORS = pd.read_csv(ROOT / "docs" / "packages.csv").set_index("package")["floor"].to_dict()
DOOR = sorted(path for path in (ROOT / "command").glob("*.py") if path.name != "__init__.py")
PROCESSES = pd.read_csv(ROOT / "docs" / "processes.csv", keep_default_na=False)

VERBS = """
Add Apply Ask Augment Average Blend Bootstrap Build Check Choose Clean Compare Compile Compute Count Cut Decorate
Describe Draw End Enter Extract Fetch Fill Filter Find Fit Give Group Halve Harmonize Import Index Interpolate Join
Leave Limit List Load Log Make Measure Merge Move Name Open Order Pack Parse Plan Raise Rank Read Refuse Remove
Render Replace Resample Return Run Say Select Send Separate Serve Set Shorten Show Simulate Sort Split Stack
Standardise Stretch Sum Take Tell Train Turn Unpack Wait Write Yield
"""
"""With which docstrings start; add one that is missing."""


def dotted(path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imported(path) -> set[str]:
    """Modules of the package that a file imports anywhere, as `package.module`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    known = {dotted(path) for path in MODULES}
    return {name.removeprefix("ct4bench.") for name in names if name.startswith("ct4bench.")} & known


def test_every_package_has_a_floor_and_an_empty_init():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(FLOORS)
    assert [path for path in PACKAGE.rglob("__init__.py") if path.stat().st_size] == []
    assert {path.parent.parent for path in MODULES} == {PACKAGE}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_down(path):
    own = path.parent.name
    upwards = [name for name in imported(path) if (other := name.split(".")[0]) != own and FLOORS[other] >= FLOORS[own]]
    assert upwards == []


@pytest.mark.parametrize("path", [ROOT / "ct4bench", *DOOR], ids=lambda path: path.stem)
def test_the_front_door_needs_nothing_that_set_up_brings(path):
    """`./ct4bench` must run before there is a .venv, and by an older Python."""
    names = {alias.name for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9)))
             if isinstance(node, ast.Import) for alias in node.names}  # fmt: skip
    names |= {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
    # comparing starts .venv's Python first
    own = {"command", "ct4bench"} if path.parent.name == "command" and path.stem == "compare" else {"command"}
    assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, *own}


def test_no_circle():
    graph = {dotted(path): imported(path) for path in MODULES}
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, " -> ".join([*open_[open_.index(name) :], name])
        if name not in done:
            open_.append(name)
            for other in sorted(graph[name]):
                visit(other)
            done.add(open_.pop())

    for name in graph:
        visit(name)


def test_one_list_names_processes_scripts_and_modules():
    processes = [name for name in PROCESSES["process"] if name]
    assert sorted(processes) == sorted(path.parent.name.upper() for path in ROOT.glob("modules/*/main.nf"))
    for name in processes:
        assert re.search(rf"^process {name} \{{$", (ROOT / "modules" / name.lower() / "main.nf").read_text(), re.M), (
            name
        )
    scripts = {path.stem for path in (ROOT / "bin").glob("*.py")}
    named = {row.process.lower() or row.module.split(".")[1] for row in PROCESSES.itertuples()}
    assert scripts == named


@pytest.mark.parametrize("row", PROCESSES.itertuples(index=False), ids=lambda row: row.module)
def test_a_script_calls_the_module_of_its_verb(row):
    package, module = row.module.split(".")
    script = row.process.lower() or module
    verb = script.split("_")[0]
    assert module in (verb, script)
    same_verb = [m for m in PROCESSES["module"] if m.startswith(f"{package}.{verb}")]
    # a script without a process is named by its module, which is named in full
    assert module == (verb if row.process and len(same_verb) == 1 else script)
    assert row.module in imported(ROOT / "bin" / f"{script}.py")


def public_functions(path):
    """Public functions and methods of a file, properties and private classes apart."""
    tree = ast.parse(path.read_text())
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    for node in (child for parent in (tree, *classes) for child in parent.body):
        is_function = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if is_function and not any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
            yield node


@pytest.mark.parametrize("path", [*MODULES, *DOOR, *sorted((ROOT / "bin").glob("*.py"))], ids=lambda path: path.stem)
def test_docstrings_of_public_functions_start_with_a_verb(path):
    first = {node.name: (ast.get_docstring(node) or "none").split()[0] for node in public_functions(path)}
    assert {name: word for name, word in first.items() if word not in VERBS.split()} == {}
    # words that are nouns, too
    said = [" ".join(ast.get_docstring(node).split()[:2]) for node in public_functions(path)]
    assert not [words for words in said if words.split()[1] in ("of", "in", "by")]


def test_the_method_that_does_nothing_is_named_in_one_place():
    sources = [ROOT / "main.nf", *(path for folder in ("modules", "subworkflows", "workflows", "conf")
               for suffix in ("nf", "config") for path in (ROOT / folder).rglob(f"*.{suffix}"))]  # fmt: skip
    lines = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources
        for line in path.read_text().splitlines()
        if re.search(r"""['"/]none['"/]""", line)
    }
    engine, published = sorted(lines, reverse=True)
    assert engine == "main.nf: container_engine: workflow.containerEngine ?: 'none',"
    # configuration calls no function: the volumes that are registered are those of that method
    assert published.startswith("conf/publish.config: publishDir = [path: {") and "/none/volumes" in published
    (default,) = re.findall(r"^    methods = '(.*)'$", (ROOT / "nextflow.config").read_text(), re.M)
    assert default == NO_METHOD
    python = [*PACKAGE.rglob("*.py"), *(ROOT / "bin").glob("*.py"), ROOT / "assets" / "report.html.j2"]
    named = [path.name for path in python if re.search(r"""method.*["']none["']|NO_METHOD = """, path.read_text())]
    assert named == ["benchmark.py"]


def test_what_includes_other_scripts_is_included_by_one():
    """The strict parser runs a script once for each spelling of its path, and refuses what is then included twice."""
    scripts = [
        ROOT / "main.nf",
        *(path for name in ("modules", "subworkflows", "workflows") for path in (ROOT / name).rglob("*.nf")),
    ]
    users = {}
    for path in scripts:
        for place in re.findall(r"^include .* from '(\.[^']*)'$", path.read_text(), re.MULTILINE):
            users.setdefault((path.parent / f"{place}.nf").resolve(), set()).add(path)
    assert {path for path in users if not path.is_file()} == set()
    including = {path for others in users.values() for path in others}
    twice = {path for path, others in users.items() if path in including and len(others) > 1}
    assert sorted(str(path.relative_to(ROOT)) for path in twice) == []


def options_of(script) -> tuple[set[str], set[str]]:
    """Options of a script, by calls of its own and of what adds options: all, and those that must be given."""
    known, required = set(), set()
    tree = ast.parse(script.read_text())
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    shared = [node for path in PACKAGE.glob("*/arguments.py") for node in ast.parse(path.read_text()).body
              if isinstance(node, ast.FunctionDef) and node.name in called]  # fmt: skip
    for node in (node for part in (tree, *shared) for node in ast.walk(part)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            names = {arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value.startswith("--")}
            known |= names
            if any(word.arg == "required" and getattr(word.value, "value", False) is True for word in node.keywords):
                required |= names
    return known, required


@pytest.mark.parametrize("path", sorted((ROOT / "modules").glob("*/main.nf")), ids=lambda path: path.parent.name)
def test_modules_call_scripts_by_options_that_they_have(path):
    """A module that only a run of minutes goes through is wired like any other."""
    script = path.read_text().split("    script:\n", 1)[1].split("    stub:\n", 1)[0]
    # what a map of options is spelled out to
    twin = (ROOT / "subworkflows" / "utilities" / "twin.nf").read_text()
    choice = re.findall(r"^        (\w+): ", re.search(r"def twinChoice.*?\n}", twin, re.DOTALL)[0], re.MULTILINE)
    script = script.replace("--${name}", " ".join(f"--{name}" for name in choice))
    before, *commands = re.split(r"\b(\w+)\.py \\\\\n", script)
    assert commands
    for name, words in zip(commands[::2], commands[1::2], strict=True):
        known, required = options_of(ROOT / "bin" / f"{name}.py")
        used = set(re.findall(r"--[A-Za-z]\w*", words.split('\n    """')[0]))
        assert used - known == set(), name
        assert required - used - set(re.findall(r"--[A-Za-z]\w*", before)) == set(), name


@pytest.mark.parametrize("path", sorted((ROOT / "bin").glob("*.py")), ids=lambda path: path.stem)
def test_a_script_is_its_options_and_a_call(path):
    """What else it would do belongs into a module, where tests and other scripts can call it."""
    assert len(path.read_text().splitlines()) <= 80


def test_legends_of_figures_show_every_name():
    """matplotlib drops labels that begin with an underscore; `style.add_legend` does not."""
    for path in sorted((ROOT / "bin" / "ct4bench" / "figures").glob("*.py")):
        calls = re.findall(r"(\w+)\.legend\(", path.read_text())
        assert calls == (["owner"] if path.stem == "style" else []), path


def test_lint_looks_at_every_module():
    """`results`, which stands for a folder of a run, had hidden the package of that name."""
    listed = subprocess.run(
        [ROOT / ".venv/bin/ruff", "check", "--show-files", "bin"], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout.split()
    assert {str(path) for path in MODULES} <= set(listed)
