"""`./ct4bench` on what a real run leaves: its log, its tables."""

import pytest
from command.progress import Progress

from ct4bench.core.tables import read_table
from ct4bench.results.compare import Tolerance, compare_tables, key_of, tables_of

pytestmark = pytest.mark.pipeline


def test_the_front_door_counts_the_tasks_of_the_engines_log(small_run):
    """Scheduled, started and ended tasks of a real log are those of the trace."""
    progress = Progress()
    for line in (small_run.launch / "nextflow.log").read_text().splitlines():
        progress.feed(line)
    found = {name: (process.done, process.total) for name, process in progress.processes.items()}
    assert found == {name: (n, n) for name, n in small_run.tasks().items()}


def test_a_run_is_equal_to_itself_and_its_keys_name_its_rows(small_run):
    assert (compare_tables(small_run.outdir, small_run.outdir, Tolerance())["status"] == "equal").all()
    for name in tables_of(small_run.outdir):
        frame = read_table(small_run.outdir / name)
        assert not frame.duplicated(key_of(name, frame)).any(), name
