"""The whole pipeline: the cases and snapshots of tests/main.nf.test, run by Nextflow alone."""

import pytest
from nf_cases import ROOT, of_results, of_tasks, pipeline_cases

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize("case", pipeline_cases(), ids=lambda case: case.name)
def test_case_gives_its_snapshot(case, nextflow, tmp_path):
    given = {name: value.replace("${projectDir}", str(ROOT)) for name, value in case.params.items()}
    assert given.pop("outdir") == "$outputDir"
    arguments = [word for name, value in given.items() for word in (f"--{name}", value)]
    run = nextflow(tmp_path, "-profile", "test", *(["-stub-run"] if case.stub else []), *arguments)
    if case.error:
        assert run.status != 0
        assert case.error in run.text
        assert run.published() == []
    else:
        assert run.status == 0, run.text
        case.check([of_tasks(run.trace()["name"]), of_results(run.outdir, case.tables)])
