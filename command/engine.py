"""`nextflow run`, as one would type it: the command, its start, its progress, and its end by a signal."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from command.locks import who_holds
from command.parameters import BEFORE_RUN, outdir_of, value_of
from command.places import ROOT, shown
from command.progress import TRACED, Progress, Tail, line_text, read_plan, read_stages, table_lines

LINE_S = 60.0
"""Seconds between lines in a log."""
TABLE_S = 1.0
TOLD = re.compile(r"^\[[0-9a-f]{2}/[0-9a-f]{6}\] (Submitted|Re-submitted|Cached|Stored) process > ")
"""Lines of the engine that the table, or the line a minute, stands for; they are in its log."""
WITHOUT = {
    "--input": ("twin",), "--download": ("twin",), "--features": ("twin", "index", "preprocess", "pairs", "profiles"),
    "--download_only": tuple(read_stages().values()),
}  # fmt: skip
"""Stages that runs with these parameters do not have, or of which no measured run tells."""
FRESH_S = 120
"""Age of a task's own words beyond which they are of the past."""
OWN_OUTPUT = {"-bg", "-q", "-quiet", "-h", "-help", "-preview", "-ansi-log"}
"""Options with which the engine is left to speak for itself."""


@dataclass
class Command:
    """A call of the engine: before `run`, after it, and the folder that it starts in."""

    engine: str
    before: list[str]
    after: list[str]
    folder: Path
    plain: bool
    """Whether the engine has the terminal to itself."""

    @property
    def words(self) -> list[str]:
        """The words of the call."""
        project = "." if self.folder == ROOT else str(ROOT)
        return [self.engine, *self.before, "run", project, *self.after]

    @property
    def text(self) -> str:
        """The call as one line for a shell."""
        call = " ".join(shlex.quote(word) for word in self.words)
        here = Path.cwd() == self.folder
        return call if here else f"cd {shlex.quote(str(self.folder))} && {call}"


def make_command(engine: str, passed: list[str], folder: Path, plain: bool = False) -> Command:
    """Make the call from the words that a user gave after `run`: options of the engine itself go before it."""
    before, after, words = [], [], list(passed)
    while words:
        word = words.pop(0)
        if word in BEFORE_RUN:
            before += [word, *words[: BEFORE_RUN[word]]]
            del words[: BEFORE_RUN[word]]
        elif word.startswith("-D") and len(word) > 2:
            before.append(word)
        else:
            after.append(word)
    plain = plain or bool({word.split("=")[0] for word in passed} & OWN_OUTPUT)
    if not plain:
        if "-trace" in before:
            before[before.index("-trace") + 1] += f",{TRACED}"
        else:
            before += ["-trace", TRACED]
        after = ["-ansi-log", "false", *after]
    own = folder == ROOT and Path(engine) == ROOT / ".engine" / "nextflow"
    return Command(".engine/nextflow" if own else engine, before, after, folder, plain)


def held_by(command: Command) -> str | None:
    """Say who holds what the call would need; None where nobody does."""
    resume = "-resume" in command.after
    named = value_of(command.after, "-resume") if resume else None
    session = named if named and not named.startswith("-") else None
    outdir = outdir_of(command.after, command.folder)
    return who_holds(command.folder, outdir, resume, session)


