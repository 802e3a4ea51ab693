#!/usr/bin/env python3
"""Write assets/idc_series.csv: every CT series of the collection with its segmentation, and where the Imaging Data
Commons has both, from the package idc-index-data (which is no package of the bundle's: give it a folder of its own).

    pip install --target <folder> idc-index-data==25.0.5
    .venv/bin/python tools/make_idc_table.py <folder>            # writes the table, and its version into the card
    .venv/bin/python tools/make_idc_table.py <folder> --check    # says whether the table is as the package has it
"""

import argparse
import io
import re
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from ct4bench.core.benchmark import scanner_rank  # noqa: E402
from ct4bench.download.manifest import COLUMNS, TABLE  # noqa: E402
from ct4bench.index.names import compile_pattern, parse_name  # noqa: E402

COLLECTION = "ct4harmonization_multicentric"
CARD = TABLE.with_suffix(".md")
READ = [
    "SeriesInstanceUID", "StudyInstanceUID", "StudyDescription", "SeriesDescription", "SeriesNumber", "Modality",
    "instanceCount", "crdc_series_uuid", "aws_bucket", "series_size_MB",
]  # fmt: skip


def read_series(folder: Path) -> tuple[pd.DataFrame, str]:
    """Rows of the collection's series, and the version of the package that lists them."""
    path = folder / "idc_index_data" / "idc_index.parquet"
    version = pq.read_schema(path).metadata[b"idc_index_data_version"].decode()
    series = pq.read_table(path, columns=READ, filters=[("collection_id", "=", COLLECTION)]).to_pandas()
    names = pq.read_table(folder / "idc_index_data" / "collections_index.parquet").to_pandas()
    (name,) = names.loc[names["collection_id"] == COLLECTION, "collection_name"]
    return series.assign(collection=name), version.split("-")[0]


def pair(series: pd.DataFrame) -> pd.DataFrame:
    """Each CT with its segmentation: the one of the same study and number. An error where that is not one to one."""
    keys = ["StudyInstanceUID", "SeriesNumber"]
    ct, seg = (series[series["Modality"] == kind] for kind in ("CT", "SEG"))
    both = ct.merge(seg, on=keys, suffixes=("", "_seg"), validate="one_to_one")
    if not len(both) == len(ct) == len(seg) or (both["aws_bucket"] != both["aws_bucket_seg"]).any():
        raise SystemExit(f"{len(ct)} CT series and {len(seg)} segmentations make {len(both)} pairs of one bucket")
    return both


def make_table(series: pd.DataFrame) -> pd.DataFrame:
    """The table's columns, sorted by scanner, dose, reconstruction and repetition."""
    both, pattern = pair(series), compile_pattern(None)
    called = [
        parse_name(pattern, *row) for row in zip(both["StudyDescription"], both["SeriesDescription"], strict=True)
    ]
    frame = pd.DataFrame(
        {
            "series_instance_uid": both["SeriesInstanceUID"], "seg_series_instance_uid": both["SeriesInstanceUID_seg"],
            "crdc_series_uuid": both["crdc_series_uuid"], "seg_crdc_series_uuid": both["crdc_series_uuid_seg"],
            "bucket": both["aws_bucket"], "collection": both["collection"],
            "scanner": [name.scanner for name in called], "dose_mgy": [f"{name.dose_mgy:g}" for name in called],
            "recon": [name.recon for name in called], "repetition": [name.repetition for name in called],
            "n_instances": both["instanceCount"], "size_mb": both["series_size_MB"],
            "seg_n_instances": both["instanceCount_seg"], "seg_size_mb": both["series_size_MB_seg"],
        }
    )[list(COLUMNS)]  # fmt: skip
    keys = [
        (scanner_rank(row.scanner), float(row.dose_mgy), row.recon, row.repetition, row.series_instance_uid)
        for row in frame.itertuples()
    ]
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)]


def main(argv=None) -> int:
    """Write or compare table and card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where idc-index-data is installed")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    series, version = read_series(args.folder)
    text = io.StringIO()
    make_table(series).to_csv(text, index=False, lineterminator="\n")
    card = re.sub(r"idc-index-data \d[\d.]*\d", f"idc-index-data {version}", CARD.read_text(encoding="utf-8"))
    new = {TABLE: text.getvalue(), CARD: card}
    old = [path for path, content in new.items() if not path.exists() or path.read_text(encoding="utf-8") != content]
    for path in old:
        print(f"{path.relative_to(ROOT)} {'is not as the package has it' if args.check else 'written'}")
        if not args.check:
            path.write_text(new[path], encoding="utf-8")
    return 1 if args.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
