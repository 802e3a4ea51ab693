"""Where a download keeps what: series below dicom/, their states below download/, and what is on its way.

dicom/<series UID>/          a series with its segmentation, whole and verified
dicom/.part/<series UID>/    one on its way; files in it without .part are verified
download/state/<series UID>.json   what was verified, and by what
download/reference/          the same for the reference of a run that streams
download/stream/<part>/      and for the series of a part until they are read
"""

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from ct4bench.core.errors import Refusal, UserError
from ct4bench.download.manifest import Row

BY_MD5, BY_SIZE = "md5", "size and UIDs"
"""What a file was verified by."""
CLOCK_NS = 1_000_000_000
"""Times of a file that are one: some file systems keep fewer digits than they first tell."""
OWN_NAME = re.compile(r"(seg_)?([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+(\.[0-9]+){4,})\.dcm")
"""Names that downloads give, by which leftovers of an earlier version of a series are told from a user's own files."""


class File(NamedTuple):
    """A file of a series: `role` is ct or seg, `md5` of its bytes, `checked` what vouches for it."""

    name: str
    role: str
    n_bytes: int
    md5: str
    checked: str
    mtime_ns: int


@dataclass(frozen=True)
class State:
    """What was verified of a series. `took_s`: seconds from its first request; `source`: idc or tcia."""

    series_uid: str
    seg_series_uid: str
    source: str
    endpoint: str
    crdc_series_uuid: str
    seg_crdc_series_uuid: str
    n_bytes: int
    took_s: float
    files: tuple[File, ...]

    @property
    def checked(self) -> str:
        """What vouches for all of its files."""
        return BY_MD5 if all(file.checked == BY_MD5 for file in self.files) else BY_SIZE


class Folders:
    """The folders of one download, below `output`."""

    def __init__(self, output: Path | str):
        self.output = Path(os.path.realpath(output))  # a task is given a link, and messages are for the user
        self.dicom, self.download = self.output / "dicom", self.output / "download"

    @property
    def reference(self) -> "Folders":
        """Those of the reference of a run that streams."""
        return Folders(self.download / "reference")

    def stream(self, part: str) -> "Folders":
        """Return those of a part of a run that streams."""
        return Folders(self.download / "stream" / part)

    def streams(self) -> list[str]:
        """List the parts that have folders: those under way, and those that lack series."""
        place = self.download / "stream"
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    def check(self) -> None:
        """Raise a `UserError` where they cannot be made or written, before anything is said or asked."""
        for folder in (self.dicom, self.download):
            try:
                there = next(place for place in (folder, *folder.parents) if place.exists())
            except OSError as error:
                raise UserError(f"{folder} cannot be read: {error.strerror}; name a folder that can") from error
            if not there.is_dir():
                raise UserError(f"{there} is a file, and a download needs a folder of that name; name another")
            if not os.access(there, os.W_OK | os.X_OK):
                raise UserError(f"{there} cannot be written; name a folder that can")

    def make(self) -> None:
        """Make them; `UserError` where that cannot be."""
        try:
            for folder in (self.dicom, self.download / "state"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.output} cannot be written ({error.strerror}); name a folder that can") from error

    def series(self, uid: str) -> Path:
        """Return the folder of a whole series."""
        return self.dicom / uid

    def part(self, uid: str) -> Path:
        """Return the folder of a series on its way."""
        return self.dicom / ".part" / uid

    def state(self, uid: str) -> Path:
        """Return the file of a series' state."""
        return self.download / "state" / f"{uid}.json"

    def others(self, uids: set[str]) -> list[str]:
        """List the folders below dicom/ that are of no series among `uids`."""
        if not self.dicom.is_dir():
            return []
        return sorted(p.name for p in self.dicom.iterdir() if p.name not in uids and not p.name.startswith("."))


