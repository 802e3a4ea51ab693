"""The cases of the nf-test files (modules, subworkflows, whole pipeline), read and run without nf-test.

A file of tests keeps to the few forms that `read_cases` knows, so that both runners check the same: `options`, a block
that fills `input`, and then either success with a snapshot, or failure with a message.
"""

import json
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CASE = re.compile(
    r'    test\("(?P<name>[^"]+)"\) \{\n'
    r'(?:        options "(?P<options>[^"]+)"\n)?'
    r'        when \{\n            (?:process|workflow) \{\n                """\n(?P<block>.*?)                """\n'
    r"            \}\n        \}\n"
    r"        then \{\n(?P<then>.*?)        \}\n    \}\n",
    re.DOTALL,
)
SUCCESS = re.compile(r" +assert (process|workflow)\.success\n +assert snapshot\(Outline\.of\(\1\.out\)\)\.match\(\)\n")
FAILURE = re.compile(
    r'            assert process\.failed\n            assert process\.errorReport\.contains\("(?P<text>[^"]+)"\)\n'
)


@dataclass
class Case:
    """One test: what is called with which inputs, and what is to come of it."""

    file: Path
    name: str
    called: str
    stub: bool
    block: str
    error: str | None

    @property
    def label(self) -> str:
        """Short name for reports."""
        return f"{self.file.parents[1].name}: {self.name}"

    @property
    def script(self) -> Path:
        """File that holds the process or workflow."""
        return self.file.parents[1] / "main.nf"

    def snapshot(self) -> dict:
        """What the snapshot beside the file says of the outputs."""
        return json.loads(Path(f"{self.file}.snap").read_text())[self.name]["content"][0]


def read_cases(file: Path) -> list[Case]:
    """Cases of a file of tests; a form that this does not know is an error."""
    text = file.read_text()
    (called,) = re.findall(r'^    (?:process|workflow) "(\w+)"$', text, re.MULTILINE)
    cases = []
    for match in CASE.finditer(text):
        then = match["then"]
        failure = FAILURE.fullmatch(then)
        assert failure or SUCCESS.fullmatch(then), f"{file}: {match['name']}: not a form that is known"
        assert match["options"] in (None, "-stub-run"), file
        error = failure["text"] if failure else None
        cases.append(Case(file, match["name"], called, match["options"] is not None, match["block"], error))
    assert len(cases) == text.count('    test("'), f"{file}: not all tests have a form that is known"
    return cases


def all_cases() -> list[Case]:
    """Cases of all modules and subworkflows."""
    files = sorted(ROOT.glob("modules/*/tests/main.nf.test")) + sorted(ROOT.glob("subworkflows/*/tests/*.nf.test"))
    return [case for file in files for case in read_cases(file)]


HEAD = """// made by tests/nf_cases.py
def plain(value) {
    if (value instanceof Map) { return value.collectEntries { key, item -> [key.toString(), plain(item)] } }
    if (value instanceof Collection) { return value.collect { item -> plain(item) } }
    return value instanceof java.nio.file.Path || value instanceof CharSequence ? value.toString() : value
}
def keep(file, values) {
    new File("${workflow.launchDir}/${file}").text = groovy.json.JsonOutput.toJson(plain(values))
}
"""


def emits(case: Case) -> list[str]:
    """Names of the outputs of the process or workflow."""
    text = case.script.read_text()
    if f"process {case.called} " in text:
        return re.findall(r"emit: (\w+)", text)
    body = text.split(f"workflow {case.called} ", 1)[1].split("\nworkflow ", 1)[0]
    return re.findall(r"^    (\w+) = ", body.split("    emit:\n", 1)[1], re.MULTILINE)


def script_of(cases: list[Case]) -> str:
    """One workflow that calls all of these cases beside each other."""
    parts = [HEAD]
    for number, case in enumerate(cases):
        block = case.block.replace("${projectDir}", str(ROOT))
        kept = "".join(
            f"    CASE_{number}.out.{name}.toList().subscribe {{ all -> keep('case_{number}_{name}.json', all) }}\n"
            for name in emits(case)
        )
        parts.append(
            f"include {{ {case.called} as CASE_{number} }} from '{case.script}'\n"
            f"workflow RUN_{number} {{\n    def input = []\n{block}    CASE_{number}(*input)\n{kept}}}\n"
        )
    calls = "".join(f"    RUN_{number}()\n" for number in range(len(cases)))
    return "\n".join(parts) + f"workflow {{\n{calls}}}\n"


def outline(value):
    """The same as tests/lib/Outline.groovy: names of files and folders, and tables with rounded numbers."""
    if isinstance(value, dict):
        return {key: outline(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [outline(item) for item in value]
    if isinstance(value, str) and value.startswith("/") and Path(value).exists():
        return of_file(Path(value))
    return value


def of_file(path: Path):
    """Outline of one file or folder."""
    if path.is_dir():
        return {"folder": path.name, "files": sorted(item.name for item in path.iterdir())}
    if path.suffix != ".csv":
        return path.name
    lines = path.read_text(encoding="utf-8").splitlines()
    return {"table": path.name, "rows": [",".join(rounded(cell) for cell in line.split(",")) for line in lines]}


def rounded(cell: str) -> str:
    """A number with a decimal point to six digits; any other text as it is."""
    if not re.fullmatch(r"-?\d+\.\d+([eE][-+]?\d+)?", cell):
        return cell
    number = Context(prec=6, rounding=ROUND_HALF_UP).plus(Decimal(cell))
    return str(number.normalize()) if number else "0"
