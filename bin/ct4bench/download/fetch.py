"""The fetching: series by series, each file verified, what does not come noted, and no more requests than allowed.

One thread decides, a pool of as many as there may be requests makes them: that is the bound, listings included.
"""

import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from ct4bench.core.errors import Refusal
from ct4bench.download.folders import File, Folders, State, claim, finish, forget, tidy
from ct4bench.download.manifest import Row
from ct4bench.download.sources import Source
from ct4bench.download.transport import Client, DiskError, Meter, Stopped
from ct4bench.download.verify import check_series

MOST_IN_A_ROW = 10
"""Series that a server did not give one after another, after which no further one is asked for: it is down."""
SAY_EVERY_S = 15
RATE_OVER_S = 60


class Missing(NamedTuple):
    """A series that did not come: `reason` is a code of core/reasons.csv."""

    row: Row
    reason: str
    detail: str


@dataclass(eq=False)
class _Series:
    """A series on its way."""

    row: Row
    folder: Path
    claimed: ExitStack
    start: float
    waiting: set[Future] = field(default_factory=set)
    files: list[File] = field(default_factory=list)
    is_over: bool = False


class Progress:
    """How far a download is, from what was counted so far."""

    def __init__(
        self,
        n_series: int,
        n_bytes: int,
        meter: Meter,
        now: Callable[[], float] = time.monotonic,
        place: Path | None = None,
    ):
        self.n_series, self.n_bytes, self.meter, self.now, self.place = n_series, n_bytes, meter, now, place
        self.n_done, self.n_missing, self.without = 0, 0, 0
        self._marks = deque([(now(), 0)])
        self._said = now()

    def line(self) -> str:
        """Say series and GB of all, MB a second over the last minute, and the time that is left at that rate."""
        now, got = self.now(), self.meter.n_bytes
        self._marks.append((now, got))
        while len(self._marks) > 2 and now - self._marks[1][0] > RATE_OVER_S:
            self._marks.popleft()
        since, before = self._marks[0]
        rate = (got - before) / max(now - since, 1e-3)
        left = max(0, self.n_bytes - got - self.without)
        words = f"{duration(left / rate)} left" if rate > 0 else "no byte came"
        missing = f", {self.n_missing} given up" if self.n_missing else ""
        return (
            f"{self.n_done} of {self.n_series} series{missing}, {size_text(got)} of {size_text(self.n_bytes)}, "
            f"{rate / 1e6:.1f} MB/s, {words}"
        )

    def say(self, always: bool = False) -> None:
        """Log the line, once in a while, and have it in the file `place` for who looks at a task from outside."""
        if always or self.now() - self._said > SAY_EVERY_S:
            self._said = self.now()
            line = self.line()
            logging.info(line)
            if self.place:
                with suppress(OSError):
                    self.place.write_text(f"{line}\n", encoding="utf-8")


