#!/usr/bin/env python3
"""What a larger data set would take, from the trace of a measured run.

    tools/estimate_costs.py results/run/pipeline_info/trace_….txt --series 79 --feature_series 27 --volume_share 0.141

CPU time of each process (realtime times %cpu, so that a busy machine does not matter) is scaled by what the process
grows with, and shared out to nodes, one stage after another. Standard library only.
"""

import argparse
import csv
import math
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

STAGES = (
    ("index", ("INDEX_SERIES", "SELECT_REFERENCE", "PREPARE_REFERENCE", "DRAW_PATCHES")),
    ("register", ("REGISTER_SERIES", "MERGE_REGISTRATION", "PLAN_PAIRS")),
    ("measure", ("COMPARE_PAIRS", "EXTRACT_RADIOMICS", "EXTRACT_DEEP", "PROFILE_SERIES", "MERGE_FEATURES")),
    ("evaluate", ("MEASURE_STABILITY", "PLAN_SPLITS", "TRAIN_CLASSIFIERS", "MERGE_PREDICTIONS", "EMBED_FEATURES")),
)
"""Stages that wait for each other; every other process belongs to the last, the report."""
VOXELS = {"INDEX_SERIES", "PREPARE_REFERENCE", "REGISTER_SERIES", "COMPARE_PAIRS", "PROFILE_SERIES"}
"""Processes whose work grows with the voxels of each series and with the number of series."""
ROWS = {
    "EXTRACT_RADIOMICS", "EXTRACT_DEEP", "MERGE_FEATURES", "MEASURE_STABILITY", "TRAIN_CLASSIFIERS",
    "MERGE_PREDICTIONS", "EMBED_FEATURES",
}  # fmt: skip
"""Processes whose work grows with the rows of features, that is with the series that features are taken from."""
TWIN = {"DRAW_PHANTOM", "SIMULATE_SERIES"}
"""Processes that real data does without."""
SCATTERED = {"REGISTER_SERIES": 1, "EXTRACT_RADIOMICS": 3, "EXTRACT_DEEP": 3, "PROFILE_SERIES": 4}
"""Processes of which there is a task for each so many chunks of series; of the others the number stays."""
START_S = {
    "INDEX_SERIES": 1.0, "REGISTER_SERIES": 1.7, "COMPARE_PAIRS": 3.0, "PROFILE_SERIES": 4.0, "EXTRACT_RADIOMICS": 8.0,
    "EXTRACT_DEEP": 9.0, "TRAIN_CLASSIFIERS": 4.5, "EMBED_FEATURES": 5.0,
}  # fmt: skip
"""CPU seconds of a task before its first series or row: imports, kernels, the reference (docs/scaling.md)."""
FIXED_SHARE = 0.45
"""Of what a full series costs, the share that does not grow with its voxels: the registration's samples, headers, the
regions; from 79 series of 14 % of the voxels and 528 full ones."""
UNITS = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Run:
    """Size of a run: its series, those that features are taken from, and its voxels as a share of full series."""

    series: int
    feature_series: int
    volume_share: float = 1.0
    chunk_size: int = 10


def seconds(text: str) -> float:
    """Seconds of the engine's durations: '1h 2m 3.4s', '950ms'."""
    return sum(float(value) * UNITS[unit] for value, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text))


def read_trace(path: Path) -> dict[str, list[float]]:
    """CPU seconds of each finished task by process. Cached tasks count: the trace keeps their first figures."""
    found = defaultdict(list)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if row["status"] in ("COMPLETED", "CACHED") and row["realtime"] not in ("", "-"):
                share = row["%cpu"].rstrip("%")
                cpu = seconds(row["realtime"]) * (float(share) / 100 if share not in ("", "-") else 1)
                found[row["name"].split(" (")[0].split(":")[-1]].append(cpu)
    return found


def scaled(process: str, tasks: list[float], measured: Run, wanted: Run) -> tuple[float, int]:
    """CPU seconds of a process at the wanted size, and the number of its tasks."""
    if process in TWIN:
        return 0.0, 0
    factor = 1.0
    if process in VOXELS:
        sizes = [FIXED_SHARE + (1 - FIXED_SHARE) * run.volume_share for run in (wanted, measured)]
        factor = wanted.series * sizes[0] / (measured.series * sizes[1])
    elif process in ROWS:
        factor = wanted.feature_series / measured.feature_series
    count = len(tasks)
    if process in SCATTERED:
        share = (wanted.series if process in VOXELS else wanted.feature_series) / wanted.chunk_size / SCATTERED[process]
        kinds = 2 if process == "EXTRACT_DEEP" else 1
        count = max(kinds * math.ceil(share), 1)
    start = min(START_S.get(process, 0.0), 0.9 * sum(tasks) / len(tasks)) if factor != 1 else 0.0
    return (sum(tasks) - start * len(tasks)) * factor + start * (count if factor != 1 else 0), count


def estimate(trace: dict[str, list[float]], measured: Run, wanted: Run, cores: int) -> list[tuple[str, float, float]]:
    """(stage, CPU hours, wall hours) on so many cores. A stage takes its work by cores, or its longest task."""
    named = {process: stage for stage, processes in STAGES for process in processes}
    total, longest = defaultdict(float), defaultdict(float)
    for process, tasks in trace.items():
        cpu, count = scaled(process, tasks, measured, wanted)
        stage = named.get(process, "report")
        total[stage] += cpu
        if count:
            # chunks are about equal; tasks that stay as many keep their unevenness
            uneven = 1.0 if process in SCATTERED else max(tasks) * len(tasks) / sum(tasks) if sum(tasks) else 1.0
            longest[stage] = max(longest[stage], cpu / count * uneven)
    stages = [stage for stage, _ in STAGES] + ["report"]
    return [(name, total[name] / 3600, max(total[name] / cores, longest[name]) / 3600) for name in stages]


def main(argv=None) -> int:
    """Print a table for each size and number of nodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path, help="trace of a finished run, in pipeline_info/")
    parser.add_argument("--series", type=int, required=True, help="series of that run")
    parser.add_argument("--feature_series", type=int, required=True, help="those of them that features were taken from")
    parser.add_argument("--volume_share", type=float, default=1.0, help="its voxels a series, as a share of full ones")
    parser.add_argument("--wanted", default="268:268,1378:268", help="series:feature_series of the sizes to estimate")
    parser.add_argument("--nodes", default="1,4,16", help="numbers of nodes")
    parser.add_argument("--cores", type=int, default=16, help="cores of a node")
    parser.add_argument("--price", type=float, default=0.05, help="price of a core for an hour, in any currency")
    args = parser.parse_args(argv)
    trace = read_trace(args.trace)
    if not trace:
        print(f"{args.trace} has no finished task", file=sys.stderr)
        return 1
    measured = Run(args.series, args.feature_series, args.volume_share)
    print("| series | nodes | CPU hours | wall hours | price |\n|---|---|---|---|---|")
    for size in args.wanted.split(","):
        series, features = (int(part) for part in size.split(":"))
        for nodes in (int(part) for part in args.nodes.split(",")):
            rows = estimate(trace, measured, Run(series, features), nodes * args.cores)
            cpu, wall = sum(row[1] for row in rows), sum(row[2] for row in rows)
            print(f"| {series} | {nodes} | {cpu:.1f} | {wall:.2f} | {wall * nodes * args.cores * args.price:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
