"""Progress from lines as the engine writes them; numbers by hand."""

import os

import pytest
from command.progress import (
    Plan,
    Progress,
    Tail,
    left_text,
    line_text,
    plan_of_trace,
    read_plan,
    read_stages,
    table_lines,
)
from tests.conftest import ROOT


def handler(event: str, number: int, name: str, status: str = "RUNNING", exit_="-") -> str:
    level = "DEBUG" if event == "Task completed" else "TRACE"
    return (
        f"Nov-29 20:15:14.053 [Task monitor] {level} n.processor.TaskPollingMonitor - {event} > "
        f"TaskHandler[id: {number}; name: {name}; status: {status}; exit: {exit_}; error: -; workDir: /w/d9/af80ab]"
    )


def said(level: str, text: str) -> str:
    return f"Nov-29 20:15:13.060 [main] {level:5} nextflow.Session - {text}"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run_of(plan: Plan | None = None) -> tuple[Progress, Clock]:
    clock = Clock()
    return Progress(plan, clock), clock


def start(progress, number, name):
    progress.feed(handler("Task started", number, name))


def test_tasks_are_counted_from_scheduled_to_done():
    progress, clock = run_of()
    for number in (1, 2, 3):
        progress.feed(handler("Scheduled task", number, f"BENCHMARK:PREPROCESS:REGISTER_SERIES (A{number}_0)", "NEW"))
    progress.feed(said("INFO", "[81/39537c] Submitted process > BENCHMARK:PREPROCESS:REGISTER_SERIES (A1_0)"))
    start(progress, 1, "BENCHMARK:PREPROCESS:REGISTER_SERIES (A1_0)")
    clock.now = 10
    progress.feed(handler("Task completed", 1, "BENCHMARK:PREPROCESS:REGISTER_SERIES (A1_0)", "COMPLETED", 0))
    start(progress, 2, "BENCHMARK:PREPROCESS:REGISTER_SERIES (A2_0)")
    progress.feed(said("INFO", "[fa/7ce323] Cached process > BENCHMARK:INDEX:INDEX_SERIES"))
    assert progress.stages() == [("index", 1, 1, 0), ("preprocess", 1, 3, 1)]
    assert progress.counts() == (2, 4)
    # two tasks of 10 s wait or have just begun, one at a time so far
    assert progress.left_s() == pytest.approx(20)
    clock.now = 15
    assert progress.left_s() == pytest.approx(15)


def test_a_task_that_is_tried_again_counts_once():
    progress, clock = run_of()
    name = "BENCHMARK:EXTRACT:EXTRACT_DEEP (none swin_unetr A1_0)"
    for number, status in ((7, 137), (8, 0)):
        progress.feed(handler("Scheduled task", number, name, "NEW"))
        start(progress, number, name)
        clock.now += 5
        progress.feed(handler("Task completed", number, name, "COMPLETED", status))
        assert progress.counts() == ((0, 0) if status else (1, 1))


def test_a_task_that_failed_for_good_stops_no_estimate():
    progress, clock = run_of(Plan({"INDEX_SERIES": 1}, {"INDEX_SERIES": 5.0}))
    assert "the engine is starting" in line_text(progress)
    progress.feed(handler("Scheduled task", 1, "B:INDEX:INDEX_SERIES", "NEW"))
    start(progress, 1, "B:INDEX:INDEX_SERIES")
    clock.now = 5.0
    progress.feed(handler("Task completed", 1, "B:INDEX:INDEX_SERIES", "COMPLETED", 2))
    clock.now = 6.0
    assert progress.left_s() == 0 and "ended" in line_text(progress, ended=True)


def test_the_plan_of_the_same_run_gives_totals_and_time_of_what_has_not_begun():
    plan = Plan(
        {"INDEX_SERIES": 1, "REGISTER_SERIES": 4, "WRITE_REPORT": 1},
        {"INDEX_SERIES": 5.0, "REGISTER_SERIES": 40.0, "WRITE_REPORT": 8.0},
        is_own=True,
    )
    progress, clock = run_of(plan)
    assert progress.counts() == (0, 6) and progress.left_s() == pytest.approx(53 / os.cpu_count())
    progress.feed(handler("Scheduled task", 1, "B:INDEX:INDEX_SERIES", "NEW"))
    start(progress, 1, "B:INDEX:INDEX_SERIES")
    clock.now = 10.0
    progress.feed(handler("Task completed", 1, "B:INDEX:INDEX_SERIES", "COMPLETED", 0))
    assert progress.stages() == [("index", 1, 1, 0), ("preprocess", 0, 4, 0), ("report", 0, 1, 0)]
    # this machine takes twice as long as the plan says
    assert progress.left_s() == pytest.approx(2 * 48)


