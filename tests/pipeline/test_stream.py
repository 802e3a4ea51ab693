"""A download that streams: it gives what the folder gives, its DICOM goes, what is missing is asked for again."""

import filecmp
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from download_servers import BUCKET, COLLECTION, running, serve, uuid_of
from pipeline_run import run_script

from ct4bench.core.tables import read_table
from ct4bench.download.fetch import Download
from ct4bench.download.folders import Folders
from ct4bench.download.manifest import Row, select
from ct4bench.download.sources import make_source
from ct4bench.download.transport import Client, Limits
from ct4bench.index.index import build_index
from ct4bench.index.write import write_index

pytestmark = pytest.mark.pipeline

ORIGIN = "-174.658203125,-340.158203125,24"
"""Of the twin's slab, which a run on the twin knows by itself."""


@pytest.fixture(scope="session")
def served(small_run):
    """Rows, objects and files of the small twin's series, as a source would have them."""
    rows, objects, series = [], {}, {}
    files = read_table(small_run.outdir / "index" / "files.parquet")
    for found in read_table(small_run.outdir / "index" / "series.csv").itertuples():
        own = files[files["series_uid"] == found.series_uid]
        ct, (seg,) = (
            [(small_run.outdir / "dicom" / f.root / f.folder / f.name).read_bytes() for f in part.itertuples()]
            for part in (own[own["role"] == "ct"], own[own["role"] == "seg"])
        )
        uuids = uuid_of(found.series_uid, "ct"), uuid_of(found.series_uid, "seg")
        objects |= {f"{uuids[0]}/{uuid_of(found.series_uid, n)}.dcm": content for n, content in enumerate(ct)}
        objects[f"{uuids[1]}/{uuid_of(found.series_uid, 'seg')}.dcm"] = seg
        series |= {found.series_uid: ct, found.seg_series_uid: [seg]}
        about = BUCKET, COLLECTION, found.scanner, f"{found.dose_mgy:g}", found.recon, int(found.repetition)
        sizes = len(ct), sum(map(len, ct)) / 1e6, 1, len(seg) / 1e6
        rows.append(Row(found.series_uid, found.seg_series_uid, *uuids, *about, *sizes))
    return rows, objects, series


@contextmanager
def watched(folder: Path):
    """Yield a list whose one number is the most bytes that a folder held."""
    most, over = [0], threading.Event()

    def look():
        while not over.wait(0.3):
            total = 0
            for path in folder.rglob("*"):
                try:
                    total += 0 if path.is_symlink() or not path.is_file() else path.stat().st_size
                except OSError:
                    continue
            most[0] = max(most[0], total)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


STREAMED = """
include { STREAM_FIRST ; STREAM } from './subworkflows/download/main'
include { INDEX ; INDEX_PARTS } from './subworkflows/input/main'
include { PREPROCESS_PARTS ; REFERENCE } from './subworkflows/preprocess/main'
workflow {
    STREAM_FIRST(params, 1)
    INDEX(params, STREAM_FIRST.out.roots)
    REFERENCE(params, STREAM_FIRST.out.roots, INDEX.out.index, '', new java.util.concurrent.ConcurrentHashMap())
    STREAM(params, 1, STREAM_FIRST.out.manifest, STREAM_FIRST.out.parts, STREAM_FIRST.out.room, REFERENCE.out.reference)
    INDEX_PARTS(params, STREAM.out.contents, [], '')
    PREPROCESS_PARTS(params, STREAM.out.registered, INDEX_PARTS.out.index, REFERENCE.out.choice)
    INDEX_PARTS.out.index.subscribe { folder -> println("MADE index ${folder}") }
    PREPROCESS_PARTS.out.transforms.subscribe { table -> println("MADE transforms ${table}") }
    PREPROCESS_PARTS.out.chunks.subscribe { meta, _rows, volumes ->
        println("MADE chunk ${meta.id} ${volumes.join(' ')}")
    }
}
"""


def dicom_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.dcm") if path.is_file()}


def choice(server, tmp_path) -> list:
    """Two series of one scanner: two parts."""
    given = ["--download", "idc", "--download_table", tmp_path / "table.csv", "--idc_endpoint", server.address]
    given += ["--scanners", "A1", "--doses", "10", "--domain", "recon", "--download_parallel", "4"]
    return [*given, f"--box_origin_mm={ORIGIN}", "--outdir", tmp_path / "results"]


def made_by(said: str) -> list[list[str]]:
    return [line.split()[1:] for line in said.splitlines() if line.startswith("MADE ")]


