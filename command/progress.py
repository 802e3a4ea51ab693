"""How far a run is, from the engine's log: tasks of each stage, what is left, the last warning.

The log tells each task as it is scheduled, submitted, started and ended (`nextflow -trace` adds the first and the
third), so that tasks that wait for a core are known, which the engine's trace file does not have.
"""

from __future__ import annotations

import csv
import os
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from command.places import ROOT

TRACED = "nextflow.processor.TaskPollingMonitor"
"""Class of the engine whose TRACE lines tell when a task is scheduled and started."""
NOWHERE = "@unknown"
"""All that the engine logs on the line of an error of the pipeline's own, which it has printed in full."""
LINE = re.compile(r"^\w{3}-\d\d \d\d:\d\d:\d\d\.\d{3} \[.*?\] (TRACE|DEBUG|INFO|WARN|ERROR) +\S+ - (.*)$")
HANDLER = re.compile(
    r"^(Scheduled task|Task started|Task completed) > .*?\[id: (\d+); name: (.*?); status: \w+; exit: (-|\d+)"
)
GIVEN = re.compile(r"^\[\S+\] (?:Cached|Stored) process > (.*)$")
UNITS = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(text: str) -> float:
    """Return the seconds of a duration as the engine writes it: '1h 2m 3.4s', '950ms'."""
    return sum(float(value) * UNITS[unit] for value, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text))


def process_of(name: str) -> str:
    """Return the process of a task: 'BENCHMARK:INDEX:INDEX_SERIES (A1)' is INDEX_SERIES."""
    return name.split(" (")[0].split(":")[-1]


def read_stages() -> dict[str, str]:
    """Read the stage of each process, in the order of docs/processes.csv: the package of its module."""
    with open(ROOT / "docs" / "processes.csv", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["process"]]
    return {row["process"]: row["module"].split(".")[0] for row in rows}


@dataclass
class Plan:
    """What is known beforehand of a run: tasks and seconds of each process, of a run like it."""

    tasks: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    is_own: bool = False
    """Whether it is of the very run, so that its numbers of tasks are to be expected."""


