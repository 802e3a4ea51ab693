"""The notebook and the script in R draw Figure 6 from a run's files, at the places that the files have."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipeline_run import ROOT

pytestmark = pytest.mark.pipeline

NOTEBOOK = ROOT / "docs" / "notebooks" / "figure6.ipynb"
SCRIPT = ROOT / "docs" / "notebooks" / "figure6.R"


def run_cells(notebook: Path, results: Path, monkeypatch) -> dict:
    """Names that the code of a notebook leaves, after it was run from the top in one namespace."""
    monkeypatch.setenv("CT4BENCH_RESULTS", str(results))
    names = {}
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(notebook), "exec"), names)
    return names


def test_the_notebook_draws_every_point_at_its_place(small_run, monkeypatch):
    names = run_cells(NOTEBOOK, small_run.outdir, monkeypatch)
    rows = pd.read_parquet(small_run.outdir / "none" / "embedding.parquet").query("figure == 'figure6'")
    series = pd.read_csv(small_run.outdir / "index" / "series.csv").set_index("series_uid")
    labels = {"by_tissue": {"cyst", "hemangioma", "metastasis", "normal"}, "by_maker": set(series["maker"])}
    for name, expected in labels.items():
        figure = names[name]
        assert "synthetic" in figure.get_suptitle()
        assert {axis.get_title() for axis in figure.axes} == set(rows["extractor"])
        for axis in figure.axes:
            drawn = np.concatenate([points.get_offsets() for points in axis.collections])
            own = rows[rows["extractor"] == axis.get_title()][["umap_1", "umap_2"]].to_numpy()
            np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], own[np.lexsort(own.T)], rtol=0, atol=1e-12)
            assert {points.get_label() for points in axis.collections} == expected
    names["plt"].close("all")


def test_the_notebook_keeps_no_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert NOTEBOOK.stat().st_size < 20_000


def test_the_script_in_r_reads_the_same_points(small_run, tmp_path):
    rscript = shutil.which("Rscript")
    has = [rscript, "-e", "library(nanoparquet)"]
    if not rscript or subprocess.run(has, capture_output=True).returncode:
        pytest.skip("no R with nanoparquet")
    picture = tmp_path / "figure6.png"
    environment = {**os.environ, "LC_ALL": "C"}
    command = [rscript, str(SCRIPT), str(small_run.outdir), str(picture)]
    done = subprocess.run(command, text=True, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "synthetic" in done.stderr  # as the picture's title has it
    rows = pd.read_parquet(small_run.outdir / "none" / "embedding.parquet").query("figure == 'figure6'")
    said = {name: (int(n), float(total)) for name, n, total in map(str.split, done.stdout.splitlines())}
    assert set(said) == set(rows["extractor"])
    for name, own in rows.groupby("extractor"):
        # the file has float32, which R adds up as double
        assert said[name] == (len(own), pytest.approx(own["umap_1"].astype(float).sum(), abs=1e-5))
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
