"""Benchmarks write a line each to results/bench.json; run by `make bench`, never by `make test`.

Times are reported (`record.expect`) and never fail a benchmark, for they grow with the load of the machine; values and
memory do not, and are asserted.
"""

import json
import resource
import time
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "results" / "bench.json"


MISSED = []
"""Times beyond their bounds, as sentences: for the end of the session."""


class Recorder:
    """CPU seconds of callables, and the rows of bench.json."""

    @staticmethod
    def expect(what: str, value: float, at_most: float = np.inf, at_least: float = -np.inf) -> bool:
        """Whether a time, or a ratio of times, is within its bounds; if not, the end of the session says so."""
        kept = bool(at_least <= value <= at_most)
        if not kept:
            bound = f"at most {at_most:.4g}" if value > at_most else f"at least {at_least:.4g}"
            MISSED.append(f"{what}: {value:.4g}, {bound}")
        return kept

    @staticmethod
    def cpu_seconds(function, repeat: int = 3) -> float:
        """Median CPU seconds (all threads) of `repeat` calls; the caller warms up."""
        times = []
        for _ in range(repeat):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return sorted(times)[len(times) // 2]

    @staticmethod
    def __call__(name, reference, reference_cpu_s, cpu_s, max_difference, peak_rss_mb=None):
        if peak_rss_mb is None:
            peak_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        row = {
            "name": name,
            "reference": reference,
            "reference_cpu_s": round(reference_cpu_s, 6),
            "cpu_s": round(cpu_s, 6),
            "ratio": round(reference_cpu_s / cpu_s, 2),
            "max_difference": float(max_difference),
            "peak_rss_mb": round(float(peak_rss_mb), 1),
        }
        rows = json.loads(BENCH.read_text()) if BENCH.is_file() else []
        rows = sorted([r for r in rows if r["name"] != name] + [row], key=lambda r: r["name"])
        BENCH.parent.mkdir(exist_ok=True)
        BENCH.write_text(json.dumps(rows, indent=1) + "\n")
        print(
            f"\n{name}: {cpu_s:.4g} CPU s against {reference_cpu_s:.4g} of {reference}: {row['ratio']}x, "
            f"largest difference {row['max_difference']:.3g}, peak {row['peak_rss_mb']} MB"
        )


@pytest.fixture
def record():
    return Recorder()


def pytest_terminal_summary(terminalreporter):
    """Say which times were beyond their bounds."""
    for sentence in MISSED:
        terminalreporter.write_line(f"slower than on a quiet machine: {sentence}")