def run(command: Command, line_s: float = LINE_S, stream=None) -> int:
    """Run the engine and follow it; return its exit status, 128 and the signal's number where one ended it.

    The engine has a session of its own, so that a Ctrl-C reaches it once and from here: given to the whole group, it
    ends tasks before the engine can, and some stay behind.
    """
    if command.plain:
        os.chdir(command.folder)
        os.execv(_path(command), command.words)  # noqa: S606
    stream = stream or sys.stdout
    log = command.folder / (value_of(command.before, "-log") or ".nextflow.log")
    profiles = (value_of(command.after, "-profile") or "").split(",")
    outdir = outdir_of(command.after, command.folder)
    given = {word.split("=")[0] for word in command.after if word.startswith("--")} - {"--outdir"}
    without = frozenset(stage for name, stages in WITHOUT.items() if name in given for stage in stages)
    plan = read_plan(outdir, profiles, bool(given), without)
    follower = Follower(Tail(log), Progress(plan), stream, line_s, outdir / "download" / "progress.txt")
    taken: list[int] = []
    process = None

    def pass_on(number, _frame):
        taken.append(number)
        if process is not None:
            _end(process, len(taken))

    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in old.items():
        # nohup means to outlive the terminal
        if number != signal.SIGHUP or handler != signal.SIG_IGN:
            signal.signal(number, pass_on)
    try:
        process = subprocess.Popen(
            command.words, executable=_path(command), cwd=command.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        if taken:
            _end(process, 1)
        status = follower.follow(process, taken)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if taken:
        print(f"[ct4bench] ended by {signal.Signals(taken[0]).name}; finished tasks are kept: the same command with "
              "-resume goes on from there", file=stream)  # fmt: skip
        return 128 + taken[0]
    return status if status >= 0 else 128 - status


def _path(command: Command) -> str:
    """Where the engine is, whatever the folder."""
    found = command.folder / command.engine if "/" in command.engine else shutil.which(command.engine)
    return str(found)


def _end(process: subprocess.Popen, times: int) -> None:
    """Make the engine end its tasks; the third time, end all that is left of it."""
    if process.poll() is not None:
        return
    if times < 3:
        process.send_signal(signal.SIGINT if times == 1 else signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGKILL)


class Follower:
    """Shows a run while it lasts: a table on a terminal, a line a minute elsewhere."""

    def __init__(self, tail: Tail, progress: Progress, stream, line_s: float, told: Path | None = None):
        self.tail, self.progress, self.stream, self.line_s, self.told = tail, progress, stream, line_s, told
        self.is_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.last = time.monotonic()

    def follow(self, process: subprocess.Popen, taken: list[int]) -> int:
        """Show the engine until its end; return its exit status."""
        chosen, open_, rest = selectors.DefaultSelector(), True, b""
        os.set_blocking(process.stdout.fileno(), False)
        chosen.register(process.stdout, selectors.EVENT_READ)
        said = False
        while open_:
            if chosen.select(timeout=0.5):
                new = process.stdout.read()
                open_ = new is None or new != b""
                *lines, rest = (rest + (new or b"")).split(b"\n")
                self.say(lines)
            if process.poll() is not None:
                # a task that outlived the engine may hold the pipe
                open_ = False
            if taken and not said:
                said = True
                self.say([f"[ct4bench] {signal.Signals(taken[0]).name}: ending the tasks that run".encode()])
            self.update()
        if rest:
            self.say([rest])
        status = process.wait()
        last = (process.stdout.read() or b"").splitlines()
        self.say(last)
        self.update(end=True)
        return status

    def say(self, lines: list[bytes]) -> None:
        """Say what the engine says, but for what the table has."""
        texts = [line.decode("utf-8", errors="replace").rstrip() for line in lines]
        texts = [text for text in texts if not TOLD.match(text)]
        if any(texts):
            self._clear()
            print("\n".join(texts), file=self.stream, flush=True)

    def update(self, end: bool = False) -> None:
        """Read the log, and show what is new when it is time to."""
        for line in self.tail.lines():
            self.progress.feed(line)
        due = time.monotonic() - self.last >= (TABLE_S if self.is_terminal else self.line_s)
        if not (due or end):
            return
        self.last = time.monotonic()
        self.progress.note = "" if end else self._words_of_task()
        if not self.is_terminal:
            print(line_text(self.progress, end), file=self.stream, flush=True)
            return
        size = shutil.get_terminal_size()
        lines = table_lines(self.progress, size.columns, size.lines, end)
        self._clear()
        print("\n".join(lines), file=self.stream, flush=True)
        self.drawn = 0 if end else len(lines)

    def _words_of_task(self) -> str:
        """What a download last wrote of itself; blank where there is none, or one that is over."""
        try:
            fresh = self.told is not None and time.time() - self.told.stat().st_mtime < FRESH_S
            return f"download: {self.told.read_text(encoding='utf-8', errors='replace').strip()}" if fresh else ""
        except OSError:
            return ""

    def _clear(self) -> None:
        """Take the table away, so that text stands above the next one."""
        if self.drawn:
            self.stream.write(f"\033[{self.drawn}A\033[J")
            self.drawn = 0


def describe_folder(command: Command) -> str:
    """Say where results go and where the engine's log is."""
    log = command.folder / (value_of(command.before, "-log") or ".nextflow.log")
    return f"[ct4bench] results: {shown(outdir_of(command.after, command.folder))}, log: {shown(log)}"
