#!/usr/bin/env python3
"""Memory and growth of every process, from the traces of finished runs and the usage.json of their tasks.

    tools/measure_costs.py memory results/demo/pipeline_info/trace_….txt results/work
    tools/measure_costs.py growth 27=<trace>:<work> 79=<trace>:<work> 528=<trace>:<work>

`memory` says for each process what its tasks took at most (VmHWM), what they asked for, and whether that is enough and
not more than 1.5 times what the largest took and half a GB; exit status 1 where it is not. `growth` has CPU seconds by
process at each number of series, and the exponent from the first to the last. Standard library only.
"""

import argparse
import csv
import json
import math
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

UNITS = {"B": 1 / 1e6, "KB": 1024 / 1e6, "MB": 1024**2 / 1e6, "GB": 1024**3 / 1e6}
RATIO, SPARE_MB = 1.5, 1024**3 / 2e6
"""A task may ask for so many times what it takes, and as much more."""


@dataclass
class Process:
    """Tasks of one process: peaks and what was asked for in MB, CPU seconds of their scripts."""

    peaks: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def fault(self) -> str:
        """Say what is wrong with what its tasks asked for, '' where nothing is."""
        if any(asked < peak for peak, asked in zip(self.peaks, self.asked, strict=True)):
            return "too little"
        # tasks of a process ask alike; the smallest may need less than its like
        return "too much" if max(self.asked) > RATIO * max(self.peaks) + SPARE_MB else ""


def megabytes(text: str) -> float:
    """MB (10^6 bytes) of the engine's sizes, as '1.2 GB'."""
    value, unit = re.fullmatch(r"([\d.]+) ?([KMG]?B)", text).groups()
    return float(value) * UNITS[unit]


def usage_of(work: Path, prefix: str) -> list[dict]:
    """Read what a task's scripts noted of themselves, of the task whose folder begins with the trace's hash."""
    folders = list(work.glob(f"{prefix}*"))
    return [json.loads(path.read_text()) for folder in folders for path in sorted(folder.glob("usage*.json"))]


def read_run(trace: Path, work: Path) -> dict[str, Process]:
    """Read the processes of a run by name; a task whose folder is gone, or that notes nothing, is left out."""
    found = defaultdict(Process)
    with trace.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            notes = usage_of(work, row["hash"]) if row["status"] in ("COMPLETED", "CACHED") else []
            if not notes:
                continue
            process = found[row["name"].split(" (")[0].split(":")[-1]]
            process.cpu_s += sum(note["cpu_s"] for note in notes)
            # usage.json counts in 2^20 bytes
            process.peaks.append(max(note["peak_rss_mb"] for note in notes) * 1024**2 / 1e6)
            process.asked.append(megabytes(row["memory"]) if row.get("memory") not in (None, "", "-") else math.nan)
    return dict(found)


def memory_rows(run: dict[str, Process]) -> list[tuple]:
    """(process, tasks, largest peak, most asked for, most allowed, fault) of a run, by name."""
    return [
        (
            name, len(process.peaks), max(process.peaks), max(process.asked), RATIO * max(process.peaks) + SPARE_MB,
            process.fault(),
        )
        for name, process in sorted(run.items())
    ]  # fmt: skip


def growth_rows(runs: dict[int, dict[str, Process]]) -> list[tuple]:
    """(process, CPU seconds at each size, exponent from the first size that has it to the last) by name."""
    names = sorted({name for run in runs.values() for name in run})
    rows = []
    for name in names:
        costs = {n: run[name].cpu_s for n, run in sorted(runs.items()) if name in run and run[name].cpu_s > 0}
        exponent = math.nan
        if len(costs) > 1:
            (first, low), *_, (last, high) = costs.items()
            exponent = math.log(high / low) / math.log(last / first)
        rows.append((name, [costs.get(n, math.nan) for n in sorted(runs)], exponent))
    return rows


def _cell(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def main(argv=None) -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    memory = kinds.add_parser("memory")
    memory.add_argument("trace", type=Path)
    memory.add_argument("work", type=Path)
    growth = kinds.add_parser("growth")
    growth.add_argument("runs", nargs="+", help="series=trace:work")
    args = parser.parse_args(argv)
    if args.kind == "memory":
        rows = memory_rows(read_run(args.trace, args.work))
        print("| process | tasks | peak MB | asks for MB | at most | |\n|---|---|---|---|---|---|")
        for name, n, peak, asked, most, fault in rows:
            print(f"| {name} | {n} | {peak:.0f} | {_cell(asked, 0)} | {most:.0f} | {fault} |")
        return 1 if any(row[-1] for row in rows) else 0
    runs = {}
    for text in args.runs:
        n, _, places = text.partition("=")
        trace, _, work = places.partition(":")
        runs[int(n)] = read_run(Path(trace), Path(work))
    print(f"| process | {' | '.join(f'{n} series' for n in sorted(runs))} | exponent |\n|{'---|' * (len(runs) + 2)}")
    for name, costs, exponent in growth_rows(runs):
        print(f"| {name} | {' | '.join(_cell(cost, 1) for cost in costs)} | {_cell(exponent, 2)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