def test_the_plan_of_another_run_gives_no_totals():
    progress, _ = run_of(Plan({"INDEX_SERIES": 1, "WRITE_REPORT": 1}, {"INDEX_SERIES": 5.0, "WRITE_REPORT": 8.0}))
    assert progress.stages() == [("index", 0, None, 0), ("report", 0, None, 0)]


def test_the_last_warning_is_told_once_in_a_log_and_stays_in_the_table():
    progress, _ = run_of()
    progress.feed(said("WARN", "one"))
    progress.feed(said("WARN", "two"))
    assert line_text(progress).endswith("last warning: two") and "warning" not in line_text(progress)
    assert table_lines(progress, 80, 24)[-1] == "last warning: two"
    progress.feed(said("ERROR", "@unknown"))  # an error that the engine has printed
    assert "warning" not in line_text(progress) and table_lines(progress, 80, 24)[-1] == "last warning: two"


@pytest.mark.parametrize(("width", "height"), [(20, 24), (80, 8), (300, 60), (1, 1)])
def test_the_table_fits_its_terminal(width, height):
    progress, _ = run_of(Plan(dict.fromkeys(read_stages(), 1), {}, is_own=True))
    progress.feed(said("WARN", "a long warning " * 30))
    lines = table_lines(progress, width, height)
    assert len(lines) <= max(height, 2) and max(map(len, lines)) <= max(width - 1, 1)


def test_a_log_is_read_from_where_this_run_begins(tmp_path):
    log = tmp_path / ".nextflow.log"
    log.write_text("of an earlier run\n")
    tail = Tail(log)
    assert tail.lines() == []
    log.rename(tmp_path / ".nextflow.log.1")
    assert tail.lines() == []
    log.write_text("first\nhal")
    assert tail.lines() == ["first"]
    with log.open("a") as stream:
        stream.write("f\nüber\n")
    assert tail.lines() == ["half", "über"]


def test_the_plan_is_the_last_finished_run_of_the_folder(tmp_path):
    info = tmp_path / "pipeline_info"
    info.mkdir()
    rows = [
        "name\tstatus\trealtime",
        "B:INDEX:INDEX_SERIES\tCOMPLETED\t1m 2s",
        "B:PREPROCESS:REGISTER_SERIES (A1_0)\tCACHED\t950ms",
        "B:PREPROCESS:REGISTER_SERIES (A2_0)\tCOMPLETED\t2.05s",
        "B:PREPROCESS:REGISTER_SERIES (A2_0)\tFAILED\t9s",
    ]
    (info / "trace_2026-01-01.txt").write_text("\n".join(rows) + "\n")
    assert not read_plan(tmp_path, [], False).is_own, "a run that did not finish"
    (info / "complete.json").write_text("{}")
    plan = read_plan(tmp_path, ["demo"], True)
    assert plan == plan_of_trace(info / "trace_2026-01-01.txt")
    assert plan.tasks == {"INDEX_SERIES": 1, "REGISTER_SERIES": 2}
    assert plan.seconds == {"INDEX_SERIES": 62.0, "REGISTER_SERIES": 3.0} and plan.is_own


def test_shipped_plans_are_of_profiles_and_processes_that_are_there(tmp_path):
    plan = read_plan(tmp_path, ["demo"], False)
    assert plan.is_own and set(plan.tasks) <= set(read_stages()) and plan.tasks["REGISTER_SERIES"] == 13
    assert not read_plan(tmp_path, ["demo"], True).is_own
    bare = read_plan(tmp_path, [], True, frozenset({"twin"}))
    assert set(plan.tasks) - set(bare.tasks) == {"DRAW_PHANTOM", "SIMULATE_SERIES"} and not bare.is_own
    names = {line.split(",")[0] for line in (ROOT / "command" / "plans.csv").read_text().splitlines()[1:]}
    assert all((ROOT / "conf" / f"{name}.config").is_file() for name in names)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "time left not known yet"),
        (59, "less than a minute left"),
        (150, "about 2 min left"),
        (7200, "about 2.0 h left"),
    ],
)
def test_time_left_is_said_roughly(seconds, words):
    assert left_text(seconds) == words
