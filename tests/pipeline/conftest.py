"""One run of the whole benchmark on a small twin, that many tests look at."""

import pytest


@pytest.fixture(scope="session")
def small_run(nextflow, tmp_path_factory):
    """`-profile test`: four scanners of three makers, with DICOM and volumes published."""
    run = nextflow(
        tmp_path_factory.mktemp("small"), "-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true"
    )
    assert run.status == 0, run.text
    return run
