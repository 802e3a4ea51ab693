"""Listings of S3, page by page, and objects against them."""

import hashlib
import shutil
import subprocess

import pytest
from download_servers import draw_collection, running, serve
from pipeline_run import ROOT

from ct4bench.core.errors import Refusal
from ct4bench.download.folders import BY_MD5, BY_SIZE
from ct4bench.download.idc import Idc, parse_listing
from ct4bench.download.transport import Client, Faulty, Limits

QUICK = Limits(timeout_s=20, retries=2, back_off_s=0.01)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_collection(tmp_path_factory.mktemp("drawn"), scanners=["A1"], repetitions=1)


@pytest.fixture
def server(drawn, tmp_path):
    with running(serve(*drawn, tmp_path / "table.csv")) as started:
        yield started


def listed(server, row, role="ct"):
    return Idc(Client(QUICK), server.address).list_items(row, role, None)


def test_a_listing_is_read_to_its_last_page(server, drawn):
    server.page_size = 2
    (row,) = drawn[0]
    items = listed(server, row)
    assert {item.key for item in items} == {key for key in drawn[1] if key.startswith(row.crdc_series_uuid)}
    assert server.count("list-type=2") == 3  # five objects and the folder's own key
    assert all(item.n_bytes == len(drawn[1][item.key]) for item in items)


@pytest.mark.parametrize("fault", ["500", "cut", "short", "html", "empty"])
def test_a_page_that_is_none_is_asked_for_again(fault, server, drawn):
    server.faults["list-type"] = [fault]
    assert len(listed(server, drawn[0][0])) == 5
    assert server.count("list-type") == 2


def test_a_series_that_is_not_there_or_not_as_many_objects_is_refused(server, drawn):
    (row,) = drawn[0]
    with pytest.raises(Refusal, match="nothing below") as error:
        listed(server, row._replace(crdc_series_uuid="0" * 8 + "-0000" * 3 + "-" + "0" * 12))
    assert error.value.reason == "unknown_series"
    with pytest.raises(Refusal, match="6 objects of its CT series, the table 7|5 objects .* the table 7") as error:
        listed(server, row._replace(n_instances=7))
    assert error.value.reason == "incomplete_series"
    server.faults["list-type"] = ["one_less"]
    with pytest.raises(Refusal, match="4 objects"):
        listed(server, row)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_the_one_liners_of_the_docs_count_and_verify(server, drawn, tmp_path):
    """As they stand in docs/download.md, but for the address, the bucket and the series."""
    text = (ROOT / "docs" / "download.md").read_text()
    lines = text[text.index("## Is the server there?") :].split("```bash")[1].split("# TCIA")[0]
    (row,) = drawn[0]
    for known, own in (
        ("https://s3.amazonaws.com", server.address), ("https://storage.googleapis.com", server.address),
        ("idc-open-data", row.bucket), ("6a93facb-ad4d-4d56-bd8d-1b8cd4d3abfa", row.crdc_series_uuid),
    ):  # fmt: skip
        assert known in lines
        lines = lines.replace(known, own)
    done = subprocess.run(["bash", "-euc", lines], cwd=tmp_path, text=True, capture_output=True, check=True)
    here, there, digest = done.stdout.split("\n")[:3]
    assert here.strip() == there.strip() == str(row.n_instances + 1)
    key = (tmp_path / "key.txt").read_text().strip()
    assert key.startswith(f"{row.crdc_series_uuid}/")
    assert digest.split()[0] == hashlib.md5(drawn[1][key], usedforsecurity=False).hexdigest()


PAGE = b'<ListBucketResult xmlns="u"><IsTruncated>%s</IsTruncated>%s</ListBucketResult>'
ITEM = b"<Contents><Key>%s</Key><Size>%s</Size><ETag>&quot;%s&quot;</ETag></Contents>"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html/>", b"<Error/>", PAGE % (b"true", ITEM % (b"k", b"many", b"")), PAGE % (b"false", b"<Contents/>"),
     b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + PAGE % (b"false", b"")],
)  # fmt: skip
def test_what_is_no_listing(body):
    with pytest.raises(Faulty):
        parse_listing(body)


def test_a_page_has_its_token_only_where_more_follow():
    token = b"<NextContinuationToken>t&amp;1</NextContinuationToken>"
    assert parse_listing(PAGE % (b"true", ITEM % (b"k", b"3", b"AB") + token)) == ([("k", 3, "ab")], "t&1")
    assert parse_listing(PAGE % (b"false", token)) == ([], "")


@pytest.mark.parametrize("name", ["../x.dcm", "a/b.dcm", ".hidden.dcm", "x.exe", "x y.dcm", "ü.dcm"])
def test_a_key_that_is_no_name_of_a_file_is_refused(name, server, drawn, tmp_path):
    (row,) = drawn[0]
    server.objects[f"{row.crdc_series_uuid}/{name}"] = b"x"
    with pytest.raises(Refusal, match="has the key") as error:
        listed(server, row)
    assert error.value.reason == "refused"


def test_an_etag_of_parts_is_no_md5_and_the_file_says_what_vouches_for_it(server, drawn, tmp_path):
    (row,) = drawn[0]
    (key,) = (key for key in drawn[1] if key.startswith(row.seg_crdc_series_uuid))
    source = Idc(Client(QUICK), server.address)
    for etag, checked in (("", BY_MD5), ("0123456789abcdef0123456789abcdef-2", BY_SIZE)):
        server.etags[key] = etag
        (item,) = source.list_items(row, "seg", tmp_path)
        (file,) = source.fetch(row, item, tmp_path)
        assert file.checked == checked
        assert (tmp_path / file.name).read_bytes() == drawn[1][key] and file.name.startswith("seg_")
        (tmp_path / file.name).unlink()
    server.faults[key] = ["short*"]
    with pytest.raises(Refusal, match="came with") as error:
        source.fetch(row, item, tmp_path)
    assert error.value.reason == "damaged"


def test_google_names_the_md5_in_a_header(server, drawn, tmp_path, monkeypatch):
    (row,) = drawn[0]
    (key,) = (key for key in drawn[1] if key.startswith(row.seg_crdc_series_uuid))
    server.etags[key] = "0-1"
    plain = server.RequestHandlerClass.body
    hashes = "crc32c=n03x6A==,md5=XrY7u+Ae7tCTyyK7j1rNww=="  # of 'hello world'
    monkeypatch.setattr(
        server.RequestHandlerClass, "body", lambda self, *a, **k: plain(self, *a, **{**k, "x-goog-hash": hashes})
    )
    source = Idc(Client(QUICK), server.address)
    (item,) = source.list_items(row, "seg", tmp_path)
    with pytest.raises(Refusal, match="5eb63bbbe01eeed093cb22bb8f5acdc3"):
        source.fetch(row, item, tmp_path)


def test_an_object_that_is_there_is_asked_for_only_where_it_differs(server, drawn, tmp_path):
    (row,) = drawn[0]
    source = Idc(Client(QUICK), server.address)
    items = source.list_items(row, "ct", tmp_path)
    files = [file for item in items for file in source.fetch(row, item, tmp_path)]
    damaged = tmp_path / files[2].name
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    asked = len(server.asked)
    again = [file for item in items for file in source.fetch(row, item, tmp_path)]
    assert [file.md5 for file in again] == [file.md5 for file in files]
    assert len(server.asked) == asked + 1 and damaged.read_bytes() == content