def read_plan(outdir: Path, profiles: list[str], changed: bool, without: frozenset[str] = frozenset()) -> Plan:
    """Read what is to be expected: the last finished run into `outdir`, else the measured run of a shipped profile,
    else the demo's for the proportions of stages.

    `changed` says that parameters differ from the profile's, so that its numbers of tasks are not to be expected;
    `without` names stages that such a run does not have.
    """
    traces = sorted((outdir / "pipeline_info").glob("trace_*.txt"))
    if (outdir / "pipeline_info" / "complete.json").is_file() and traces:
        plan = plan_of_trace(traces[-1])
        if plan.tasks:
            return plan
    with open(Path(__file__).with_name("plans.csv"), encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    shipped = [name for name in profiles if name in {row["profile"] for row in rows}]
    plan = Plan(is_own=bool(shipped) and not changed)
    stage_of = read_stages()
    for row in rows:
        if row["profile"] == (shipped[-1] if shipped else "demo") and stage_of.get(row["process"]) not in without:
            plan.tasks[row["process"]], plan.seconds[row["process"]] = int(row["tasks"]), float(row["seconds"])
    return plan


def plan_of_trace(path: Path) -> Plan:
    """Read the plan that a finished run's trace makes."""
    tasks, times = defaultdict(int), defaultdict(float)
    with open(path, encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if row.get("status") in ("COMPLETED", "CACHED"):
                tasks[process_of(row["name"])] += 1
                times[process_of(row["name"])] += seconds(row.get("realtime") or "")
    return Plan(dict(tasks), dict(times), is_own=True)


class Tail:
    """Lines that come to a file after this was made; the engine moves an older log away first."""

    def __init__(self, path: Path):
        self.path, self.offset, self.rest = path, 0, b""
        self.inode = None
        if path.is_file():
            self.inode, self.offset = path.stat().st_ino, path.stat().st_size

    def lines(self) -> list[str]:
        """Return the whole lines that have come since the last call."""
        try:
            with open(self.path, "rb") as stream:
                now = os.fstat(stream.fileno())
                if now.st_ino != self.inode or now.st_size < self.offset:
                    self.inode, self.offset, self.rest = now.st_ino, 0, b""
                stream.seek(self.offset)
                new = stream.read()
        except OSError:
            return []
        self.offset += len(new)
        *whole, self.rest = (self.rest + new).split(b"\n")
        return [line.decode("utf-8", errors="replace") for line in whole]


@dataclass
class Process:
    """Tasks of one process: numbers, and seconds that its ended ones took."""

    scheduled: int = 0
    done: int = 0
    cached: int = 0
    failed: int = 0
    took_s: float = 0.0
    started: dict[str, float] = field(default_factory=dict)
    """When each task that runs was started, by its number."""

    @property
    def total(self) -> int:
        """Tasks that are known: a failed try is made up for by the one that repeats it."""
        return max(self.scheduled - self.failed, 0) + self.cached

    @property
    def mean_s(self) -> float | None:
        """Seconds of a task; None before the first has ended."""
        ended = self.done - self.cached + self.failed
        return self.took_s / ended if ended > 0 else None


class Progress:
    """State of a run, fed with lines of the engine's log."""

    def __init__(self, plan: Plan | None = None, clock=time.monotonic):
        self.plan, self.clock = plan or Plan(), clock
        self.begin = clock()
        self.processes: dict[str, Process] = {}
        self.warning = ""
        self.note = ""
        """What a task says of itself from within: a download's rate."""
        self.told = ""
        """The warning that a line has told."""
        self.busy_s = 0.0
        self.first: float | None = None
        """When the first task was started."""

    def feed(self, line: str) -> None:
        """Add what one line of the log tells."""
        found = LINE.match(line)
        if not found:
            return
        level, text = found.groups()
        if level in ("WARN", "ERROR") and text.strip() != NOWHERE:
            self.warning = text.strip() or self.warning
        given, handler = GIVEN.match(text), HANDLER.match(text)
        if given:
            process = self._of(given[1])
            process.cached += 1
            process.done += 1
        elif handler:
            self._event(*handler.groups())

    def _of(self, name: str) -> Process:
        return self.processes.setdefault(process_of(name), Process())

    def _event(self, event: str, number: str, name: str, status: str) -> None:
        process, now = self._of(name), self.clock()
        if event == "Scheduled task":
            process.scheduled += 1
        elif event == "Task started":
            self.first = now if self.first is None else self.first
            process.started[number] = now
        else:
            took = now - process.started.pop(number, now)
            process.took_s += took
            self.busy_s += took
            if status == "0":
                process.done += 1
            else:
                process.failed += 1

    def stages(self) -> list[tuple[str, int, int | None, int]]:
        """Return (stage, done, total, running) of each stage that has or will have tasks; total is None where it cannot
        be known yet."""
        stage_of, rows = read_stages(), {}
        planned = self.plan.tasks if self.plan.is_own else {}
        for name in [*stage_of, *(n for n in [*planned, *self.processes] if n not in stage_of)]:
            own, n = self.processes.get(name), planned.get(name, 0)
            if own is None and not n and (self.plan.is_own or name not in self.plan.tasks):
                continue
            row = rows.setdefault(stage_of.get(name, "other"), [0, 0, 0])
            row[1] += max(own.total if own else 0, n)
            if own:
                row[0] += own.done
                row[2] += len(own.started)
        return [(stage, done, total or None, running) for stage, (done, total, running) in rows.items()]

    def counts(self) -> tuple[int, int]:
        """Return the tasks that are done, and all that are known or expected."""
        rows = self.stages()
        return sum(row[1] for row in rows), sum(row[2] or 0 for row in rows)

    def left_s(self) -> float | None:
        """Return about how many seconds are left; None before a task has ended.

        Work of the processes that have begun is their tasks times their mean, of the others that of the plan, in
        proportion where the plan is of another run; it is shared out as it was so far.
        """
        now = self.clock()
        if not self.busy_s or self.first is None or now <= self.first:
            # before a task of this run has ended, what a run like it took on as many cores
            alone = sum(self.plan.seconds.values()) / (os.cpu_count() or 1)
            return alone if self.plan.is_own and not self.processes and alone else None
        left, known, of_plan = 0.0, 0.0, 0.0
        for name, own in self.processes.items():
            tasks, usual = self.plan.tasks.get(name, 0), self.plan.seconds.get(name, 0.0)
            mean = own.mean_s if own.mean_s is not None else usual / tasks if tasks else 0.0
            total = max(own.total, tasks if self.plan.is_own else 0)
            running = sum(min(now - start, mean) for start in own.started.values())
            left += max((total - own.done) * mean - running, 0.0)
            if own.mean_s is not None and usual and total:
                known, of_plan = known + (total - own.cached) * mean, of_plan + usual * (total - own.cached) / total
        ratio = known / of_plan if of_plan and known else 1.0
        left += sum(usual for name, usual in self.plan.seconds.items() if name not in self.processes) * ratio
        running = sum(now - start for own in self.processes.values() for start in own.started.values())
        return left / max((self.busy_s + running) / (now - self.first), 1.0)


def clock_text(duration_s: float) -> str:
    """Write seconds as h:mm:ss."""
    whole = int(duration_s)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def left_text(duration_s: float | None) -> str:
    """Write an estimate as roughly as it is known."""
    if duration_s is None:
        return "time left not known yet"
    if duration_s < 60:
        return "less than a minute left"
    minutes = duration_s / 60
    return f"about {minutes:.0f} min left" if minutes < 90 else f"about {minutes / 60:.1f} h left"


def line_text(progress: Progress, ended: bool = False) -> str:
    """Return one line for a log; a warning stands in one line only."""
    done, total = progress.counts()
    rows = progress.stages()
    running = [f"{stage} {n}/{of}" for stage, n, of, busy in rows if busy and of]
    known = f"{done} of {total}{'' if progress.plan.is_own else ' known'} tasks"
    words = [
        f"[ct4bench] {clock_text(progress.clock() - progress.begin)}",
        known if total else "the engine is starting",
        "ended" if ended else left_text(progress.left_s()),
    ]
    if running:
        words.append("running: " + ", ".join(running))
    if progress.note:
        words.append(progress.note)
    if progress.warning != progress.told:
        words.append(f"last warning: {progress.warning}")
        progress.told = progress.warning
    return " | ".join(words)


def table_lines(progress: Progress, width: int, height: int, ended: bool = False) -> list[str]:
    """Return the lines of the live table, none wider than `width`, no more than `height`."""
    left = "ended" if ended else left_text(progress.left_s())
    lines = [f"{clock_text(progress.clock() - progress.begin)} elapsed, {left}"]
    rows = progress.stages()
    if len(rows) > height - 4:
        rows = [row for row in rows if row[3] or (row[1] and row[1] != row[2])][: max(height - 4, 0)]
    for stage, done, total, running in rows:
        share = done / total if total else 0.0
        bar = ("#" * round(20 * share)).ljust(20, ".")
        count = f"{done}/{total}" if total else "-"
        lines.append(f"  {stage:<12} {count:>9}  {bar}" + (f"  {running} running" if running else ""))
    if progress.note:
        lines.append(progress.note)
    if progress.warning:
        lines.append(f"last warning: {progress.warning}")
    return [line[: max(width - 1, 1)] for line in lines]
