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


@pytest.fixture(scope="module")
def widest(keys, tmp_path_factory) -> tuple[Path, float]:
    """A folder with 768 drawn features of all rows in wide.parquet, and the peak of merging them."""
    folder = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(0)
    names = [f"f{n:03d}" for n in range(768)]
    uids = keys["series_uid"].drop_duplicates()
    parts = []
    for number, some in enumerate(np.array_split(uids.to_numpy(object), 44)):
        own = keys[keys["series_uid"].isin(set(some))].reset_index(drop=True)
        values = pd.DataFrame(rng.normal(size=(len(own), len(names))), columns=names)
        parts.append(folder / f"{number:02d}.parquet")
        write_table(pd.concat([own, values], axis=1), parts[-1])
        parts[-1].with_suffix(".json").write_text(json.dumps({"extractor": "wide"}))
    settings = [part.with_suffix(".json") for part in parts]
    merged = ("--output", "wide.parquet", "--merged_settings", "wide.json")
    peak = peak_mb(
        folder, "merge_features.py", "--extractor", "wide", "--tables", *parts, "--settings", *settings, *merged
    )
    for part in parts:
        part.unlink()
    return folder, peak


@pytest.mark.slow
def test_the_widest_features_of_all_doses(widest):
    folder, merging = widest
    found = {
        "merge": merging,
        "stability": peak_mb(
            folder, "measure_stability.py", "--features", "wide.parquet", "--extractor", "wide",
            "--output", "icc.csv", "--repeatability", "repeatability.csv", "--stable_features", "stable.csv",
        ),
        "splits": peak_mb(folder, "plan_splits.py", "--features", "wide.parquet", "--output", "splits.csv"),
    }  # fmt: skip
    # a training of the most rows, of which torch repeats the first steps
    splits = pd.read_csv(folder / "splits.csv", dtype=str)
    one = splits[(splits["scheme"] == "loso") & (splits["n_train"] == "12") & (splits["fold"] == "A1")]
    write_table(one, folder / "one.csv")
    found["training"] = peak_mb(
        folder, "train_classifiers.py", "--features", "wide.parquet", "--extractor", "wide", "--splits", "one.csv",
        "--output", "predictions.parquet", "--trainings", "trainings.csv", "--losses", "losses.parquet",
    )  # fmt: skip
    assert pd.read_csv(folder / "trainings.csv")["n_steps_verified"].tolist() == [100]
    print(found)
    assert max(found.values()) < MOST_MB, found


# Neighbours of four blocks are searched, those of the others drawn: as many edges as there can be, and minutes saved.
SHORTENED = """
import sys
import numpy as np
from ct4bench.embedding import embed

class Some:
    def __init__(self, threads): pass
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def map(self, search, starts):
        return [search(start) for start in (*starts[:3], starts[-1])]

embed.ThreadPoolExecutor = Some
search, edges, make = embed.nearest_neighbours, embed.graph_edges, embed.embedding_tables

def neighbours(values, k, threads=1):
    indices, distances = search(values, k, threads)
    rng = np.random.default_rng(0)
    for start in range(3 * embed.BLOCK, (len(values) - 1) // embed.BLOCK * embed.BLOCK, embed.BLOCK):
        rows = slice(start, start + embed.BLOCK)
        indices[rows], distances[rows] = rng.integers(0, len(values), (embed.BLOCK, k)), distances[: embed.BLOCK]
        indices[rows, 0] = np.arange(start, start + embed.BLOCK)
    return indices, distances

embed.nearest_neighbours = neighbours
embed.graph_edges = lambda graph, n_epochs: edges(graph, embed.EPOCHS)
embed.embedding_tables = lambda *given, **more: make(*given, n_epochs=12, **more)
import embed_features
from ct4bench.core.script import run
run(embed_features.main)
"""


@pytest.mark.slow
def test_the_embedding_of_the_widest_features(widest):
    folder, _ = widest
    (folder / "embed_some.py").write_text(f"import sys; sys.path.insert(0, {str(BIN)!r})\n{SHORTENED}")
    found = peak_mb(folder, folder / "embed_some.py", "--features", "wide.parquet", "--extractor", "wide",
                    "--output", "embedding.parquet", "--quality", "quality.csv")  # fmt: skip
    print(found)
    assert pd.read_csv(folder / "quality.csv")["n_rows"].tolist() == [13500, 81000]
    assert found < MOST_MB


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
