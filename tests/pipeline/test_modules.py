"""Every module and subworkflow by itself: the cases and snapshots of the nf-test files, run by Nextflow alone."""

import json
import re
import subprocess
import uuid
from pathlib import Path

import pandas as pd
import pytest
from nf_cases import all_cases, of_outputs, of_tasks, script_of
from pipeline_run import ENGINE, ROOT

pytestmark = pytest.mark.pipeline

CASES = all_cases()


@pytest.fixture(scope="session")
def outcomes(nextflow, tmp_path_factory):
    """Outputs by emit, names and messages of tasks, of each case; stub cases in one run, the others in a second."""
    found = {}
    for stub in (True, False):
        cases = [case for case in CASES if case.stub == stub]
        folder = tmp_path_factory.mktemp("stub_cases" if stub else "cases")
        # in the project's folder, as nf-test does it: bin/ and assets/ are looked for beside the script that is run
        script = ROOT / f".nf-test-{uuid.uuid4().hex}.nf"
        settings = folder / "cases.config"
        settings.write_text("process.errorStrategy = 'ignore'\nprocess.cache = false\n")
        try:
            script.write_text(script_of(cases))
            command = [ENGINE, "-log", "nextflow.log", "-c", settings, "run", script, "-ansi-log", "false"]
            done = subprocess.run(
                [*command, "-profile", "test", "--outdir", folder / "results", *(["-stub-run"] if stub else [])],
                cwd=folder, text=True, capture_output=True,
            )  # fmt: skip
        finally:
            script.unlink()
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        for number, case in enumerate(cases):
            files = folder.glob(f"case_{number}_*.json")
            outputs = {path.stem.removeprefix(f"case_{number}_"): json.loads(path.read_text()) for path in files}
            tasks = re.findall(rf"^\[(\S+)\] Submitted process > (RUN_{number}:.*)$", said, re.MULTILINE)
            folders = [next((folder / "work").glob(f"{task}*")) for task, _ in tasks]
            errors = "".join(
                (task / ".command.err").read_text() for task in folders if (task / ".command.err").exists()
            )
            found[case.label] = outputs, [name for _, name in tasks], errors
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_case_gives_its_snapshot(case, outcomes):
    outputs, tasks, errors = outcomes[case.label]
    if case.error:
        assert case.error in errors
        assert not any(outputs.values())
    else:
        case.check([of_outputs(outputs)] if case.kind == "process" else [of_outputs(outputs), of_tasks(tasks)], errors)


@pytest.fixture
def made(outcomes):
    """Paths that a case's output has, of its one item."""

    def paths(label: str, name: str) -> list[Path]:
        ((item),) = outcomes[label][0][name]
        return [Path(value) for value in flat(item) if isinstance(value, str) and value.startswith("/")]

    return paths


def flat(item) -> list:
    return [value for part in item for value in flat(part)] if isinstance(item, list) else [item]


def test_merged_pairs_are_those_of_all_parts_sorted(made):
    (path,) = made("merge_pairs: parts in any order", "pairs")
    pairs = pd.read_parquet(path)
    expected = [("table6", 0, "1.2", "1.5", False, 12.5), ("tables3to5", 0, "1.2", "1.2", True, 0.0),
                ("tables3to5", 0, "1.2", "1.3", False, 8.5), ("tables3to5", 1, "1.4", "1.3", False, 9.25)]  # fmt: skip
    columns = ["table", "pair_index", "series_uid_a", "series_uid_b", "is_self_pair", "rmse_hu"]
    assert list(pairs[columns].itertuples(index=False, name=None)) == expected


def test_every_module_and_subworkflow_has_a_stub_case():
    named = {case.called for case in CASES if case.stub}
    scripts = [*ROOT.glob("modules/*/main.nf"), *ROOT.glob("subworkflows/*/main.nf")]
    there = {name for path in scripts for name in re.findall(r"^(?:process|workflow) (\w+) \{", path.read_text(), re.M)}
    assert named == there