def size_text(n_bytes: float) -> str:
    """Write a number of bytes as a person would: 12.3 MB, 7.23 GB."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Write a time as a person would: 40 s, 12 min, 5.6 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Download:
    """One download of `rows` from a source; `run` gives what is missing at its end."""

    def __init__(self, rows: Sequence[Row], source: Source, client: Client, folders: Folders, parallel: int):
        self.source, self.client, self.folders, self.parallel = source, client, folders, parallel
        self.waiting, self.missing = deque(rows), []
        place = folders.download / "progress.txt"
        self.progress = Progress(len(rows), sum(row.n_bytes for row in rows), client.meter, place=place)
        self._outcomes: SimpleQueue = SimpleQueue()
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="request")
        self._open: list[_Series] = []
        self.whole: set[str] = set()
        self._in_a_row = 0

    def run(self) -> list[Missing]:
        """Fetch all that can be had. `Stopped` where `Client.abort` was called: threads may then still end."""
        try:
            while self.waiting or self._open:
                while self.waiting and sum(len(series.waiting) for series in self._open) < self.parallel:
                    self._begin(self.waiting.popleft())
                with suppress(Empty):
                    self._take(*self._outcomes.get(timeout=0.5))
                if self.client.stop.is_set():
                    raise Stopped
                self.progress.say()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
        tidy(self.folders)
        self.progress.say(always=True)
        return self.missing

    def _begin(self, row: Row) -> None:
        claimed = ExitStack()
        try:
            folder = claimed.enter_context(claim(self.folders, row.series_instance_uid))
        except Refusal as error:
            self._give_up(row, error.reason, str(error))
            return
        except OSError as error:
            self._give_up(row, "disk", f"{self.folders.dicom}: {error.strerror or error}")
            return
        series = _Series(row, folder, claimed, time.monotonic())
        self._open.append(series)
        for role in ("ct", "seg"):
            self._submit(series, self._listed, self.source.list_items, row, role, folder)

    def _submit(self, series: _Series, then: Callable, call: Callable, *arguments) -> None:
        """Have `call` made by a thread of the pool, and `then` of what it returns by this one."""
        future = self._pool.submit(call, *arguments)
        series.waiting.add(future)
        future.add_done_callback(lambda done: self._outcomes.put((series, then, done)))

    def _take(self, series: _Series, then: Callable, done: Future) -> None:
        series.waiting.discard(done)
        if not done.cancelled() and not series.is_over:
            try:
                then(series, done.result())
            except Stopped:
                return
            except Refusal as error:
                self._fail(series, error.reason, str(error))
            except (DiskError, OSError) as error:
                self._fail(series, "disk", str(error))
        elif not done.cancelled():
            done.exception()
        if not series.waiting and series in self._open:
            if not series.is_over:
                self._close(series)
            series.claimed.close()
            self._open.remove(series)

    def _listed(self, series: _Series, items: list) -> None:
        for item in items:
            self._submit(series, self._fetched, self.source.fetch, series.row, item, series.folder)

    def _fetched(self, series: _Series, files: list[File]) -> None:
        series.files += files

    def _close(self, series: _Series) -> None:
        """All files are there: see that they are the series, and give it its name."""
        row = series.row
        files = tuple(sorted(series.files, key=lambda file: (file.role, file.name)))
        try:
            note = self._checked(series.folder, files, row)
            state = State(
                row.series_instance_uid, row.seg_series_instance_uid, self.source.name, self.source.endpoint,
                row.crdc_series_uuid, row.seg_crdc_series_uuid, sum(file.n_bytes for file in files),
                round(time.monotonic() - series.start, 3), files,
            )  # fmt: skip
            finish(self.folders, state)
        except Refusal as error:
            self._fail(series, error.reason, str(error))
            return
        except OSError as error:
            self._fail(series, "disk", f"{series.folder}: {error.strerror or error}")
            return
        self.whole.add(row.series_instance_uid)
        self.progress.n_done += 1
        self._in_a_row = 0
        if note:
            logging.info("%s is as the source has it, but the index will say %s", row.series_instance_uid, note)

    def _checked(self, folder: Path, files: Sequence[File], row: Row) -> str:
        try:
            return check_series(folder, files, row)
        except Refusal:
            forget(folder)
            raise

    def _fail(self, series: _Series, reason: str, detail: str) -> None:
        series.is_over = True
        for future in list(series.waiting):
            if future.cancel():
                series.waiting.discard(future)
        self._give_up(series.row, reason, detail)

    def _give_up(self, row: Row, reason: str, detail: str) -> None:
        self.missing.append(Missing(row, reason, detail))
        self.progress.n_missing += 1
        self.progress.without += row.n_bytes
        self._in_a_row = self._in_a_row + 1 if reason in ("unreachable", "refused") else 0
        logging.warning("given up: %s (%s: %s)", row.series_instance_uid, reason, detail)
        if reason == "disk" or self._in_a_row >= MOST_IN_A_ROW:
            why = f"the download ended before, after {max(1, self._in_a_row)} given up; the last: {reason}, {detail}"
            while self.waiting:
                self.missing.append(Missing(self.waiting.popleft(), "not_tried", why))


def run_until_signal(download: Download) -> int:
    """Run a download; return the number of the signal (TERM, INT, HUP) that ended it, or 0.

    After a signal threads may hang in a connection for a while: the caller ends by `end_by`.
    """
    caught = []

    def end(number, _frame):
        caught.append(number)
        download.client.abort()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with suppress(Stopped):
        download.run()
    for number, handler in before.items():
        signal.signal(number, handler)
    return caught[0] if caught else 0


def end_by(number: int) -> None:
    """End this process for the signal `number`, without waiting for threads that hang in a connection."""
    print(f"ERROR: ended by signal {number}; the same command again goes on", file=sys.stderr, flush=True)
    os._exit(128 + number)
