"""The cases of the nf-test files (modules, subworkflows, whole pipeline), read and run without nf-test.

A file of tests keeps to the few forms that `read_cases` knows, so that both runners check the same: `options`, a block
that fills `input` (of a whole pipeline: `params`), and then either success with a snapshot, or failure with a message.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CASE = re.compile(
    r'    test\("(?P<name>[^"]+)"\) \{\n'
    r'(?:        options "(?P<options>[^"]+)"\n)?'
    r"        when \{\n            (?:"
    r'(?:process|workflow) \{\n                """\n(?P<block>.*?)                """\n'
    r"|params \{\n(?P<params>.*?))"
    r"            \}\n        \}\n"
    r"        then \{\n(?P<then>.*?)        \}\n    \}\n",
    re.DOTALL,
)
SUCCESS = {
    "process": r"assert process\.success\n +assert snapshot\(Outline\.of\(process\.out\)\)\.match\(\)",
    "workflow": r"assert workflow\.success\n +assert snapshot\("
    r"Outline\.of\(workflow\.out\), Outline\.tasks\(workflow\.trace\)\)\.match\(\)",
    "pipeline": r"assert workflow\.success\n +assert snapshot\("
    r"Outline\.tasks\(workflow\.trace\), Outline\.results\(params\.outdir, \[(?P<tables>.*?)\]\)\)\.match\(\)",
}
FAILURE = {
    "process": r'assert process\.failed\n +assert process\.errorReport\.contains\("(?P<text>[^"]+)"\)',
    "workflow": r'assert workflow\.failed\n +assert workflow\.errorReport\.contains\("(?P<text>[^"]+)"\)',
    "pipeline": r"assert workflow\.failed\n +"
    r'assert workflow\.stdout\.any \{ line -> line\.contains\("(?P<text>[^"]+)"\) \}',
}


@dataclass
class Case:
    """One test: what is called with which inputs, and what is to come of it."""

    file: Path
    kind: str  # process, workflow or pipeline
    name: str
    called: str
    stub: bool
    block: str  # lines that fill `input`; '' for a pipeline
    params: dict[str, str]  # of a pipeline
    tables: list[str]  # of a pipeline: results of which the snapshot has all rows
    error: str | None

    @property
    def label(self) -> str:
        """Short name for reports."""
        place = self.called if self.kind == "workflow" else self.file.parents[1].name
        return f"{'main.nf' if self.kind == 'pipeline' else place}: {self.name}"

    @property
    def script(self) -> Path:
        """File that holds the process or workflow."""
        return self.file.parents[1] / "main.nf"

    def check(self, content: list, said: str = "") -> None:
        """Compare with the snapshot. With CT4BENCH_KEEP_SNAPSHOTS set, `content` becomes it: read it, and commit."""
        path = Path(f"{self.file}.snap")
        kept = json.loads(path.read_text()) if path.exists() else {}
        if os.environ.get("CT4BENCH_KEEP_SNAPSHOTS") and kept.get(self.name, {}).get("content") != content:
            meta = {"nf-test": "0.9.5", "nextflow": "25.04.4"}
            new = {"content": content, "meta": meta, "timestamp": datetime.now().isoformat()}
            names = {case.name for case in read_cases(self.file)}
            kept = {name: value for name, value in sorted({**kept, self.name: new}.items()) if name in names}
            path.write_text(json.dumps(kept, indent=4, ensure_ascii=False))
        assert content == kept[self.name]["content"], said


def read_cases(file: Path) -> list[Case]:
    """Cases of a file of tests; a form that this does not know is an error."""
    text = file.read_text()
    (kind,) = re.findall(r"^nextflow_(process|workflow|pipeline) \{$", text, re.MULTILINE)
    called = re.findall(r'^    (?:process|workflow) "(\w+)"$', text, re.MULTILINE)
    cases = []
    for match in CASE.finditer(text):
        then = match["then"].strip()
        failure, success = re.fullmatch(FAILURE[kind], then), re.fullmatch(SUCCESS[kind], then)
        assert failure or success, f"{file}: {match['name']}: not a form that is known"
        assert match["options"] in (None, "-stub-run"), file
        given = dict(re.findall(r'^ +(\w+) = "(.*)"$', match["params"] or "", re.MULTILINE))
        assert len(given) == (match["params"] or "").count("\n"), file
        tables = re.findall(r'"([^"]+)"', success["tables"]) if success and kind == "pipeline" else []
        cases.append(
            Case(
                file, kind, match["name"], called[0] if called else "", match["options"] is not None,
                match["block"] or "", given, tables, failure["text"] if failure else None,
            )
        )  # fmt: skip
    assert len(cases) == text.count('    test("'), f"{file}: not all tests have a form that is known"
    return cases


def all_cases() -> list[Case]:
    """Cases of all modules and subworkflows."""
    files = sorted(ROOT.glob("modules/*/tests/main.nf.test")) + sorted(ROOT.glob("subworkflows/*/tests/*.nf.test"))
    return [case for file in files for case in read_cases(file)]


def pipeline_cases() -> list[Case]:
    """Cases of the whole pipeline."""
    return read_cases(ROOT / "tests" / "main.nf.test")


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


def of_outputs(outputs: dict) -> dict:
    """Outline of all outputs; the items of a channel come in the order in which tasks end, so they are sorted."""
    return {name: sorted(outline(items), key=as_text) for name, items in sorted(outputs.items())}


def as_text(item) -> str:
    """The JSON text by which Outline.groovy sorts."""
    return json.dumps(item, separators=(",", ":"))


def of_tasks(names: Iterable[str]) -> dict[str, int]:
    """How many tasks each process had, from the tasks' names."""
    return dict(sorted(Counter(name.split(" ")[0].split(":")[-1] for name in names).items()))


def of_results(folder: Path, tables: list[str]) -> list:
    """Files below a folder; of CSV tables the columns and the number of rows, of `tables` all rows."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    own_notes = re.compile(r"pipeline_info/(trace|timeline|dag)_.*")
    return [of_result(folder / name, name, name in tables) for name in names if not own_notes.fullmatch(name)]


def of_result(path: Path, name: str, whole: bool):
    """Outline of one file of the results."""
    if path.suffix != ".csv" or not path.stat().st_size:
        return name
    rows = of_file(path)["rows"]
    return {"table": name, "rows": rows} if whole else {"table": name, "columns": rows[0], "n_rows": len(rows) - 1}


def outline(value):
    """The same as tests/lib/Outline.groovy: names of files and folders, and tables with rounded numbers."""
    if isinstance(value, dict):
        return {key: outline(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [outline(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return of_file(Path(value)) if Path(value).exists() else Path(value).name
    return value


def of_file(path: Path):
    """Outline of one file or folder."""
    if path.is_dir():
        return {"folder": path.name, "files": sorted(item.name for item in path.iterdir())}
    if path.suffix != ".csv":
        return path.name
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines and lines[0].endswith(",cpu_s"):  # no time is the same twice
        lines = [lines[0], *(line.rpartition(",")[0] + ",time" for line in lines[1:])]
    return {"table": path.name, "rows": [",".join(rounded(cell) for cell in line.split(",")) for line in lines]}


def rounded(cell: str) -> str:
    """A number with a decimal point to six digits; any other text as it is."""
    if not re.fullmatch(r"-?\d+\.\d+([eE][-+]?\d+)?", cell):
        return cell
    number = Context(prec=6, rounding=ROUND_HALF_UP).plus(Decimal(cell))
    return str(number.normalize()) if number else "0"
