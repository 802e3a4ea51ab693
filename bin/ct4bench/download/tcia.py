"""TCIA's NBIA, version 4: a zip for each series, without a length, with the MD5 of its files as its last one."""

import csv
import hashlib
import json
import os
import threading
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from ct4bench.core.errors import Refusal
from ct4bench.download.folders import BY_MD5, File, md5_of
from ct4bench.download.manifest import UID, Row
from ct4bench.download.transport import CHUNK_BYTES, Client, DiskError, Faulty, Received
from ct4bench.download.verify import check_counts
from ct4bench.index.headers import read_header

HASHES = "md5hashes.csv"
LARGEST_HASHES_BYTES = 16 << 20
SLACK = 1.05
"""Bytes of files by which a zip may be larger than the table says."""


class Zipped(NamedTuple):
    """A series to be fetched as a zip, with the number of files that the server says it has."""

    uid: str
    role: str
    n_files: int


class Tcia:
    """Series by their UIDs, at the address of NBIA's version 4."""

    name = "tcia"

    def __init__(self, client: Client, endpoint: str):
        self.client, self.endpoint = client, endpoint
        self._lock, self._counts = threading.Lock(), {}

    def list_items(self, row: Row, role: str, _folder: Path) -> list[Zipped]:
        """Ask how many files a series has; `Refusal` where it is unknown, or they are not as many as due."""
        uid = row.series_instance_uid if role == "ct" else row.seg_series_instance_uid
        if not row.collection:
            raise Refusal("unknown_series", "the table names no collection of TCIA for it")
        counts = self._listed(row.collection)
        if uid not in counts:
            raise Refusal("unknown_series", f"{self.endpoint} lists {len(counts)} series of {row.collection}, not this")
        check_counts(row, role, counts[uid], "TCIA")
        return [Zipped(uid, role, counts[uid])]

    def _listed(self, collection: str) -> dict[str, int]:
        """Number of files by series of a collection: one request for all of them, also where it fails."""
        with self._lock:
            if collection not in self._counts:
                query = urlencode({"Collection": collection}, quote_via=quote)
                try:
                    self._counts[collection] = self.client.read(f"{self.endpoint}/getSeries?{query}", parse_series)
                except Refusal as error:
                    self._counts[collection] = error
            found = self._counts[collection]
        if isinstance(found, Refusal):
            raise Refusal(found.reason, str(found))
        return found

    def fetch(self, row: Row, item: Zipped, folder: Path) -> list[File]:
        """Fetch a zip and unpack it, unless that was done before."""
        there = _there(folder, item)
        if there:
            return there
        query = urlencode({"SeriesInstanceUID": item.uid, "IncludeMD5": "Yes"})
        size_mb = row.size_mb if item.role == "ct" else row.seg_size_mb

        def check(received: Received, part: Path) -> list[File]:
            try:
                files = unpack(part, item, folder, most_bytes=int(size_mb * 1e6 * SLACK) + (1 << 20))
                self.client.meter.add(sum(file.n_bytes for file in files) - received.n_bytes)
                part.unlink()
                _note(folder, item, files)
            except OSError as error:
                raise DiskError(f"{folder}: {error.strerror or error}") from error
            return files

        return self.client.save(f"{self.endpoint}/getImage?{query}", folder / f"{item.role}.zip", check)


def parse_series(body: bytes) -> dict[str, int]:
    """Parse getSeries' answer: number of files by series UID; empty where the server found nothing (200, no body)."""
    if not body.strip():
        return {}
    try:
        return {str(item["SeriesInstanceUID"]): int(item["ImageCount"]) for item in json.loads(body)}
    except (ValueError, KeyError, TypeError) as error:
        raise Faulty("refused", "what came is no list of series") from error


def unpack(path: Path, item: Zipped, folder: Path, most_bytes: int) -> list[File]:
    """Unpack the DICOM files of a zip into `folder`, each under its SOP instance UID: names in a zip are no paths.

    `Faulty` where the zip is cut, has no hashes, not the files that the server counted, others than its hashes say, or
    more than `most_bytes`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
            if len(entries) != sum(not entry.is_dir() for entry in archive.infolist()):
                raise Faulty("damaged", "the zip has two files of one name")
            hashes = _hashes(archive, entries)
            images = [entry for name, entry in entries.items() if name.rpartition("/")[2] not in ("LICENSE", HASHES)]
            if len(images) != item.n_files:
                raise Faulty("incomplete_series", f"the zip has {len(images)} of {item.n_files} files")
            if set(hashes) != {entry.filename for entry in images} or not all(hashes.values()):
                raise Faulty("incomplete_series", f"the zip's {HASHES} is not of all of its files")
            if sum(entry.file_size for entry in images) > most_bytes:
                raise Faulty("damaged", f"the zip holds more than {most_bytes} bytes")
            return [
                _unpack_one(archive, entry, hashes[entry.filename], item.role, folder / f".{item.role}.{number}.part")
                for number, entry in enumerate(images)
            ]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise Faulty("damaged", f"no whole zip came ({error})") from error


def _hashes(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """MD5 by name from the zip's own list."""
    entry = entries.get(HASHES)
    if entry is None:
        raise Faulty("incomplete_series", f"the zip has no {HASHES}, which is its last file")
    if entry.file_size > LARGEST_HASHES_BYTES:
        raise Faulty("damaged", f"{HASHES} is too large")
    lines = csv.DictReader(archive.read(entry).decode("utf-8").splitlines())
    try:
        return {line["Filename"].strip(): (line["MD5Hash"] or "").strip().lower() for line in lines}
    except (KeyError, AttributeError, csv.Error) as error:
        raise Faulty("damaged", f"{HASHES} is not as it should be") from error


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, due_md5: str, role: str, part: Path) -> File:
    digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
    with archive.open(entry) as packed, open(part, "wb") as stream:
        while chunk := packed.read(CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > entry.file_size:
                raise Faulty("damaged", "a file of the zip is larger than it says")
            digest.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    if digest.hexdigest() != due_md5:
        raise Faulty("damaged", f"{ascii(entry.filename[:60])} came with MD5 {digest.hexdigest()}, and has {due_md5}")
    try:
        sop_uid = read_header(part).text("SOPInstanceUID")
    except Refusal as error:
        raise Faulty("wrong_content", f"{ascii(entry.filename[:60])}: {error}") from error
    if not UID.fullmatch(sop_uid) or len(sop_uid) > 64:
        raise Faulty("wrong_content", f"{ascii(entry.filename[:60])} has no SOP instance UID")
    path = part.with_name(f"{'' if role == 'ct' else 'seg_'}{sop_uid}.dcm")
    part.replace(path)
    return File(path.name, role, n_bytes, due_md5, BY_MD5, path.stat().st_mtime_ns)


def _note(folder: Path, item: Zipped, files: list[File]) -> None:
    """Note what was unpacked, so that a later try need not fetch it again."""
    part = folder / f".{item.role}.json.part"
    part.write_text(json.dumps([file._asdict() for file in files]), encoding="utf-8")
    part.replace(folder / f".{item.role}.json")


def _there(folder: Path, item: Zipped) -> list[File]:
    """Files that an earlier try has unpacked, where all are as they were; else none."""
    try:
        files = [File(**file) for file in json.loads((folder / f".{item.role}.json").read_text(encoding="utf-8"))]
        if len(files) == item.n_files and all(md5_of(folder / file.name) == file.md5 for file in files):
            return files
    except (OSError, ValueError, TypeError):
        pass
    return []
