"""Requests against a local server with every fault: what is tried again, what is refused and by which name."""

import socket
import ssl
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from download_servers import BUCKET, StandIn, md5, running

from ct4bench.core.errors import Refusal, UserError
from ct4bench.download.transport import Client, DiskError, Faulty, Limits, Stopped, check_endpoint, part_of, wait_of

QUICK = Limits(timeout_s=20, retries=3, back_off_s=0.01, longest_wait_s=2, least_rate=2000)
SHORT = replace(QUICK, timeout_s=0.4)
"""For connections that hang; any other may take its time on a busy machine."""
HANGING = ("stall", "trickle", "never")
CONTENT = bytes(range(256)) * 400


@pytest.fixture
def server():
    with running(StandIn()) as started:
        started.objects["a.dcm"] = CONTENT
        yield started


def get(server, path, limits=QUICK, url=None, client=None):
    """What is saved, checked by MD5 as a caller does."""

    def check(received, part):
        if received.md5 != md5(CONTENT):
            raise Faulty("damaged", "other bytes")
        return part.read_bytes()

    client = client or Client(limits)
    return client.save(url or f"{server.address}/{BUCKET}/a.dcm", path / "a.dcm", check)


@pytest.mark.parametrize(
    "fault", ["429", "429:0", "429:1", "500", "503", "502", "504", "cut", "wrong_byte", "short", "stall", "trickle",
              "html", "html_as_bytes", "never"],
)  # fmt: skip
def test_what_may_pass_is_tried_again(fault, server, tmp_path):
    server.faults["a.dcm"] = [fault, fault]
    client = Client(replace(SHORT, retries=9) if fault in HANGING else QUICK)
    assert get(server, tmp_path, client=client) == CONTENT
    assert server.count("a.dcm") == 3 or (fault in HANGING and server.count("a.dcm") > 3)
    assert client.meter.n_bytes == len(CONTENT)  # what came in vain does not count


@pytest.mark.parametrize(
    ("fault", "reason", "words", "tries"),
    [("503*", "unreachable", "answers 503 (no); tried 4 times", 4), ("500*", "unreachable", "answers 500", 4),
     ("cut*", "unreachable", "cut off after 51200 of 102400 bytes; tried 4", 4),
     ("never*", "unreachable", "no byte", 4), ("trickle*", "unreachable", "stalled at", 4),
     ("stall*", "unreachable", "no byte within the time-out after 51200", 4),
     ("wrong_byte*", "damaged", "other bytes; tried 4", 4), ("short*", "damaged", "other bytes", 4),
     ("html*", "refused", "page of HTML", 4), ("404", "unknown_series", "answers 404", 1),
     ("400", "unknown_series", "answers 400 (no)", 1), ("403", "refused", "answers 403", 1),
     ("429:3600", "unreachable", "asks to wait 3600 s; at most 2 s are", 1),
     ("redirect", "refused", "redirected to another host, elsewhere.example.org", 1),
     ("moved*", "refused", "more than 5 times", 6)],
)  # fmt: skip
def test_what_does_not_pass_is_given_up(fault, reason, words, tries, server, tmp_path):
    server.faults["a.dcm"] = [fault]
    with pytest.raises(Refusal, match=words.replace("(", r"\(").replace(")", r"\)")) as error:
        get(server, tmp_path, SHORT if fault.rstrip("*") in HANGING else QUICK)
    assert error.value.reason == reason
    assert server.count("a.dcm") == tries
    assert not (tmp_path / "a.dcm").exists()


def test_a_redirect_on_the_same_host_is_followed(server, tmp_path):
    server.faults["a.dcm"] = ["moved"]
    assert get(server, tmp_path) == CONTENT


