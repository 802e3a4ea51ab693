"""Tables that were harmonized elsewhere: what is wrong with one is said by its name, place and row."""

import re

import numpy as np
import pandas as pd
import pytest
from tests.leaderboard_data import feature_table, names_of, replaced, values_of

import merge_features as script
from ct4bench.core.errors import UserError

PLAIN = feature_table(n_features=3, n_repetitions=1, n_patches=2)
FIRST = "series A1.10.1.FBP, cyst1, patch 0"
GIVEN = "--harmonized_features mine=/data/theirs/radiomics.parquet"


def merge(folder, table, plain=PLAIN):
    """What the script says of a table that a user brought, as a task has it."""
    for name, rows in (("table", table), ("plain", plain)):
        rows.to_csv(folder / f"{name}.csv", index=False)
    script.main(["--extractor", "radiomics", "--tables", f"{folder}/table.csv", "--plain", f"{folder}/plain.csv",
                 "--brought", GIVEN.split()[1], "--output", f"{folder}/radiomics.parquet",
                 "--merged_settings", f"{folder}/radiomics.json"])  # fmt: skip
    return pd.read_parquet(folder / "radiomics.parquet")


def gap(table):
    values = values_of(table)
    values[0, 1] = np.nan
    return replaced(table, values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (gap, f": f1 of {FIRST} is missing or infinite (1 values in 1 rows are); give every feature"),
        (lambda t: t[1:], f" lacks 1 of the {len(PLAIN)} rows of this run, the first is {FIRST}; give it a"),
        (lambda t: pd.concat([t, t[:1]]), f": {FIRST} is duplicated in /data/theirs/radiomics.parquet"),
        (lambda t: pd.concat([t, t[:1].assign(series_uid="9")]), " has 1 rows that this run has not, the first is"),
        (lambda t: t.drop(columns="recon"), " lacks the columns recon; docs/outputs.md"),
        (lambda t: t.drop(columns="f2"), " lacks 1 of the 3 features of radiomics of this run: f2; give it the same"),
        (lambda t: t.rename(columns={"f2": "g"}),
         " lacks 1 of the 3 features of radiomics of this run: f2, and has 1 features that radiomics of"),
        (lambda t: t.replace({"recon": {"FBP": "IR", "IR": "FBP"}}), f": {FIRST} has recon 'IR', which is 'FBP' in"),
        (lambda t: t.assign(f0="x"), ": the column f0 is not numeric"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_name_place_and_remedy(tmp_path, change, said):
    with pytest.raises(UserError, match=re.escape(f"{GIVEN}{said}")) as error:
        merge(tmp_path, change(PLAIN))
    assert str(tmp_path) not in str(error.value)


def test_rows_and_features_may_come_in_any_order(tmp_path):
    mixed = replaced(PLAIN, values_of(PLAIN) + 1).sample(frac=1, random_state=0)
    merged = merge(tmp_path, mixed[list(reversed(mixed.columns))])
    assert len(merged) == len(PLAIN) and set(names_of(merged)) == {"f0", "f1", "f2"}
