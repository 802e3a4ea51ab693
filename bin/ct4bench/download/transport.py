"""Anonymous GET requests that are tried again: connections that stay open, time-outs, stalls, proxies, redirects.

Only the standard library's http.client, which keeps connections open (urllib does not: for half a million objects that
is a handshake each) and reads no one's keys: no Authorization header is ever sent, no .netrc read. Proxies come from
http_proxy, https_proxy and no_proxy, certificates are always checked (SSL_CERT_FILE, or the system's).
"""

import hashlib
import http.client
import logging
import os
import secrets
import ssl
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

from ct4bench.core.errors import Refusal, UserError, error_words

CHUNK_BYTES = 1 << 18
LARGEST_PAGE_BYTES = 64 << 20
"""Of an answer that is read into memory: a listing."""
LONGEST_BACK_OFF_S = 60
MOST_REDIRECTS = 5
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which a request is made again."""
REDIRECTS = {301, 302, 303, 307, 308}
UNKNOWN = {400, 404, 410}
"""Answers of S3 (404) and NBIA (400) for what they do not have."""
_T = TypeVar("_T")


class Stopped(Exception):
    """The download was told to end."""


class DiskError(Exception):
    """What came could not be written."""


class Faulty(Exception):
    """An answer that may be better the next time: `reason` as in core/reasons.csv; `wait_s` where the server asks."""

    def __init__(self, reason: str, detail: str, wait_s: float | None = None):
        super().__init__(detail)
        self.reason, self.wait_s = reason, wait_s


@dataclass(frozen=True)
class Limits:
    """What a request may take: seconds without a byte, requests after the first, seconds of the first wait (doubled
    each time, to `LONGEST_BACK_OFF_S`), the longest Retry-After that is obeyed, and bytes a second below which a
    connection counts as stalled.
    """

    timeout_s: float = 60
    retries: int = 5
    back_off_s: float = 4
    longest_wait_s: float = 600
    least_rate: float = 5000


class Received(NamedTuple):
    """What `Client.save` wrote: bytes, MD5 of them, and the MD5 that the server's headers name, or ""."""

    n_bytes: int
    md5: str
    told_md5: str


class Meter:
    """Bytes that came, of all threads together."""

    def __init__(self):
        self._lock = threading.Lock()
        self.n_bytes = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes; a negative number takes back what is to come once more."""
        with self._lock:
            self.n_bytes += n_bytes


def check_endpoint(url: str, option: str) -> str:
    """Return the address of a server without a slash at its end; a `UserError` where it is none."""
    try:
        parts = urlsplit(url.strip())
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in url.strip()):
        raise UserError(f"{option} {url} is no address of a server; give one such as https://host/path")
    if "@" in parts.netloc:
        raise UserError(f"{option} has a name or password in it; requests are anonymous, so leave that out")
    return url.strip().rstrip("/")


def wait_of(retry_after: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, as seconds or as a date; None where it says neither."""
    text = (retry_after or "").strip()
    if text.isdecimal():
        return float(text[:12])
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _told_md5(headers) -> str:
    """MD5 of the object by Google's x-goog-hash header, in hex; "" without it."""
    for header in headers.get_all("x-goog-hash") or ():
        for part in header.split(","):
            name, _, value = part.strip().partition("=")
            if name == "md5":
                with suppress(ValueError):
                    return b64decode(value, validate=True).hex()
    return ""


def _is_html(content_type: str, start: bytes) -> bool:
    return content_type.lower().startswith("text/html") or start.lstrip()[:14].lower().startswith(
        (b"<!doctype html", b"<html")
    )


def _trusting(certificates: Path | str | None) -> ssl.SSLContext:
    """What checks certificates; a `UserError` where the file that was given, or SSL_CERT_FILE, has none."""
    option = "--certificates"
    if not certificates and os.environ.get("SSL_CERT_FILE"):
        option, certificates = "SSL_CERT_FILE", os.environ["SSL_CERT_FILE"]
    try:
        return ssl.create_default_context(cafile=certificates or None)
    except ssl.SSLError as error:
        raise UserError(f"{option} {certificates} holds no certificate; give a file of PEM") from error
    except OSError as error:
        raise UserError(f"{option} {certificates} cannot be read: {error.strerror}; give a file of PEM") from error


