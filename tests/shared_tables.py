"""The shared copies of the published tables under this project's names of columns."""

from pathlib import Path

import pandas as pd


def shared_published(path: Path) -> pd.DataFrame:
    """A shared table: SDs are `_sd`, and in Table 6 the word `average` has a column of its own, beside the dose."""
    frame = pd.read_csv(path)
    frame = frame.rename(columns=lambda name: f"{name[:-4]}_sd" if name.endswith("_std") else name)
    if "dose_mgy" in frame.columns:
        average = frame["dose_mgy"] == "average"
        frame.insert(1, "row_kind", average.map({True: "average", False: "dose"}))
        frame["dose_mgy"] = pd.to_numeric(frame["dose_mgy"].where(~average)).astype("Int64")
    return frame
