"""Local servers in place of those that series are downloaded from: S3's listing and objects, NBIA's version 4.

Faults are named by a part of the request's path: each of the list answers one request, one with `*` all further ones.
"""

import hashlib
import io
import json
import threading
import time
import zipfile
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np
from dicom_factory import roi_labels, seg_uid, uid, write_segmentation, write_series

from ct4bench.download.manifest import Row, write_rows

BUCKET, COLLECTION = "open-data", "CT4Harmonization-Multicentric"


class StandIn(ThreadingHTTPServer):
    """A server of `objects` (bytes by key) and of zips of `series` (files by UID), with faults."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.series: dict[str, list[bytes]] = {}
        self.etags: dict[str, str] = {}
        self.image_counts: dict[str, int] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.page_size, self.delay_s, self.rate = 1000, 0.0, None
        self.lock, self.asked, self.headers_seen = threading.Lock(), [], []
        self.at_once = self.most_at_once = self.most_bytes = 0
        self.elsewhere = "http://elsewhere.example.org/x"
        self.ended = threading.Event()

    def handle_error(self, *_):
        """Say nothing of clients that went away."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take_fault(self, path: str) -> str:
        """Next fault of a request; "" for none."""
        with self.lock:
            for part, names in self.faults.items():
                if part in path and names:
                    return names[0].rstrip("*") if names[0].endswith("*") else names.pop(0)
        return ""

    def count(self, part: str) -> int:
        return sum(part in path for path in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server: StandIn = self.server
        with server.lock:
            server.asked.append(unquote(self.path))
            server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            if server.delay_s:
                time.sleep(server.delay_s)
            self.answer(server)
        except OSError:
            self.close_connection = True
        finally:
            with server.lock:
                server.at_once -= 1

    def answer(self, server: StandIn):
        url = urlsplit(self.path)
        path, query = unquote(url.path), {key: values[0] for key, values in parse_qs(url.query).items()}
        fault = server.take_fault(unquote(self.path))
        if fault.isdecimal() or ":" in fault:
            code, _, after = fault.partition(":")
            self.reply(int(code), b"no", **({"Retry_After": after} if after else {}))
        elif fault == "empty":
            self.reply(200, b"")
        elif fault == "html":
            self.reply(200, b"<!DOCTYPE html><html>Log in to the hotel</html>", Content_Type="text/html")
        elif fault == "html_as_bytes":
            self.reply(200, b"  <html>Log in to the hotel</html>")
        elif fault == "redirect":
            self.reply(302, b"", Location=server.elsewhere)
        elif fault == "moved":
            self.reply(301, b"", Location=f"{path}?{url.query}&again=1")
        elif fault == "never":
            server.ended.wait(60)
            self.close_connection = True
        elif path.startswith("/nbia/"):
            self.nbia(server, path.removeprefix("/nbia/"), query, fault)
        elif "list-type" in query:
            self.listing(server, path.strip("/"), query, fault)
        else:
            self.object(server, path.removeprefix(f"/{BUCKET}/"), fault)

    def reply(self, code: int, body: bytes, **headers):
        self.send_response(code)
        for name, value in (
            {"Content_Type": "application/octet-stream", "Content_Length": len(body)} | headers
        ).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def body(self, body: bytes, fault: str, chunked: bool = False, **headers):
        """An answer that may go wrong on its way."""
        server: StandIn = self.server
        if fault == "short":  # its length is said
            body = body[: len(body) // 2]
        if fault == "wrong_byte":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        self.end_headers()
        is_cut = fault in ("cut", "stall", "trickle")
        first = body[: len(body) // 2] if is_cut else body
        step = len(first) or 1 if server.rate is None else max(1, int(server.rate / 50))
        for start in range(0, len(first), step):
            self.write(first[start : start + step], chunked)
            if server.rate:
                time.sleep(1 / 50)
        if fault == "stall":
            server.ended.wait(60)
        if fault == "trickle":
            for byte in body[len(body) // 2 :]:
                if server.ended.wait(0.05):
                    break
                self.write(bytes([byte]), chunked)
        if is_cut:
            self.close_connection = True
            self.connection.close()
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def write(self, part: bytes, chunked: bool):
        self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if chunked else part)

    def listing(self, server: StandIn, bucket: str, query: dict, fault: str):
        prefix, start = query.get("prefix", ""), int(query.get("continuation-token", "0"))
        keys = sorted(key for key in [*server.objects, f"{prefix}"] if key.startswith(prefix))
        if not any(key in server.objects for key in keys):
            keys = []
        if fault == "one_less":
            keys = keys[:-1]
        page, more = keys[start : start + server.page_size], len(keys) > start + server.page_size
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{server.etags.get(key) or md5(value)}&quot;</ETag>"
            f"<Size>{len(value)}</Size></Contents>"
            for key in page
            for value in [server.objects.get(key, b"")]
        )
        token = f"<NextContinuationToken>{start + server.page_size}</NextContinuationToken>" if more else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><IsTruncated>{str(more).lower()}</IsTruncated>{items}{token}</ListBucketResult>"
        )
        self.body(text.encode(), fault, **{"Content-Type": "application/xml"})

    def object(self, server: StandIn, key: str, fault: str):
        if key not in server.objects:
            self.reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self.body(server.objects[key], fault, ETag=f'"{server.etags.get(key) or md5(server.objects[key])}"')

    def nbia(self, server: StandIn, call: str, query: dict, fault: str):
        if call == "getSeries":
            found = [
                {"SeriesInstanceUID": uid, "ImageCount": server.image_counts.get(uid, len(files)), "Modality": "CT"}
                for uid, files in server.series.items()
            ]
            self.body(json.dumps(found).encode() if query.get("Collection") == COLLECTION else b"", fault)
        elif (
            call != "getImage"
            or query.get("SeriesInstanceUID") not in server.series
            or query.get("IncludeMD5") != "Yes"
        ):
            self.reply(400, b"Your input series Instance UID is not valid")
        else:
            self.body(zip_of(server.series[query["SeriesInstanceUID"]], fault), fault, chunked=True)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def zip_of(files: list[bytes], fault: str = "") -> bytes:
    """A zip as NBIA makes it; a file that the server lacks ends it early, whole as a zip and without its hashes."""
    lines, whole = ["Filename,MD5Hash"], io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LICENSE", "CC BY 4.0")
        for number, content in enumerate(files[:-1] if fault in ("short_zip", "short_zip_with_hashes") else files, 1):
            name = f"{number:08d}.dcm"
            if fault == "paths":
                name = f"../../../escaped/{name}" if number % 2 else f"/tmp/escaped/{name}"
            hashed = md5(content)
            if fault == "wrong_hash" and number == 1:
                hashed = md5(b"another")
            if fault == "blank_hash" and number == 1:
                hashed = ""
            archive.writestr(name, content)
            lines.insert(1, f"{name},{hashed}")
        if fault not in ("short_zip", "no_hashes"):
            archive.writestr("md5hashes.csv", "\n".join(lines) + "\n")
    return whole.getvalue()


@contextmanager
def running(server: StandIn):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()


def uuid_of(*parts) -> str:
    text = hashlib.md5(repr(parts).encode()).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def draw_collection(
    folder: Path, scanners=("A1", "D1"), doses=(10,), recons=("IR",), repetitions=2, n_slices=5
) -> tuple[list[Row], dict[str, bytes], dict[str, list[bytes]]]:
    """Small series with segmentations: rows of the table, objects by key, files by series UID."""
    rows, objects, series = [], {}, {}
    for scanner in scanners:
        for dose in doses:
            for recon in recons:
                for repetition in range(1, repetitions + 1):
                    name = f"{scanner}-{dose}-{recon}-{repetition}"
                    pixels = np.random.default_rng(len(rows)).integers(0, 4096, (n_slices, 40, 36))
                    paths = write_series(
                        folder / name, name, pixels, StudyDescription=scanner,
                        SeriesDescription=f"{scanner}_Harmonized_{dose}mGy_{recon} - #{repetition}",
                    )  # fmt: skip
                    labels = roi_labels((18, 40, 36))[:: 1 if n_slices >= 18 else 3][:n_slices]
                    seg = write_segmentation(folder / name / "seg.dcm", paths, labels, empty_frames=True)
                    ct = [path.read_bytes() for path in paths]
                    uuids = uuid_of(name, "ct"), uuid_of(name, "seg")
                    uids = uid(name), seg_uid(uid(name), "seg.dcm")
                    objects |= {f"{uuids[0]}/{uuid_of(name, n)}.dcm": content for n, content in enumerate(ct)}
                    objects[f"{uuids[1]}/{uuid_of(name, 'seg object')}.dcm"] = seg.read_bytes()
                    series |= {uids[0]: ct, uids[1]: [seg.read_bytes()]}
                    sizes = sum(map(len, ct)) / 1e6, seg.stat().st_size / 1e6
                    about = BUCKET, COLLECTION, scanner, str(dose), recon, repetition
                    rows.append(Row(*uids, *uuids, *about, n_slices, sizes[0], 1, sizes[1]))
    return rows, objects, series


def serve(rows, objects, series, table: Path) -> StandIn:
    """A server of a drawn collection, whose table of series is written."""
    write_rows(rows, table)
    server = StandIn()
    server.objects, server.series = dict(objects), dict(series)
    return server
