"""The collection by one command, from a local server: faults, a second run for what is missing, then the index."""

import json
from pathlib import Path

import pandas as pd
import pytest
from download_servers import draw_collection, md5, running, serve
from pipeline_run import run_script

from ct4bench.core.tables import write_table
from ct4bench.download.sources import SOURCES
from ct4bench.index.index import build_index
from ct4bench.parts.plan import parts_at_once

pytestmark = pytest.mark.pipeline


INDEXED = """
include { DOWNLOAD } from './subworkflows/download/main'
include { INDEX } from './subworkflows/input/main'
workflow {
    DOWNLOAD(params)
    INDEX(params, DOWNLOAD.out.roots)
    INDEX.out.index.subscribe { folder -> println("INDEX ${folder}") }
}
"""


def test_what_is_missing_is_named_and_fetched_by_the_next_run(nextflow, tmp_path):
    rows, objects, series = draw_collection(tmp_path / "drawn", repetitions=2, n_slices=18)
    with running(serve(rows, objects, series, tmp_path / "table.csv")) as server:
        lost = rows[2]
        server.faults[f"/{lost.crdc_series_uuid}/"] = ["404*"]
        server.faults[f"/{rows[0].crdc_series_uuid}/"] = ["503", "cut", "wrong_byte"]
        more = ["--download", "idc", "--download_table", tmp_path / "table.csv", "--idc_endpoint", server.address]
        more += ["--scanners", "A1,D1", "--doses", "10", "--repetitions", "1-2", "--chunk_size", "1"]
        more += ["--download_parallel", "3"]
        run = nextflow(tmp_path, "--download_only", *more)
        assert run.status != 0
        assert "ct4bench ERROR: 1 of 4 series are missing (unknown_series 1)" in run.text
        assert f"{run.outdir}/download/missing.csv lists them" in run.text
        assert "Download from the Imaging Data Commons: 4 series (A1, D1 at 10 mGy, IR)" in run.text
        assert "Download: 4 of 4 series, 1 given up" in run.text
        assert server.most_at_once <= 3
        (missing,) = pd.read_csv(run.outdir / "download" / "missing.csv").itertuples()
        assert (missing.series_uid, missing.reason) == (lost.series_instance_uid, "unknown_series")
        assert len(list((run.outdir / "dicom").glob("[0-9]*"))) == 3
        # the missing one only; then the index of all
        server.faults.clear()
        server.asked.clear()
        status, said = run_script(INDEXED, tmp_path, *more, "--outdir", run.outdir)
        assert status == 0, said
        assert {lost.crdc_series_uuid, lost.seg_crdc_series_uuid} == {
            path.split("prefix=")[1].rstrip("/") for path in server.asked if "prefix=" in path
        }
        assert all("authorization" not in headers for headers in server.headers_seen)
    for row in rows:
        there = {md5(path.read_bytes()) for path in (run.outdir / "dicom" / row.series_instance_uid).iterdir()}
        assert there == {md5(c) for u in (row.series_instance_uid, row.seg_series_instance_uid) for c in series[u]}
    (found,) = (line.split(" ", 1)[1] for line in said.splitlines() if line.startswith("INDEX "))
    index = build_index([run.outdir / "dicom"])
    assert len(index.series) == 4
    write_table(index.series, tmp_path / "series.csv", table="index/series.csv")
    assert (tmp_path / "series.csv").read_bytes() == (Path(found) / "series.csv").read_bytes()
    assert not (run.outdir / "dicom" / ".part").exists()


WRONG = [
    ({"doses": "10"}, None, "--doses is of a download; add --download idc"),
    ({"download_only": True}, None, "--download_only is of a download"),
    ({"idc_endpoint": "http://x"}, None, "--idc_endpoint is of a download"),
    ({}, None, None),
    ({"download": "idc"}, None, None),
    ({"download": "idc", "input": "/data"}, None, "--download idc and --input are two inputs"),
    ({"download": "tcia", "features": "a.csv"}, None, "--download tcia and --features are two inputs"),
    ({"download": "idc", "in_parts": True}, None, "--in_parts divides --input or the twin"),
    ({"download": "idc", "max_disk": 2.5}, None, None),
    ({"max_disk": 2.5}, None, "--max_disk is of a download"),
    ({"download": "idc", "max_disk": 2.5, "download_only": True}, None, "which --download_only does not go with"),
    ({"download": "idc"}, "s3", "--outdir and -work-dir must be folders of file systems that tasks see, not s3://"),
]


CALLS = """
include {{ downloadError ; partsAtOnce ; requestsAtOnce }} from './subworkflows/utilities/download'
workflow {{
    def wrong = new groovy.json.JsonSlurper().parseText('{wrong}')
    wrong.eachWithIndex {{ item, n ->
        def folder = item[1] ? [scheme: item[1]] : workflow.workDir
        println("SAID ${{n}} ${{downloadError(item[0], [outdir: 'x'] + item[0], folder)}}")
    }}
    {names}.each {{ name ->
        def n = [[:], [download_parallel: 3]].collect {{ more -> requestsAtOnce([download: name] + more) }}
        println("SAID ${{name}} ${{n.join(' ')}}")
    }}
    def parts = [1, 2, 8].collect {{ n -> partsAtOnce([download: 'idc', download_parallel: n]) }}
    println("SAID parts ${{parts.join(' ')}}")
}}
"""


def test_parameters_that_contradict_each_other_and_defaults(nextflow, tmp_path):
    status, said = run_script(CALLS.format(wrong=json.dumps(WRONG), names=list(SOURCES)), tmp_path)
    assert status == 0, said
    found = dict(line.split(" ", 2)[1:] for line in said.splitlines() if line.startswith("SAID "))
    for n, (given, _, words) in enumerate(WRONG):
        assert found[str(n)] == "null" if words is None else words in found[str(n)], (given, found[str(n)])
    # what the plan of a stream counts is what a run has on its disk at a time
    assert found["parts"] == " ".join(str(parts_at_once(n)) for n in (1, 2, 8)) == "1 2 2"
    assert {name: found[name] for name in SOURCES} == {name: f"{about.parallel} 3" for name, about in SOURCES.items()}
