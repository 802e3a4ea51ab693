"""Forty series from local servers with every fault, killed at ten moments, resumed; the bound on requests; the end."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from download_servers import draw_collection, md5, running, serve
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.download.fetch import Download, Progress, duration
from ct4bench.download.folders import Folders, claim, is_whole, read_state, tidy
from ct4bench.download.merge import list_absent, list_missing, refuse_missing, series_table
from ct4bench.download.plan import announce, bytes_needed, free_bytes, to_fetch
from ct4bench.download.sources import SOURCES, check_endpoints, make_source
from ct4bench.download.transport import Client, Limits, Meter, Stopped
from ct4bench.parts.stream import fetch_part

QUICK = Limits(timeout_s=20, retries=3, back_off_s=0.01, longest_wait_s=2, least_rate=100)
SCRIPT = ROOT / "bin" / "download_series.py"


@pytest.fixture(scope="session")
def forty(tmp_path_factory):
    """Rows, objects and files of 40 series: two scanners, two doses, ten repetitions."""
    return draw_collection(tmp_path_factory.mktemp("forty"), doses=(10, 14), repetitions=10)


@pytest.fixture
def server(forty, tmp_path):
    with running(serve(*forty, tmp_path / "table.csv")) as started:
        yield started


def endpoint(server, source):
    return server.address + {"idc": "", "tcia": "/nbia"}[source]


def download(server, rows, folder, source="idc", parallel=4, limits=QUICK) -> Download:
    client, folders = Client(limits), Folders(folder)
    folders.make()
    made = make_source(source, client, endpoint(server, source))
    return Download(to_fetch(rows, folders), made, client, folders, parallel)


def is_as_served(folder, row, series) -> bool:
    """Whether a folder has the bytes of both series and nothing else: against what the server was given."""
    there = sorted(md5(path.read_bytes()) for path in (folder / "dicom" / row.series_instance_uid).iterdir())
    due = [content for uid in (row.series_instance_uid, row.seg_series_instance_uid) for content in series[uid]]
    return there == sorted(map(md5, due))


def whole(folder) -> set[str]:
    return {path.name for path in (Path(folder) / "dicom").iterdir() if path.name != ".part"}


FAULTS = {
    "idc": {"429": 6, "500": 6, "503": 6, "cut": 6, "wrong_byte": 6, "short": 6, "html": 3, "stall": 1},
    "tcia": {"429": 3, "500": 3, "503": 3, "cut": 3, "wrong_byte": 3, "short_zip": 3, "html": 2, "stall": 1},
}


@pytest.mark.parametrize("source", SOURCES)
def test_forty_series_come_whole_through_every_fault(source, server, forty, tmp_path):
    rows, _, series = forty
    for number, (name, n) in enumerate(FAULTS[source].items()):  # in different series and objects
        for k in range(n):
            row = rows[(5 * number + 3 * k) % 40]
            uid, uuid = row.series_instance_uid, row.crdc_series_uuid
            server.faults[f"/{uuid}/" if source == "idc" else f"getImage?SeriesInstanceUID={uid}&"].append(name)
    # one stalls: as short as a busy machine lets it be
    made = download(server, rows, tmp_path, source, limits=replace(QUICK, timeout_s=3, retries=6))
    assert made.run() == []
    assert not any(server.faults.values())  # each fault was met
    assert whole(tmp_path) == {row.series_instance_uid for row in rows}
    assert all(is_as_served(tmp_path, row, series) for row in rows)
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob(".*"))
    assert server.most_at_once <= 4
    table = series_table(rows, made.folders)
    assert set(table["checked_by"]) == {"md5"} and set(table["source"]) == {source} and set(table["n_files"]) == {6}


def test_marks_of_killed_processes_are_removed_and_those_of_living_ones_kept(tmp_path):
    folders = Folders(tmp_path)
    folders.make()
    folders.part("").mkdir()
    folders.part("1.2.lock").touch()  # killed after its series had its name
    folders.part("1.4").mkdir()  # given up
    with claim(folders, "1.3"):
        tidy(folders)
        assert sorted(path.name for path in folders.part("").iterdir()) == ["1.3", "1.3.lock"]
    tidy(folders)
    assert not folders.part("").exists()


def test_a_series_that_never_comes_costs_no_other(server, forty, tmp_path):
    rows, _, series = forty
    bad = {"404*": rows[3], "500*": rows[11], "wrong_byte*": rows[20], "redirect*": rows[30]}
    for fault, row in bad.items():
        server.faults[f"/{row.crdc_series_uuid}/"] = [fault]
    made = download(server, rows, tmp_path)
    found = {item.row: item.reason for item in made.run()}
    assert found == dict(zip(bad.values(), ["unknown_series", "unreachable", "damaged", "refused"], strict=True))
    assert whole(tmp_path) == {row.series_instance_uid for row in rows if row not in found}
    assert all(is_as_served(tmp_path, row, series) for row in rows if row not in found)
    # later, the missing ones only, and of these what is not there yet
    server.faults.clear()
    server.asked.clear()
    assert download(server, rows, tmp_path).run() == []
    assert {path.split("prefix=")[1].rstrip("/") for path in server.asked if "prefix" in path} == {
        uuid for row in bad.values() for uuid in (row.crdc_series_uuid, row.seg_crdc_series_uuid)
    }
    assert all(is_as_served(tmp_path, row, series) for row in rows)
    server.asked.clear()
    assert download(server, rows, tmp_path).run() == [] and server.asked == []


def _child(server_address, rows, folder, source):
    """Forked, so that a kill costs no start of Python."""
    client, folders = Client(QUICK), Folders(folder)
    made = make_source(source, client, server_address)
    Download(to_fetch(rows, folders), made, client, folders, 4).run()


@pytest.mark.parametrize("source", SOURCES)
def test_killed_at_ten_moments_and_resumed(source, server, forty, tmp_path):
    rows, _, series = forty
    folders = Folders(tmp_path)
    folders.make()
    server.delay_s = 0.005
    fork, asked, of_whole = multiprocessing.get_context("fork"), 0, []
    for moment in range(10):
        child = fork.Process(target=_child, args=(endpoint(server, source), rows, tmp_path, source))
        child.start()
        due = len(server.asked) + (3 + 4 * moment if source == "idc" else 3 + moment)
        while len(server.asked) < due and child.is_alive():
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        of_whole.append(whole(tmp_path))
        # nothing has its final name that is not whole
        assert all(is_as_served(tmp_path, row, series) for row in rows if row.series_instance_uid in of_whole[-1])
    assert all(before <= after for before, after in zip(of_whole, of_whole[1:], strict=False)) and of_whole[-1]
    asked = len(server.asked)
    made = download(server, rows, tmp_path, source)
    assert 0 < len(made.waiting) < 40 and made.run() == []
    assert all(is_as_served(tmp_path, row, series) for row in rows)
    assert not list(tmp_path.rglob("*.part"))
    # a kill costs at most what was in flight: four requests; their series are listed once more
    in_all = 40 * 8 if source == "idc" else 40 * 2
    cost = (4 + 8 + 2) if source == "idc" else (4 + 2)
    assert len(server.asked) <= in_all + 11 * cost, (asked, len(server.asked))


@pytest.mark.parametrize("parallel", [1, 3])
def test_no_more_requests_at_once_than_allowed_listings_included(parallel, server, forty, tmp_path):
    server.delay_s = 0.01
    rows = forty[0][:6]
    for source in SOURCES:
        assert download(server, rows, tmp_path / source, source, parallel).run() == []
        assert server.most_at_once == parallel


def test_what_changed_on_the_disk_is_fetched_again(server, forty, tmp_path):
    rows, _, series = forty[0][:4], *forty[1:]
    assert download(server, rows, tmp_path).run() == []
    folders = Folders(tmp_path)
    folder = [tmp_path / "dicom" / row.series_instance_uid for row in rows]
    files = [sorted(path.iterdir()) for path in folder]
    files[0][0].unlink()
    content = files[1][1].read_bytes()
    files[1][1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    files[2][2].touch()  # not changed
    shutil.rmtree(folders.download)  # a folder without its states is verified again, not trusted
    assert [is_whole(folders, row) for row in rows] == [False] * 4
    server.asked.clear()
    assert download(server, rows, tmp_path).run() == []
    assert all(is_as_served(tmp_path, row, series) for row in rows)
    assert sum("prefix" not in path for path in server.asked) == 2
    os.utime(files[2][2], ns=(10**18, 10**18))
    assert [is_whole(folders, row) for row in rows] == [True] * 4
    content = files[3][3].read_bytes()
    files[3][3].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(files[3][3], ns=(10**18, 10**18))
    assert [is_whole(folders, row) for row in rows] == [True, True, True, False]
    assert not is_whole(folders, rows[0]._replace(crdc_series_uuid=rows[1].crdc_series_uuid))


def edited(series, row, edit) -> list[bytes]:
    """Files of a series with a header changed."""
    from io import BytesIO

    found = []
    for number, content in enumerate(series[row.series_instance_uid]):
        dataset = pydicom.dcmread(BytesIO(content))
        edit(number, dataset)
        stream = BytesIO()
        dataset.save_as(stream)
        found.append(stream.getvalue())
    return found


@pytest.mark.parametrize(
    ("edit", "words"),
    [(lambda n, d: setattr(d, "SeriesInstanceUID", "1.2.3"), "is of the series 1.2.3"),
     (lambda n, d: setattr(d, "SOPInstanceUID", "1.2.4"), "of another file"),
     (lambda n, d: setattr(d, "ImagePositionPatient", [0, 0, 100 + n + (n > 2)]), "missing_slices"),
     (lambda n, d: setattr(d, "PixelData", d.PixelData[:100]), "unreadable")],
)  # fmt: skip
def test_faithful_copies_of_what_is_not_the_series(edit, words, server, forty, tmp_path):
    row, _, series = forty[0][0], *forty[1:]
    keys = sorted(key for key in server.objects if key.startswith(row.crdc_series_uuid))
    server.objects |= dict(zip(keys, edited(series, row, edit), strict=True))
    (item,) = download(server, [row], tmp_path).run()
    assert item.reason == "wrong_content" and words in item.detail
    assert whole(tmp_path) == set()


def test_what_the_index_will_refuse_is_kept_as_the_source_has_it(server, forty, tmp_path, caplog):
    row, _, series = forty[0][0], *forty[1:]
    keys = sorted(key for key in server.objects if key.startswith(row.crdc_series_uuid))
    tilted = edited(series, row, lambda n, d: setattr(d, "ImagePositionPatient", [0, 2.0 * n, 100 + 1.25 * n]))
    server.objects |= dict(zip(keys, tilted, strict=True))
    caplog.set_level("INFO")
    assert download(server, [row], tmp_path).run() == []
    assert "the index will say gantry_tilt" in caplog.text


def test_a_server_that_is_down_is_not_asked_for_every_series(server, forty, tmp_path):
    server.faults["/"] = ["503*"]
    made = download(server, forty[0], tmp_path, parallel=2, limits=Limits(retries=1, back_off_s=0))
    reasons = pd.Series([item.reason for item in made.run()]).value_counts().to_dict()
    assert reasons["unreachable"] < 14 and reasons["unreachable"] + reasons["not_tried"] == 40


def test_two_processes_do_not_fetch_one_series(server, forty, tmp_path):
    rows = forty[0][:3]
    server.faults[rows[0].crdc_series_uuid] = ["never"]
    child = multiprocessing.get_context("fork").Process(
        target=_child, args=(endpoint(server, "idc"), rows[:1], tmp_path, "idc")
    )
    Folders(tmp_path).make()
    child.start()
    while not server.asked:
        time.sleep(0.01)
    try:
        (item,) = download(server, rows, tmp_path).run()
        assert (item.row, item.reason) == (rows[0], "not_tried") and "another process" in item.detail
    finally:
        child.kill()
        child.join()
    assert download(server, rows, tmp_path).run() == []


def test_files_of_a_users_are_not_taken_away(server, forty, tmp_path):
    row = forty[0][0]
    mine = tmp_path / "dicom" / row.series_instance_uid / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("my notes")
    (item,) = download(server, [row], tmp_path).run()
    assert "mine.txt, which is not of the series" in item.detail
    assert [path.read_text() for path in tmp_path.rglob("mine.txt")] == ["my notes"]


def test_leftovers_of_another_version_of_a_series_go(server, forty, tmp_path):
    row, _, series = forty[0][0], *forty[1:]
    server.series[row.series_instance_uid], own = (
        series[forty[0][1].series_instance_uid],
        series[row.series_instance_uid],
    )
    (item,) = download(server, [row], tmp_path, "tcia").run()
    assert item.reason == "wrong_content" and "is of the series" in item.detail
    server.series[row.series_instance_uid] = own
    assert download(server, [row], tmp_path, "tcia").run() == []
    assert is_as_served(tmp_path, row, series)


def test_a_link_in_the_place_of_a_series_is_left_alone(server, forty, tmp_path):
    rows = forty[0][:2]
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out" / "dicom" / rows[0].series_instance_uid
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    (item,) = download(server, rows, tmp_path / "out").run()
    assert (item.row, item.reason) == (rows[0], "not_tried") and link.is_symlink()


def test_a_disk_that_cannot_be_written_ends_the_download(server, forty, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    made = download(server, forty[0], tmp_path, parallel=1)
    reasons = [item.reason for item in made.run()]
    assert reasons[0] == "disk" and set(reasons[1:]) <= {"not_tried", "disk"} and len(reasons) == 40
    assert len(server.asked) < 20


def test_states_say_what_vouches_for_each_file(server, forty, tmp_path):
    row, objects, _ = forty[0][0], *forty[1:]
    (key,) = (key for key in objects if key.startswith(row.seg_crdc_series_uuid))
    server.etags[key] = "0123456789abcdef0123456789abcdef-2"
    made = download(server, [row], tmp_path)
    made.run()
    state = json.loads((tmp_path / "download" / "state" / f"{row.series_instance_uid}.json").read_text())
    assert {(file["role"], file["checked"]) for file in state["files"]} == {("ct", "md5"), ("seg", "size and UIDs")}
    assert read_state(made.folders.state(row.series_instance_uid)).checked == "size and UIDs"
    assert state["n_bytes"] == sum(file["n_bytes"] for file in state["files"]) == row.n_bytes


def run(server, folder, *arguments, source="idc", **environment):
    command = [sys.executable, SCRIPT, "--output", folder, "--table", folder.parent / "table.csv", "--source", source]
    command += [f"--{source}_endpoint", endpoint(server, source), "--back_off", "0.01", *arguments]
    return subprocess.run(list(map(str, command)), text=True, capture_output=True, env={**os.environ, **environment})


def test_the_script_says_what_it_does_and_what_is_missing(server, forty, tmp_path):
    rows = forty[0]
    lost = rows[1]
    server.faults[f"/{lost.crdc_series_uuid}/"] = ["404*"]
    choice = ["--scanners", "A1", "--doses", "10", "--repetitions", "1-3"]
    planned = run(server, tmp_path / "out", *choice, "--plan_only")
    assert planned.returncode == 0 and not (tmp_path / "out").exists() and server.asked == []
    assert "3 series (A1 at 10 mGy, IR)" in planned.stderr and "at 100 Mbit/s" in planned.stderr
    done = run(server, tmp_path / "out", *choice)
    assert done.returncode == 2, done.stderr
    assert "ERROR: 1 of 3 series are missing (unknown_series 1)" in done.stderr and "missing.csv" in done.stderr
    (missing,) = pd.read_csv(tmp_path / "out" / "download" / "missing.csv").itertuples()
    assert (missing.series_uid, missing.scanner, missing.dose_mgy, missing.repetition, missing.reason) == (
        lost.series_instance_uid, "A1", 10, 2, "unknown_series")  # fmt: skip
    assert len(pd.read_csv(tmp_path / "out" / "download" / "series.csv")) == 2
    server.faults.clear()
    again = run(server, tmp_path / "out", *choice)
    assert again.returncode == 0 and "1 of them" in again.stderr
    assert len(pd.read_csv(tmp_path / "out" / "download" / "missing.csv")) == 0


REFUSED_FIRST = [
    (["--tcia_endpoint", "ftp://x"], "--tcia_endpoint ftp://x is no address"),
    (["--parallel", "0"], "--parallel 0 is not 1 to 1000000"),
    (["--timeout", "nan"], "--timeout nan is not 1 to"),
    (["--certificates", "none.pem"], "--certificates none.pem cannot be read: No such file"),
    (["--certificates", SCRIPT], "holds no certificate; give a file of PEM"),
    (["--scanners", ","], "--scanners ',' names nothing; the table has A1, D1"),
    (["--output", "{file}"], "is a file, and a download needs a folder of that name; name another"),
    (["--output", "{file}/below"], "is a file, and a download needs a folder of that name; name another"),
]


@pytest.mark.parametrize(("more", "words"), REFUSED_FIRST, ids=lambda value: str(value[1:])[:40])
def test_what_is_wrong_is_refused_before_anything_is_said(more, words, server, tmp_path):
    (tmp_path / "file").touch()
    done = run(server, tmp_path / "out", *(str(word).replace("{file}", str(tmp_path / "file")) for word in more))
    assert done.returncode == 2 and words in done.stderr
    assert done.stderr.count("\n") == 1 and "Errno" not in done.stderr
    assert not (tmp_path / "out").exists() and server.asked == []


def test_an_endpoint_that_is_not_asked_is_named(server, tmp_path):
    done = run(server, tmp_path / "out", "--tcia_endpoint", "https://nbia.example.org", "--plan_only")
    assert "--tcia_endpoint https://nbia.example.org is not asked: the source is idc" in done.stderr
    assert check_endpoints("tcia", {"idc": None, "tcia": "https://nbia.example.org"}) == ""


def test_a_plan_says_and_refuses_the_same(server, tmp_path):
    def plan(*more):
        command = [sys.executable, ROOT / "bin" / "plan_download.py", "--table", tmp_path / "table.csv"]
        command += ["--part_size", "4", "--folder", tmp_path / "results", "--output", tmp_path / "plan", *more]
        return subprocess.run(list(map(str, command)), text=True, capture_output=True)

    (tmp_path / "results").touch()
    assert "is a file, and a download needs" in plan().stderr
    (tmp_path / "results").unlink()
    streamed = ("--max_disk", "9", "--domain", "scanner", "--feature_doses", "1O")
    for more, words in (
        (("--idc_endpoint", "host"), "--idc_endpoint host is no address"),
        (streamed, "'1O' is no dose in mGy; write 10"), (("--part_size", "0"), "'0' is no whole number of at least 1"),
        (("--max_disk", "nan"), "--max_disk nan is no number of GB above 0"),
        (("--repetitions", "11"), "--repetitions 11: no series of 11 in the table; it has 1-10"),
    ):  # fmt: skip
        done = plan(*more)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists() and not (tmp_path / "plan").exists()
    assert plan("--idc_endpoint", server.address, "--source", "tcia").returncode == 0
    said = (tmp_path / "plan" / "announcement.txt").read_text()
    assert said.endswith(f"requests at once; --idc_endpoint {server.address} is not asked: the source is tcia\n")


def test_a_signal_ends_it_within_ten_seconds(server, forty, tmp_path):
    rows = forty[0]
    for row in rows[5:]:
        server.faults[f"/{row.crdc_series_uuid}/"] = ["stall*"]
    command = [sys.executable, SCRIPT, "--output", tmp_path / "out", "--table", tmp_path / "table.csv"]
    command += ["--idc_endpoint", server.address]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    while sum("prefix" not in path for path in server.asked) < 36:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    assert "ended by signal 15" in process.stderr.read()
    missing = pd.read_csv(tmp_path / "out" / "download" / "missing.csv")
    assert set(missing["series_uid"]) == {row.series_instance_uid for row in rows} - whole(tmp_path / "out")
    assert set(missing["reason"]) == {"not_tried"}


def test_an_abort_is_seen_by_the_loop(server, forty, tmp_path):
    made = download(server, forty[0], tmp_path)
    made.client.abort()
    with pytest.raises(Stopped):
        made.run()


def test_before_it_starts_it_says_how_much_and_refuses_a_small_disk(server, forty, tmp_path, monkeypatch):
    rows, folders = forty[0], Folders(tmp_path)
    text = announce(rows, rows, "idc", folders, 8)
    assert "40 series (A1, D1 at 10, 14 mGy, IR)" in text and f"{sum(r.n_bytes for r in rows) / 1e6:.1f} MB" in text
    assert "already" in announce(rows, [], "idc", folders, 8)
    large = [row._replace(size_mb=free_bytes(tmp_path) / 1e6 / 20) for row in rows]
    with pytest.raises(UserError, match="40 series take .* GB free; ask for fewer"):
        announce(large, large, "idc", folders, 8)
    assert "at 10 Mbit/s" in announce(large, large[:19], "idc", folders, 8)
    # a zip lies beside what it is unpacked to
    assert bytes_needed(rows, "tcia", 2) - bytes_needed(rows, "idc", 2) == 2 * max(row.n_bytes for row in rows)


def test_progress_has_a_rate_and_what_is_left():
    clock = iter([0.0, 0.0, 10.0, 20.0, 100.0])
    meter = Meter()
    progress = Progress(10, 10_000_000_000, meter, lambda: next(clock))
    meter.add(1_000_000_000)
    progress.n_done = 1
    assert progress.line() == "1 of 10 series, 1.00 GB of 10.00 GB, 100.0 MB/s, 90 s left".replace("90 s", "2 min")
    progress.n_missing, progress.without = 2, 2_000_000_000
    assert progress.line().startswith("1 of 10 series, 2 given up, 1.00 GB of 10.00 GB, 50.0 MB/s")
    assert progress.line().endswith("0.0 MB/s, no byte came")  # of the last minute
    assert [duration(s) for s in (5, 89, 600, 20160)] == ["5 s", "89 s", "10 min", "5.6 h"]


def test_what_is_missing_is_an_error_that_names_the_first(forty, tmp_path):
    rows, folders = forty[0], Folders(tmp_path)
    missing = list_missing(rows, folders, {rows[0].series_instance_uid: ("damaged", "a\nb")})
    assert [item.reason for item in missing[:2]] == ["damaged", "not_tried"] and len(missing) == 40
    with pytest.raises(UserError, match=r"40 of 40 series are missing \(damaged 1, not_tried 39\)"):
        refuse_missing(missing, 40, folders)
    with pytest.raises(UserError, match="again with -resume asks"):  # a task that streamed has deleted its series
        refuse_missing(missing, 40, folders, streamed=True)
    refuse_missing([], 40, folders)


def test_a_part_that_lacks_a_series_is_dropped_and_says_why(server, forty, tmp_path):
    rows = forty[0][:3]
    server.faults[f"/{rows[1].crdc_series_uuid}/"] = ["404*"]
    folders = Folders(tmp_path).stream("A1_10mGy_IR")

    def fetch():
        return fetch_part(
            rows, folders, lambda due: Download(due, make_source("idc", client, server.address), client, folders, 4),
            to_fetch(rows, folders),
        )  # fmt: skip

    client = Client(QUICK)
    missing, ended_by = fetch()
    assert [(item.row, item.reason) for item in missing] == [(rows[1], "unknown_series")] and ended_by == 0
    assert not folders.dicom.exists()
    told = pd.read_csv(folders.output / "download" / "missing.csv")
    assert list(told["series_uid"]) == [rows[1].series_instance_uid]
    server.faults.clear()
    assert fetch() == ([], 0)
    assert whole(folders.output) == {row.series_instance_uid for row in rows}
    # in the order of the manifest, with what never came
    series = pd.read_csv(folders.output / "download" / "series.csv", dtype=str)
    there, missing = list_absent(forty[0][:4][::-1], series, {})
    assert list(there["series_uid"]) == [row.series_instance_uid for row in rows[::-1]]
    assert [(item.row, item.reason) for item in missing] == [(forty[0][3], "not_tried")]


def test_what_a_killed_part_has_fetched_is_gone_on_with(server, forty, tmp_path):
    rows = forty[0][:4]
    server.faults[f"/{rows[3].crdc_series_uuid}/"] = ["never"]
    folders = Folders(tmp_path).stream("A1_10mGy_IR")
    folders.make()
    child = multiprocessing.get_context("fork").Process(
        target=_child, args=(server.address, rows, folders.output, "idc")
    )
    child.start()
    while len(whole(folders.output)) < 3:
        time.sleep(0.01)
    child.kill()
    child.join()
    server.asked.clear()
    client = Client(QUICK)
    source = make_source("idc", client, server.address)
    wanted = to_fetch(rows, folders)
    assert wanted == rows[3:]
    assert fetch_part(rows, folders, lambda due: Download(due, source, client, folders, 4), wanted) == ([], 0)
    assert len(pd.read_csv(folders.output / "download" / "series.csv")) == 4
