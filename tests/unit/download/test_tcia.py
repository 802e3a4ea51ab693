"""NBIA's zips: short ones that look whole, other bytes than their hashes, names that would be paths."""

from dataclasses import replace

import pytest
from download_servers import COLLECTION, draw_collection, md5, running, serve

from ct4bench.core.errors import Refusal
from ct4bench.download.tcia import Tcia, parse_series
from ct4bench.download.transport import Client, Faulty, Limits

QUICK = Limits(timeout_s=20, retries=2, back_off_s=0.01)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_collection(tmp_path_factory.mktemp("drawn"), scanners=["A1"], repetitions=1)


@pytest.fixture
def server(drawn, tmp_path):
    with running(serve(*drawn, tmp_path / "table.csv")) as started:
        yield started


@pytest.fixture
def source(server):
    return Tcia(Client(QUICK), f"{server.address}/nbia")


def fetched(source, row, folder, role="ct"):
    (item,) = source.list_items(row, role, folder)
    return source.fetch(row, item, folder)


def test_a_zip_becomes_files_named_by_their_sop_instance(source, drawn, tmp_path):
    (row,) = drawn[0]
    folder = tmp_path / "series"
    folder.mkdir()
    files = fetched(source, row, folder) + fetched(source, row, folder, "seg")
    assert sorted(file.md5 for file in files) == sorted(
        md5(content) for uid in (row.series_instance_uid, row.seg_series_instance_uid) for content in drawn[2][uid]
    )
    assert all(md5((folder / file.name).read_bytes()) == file.md5 for file in files)
    assert all(file.name.removeprefix("seg_").startswith("1.2.826.") for file in files)
    assert {path.name for path in folder.iterdir()} == {".ct.json", ".seg.json", *(file.name for file in files)}


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [("short_zip", "incomplete_series", "has no md5hashes.csv"), ("no_hashes", "incomplete_series", "no md5hashes.csv"),
     ("short_zip_with_hashes", "incomplete_series", "4 of 5 files"), ("wrong_hash", "damaged", "came with MD5"),
     ("blank_hash", "incomplete_series", "not of all of its files"), ("cut", "unreachable", "after"),
     ("wrong_byte", "damaged", "no whole zip|came with"), ("short", "damaged", "no whole zip"),
     ("empty", "damaged", "no whole zip"), ("html", "refused", "HTML"), ("500", "unreachable", "answers 500"),
     ("429", "unreachable", "answers 429"), ("stall", "unreachable", "time-out"), ("400", "unknown_series", "400")],
)  # fmt: skip
def test_a_zip_that_is_not_the_series(fault, reason, words, source, server, drawn, tmp_path):
    (row,) = drawn[0]
    source.list_items(row, "ct", tmp_path)  # whatever time that takes
    if fault == "stall":
        source.client.limits = replace(QUICK, timeout_s=0.5)
    elif fault != "400":
        server.faults["getImage"] = [fault]
        assert len(fetched(source, row, tmp_path)) == 5  # the second time
        assert server.count("getImage") == 2
        (tmp_path / ".ct.json").unlink()
    server.faults["getImage"] = [f"{fault}*"]
    with pytest.raises(Refusal, match=words) as error:
        fetched(source, row, tmp_path)
    assert error.value.reason == reason


def test_names_in_a_zip_are_no_paths(source, server, drawn, tmp_path):
    server.faults["getImage"] = ["paths"]
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    files = fetched(source, drawn[0][0], folder)
    assert len(files) == 5 and all((folder / file.name).is_file() for file in files)
    assert not list(tmp_path.rglob("*escaped*")) and set(tmp_path.rglob("*.dcm")) == set(folder.glob("*.dcm"))


def test_the_server_counts_the_files(source, server, drawn, tmp_path):
    (row,) = drawn[0]
    server.image_counts[row.series_instance_uid] = 9
    with pytest.raises(Refusal, match="TCIA has 9 objects of its CT series, the table 5") as error:
        fetched(source, row, tmp_path)
    assert error.value.reason == "incomplete_series"


def test_a_series_or_collection_that_is_not_there(source, server, drawn, tmp_path):
    (row,) = drawn[0]
    for other in (
        row._replace(series_instance_uid="1.2.3"),
        row._replace(collection="NSCLC"),
        row._replace(collection=""),
    ):
        with pytest.raises(Refusal) as error:
            fetched(source, other, tmp_path)
        assert error.value.reason == "unknown_series"
    assert server.count("getSeries") == 2  # one listing for each collection


def test_a_listing_that_does_not_come_is_asked_for_once_by_all_series(source, server, drawn, tmp_path):
    server.faults["getSeries"] = ["500*"]
    for _ in range(5):
        with pytest.raises(Refusal, match="answers 500"):
            fetched(source, drawn[0][0], tmp_path)
    assert server.count(f"getSeries?Collection={COLLECTION}") == 3


@pytest.mark.parametrize("body", [b"<html>", b"{}x", b'[{"SeriesInstanceUID": "1.2"}]', b'["a"]'])
def test_what_is_no_list_of_series(body):
    with pytest.raises(Faulty):
        parse_series(body)
    assert parse_series(b"") == parse_series(b" \n") == {}


def test_what_was_unpacked_is_not_asked_for_again_unless_it_changed(source, server, drawn, tmp_path):
    (row,) = drawn[0]
    files = fetched(source, row, tmp_path)
    assert fetched(source, row, tmp_path) == files and server.count("getImage") == 1
    path = tmp_path / files[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert [file.md5 for file in fetched(source, row, tmp_path)] == [file.md5 for file in files]
    assert server.count("getImage") == 2
