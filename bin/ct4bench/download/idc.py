"""The Imaging Data Commons: a folder of a bucket for each series, by S3's listing (version 2) and plain GET."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from ct4bench.core.errors import Refusal
from ct4bench.download.folders import BY_MD5, BY_SIZE, File, md5_of
from ct4bench.download.manifest import Row
from ct4bench.download.transport import Client, DiskError, Faulty, Received
from ct4bench.download.verify import check_counts

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.dcm")
MD5 = re.compile(r"[0-9a-f]{32}")
MOST_PAGES = 1000


class Listed(NamedTuple):
    """An object of a listing: `md5` is its ETag where that is one, else ""."""

    key: str
    role: str
    n_bytes: int
    md5: str


def parse_listing(body: bytes) -> tuple[list[tuple[str, int, str]], str]:
    """Parse a page of ListObjectsV2: (key, bytes, ETag) of each object, and the token of the next page or "".

    `Faulty` where it is no such page.
    """
    if b"<!" in body[:2000]:  # a DTD, in which entities could be defined
        raise Faulty("refused", "a listing that is no plain XML")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  without a DTD there are no entities
        names = {child.tag.rpartition("}")[2]: child for child in root}
        if root.tag.rpartition("}")[2] != "ListBucketResult" or "IsTruncated" not in names:
            raise ValueError("no ListBucketResult")
        objects = []
        for item in root:
            if item.tag.rpartition("}")[2] == "Contents":
                fields = {field.tag.rpartition("}")[2]: field.text or "" for field in item}
                objects.append((fields["Key"], int(fields["Size"]), fields.get("ETag", "").strip('"').lower()))
        more = (names["IsTruncated"].text or "").strip().lower() == "true"
        token = (names["NextContinuationToken"].text or "") if more else ""
    except (ElementTree.ParseError, ValueError, KeyError) as error:
        raise Faulty("refused", "what came is no listing of a bucket") from error
    return objects, token


class Idc:
    """Series by their folders in a bucket, at an endpoint in path style."""

    name = "idc"

    def __init__(self, client: Client, endpoint: str):
        self.client, self.endpoint = client, endpoint

    def list_items(self, row: Row, role: str, _folder: Path) -> list[Listed]:
        """List the objects of a CT series or its segmentation; `Refusal` where they are not as many as due."""
        uuid = row.crdc_series_uuid if role == "ct" else row.seg_crdc_series_uuid
        found, token, tokens = {}, "", set()
        for _ in range(MOST_PAGES):
            query = {"list-type": "2", "prefix": f"{uuid}/"} | ({"continuation-token": token} if token else {})
            url = f"{self.endpoint}/{row.bucket}?{urlencode(query, quote_via=quote)}"
            objects, token = self.client.read(url, parse_listing)
            for key, n_bytes, etag in objects:
                name = key.removeprefix(f"{uuid}/")
                if not name and n_bytes == 0:
                    continue  # the folder's own key
                if not key.startswith(f"{uuid}/") or not NAME.fullmatch(name) or key in found:
                    raise Refusal("refused", f"the listing of {uuid} has the key {ascii(key[:120])}")
                found[key] = Listed(key, role, n_bytes, etag if MD5.fullmatch(etag) else "")
            if not token:
                break
            if token in tokens:
                raise Refusal("refused", f"the listing of {uuid} does not end")
            tokens.add(token)
        if not found:
            raise Refusal("unknown_series", f"{self.endpoint}/{row.bucket} has nothing below {uuid}/")
        check_counts(row, role, len(found), "the bucket")
        return [found[key] for key in sorted(found)]

    def fetch(self, row: Row, item: Listed, folder: Path) -> list[File]:
        """Fetch an object, unless it is there as it was listed."""
        path = folder / f"{'' if item.role == 'ct' else 'seg_'}{item.key.rpartition('/')[2]}"
        there = _there(path, item)
        if there:
            return [there]

        def check(received: Received, part: Path) -> File:
            if received.n_bytes != item.n_bytes:
                raise Faulty("damaged", f"{item.key} came with {received.n_bytes} of {item.n_bytes} bytes")
            told = item.md5 or received.told_md5
            if told and received.md5 != told:
                raise Faulty("damaged", f"{item.key} came with MD5 {received.md5}, and is listed with {told}")
            try:
                part.replace(path)
                mtime_ns = path.stat().st_mtime_ns
            except OSError as error:
                raise DiskError(f"{path}: {error.strerror}") from error
            checked = BY_MD5 if told else BY_SIZE
            return File(path.name, item.role, received.n_bytes, received.md5, checked, mtime_ns)

        return [self.client.save(f"{self.endpoint}/{row.bucket}/{quote(item.key)}", path, check)]


def _there(path: Path, item: Listed) -> File | None:
    """The file of an earlier try, where size and MD5 are those of the listing."""
    try:
        status = path.stat()
        if status.st_size != item.n_bytes:
            return None
        md5 = md5_of(path)
    except OSError:
        return None
    if item.md5 and md5 != item.md5:
        return None
    return File(path.name, item.role, status.st_size, md5, BY_MD5 if item.md5 else BY_SIZE, status.st_mtime_ns)
