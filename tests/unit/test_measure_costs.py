"""Memory and growth from a trace that is counted by hand."""

import importlib.util
import json
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location(
    "measure_costs", Path(__file__).resolve().parents[2] / "tools" / "measure_costs.py"
)
costs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(costs)


def run_of(folder: Path, tasks) -> tuple[Path, Path]:
    """Trace and work directory of tasks (name, asked, [(peak in MiB, CPU s) of its scripts])."""
    lines = ["hash\tname\tstatus\tmemory"]
    for number, (name, asked, scripts) in enumerate(tasks):
        place = folder / "work" / "ab" / f"{number:02d}cdef"
        place.mkdir(parents=True)
        for script, (peak, cpu) in enumerate(scripts):
            (place / f"usage{script}.json").write_text(json.dumps({"peak_rss_mb": peak, "cpu_s": cpu}))
        lines.append(f"ab/{number:02d}\t{name}\tCOMPLETED\t{asked}")
    (folder / "trace.txt").write_text("\n".join(lines) + "\n")
    return folder / "trace.txt", folder / "work"


def test_memory_is_that_of_the_largest_script_of_a_task(tmp_path):
    tasks = [
        ("W:MERGE_A (none)", "500 MB", [(400, 1), (300, 2)]),
        ("W:MERGE_A (other)", "500 MB", [(100, 1)]),
        ("W:LITTLE (1)", "300 MB", [(301, 1)]),
        ("W:MUCH (1)", "1.5 GB", [(600, 1)]),
        ("W:STUB (1)", "1 GB", []),
    ]
    rows = {row[0]: row[1:] for row in costs.memory_rows(costs.read_run(*run_of(tmp_path, tasks)))}
    assert {name: row[-1] for name, row in rows.items()} == {"MERGE_A": "", "LITTLE": "too little", "MUCH": "too much"}
    n, peak, asked, most, _ = rows["MERGE_A"]
    assert n == 2
    assert (peak, asked, most) == pytest.approx((400 * 1.048576, 500 * 1.048576, 1112 * 1.048576))


def test_growth_is_the_power_of_the_number_of_series(tmp_path):
    runs = {}
    for n in (10, 40):
        (tmp_path / str(n)).mkdir()
        tasks = [("W:EACH (1)", "1 GB", [(100, 0.5 * n)]), ("W:PAIRS (1)", "1 GB", [(100, 0.01 * n * n)])]
        runs[n] = costs.read_run(*run_of(tmp_path / str(n), tasks))
    rows = {name: (seconds, exponent) for name, seconds, exponent in costs.growth_rows(runs)}
    assert rows["EACH"] == ([5, 20], pytest.approx(1))
    assert rows["PAIRS"] == ([1, 16], pytest.approx(2))