def test_what_streams_is_what_a_folder_gives_and_goes(served, small_run, tmp_path):
    rows = select(served[0], doses="10", scanners="A1")
    assert [row.recon for row in rows] == ["FBP", "IR"]
    outdir = tmp_path / "results"
    with running(serve(*served, tmp_path / "table.csv")) as server:
        status, said = run_script(STREAMED, tmp_path, *choice(server, tmp_path), "--max_disk", "0.9")
        assert status == 0, said
        assert server.most_at_once <= 4
        client, folders = Client(Limits()), Folders(tmp_path / "folder")
        folders.make()
        assert Download(rows, make_source("idc", client, server.address), client, folders, 8).run() == []
    assert dicom_below(tmp_path / "work") == set()
    assert {path.parts[:2] for path in dicom_below(outdir)} == {("download", "reference")}
    assert len(pd.read_csv(outdir / "download" / "missing.csv")) == 0
    assert list(pd.read_csv(outdir / "download" / "series.csv")["series_uid"]) == [r.series_instance_uid for r in rows]
    made = made_by(said)
    (index,) = (Path(place) for kind, place, *_ in made if kind == "index")
    write_index(build_index([folders.dicom]), tmp_path / "index")
    names = ["series.csv", "quarantine.csv", "files.parquet", "inputs.csv"]
    assert filecmp.cmpfiles(index, tmp_path / "index", names, shallow=False) == (names, [], [])
    # what the run on the twin has of the same bytes
    (transforms,) = (read_table(place) for kind, place, *_ in made if kind == "transforms")
    whole = read_table(small_run.outdir / "registration" / "transforms.csv").set_index("series_uid")
    columns = [name for name in whole if whole[name].dtype == float]
    found = transforms.set_index("series_uid")[columns].astype(float)
    pd.testing.assert_frame_equal(found, whole.loc[found.index, columns], check_exact=True)
    chunks = {chunk: [Path(place) for place in places] for kind, chunk, *places in made if kind == "chunk"}
    assert sorted(chunks) == ["A1_0", "A1_1"]
    for (volume,) in chunks.values():
        twin = [p for p in small_run.launch.glob(f"work/*/*/volumes/{volume.name}") if not p.is_symlink()]
        assert filecmp.cmp(volume, twin[0], shallow=False)


@pytest.mark.slow
def test_a_stream_is_refused_where_it_does_not_fit_and_asks_again_for_what_is_missing(served, tmp_path):
    rows = select(served[0], doses="10", scanners="A1")
    with running(serve(*served, tmp_path / "table.csv")) as server:
        more = choice(server, tmp_path)
        status, said = run_script(STREAMED, tmp_path, *more, "--max_disk", "0.5")
        assert status != 0 and "--max_disk 0.5 GB is less" in said and server.asked == []
        # of the two volumes one would go into it, as the reference tells when it is there
        status, said = run_script(STREAMED, tmp_path, *more, "--max_disk", "0.605", "-resume")
        assert status != 0 and "the volumes of 2 series take 2" in said and "within --max_disk 0.605" in said
        assert server.count("prefix=") == 2
        server.faults[f"/{rows[0].crdc_series_uuid}/"] = ["404*"]
        more += ["--max_disk", "0.9", "-resume"]
        status, said = run_script(STREAMED, tmp_path, *more)
        assert status != 0 and "MADE index" not in said
        assert "1 of 2 series are missing (unknown_series 1)" in said
        (missing,) = pd.read_csv(tmp_path / "results" / "download" / "missing.csv").itertuples()
        assert (missing.series_uid, missing.reason) == (rows[0].series_instance_uid, "unknown_series")
        # neither the reference nor the part that was taken
        server.faults.clear()
        server.asked.clear()
        status, said = run_script(STREAMED, tmp_path, *more)
        assert status == 0, said
        assert {path.split("prefix=")[1].rstrip("/") for path in server.asked if "prefix=" in path} == {
            rows[0].crdc_series_uuid, rows[0].seg_crdc_series_uuid
        }  # fmt: skip


@pytest.mark.slow
def test_a_run_that_streams_has_the_results_of_the_folder(served, nextflow, tmp_path):
    """Within so little disk that the DICOM of all would not go into it."""
    with running(serve(*served, tmp_path / "table.csv")) as server:
        more = ["-profile", "test", "--download", "idc", "--download_table", tmp_path / "table.csv"]
        more += ["--idc_endpoint", server.address, f"--box_origin_mm={ORIGIN}"]
        for name in ("folder", "stream"):
            (tmp_path / name).mkdir()
        folder = nextflow(tmp_path / "folder", *more)
        assert folder.status == 0, folder.text
        with watched(tmp_path / "stream") as most:
            stream = nextflow(tmp_path / "stream", *more, "--max_disk", "0.8")
        assert stream.status == 0, stream.text
    assert most[0] <= 0.8e9
    aside = {"report.html", "none/tables/run_facts.json", "ro-crate-metadata.json", "croissant.json"}
    kept = {name for name in folder.published() if not name.startswith(("dicom/", "download/")) and name not in aside}
    assert {name for name in stream.published() if not name.startswith("download/")} - aside == kept
    names = [*sorted(kept), "download/series.csv", "download/missing.csv"]
    assert filecmp.cmpfiles(folder.outdir, stream.outdir, names, shallow=False) == (names, [], [])
    assert stream.facts() == folder.facts()
