"""The call of the engine, and its end: with a program that stands in for the engine and has a task of its own."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from command.engine import make_command
from command.locks import describe, holder, last_session, who_holds
from command.progress import TRACED
from tests.conftest import ROOT

FAKE = """#!/usr/bin/env python3
import os, signal, subprocess, sys, time
words = sys.argv[1:]
log = open(words[words.index("-log") + 1], "w", buffering=1)
task = subprocess.Popen(["sleep", "120"])
open("task.pid", "w").write(str(task.pid))
def end(number, frame):
    open("signals", "a").write(signal.Signals(number).name + "\\n")
    time.sleep(0.3)
    task.kill()
    task.wait()
    sys.exit(1)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
def handler(event, exit_):
    log.write(f"Nov-29 20:15:14.053 [x] DEBUG n.p.T - {event} > TaskHandler[id: 1; name: B:INDEX:INDEX_SERIES; "
              f"status: RUNNING; exit: {exit_}; error: -; workDir: /w]\\n")
print("N E X T F L O W", flush=True)
handler("Scheduled task", "-")
handler("Task started", "-")
print("[ab/123456] Submitted process > B:INDEX:INDEX_SERIES", flush=True)
log.write("Nov-29 20:15:14.053 [x] WARN  n.p.T - something odd\\n")
open("ready", "w")
if "-resume" in words:
    task.kill()
    task.wait()
    handler("Task completed", 0)
    print("the engine's own words", flush=True)
    sys.exit(int(words[-1]))
time.sleep(120)
"""
DRIVER = """
import sys
from pathlib import Path
from command import engine
sys.exit(engine.run(engine.make_command("./fake", sys.argv[1:], Path.cwd()), line_s=0.2))
"""


@pytest.fixture
def start(tmp_path):
    """Function that starts the stand-in through `engine.run`, with a pipe or a terminal for its output."""
    (tmp_path / "fake").write_text(FAKE.replace("#!/usr/bin/env python3", f"#!{sys.executable}"))
    (tmp_path / "fake").chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    started = []

    def go(*words, stdout=subprocess.PIPE):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, "-log", "x.log", *words],
            cwd=tmp_path,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # tests under nohup ignore it
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_tasks_by_one_signal_to_the_engine(start, tmp_path, number):
    process = start()
    wait_for(tmp_path / "ready")
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (tmp_path / "signals").read_text() == "SIGINT\n"
    assert not is_alive(int((tmp_path / "task.pid").read_text()))
    assert f"ended by {number.name}" in text and "-resume" in text


def test_a_downloads_own_words_are_shown_while_they_are_new(start, tmp_path):
    place = tmp_path / "out" / "download" / "progress.txt"
    place.parent.mkdir(parents=True)
    place.write_text("3 of 40 series, 0.55 GB of 7.40 GB, 11.2 MB/s, 10 min left\n")
    process = start("--outdir", "out", "--download_only")
    wait_for(tmp_path / "ready")
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert "| download: 3 of 40 series, 0.55 GB of 7.40 GB, 11.2 MB/s, 10 min left" in text
    assert text.splitlines()[-2].count("download:") == 0


@pytest.mark.parametrize("status", [0, 3])
def test_a_log_has_lines_of_progress_and_what_the_engine_says(start, status):
    process = start("-resume", str(status))
    text, _ = process.communicate(timeout=60)
    assert process.returncode == status
    lines = text.splitlines()
    assert lines.index("N E X T F L O W") < lines.index("the engine's own words")
    assert "Submitted process" not in text and "\033" not in text
    assert "1 of 1 known tasks" in lines[-1] and "last warning: something odd" in text


def test_a_terminal_has_a_table_that_is_drawn_anew(start):
    ours, theirs = os.openpty()
    process = start("-resume", "0", stdout=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            new = os.read(ours, 65536)
        except OSError:
            break
        if not new:
            break
        text += new
    assert process.wait(timeout=60) == 0
    shown = text.decode()
    assert "index" in shown and "1/1" in shown and "last warning: something odd" in shown
    assert shown.index("the engine's own words") < shown.rindex("1/1"), "the table stands last"


@pytest.mark.parametrize(
    ("given", "before", "after"),
    [
        (["--outdir", "a b", "-resume"], ["-trace", TRACED], ["-ansi-log", "false", "--outdir", "a b", "-resume"]),
        (["-log", "x", "-resume"], ["-log", "x", "-trace", TRACED], ["-ansi-log", "false", "-resume"]),
        (["-trace", "a.b", "-Dx=y"], ["-trace", f"a.b,{TRACED}", "-Dx=y"], ["-ansi-log", "false"]),
        (["-bg", "-c", "mine.config"], ["-bg"], ["-c", "mine.config"]),
        (["-ansi-log", "true", "--seed", "-1"], [], ["-ansi-log", "true", "--seed", "-1"]),
    ],
)
def test_every_word_reaches_the_engine_in_its_place(tmp_path, given, before, after):
    command = make_command("nextflow", given, tmp_path)
    assert (command.before, command.after) == (before, after)
    assert command.words == ["nextflow", *before, "run", str(ROOT), *after]
    _, _, call = command.text.partition(" && ")
    assert shlex.split(call) == command.words


def test_who_holds_a_folder_is_named(tmp_path):
    out = tmp_path / "out"
    (out / "pipeline_info").mkdir(parents=True)
    mark = out / "pipeline_info" / ".running"
    assert who_holds(tmp_path, out, False, None) is None
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        "print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(mark)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        assert holder(mark) == process.pid
        text = who_holds(tmp_path, out, False, None)
        assert f"process {process.pid} since " in text and f"kill -INT {process.pid}" in text and str(mark) in text
        database = tmp_path / ".nextflow" / "cache" / "second" / "db"
        database.mkdir(parents=True)
        (tmp_path / ".nextflow" / "history").write_text(
            "2026\t1s\tname_one\tOK\trev\tfirst\tnextflow\n2026\t1s\tname_two\tOK\trev\tsecond\tnextflow\n"
        )
        assert last_session(tmp_path, None) == "second" and last_session(tmp_path, "name_one") == "first"
        (database / "LOCK").symlink_to(mark)
        elsewhere = tmp_path / "other"
        assert "session" in who_holds(tmp_path, elsewhere, True, None)
        assert who_holds(tmp_path, elsewhere, True, "first") is None
        assert who_holds(tmp_path, elsewhere, False, None) is None
    finally:
        process.kill()
        process.wait()
    assert holder(mark) is None
    assert describe(0) == "a process of another machine"