class Client:
    """Requests within `limits`, for several threads: each keeps its connections. `certificates` is a file of PEM."""

    def __init__(self, limits: Limits, certificates: Path | str | None = None):
        self.limits, self.meter, self.stop = limits, Meter(), threading.Event()
        self._context = _trusting(certificates)
        self._proxies = getproxies_environment()
        self._local, self._lock, self._open = threading.local(), threading.Lock(), set()

    def abort(self) -> None:
        """Make all requests end at once; each raises `Stopped`."""
        self.stop.set()
        with self._lock:
            for connection in self._open:
                with suppress(OSError, AttributeError):
                    connection.sock.shutdown(2)

    def read(self, url: str, parse: Callable[[bytes], _T]) -> _T:
        """Return what `parse` makes of an answer of at most `LARGEST_PAGE_BYTES`; where it raises `Faulty`, the request
        is made again.
        """

        def receive(chunks, _headers) -> _T:
            body = bytearray()
            for chunk in chunks:
                body += chunk
                if len(body) > LARGEST_PAGE_BYTES:
                    raise Refusal("refused", f"{_place(url)} answers with more than {LARGEST_PAGE_BYTES >> 20} MB")
            return parse(bytes(body))

        return self._try(url, receive)

    def save(self, url: str, path: Path, check: Callable[[Received, Path], _T]) -> _T:
        """Write the body to `path`.part, on the disk when this returns; `check` of it may raise `Faulty`, which is a
        reason to try again, or `Refusal`. Returns what `check` does. The caller renames or takes away the file.
        """

        def receive(chunks, headers) -> _T:
            digest, n_bytes = hashlib.md5(usedforsecurity=False), 0
            try:
                with open(part, "wb") as stream:
                    for chunk in chunks:
                        stream.write(chunk)
                        digest.update(chunk)
                        n_bytes += len(chunk)
                        self.meter.add(len(chunk))
                    stream.flush()
                    os.fsync(stream.fileno())
            except BaseException as error:
                self.meter.add(-n_bytes)
                if isinstance(error, OSError):
                    raise DiskError(f"{part}: {error.strerror or error}") from error
                raise
            try:
                return check(Received(n_bytes, digest.hexdigest(), _told_md5(headers)), part)
            except Faulty:
                self.meter.add(-n_bytes)
                raise

        part = part_of(path)
        return self._try(url, receive)

    def _try(self, url: str, receive: Callable[[Iterator[bytes], object], _T]) -> _T:
        """Make a request until it succeeds, is refused, or was tried `retries` times more."""
        limits = self.limits
        for number in range(limits.retries + 1):
            if self.stop.is_set():
                raise Stopped
            try:
                return self._request(url, receive)
            except Faulty as error:
                if self.stop.is_set():
                    raise Stopped from error
                wait_s = min(LONGEST_BACK_OFF_S, limits.back_off_s * 2**number)
                wait_s *= secrets.SystemRandom().uniform(0.75, 1.25)
                if error.wait_s is not None and error.wait_s > limits.longest_wait_s:
                    raise Refusal(
                        error.reason,
                        f"{error}, and asks to wait {error.wait_s:.0f} s; at most {limits.longest_wait_s:.0f} s are",
                    ) from error
                if number == limits.retries:
                    raise Refusal(error.reason, f"{error}; tried {number + 1} times") from error
                wait_s = max(wait_s, error.wait_s or 0)
                logging.debug("%s: %s; again in %.1f s", _place(url), error, wait_s)
            if self.stop.wait(wait_s):
                raise Stopped
        raise AssertionError("the last try returns or raises")

    def _request(self, url: str, receive: Callable) -> object:
        """One request with its redirects."""
        for _ in range(MOST_REDIRECTS + 1):
            connection, response = self._answer(url)
            whole = False
            try:
                if response.status in REDIRECTS:
                    url = _redirected(url, response.headers.get("Location"))
                    continue
                if response.status != 200:
                    raise self._problem(url, response)
                result = receive(self._body(url, response), response.headers)
                response.close()  # the answer: the connection stays
                whole = True
                return result
            finally:
                if not whole:
                    self._drop(url, connection)
        raise Refusal("refused", f"{_place(url)} is redirected more than {MOST_REDIRECTS} times")

    def _answer(self, url: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request, on the connection of before where there is one. The server may just have closed that."""
        here = urlsplit(url)
        for is_last in (False, True):
            connection, is_used, absolute, headers = self._connection(here)
            try:
                target = url if absolute else f"{here.path or '/'}{'?' if here.query else ''}{here.query}"
                connection.request("GET", target, headers={"Accept-Encoding": "identity", **HEADERS, **headers})
                return connection, connection.getresponse()
            except ssl.SSLCertVerificationError as error:
                self._drop(url, connection)
                raise Refusal(
                    "refused", f"the certificate of {here.hostname} is not trusted ({error.verify_message})"
                ) from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._drop(url, connection)
                if self.stop.is_set():
                    raise Stopped from error
                if is_last or not is_used or isinstance(error, TimeoutError):
                    raise Faulty("unreachable", f"{_place(url)}: {_words(error)}") from error
        raise AssertionError("the second try returns or raises")

    def _connection(self, here: SplitResult):
        """The thread's own connection to a host: (connection, whether it was used before, absolute target, headers)."""
        kept = self._local.__dict__.setdefault("connections", {})
        found = kept.get((here.scheme, here.netloc))
        if found:
            return found[0], True, *found[1:]
        proxy = self._proxies.get(here.scheme)
        if proxy and proxy_bypass_environment(here.netloc, self._proxies):
            proxy = None
        new, absolute, headers = self._connect(here, proxy)
        kept[here.scheme, here.netloc] = (new, absolute, headers)
        with self._lock:
            self._open.add(new)
        return new, False, absolute, headers

    def _connect(self, here: SplitResult, proxy: str | None):
        secure = here.scheme == "https"
        timeout = self.limits.timeout_s
        more = {"context": self._context} if secure else {}
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        if not proxy:
            return kind(here.hostname, here.port, timeout=timeout, **more), False, {}
        via = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
        if via.scheme != "http" or not via.hostname:
            raise Refusal("refused", f"the proxy for {here.scheme} is {via.scheme}://{via.hostname}; http:// is known")
        headers = {}
        if via.username is not None:
            secret = f"{unquote(via.username)}:{unquote(via.password or '')}".encode()
            headers["Proxy-Authorization"] = f"Basic {b64encode(secret).decode()}"
        connection = kind(via.hostname, via.port or 80, timeout=timeout, **more)
        if secure:
            connection.set_tunnel(here.hostname, here.port or 443, headers)
            return connection, False, {}
        return connection, True, headers

    def _drop(self, url: str, connection: http.client.HTTPConnection) -> None:
        here = urlsplit(url)
        kept = self._local.__dict__.setdefault("connections", {})
        for key in [key for key, found in kept.items() if found[0] is connection] or [(here.scheme, here.netloc)]:
            kept.pop(key, None)
        with self._lock:
            self._open.discard(connection)
        with suppress(OSError):
            connection.close()

    def _body(self, url: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """Chunks of a body as they come. `Faulty` where it is cut, stalls, or is a page of HTML."""
        due = None if response.chunked else response.length
        got, since, in_window = 0, time.monotonic(), 0
        content_type = response.headers.get("Content-Type") or ""
        while due is None or got < due:
            try:
                chunk = response.read1(CHUNK_BYTES if due is None else min(CHUNK_BYTES, due - got))
            except (OSError, http.client.HTTPException, ValueError) as error:
                if self.stop.is_set():
                    raise Stopped from error
                raise Faulty("unreachable", f"{_place(url)}: {_words(error)} after {got} bytes") from error
            if self.stop.is_set():
                raise Stopped
            if not chunk:
                break
            if got == 0 and _is_html(content_type, chunk):
                raise Faulty("refused", f"{_place(url)} answers with a page of HTML")
            got += len(chunk)
            in_window += len(chunk)
            yield chunk
            passed = time.monotonic() - since
            if passed > self.limits.timeout_s:
                if in_window < self.limits.least_rate * passed:
                    rate = in_window / passed
                    raise Faulty(
                        "unreachable", f"{_place(url)}: stalled at {rate:.0f} bytes a second after {got} bytes"
                    )
                since, in_window = time.monotonic(), 0
        if due is not None and got < due:
            raise Faulty("unreachable", f"{_place(url)}: cut off after {got} of {due} bytes")

    def _problem(self, url: str, response: http.client.HTTPResponse) -> Exception:
        """What an answer other than 200 means."""
        said = f"{_place(url)} answers {response.status}"
        with suppress(OSError, http.client.HTTPException, ValueError):
            text = response.read1(500).decode("utf-8", "replace")
            words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
            said += f" ({words[:80]})" if words and not words.startswith("<") else ""
        if response.status in AGAIN:
            return Faulty("unreachable", said, wait_of(response.headers.get("Retry-After")))
        return Refusal("unknown_series" if response.status in UNKNOWN else "refused", said)


HEADERS = {"User-Agent": "ct4bench", "Accept": "*/*"}


def part_of(path: Path) -> Path:
    """Return the name that a file has until it is verified."""
    return path.with_name(f"{path.name}.part")


def _place(url: str) -> str:
    """A URL as a message shows it."""
    here = urlsplit(url)
    return f"{here.scheme}://{here.netloc}{here.path}"


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no byte within the time-out"
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection ({(error.reason or 'unknown fault').replace('_', ' ').lower()})"
    if isinstance(error, http.client.IncompleteRead):
        return "cut off"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"no answer in HTTP ({error_words(error)[:80]})"
    return error_words(error)[:120]


def _redirected(url: str, location: str | None) -> str:
    """Where a redirect leads, on the same host and not away from encryption; `Refusal` elsewhere, by name."""
    new = urljoin(url, location or "")
    old_parts, new_parts = urlsplit(url), urlsplit(new)
    if not location or new_parts.hostname != old_parts.hostname or "@" in new_parts.netloc:
        other = new_parts.hostname or "nowhere"
        raise Refusal("refused", f"{_place(url)} is redirected to another host, {other}; name that one if you trust it")
    if new_parts.scheme != "https" and (new_parts.scheme, old_parts.scheme) != ("http", "http"):
        raise Refusal("refused", f"{_place(url)} is redirected to {new_parts.scheme}, which is not encrypted")
    return new
