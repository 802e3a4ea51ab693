"""Features of all five doses of the collection, some 80,000 rows, go through each task in 2 GB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from learning_data import keys_table

from ct4bench.core.benchmark import SCANNERS
from ct4bench.core.tables import write_pieces, write_table

BIN = Path(__file__).resolve().parents[2] / "bin"
MOST_MB = 2000
DOSES, REPETITIONS = (1.0, 3.0, 6.0, 10.0, 14.0), 10


def peak_mb(folder: Path, script: str, *arguments) -> float:
    """Peak of a script as it notes it itself."""
    environment = {**os.environ, "CT4BENCH_USAGE": "usage.json", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, BIN / script, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "usage.json").read_text())["peak_rss_mb"]


@pytest.fixture(scope="module")
def keys() -> pd.DataFrame:
    """13 scanners, five doses, two reconstructions (E2 has a third), ten repetitions, ten patches of six regions."""
    table = keys_table(SCANNERS, repetitions=REPETITIONS, doses=DOSES)
    assert len(table) == (13 * 2 + 1) * 5 * 10 * 60
    return table


@pytest.mark.slow
def test_the_widest_features_of_all_doses(keys, tmp_path):
    rng = np.random.default_rng(0)
    names = [f"f{n:03d}" for n in range(768)]
    uids = keys["series_uid"].drop_duplicates()
    parts = []
    for number, some in enumerate(np.array_split(uids.to_numpy(object), 44)):
        own = keys[keys["series_uid"].isin(set(some))].reset_index(drop=True)
        values = pd.DataFrame(rng.normal(size=(len(own), len(names))), columns=names)
        parts.append(tmp_path / f"{number:02d}.parquet")
        write_table(pd.concat([own, values], axis=1), parts[-1])
        parts[-1].with_suffix(".json").write_text(json.dumps({"extractor": "wide"}))
    settings = [part.with_suffix(".json") for part in parts]
    merged = ("--output", "wide.parquet", "--merged_settings", "wide.json")
    found = {
        "merge": peak_mb(
            tmp_path, "merge_features.py", "--extractor", "wide", "--tables", *parts, "--settings", *settings, *merged
        ),
        "stability": peak_mb(
            tmp_path, "measure_stability.py", "--features", "wide.parquet", "--extractor", "wide",
            "--output", "icc.csv", "--repeatability", "repeatability.csv", "--stable_features", "stable.csv",
        ),
        "splits": peak_mb(tmp_path, "plan_splits.py", "--features", "wide.parquet", "--output", "splits.csv"),
    }  # fmt: skip
    assert max(found.values()) < MOST_MB, found


@pytest.mark.slow
def test_tables_of_three_million_predictions(keys, tmp_path):
    """Each row is tested by LOSO with 1 to 12 scanners and by ten folds, of three extractors."""
    rng = np.random.default_rng(0)
    tissues = sorted(set(keys["tissue"]))
    rows = {name: pa.array(keys[name]) for name in ("series_uid", "roi", "patch", "scan_id", "scanner")}

    def pieces():
        for extractor in ("radiomics", "shallow_cnn", "swin_unetr"):
            for scheme, n_train in (("kfold", 9), *(("loso", n) for n in range(1, 13))):
                wrong = rng.random(len(keys)) < 0.1
                predicted = np.where(wrong, rng.choice(tissues, len(keys)), keys["tissue"])
                about = {"task": "tissue", "extractor": extractor, "classifier": "mlp", "ablation": "default"}
                about |= {"scheme": scheme, "n_train": n_train}
                fold = keys["scanner"] if scheme == "loso" else keys["patch"].astype(str)
                columns = {name: pa.array([value] * len(keys)) for name, value in about.items()} | {
                    "fold": pa.array(fold)
                }
                columns |= rows | {"target": pa.array(keys["tissue"]), "predicted": pa.array(predicted)}
                yield pa.table(
                    columns | {f"prob_{name}": pa.array(rng.random(len(keys), np.float32)) for name in tissues}
                )

    write_pieces(pieces(), tmp_path / "predictions.parquet", table="<method>/predictions.parquet")
    series = keys.drop_duplicates("series_uid").drop(columns=["roi", "tissue", "patch"]).assign(origin="synthetic")
    write_table(series, tmp_path / "series.csv")
    arguments = ("--series", "series.csv", "--predictions", "predictions.parquet", "--output", "tables")
    assert peak_mb(tmp_path, "make_tables.py", *arguments) < MOST_MB
    table = pd.read_csv(tmp_path / "tables" / "accuracy_by_n.csv")
    assert (table["n_rows"] == len(keys)).all()
    assert table["accuracy_mean"].between(0.92, 0.93).all()