def test_the_wait_that_a_server_asks_for_is_kept(server, tmp_path):
    server.faults["a.dcm"] = ["503:1"]
    start = time.monotonic()
    get(server, tmp_path)
    assert 1 <= time.monotonic() - start < 10
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    assert 1.5 < wait_of(date) <= 3
    assert wait_of("7") == 7 and wait_of("soon") is None and wait_of(None) is None
    assert wait_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_nobodys_keys_are_sent(server, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    for name, value in {"HOME": tmp_path, "NETRC": tmp_path / ".netrc", "AWS_ACCESS_KEY_ID": "AKIA",
                        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "t"}.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    get(server, tmp_path)
    (headers,) = server.headers_seen
    assert set(headers) == {"host", "accept", "accept-encoding", "user-agent"}


def test_a_connection_serves_more_than_one_request(server, tmp_path):
    client, opened = Client(QUICK), []
    real = socket.socket.connect
    socket.socket.connect = lambda self, address: (opened.append(address), real(self, address))[1]
    try:
        for _ in range(5):
            get(server, tmp_path, client=client)
    finally:
        socket.socket.connect = real
    assert len(opened) == 1


def test_a_connection_that_the_server_closed_meanwhile_costs_no_try(server, tmp_path):
    client = Client(Limits(retries=0))
    get(server, tmp_path, client=client)
    with client._lock:
        (connection,) = client._open
    connection.sock.shutdown(socket.SHUT_RDWR)
    assert get(server, tmp_path, client=client) == CONTENT


def test_proxies_of_the_environment(server, tmp_path, monkeypatch):
    """The stand-in as a proxy: it gets the whole URL, and the proxy's own password alone."""
    monkeypatch.setenv("http_proxy", server.address.replace("//", "//me:se%40cret@"))
    seen = Client(QUICK)
    assert get(server, tmp_path, url="http://data.example.org/open-data/a.dcm", client=seen) == CONTENT
    assert server.asked == ["http://data.example.org/open-data/a.dcm"]
    assert server.headers_seen[0]["proxy-authorization"] == "Basic bWU6c2VAY3JldA=="
    assert server.headers_seen[0]["host"] == "data.example.org"
    monkeypatch.setenv("no_proxy", "example.com,127.0.0.1")
    assert get(server, tmp_path, client=Client(QUICK)) == CONTENT
    assert server.asked[-1] == f"/{BUCKET}/a.dcm" and "proxy-authorization" not in server.headers_seen[-1]
    monkeypatch.setenv("https_proxy", server.address)
    with pytest.raises(Refusal, match="unnel") as error:  # CONNECT is 501 of the stand-in
        get(server, tmp_path, url="https://data.example.org/a.dcm", client=Client(QUICK))
    assert error.value.reason == "unreachable"
    monkeypatch.setenv("https_proxy", "socks5://localhost:1")
    with pytest.raises(Refusal, match="socks5"):
        get(server, tmp_path, url="https://data.example.org/a.dcm", client=Client(QUICK))


@pytest.fixture
def encrypted(server, tmp_path):
    """The stand-in behind TLS with a certificate of its own, for localhost."""
    pem = tmp_path / "own.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout own.pem -out c.pem"
    )
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no openssl to make a certificate with")
    with open(pem, "a") as stream:
        stream.write((tmp_path / "c.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return f"https://localhost:{server.server_address[1]}/{BUCKET}/a.dcm", tmp_path / "c.pem"


def test_certificates_are_checked_against_those_of_the_environment(encrypted, server, tmp_path, monkeypatch):
    url, certificate = encrypted
    with pytest.raises(Refusal, match="certificate of localhost is not trusted") as error:
        get(server, tmp_path, url=url)
    assert error.value.reason == "refused"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(server, tmp_path, url=url) == CONTENT
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(UserError, match="SSL_CERT_FILE .*gone.pem cannot be read: No such file"):
        Client(QUICK)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert get(server, tmp_path, url=url, client=Client(QUICK, certificate)) == CONTENT
    with pytest.raises(Refusal, match="not trusted"):  # trusted, and of another name
        get(server, tmp_path, url=url.replace("localhost", "127.0.0.1"), client=Client(QUICK, certificate))


def test_a_redirect_away_from_encryption_is_refused(encrypted, server, tmp_path):
    url, certificate = encrypted
    server.elsewhere, server.faults["a.dcm"] = url.replace("https", "http"), ["redirect"]
    with pytest.raises(Refusal, match="http, which is not encrypted"):
        get(server, tmp_path, url=url, client=Client(QUICK, certificate))


def test_a_host_that_is_not_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Refusal, match="efused") as error:
        get(None, tmp_path, url=address)
    assert error.value.reason == "unreachable"


def test_an_end_is_an_end_at_once(server, tmp_path):
    server.faults["a.dcm"] = ["stall*"]
    client = Client(Limits(timeout_s=30))
    threading.Timer(0.3, client.abort).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        get(server, tmp_path, client=client)
    assert time.monotonic() - start < 10
    with pytest.raises(Stopped):
        get(server, tmp_path, client=client)


def test_a_full_disk_is_no_fault_of_the_server(server, tmp_path):
    part_of(tmp_path / "a.dcm").symlink_to("/dev/full")
    with pytest.raises(DiskError, match="No space left"):
        get(server, tmp_path)
    assert server.count("a.dcm") == 1


@pytest.mark.parametrize(
    "url", ["ftp://x", "s3://bucket", "http://", "localhost:80", "https://x/?a=1", "https://x/#a", "http://a b", "http://x:0"]
)  # fmt: skip
def test_an_endpoint_is_an_address(url):
    with pytest.raises(UserError, match="--idc_endpoint .* is no address"):
        check_endpoint(url, "--idc_endpoint")


def test_an_endpoint_has_no_password():
    with pytest.raises(UserError, match="anonymous") as error:
        check_endpoint("https://me:secret@host", "--idc_endpoint")
    assert "secret" not in str(error.value)
    assert check_endpoint(" https://storage.googleapis.com/ ", "") == "https://storage.googleapis.com"
