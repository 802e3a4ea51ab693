"""Costs of a larger data set, from a trace that is counted by hand."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "estimate_costs", Path(__file__).resolve().parents[2] / "tools" / "estimate_costs.py"
)
costs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(costs)

TRACE = """name\tstatus\trealtime\t%cpu
W:SIMULATE_SERIES (A1)\tCOMPLETED\t1h\t100.0%
W:P:REGISTER_SERIES (A1_0)\tCOMPLETED\t1m 40s\t90.0%
W:P:REGISTER_SERIES (B1_0)\tCACHED\t55s\t200.0%
W:E:EXTRACT_RADIOMICS (A1_0)\tCOMPLETED\t36s\t100.0%
W:E:EXTRACT_RADIOMICS (B1_0)\tFAILED\t36s\t100.0%
W:R:WRITE_REPORT (none)\tCOMPLETED\t500ms\t72.0%
"""


@pytest.fixture
def trace(tmp_path):
    (tmp_path / "trace.txt").write_text(TRACE)
    return costs.read_trace(tmp_path / "trace.txt")


def test_durations():
    assert costs.seconds("1h 2m 3.5s") == 3723.5
    assert costs.seconds("950ms") == pytest.approx(0.95)


def test_trace_counts_finished_tasks_by_cpu_time(trace):
    assert trace["REGISTER_SERIES"] == pytest.approx([90, 110])
    assert trace["EXTRACT_RADIOMICS"] == pytest.approx([36])
    assert trace["WRITE_REPORT"] == pytest.approx([0.36])


def test_each_process_grows_with_what_it_works_on(trace):
    measured, wanted = costs.Run(20, 10, volume_share=0.5), costs.Run(100, 20)
    hours = {stage: cpu for stage, cpu, _wall in costs.estimate(trace, measured, wanted, 4)}
    # five times the series of twice the voxels, of which 0.45 do not count; twice the rows of features; one report; no
    # simulation. Two tasks of 1.7 s of start become ten, one of 8 s stays one.
    register, measure = (200 - 2 * 1.7) * 5 / 0.725 + 10 * 1.7, (36 - 8) * 2 + 8
    assert hours["register"] * 3600 == pytest.approx(register)
    assert hours["measure"] * 3600 == pytest.approx(measure)
    assert hours["report"] * 3600 == pytest.approx(0.36)
    assert sum(hours.values()) * 3600 == pytest.approx(register + measure + 0.36)


def test_more_cores_help_until_the_longest_task(trace):
    measured, wanted = costs.Run(20, 10), costs.Run(100, 20)
    walls = [
        {stage: wall for stage, _cpu, wall in costs.estimate(trace, measured, wanted, cores)}["register"] * 3600
        for cores in (1, 4, 1000)
    ]
    assert walls == pytest.approx([1000, 250, 100])


def test_table_has_a_row_for_each_size_and_number_of_nodes(tmp_path, capsys):
    (tmp_path / "trace.txt").write_text(TRACE)
    arguments = ["--series", "20", "--feature_series", "10", "--wanted", "20:10", "--nodes", "1,2", "--cores", "1"]
    assert costs.main([str(tmp_path / "trace.txt"), *arguments, "--price", "36"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["1", "2"]
    # 236.36 s on one core at 36 an hour
    assert rows[0].split("|")[5].strip() == "2.36"


def test_trace_without_finished_tasks_is_refused(tmp_path, capsys):
    (tmp_path / "trace.txt").write_text(TRACE.splitlines()[0] + "\n")
    assert costs.main([str(tmp_path / "trace.txt"), "--series", "1", "--feature_series", "1"]) == 1
    assert "no finished task" in capsys.readouterr().err