def read_state(path: Path) -> State | None:
    """Read a state; None where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return State(**{**found, "files": tuple(File(**file) for file in found["files"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_state(path: Path, state: State) -> None:
    """Write a state, whole or not at all."""
    text = asdict(state) | {"files": [file._asdict() for file in state.files]}
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(text, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, where its file system can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def md5_of(path: Path) -> str:
    """Compute the MD5 of a file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def is_whole(folders: Folders, row: Row) -> bool:
    """Tell whether a series is there as it was verified: its state is of this version of it, all files have their size.

    A file that was touched since is read again and compared with its MD5.
    """
    state = read_state(folders.state(row.series_instance_uid))
    if state is None or (state.series_uid, state.seg_series_uid) != (
        row.series_instance_uid,
        row.seg_series_instance_uid,
    ):
        return False
    if (state.crdc_series_uuid, state.seg_crdc_series_uuid) != (row.crdc_series_uuid, row.seg_crdc_series_uuid):
        return False
    folder = folders.series(row.series_instance_uid)
    return all(_is_as_it_was(folder / file.name, file) for file in state.files)


def _is_as_it_was(path: Path, file: File) -> bool:
    try:
        status = path.stat()
        same_size = status.st_size == file.n_bytes
        same_time = abs(status.st_mtime_ns - file.mtime_ns) < CLOCK_NS
        return same_size and (same_time or md5_of(path) == file.md5)
    except OSError:
        return False


@contextmanager
def claim(folders: Folders, uid: str) -> Iterator[Path]:
    """Yield the folder of a series on its way, which no other process fetches until the end of the block.

    A folder with the final name that is not whole becomes it. `Refusal` where another process has it. File systems
    that cannot lock are trusted to have one process only.
    """
    part, final = folders.part(uid), folders.series(uid)
    part.parent.mkdir(parents=True, exist_ok=True)
    mark = part.with_name(f"{uid}.lock")
    with open(mark, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Refusal("not_tried", "another process is fetching it now") from error
        with suppress(OSError):
            if os.fstat(stream.fileno()).st_ino != mark.stat().st_ino:
                raise Refusal("not_tried", "another process has just fetched it")
        if final.is_symlink() or (final.exists() and not final.is_dir()):
            raise Refusal("not_tried", f"{final} is a link or a file, which is in the way; move it away")
        if final.is_dir():
            part.mkdir(exist_ok=True)
            for path in sorted(final.iterdir()):
                os.replace(path, part / path.name)
            final.rmdir()
        part.mkdir(exist_ok=True)
        yield part
        with suppress(OSError):
            mark.unlink()


def tidy(folders: Folders) -> None:
    """Remove the marks that killed processes left, and the folders of series on their way that are empty."""
    there = sorted(folders.part("").iterdir()) if folders.part("").is_dir() else []
    for uid in sorted({path.name.removesuffix(".lock") for path in there}):
        part = folders.part(uid)
        mark = part.with_name(f"{uid}.lock")
        with suppress(OSError), open(mark, "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):
                part.rmdir()
            mark.unlink()
    with suppress(OSError):
        folders.part("").rmdir()


def is_own(name: str) -> bool:
    """Tell whether a file in the folder of a series on its way has a name that downloads give."""
    return name.endswith(".part") or name.startswith(".") or OWN_NAME.fullmatch(name) is not None


def forget(folder: Path) -> None:
    """Remove what was fetched of a series that is another one: a later try is not to take it for verified."""
    for path in sorted(folder.iterdir()):
        if is_own(path.name):
            path.unlink()


def finish(folders: Folders, state: State) -> None:
    """Give a verified series its final name, and note its state before."""
    uid = state.series_uid
    part, final = folders.part(uid), folders.series(uid)
    names = {file.name for file in state.files}
    for path in sorted(part.iterdir()):
        if path.name in names:
            continue
        if is_own(path.name):
            path.unlink()
        else:
            raise Refusal("not_tried", f"{part} holds {path.name}, which is not of the series; move it away")
    sync_folder(part)
    write_state(folders.state(uid), state)
    os.rename(part, final)
    sync_folder(folders.dicom)
