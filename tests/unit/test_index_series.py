import os
import subprocess
import sys

import pandas as pd
import pytest
from tests.dicom_factory import roi_labels, write_segmentation, write_series

from ct4bench.index.index import INPUT_COLUMNS, QUARANTINE_COLUMNS, SERIES_COLUMNS


@pytest.fixture
def script(request, tmp_path):
    path = request.config.rootpath / "bin" / "index_series.py"

    def run(*arguments):
        return subprocess.run(
            [sys.executable, path, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path
        )

    assert os.access(path, os.X_OK)
    return run


def test_the_script_writes_four_tables_twice_the_same(script, tmp_path):
    paths = write_series(tmp_path / "data" / "a")
    write_segmentation(tmp_path / "data" / "s.dcm", paths, roi_labels())
    write_series(tmp_path / "data" / "b", "b", SeriesDescription="other")
    for output in ("one", "two"):
        done = script("--roots", tmp_path / "data", "--output", output, "--threads", 2)
        assert done.returncode == 0, done.stderr
    names = ["files.parquet", "inputs.csv", "quarantine.csv", "series.csv"]
    assert sorted(os.listdir(tmp_path / "one")) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert list(pd.read_csv(tmp_path / "one" / "series.csv").columns) == SERIES_COLUMNS
    assert list(pd.read_csv(tmp_path / "one" / "inputs.csv").columns) == INPUT_COLUMNS
    quarantine = pd.read_csv(tmp_path / "one" / "quarantine.csv")
    assert list(quarantine.columns) == QUARANTINE_COLUMNS
    assert list(quarantine["reason"]) == ["description_unmatched"]
    done = script("--roots", tmp_path / "data", "--output", "three", "--strict")
    assert done.returncode == 2
    assert "data/b (description_unmatched" in done.stderr
    assert (tmp_path / "three" / "quarantine.csv").read_bytes() == (tmp_path / "one" / "quarantine.csv").read_bytes()


def test_a_wrong_input_is_one_line(script, tmp_path):
    done = script("--roots", tmp_path / "nothing", "--output", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("ERROR: input folder")
    assert done.stderr.count("\n") == 1
