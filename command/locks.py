"""Who holds a folder: the processes that have locked what a run writes to.

The engine locks a session's database, the pipeline marks its `--outdir`; both are POSIX locks, whose holder the kernel
names. So a run that was started without ./ct4bench is found as well.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from pathlib import Path

FLOCK = struct.Struct("hhqqi4x")
"""struct flock of Linux on 64 bits: type, whence, start, length, process."""


def holder(path: Path) -> int | None:
    """Return the process that has locked a file; 0 where it is one of another machine, None where the file is free or
    this system does not tell."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8 or not path.is_file():
        return None
    try:
        with open(path, "rb") as stream:
            asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = FLOCK.unpack(fcntl.fcntl(stream, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else max(process, 0)


def describe(process: int) -> str:
    """Say what a process is: number, since when, what it was called with, and where."""
    if not process:
        return "a process of another machine"
    place = Path("/proc") / str(process)
    try:
        words = place.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(place.stat().st_mtime))
    except OSError:
        return f"process {process}"
    # the engine is a Java program: what counts follows its class
    at = next((n for n, word in enumerate(words) if word.startswith("nextflow.cli.")), None)
    at = next((n for n, word in enumerate(words) if word.endswith("-one.jar")), at)
    said = " ".join(["nextflow", *words[at + 1 :]] if at is not None else words).strip()
    return f"process {process} since {since}: {said[:300]}"


def last_session(folder: Path, resume: str | None) -> str | None:
    """Return the session that `-resume` would take in a launch folder: the one named by it (its ID, or a run's name),
    else the last."""
    history = folder / ".nextflow" / "history"
    if not history.is_file():
        return None
    lines = history.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split("\t") for line in lines if line.count("\t") >= 5]
    named = [row for row in rows if resume and resume in (row[2], row[5])]
    return (named or rows or [[None] * 6])[-1][5]


def who_holds(folder: Path, outdir: Path, resume: bool, session: str | None) -> str | None:
    """Say who holds what a run started in `folder` would need, and what to do; None where nobody does."""
    held = holder(outdir / "pipeline_info" / ".running")
    if held is not None:
        return f"{outdir} is being written by {describe(held)}; {_remedy(held)}, or name another --outdir"
    wanted = last_session(folder, session) if resume else None
    held = holder(folder / ".nextflow" / "cache" / wanted / "db" / "LOCK") if wanted else None
    if held is not None:
        return f"the session that -resume would go on with is held by {describe(held)}; {_remedy(held)}"
    return None


def _remedy(process: int) -> str:
    return f"wait for its end, or end it with 'kill -INT {process}'" if process else "wait for its end, or end it there"
