"""Every module and subworkflow by itself: the cases and snapshots of the nf-test files, run by Nextflow alone."""

import json
import re
import subprocess
import uuid

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
        parts = [of_outputs(outputs)] if case.kind == "process" else [of_outputs(outputs), of_tasks(tasks)]
        assert parts == case.snapshot(), errors


def test_every_module_and_subworkflow_has_a_stub_case():
    named = {case.called for case in CASES if case.stub}
    scripts = [*ROOT.glob("modules/*/main.nf"), *ROOT.glob("subworkflows/*/main.nf")]
    there = {name for path in scripts for name in re.findall(r"^(?:process|workflow) (\w+) \{", path.read_text(), re.M)}
    assert named == there
