import json

import pandas as pd
import pytest
from report_data import series_table

from ct4bench.core.errors import UserError
from ct4bench.results.run_facts import (
    make_run_facts,
    origin_of,
    read_run_facts,
    read_settings,
    stamp_text,
    weights_status,
    write_run_facts,
)

WEIGHTS = {
    "radiomics": {},
    "shallow_cnn": {"weights": {"status": "random", "words": "seeded", "file": "", "sha256": ""}},
    "swin_unetr": {"weights": {"status": "user", "words": "weights of the file w.pt", "file": "w.pt", "sha256": "ab"}},
}


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        (["synthetic"] * 2, "synthetic"),
        (["collection"] * 2, "collection"),
        (["other"] * 2, "other"),
        (["something"] * 2, "other"),
        (["collection", "synthetic"], "mixed"),
    ],
)
def test_origin_is_that_of_all_series(origins, expected):
    assert origin_of(pd.DataFrame({"origin": origins})) == expected


def test_origin_of_features_alone_is_unknown():
    assert origin_of(pd.DataFrame({"series_uid": ["1"]})) == "unknown"


def test_part_says_what_was_run():
    labels = make_run_facts(series_table("collection", ("A1", "E2"), (1, 10)), "paper", {})
    assert labels["part"] == (
        "7 of the collection's 1378 series: 2 scanners (A1, E2); 1 and 10 mGy; FBP, IR and DL; 1 repetition"
    )
    assert labels["series_by_recon"] == {"DL": 1, "FBP": 2, "IR": 4}


def test_a_table_of_features_counts_series_not_rows():
    series = series_table(scanners=("A1",)).drop(columns=["origin"])
    rows = pd.concat([series, series], ignore_index=True)
    labels = make_run_facts(rows, "paper", {})
    assert labels["n_series"] == len(series)
    assert labels["origin"] == "unknown"


def test_no_series_is_an_error():
    with pytest.raises(UserError, match="quarantine"):
        make_run_facts(series_table().iloc[:0], "paper", {})


def test_stamp_names_all_that_is_not_default():
    labels = make_run_facts(series_table(), "corrected", WEIGHTS, "combat")
    text = stamp_text(labels, ("shallow_cnn", "swin_unetr", "radiomics"))
    assert "synthetic" in text
    assert "random weights: shallow_cnn" in text
    assert "swin_unetr" not in text
    assert "mode corrected" in text
    assert "method combat" in text
    assert stamp_text(make_run_facts(series_table("collection"), "paper", WEIGHTS)) == ""


def test_a_stand_in_says_what_it_was_trained_on():
    words = "stand-in, trained on synthetic tissue"
    weights = {"shallow_cnn": {"weights": {"status": "stand-in", "words": words, "file": "a", "sha256": "b"}}}
    labels = make_run_facts(series_table("collection"), "paper", weights)
    assert stamp_text(labels, ("shallow_cnn",)) == f"{words}: shallow_cnn"


def test_weights_status_marks_untrained_ones_only():
    labels = make_run_facts(series_table(), "paper", WEIGHTS)
    assert [weights_status(labels, name) for name in WEIGHTS] == ["", "random", ""]


def test_settings_are_named_by_their_entry_or_file(tmp_path):
    (tmp_path / "a.json").write_text('{"extractor": "radiomics"}')
    (tmp_path / "shallow_cnn.json").write_text("{}")
    assert sorted(read_settings(tmp_path.glob("*.json"))) == ["radiomics", "shallow_cnn"]


def test_labels_survive_the_file(tmp_path):
    labels = make_run_facts(series_table(), "paper", WEIGHTS)
    write_run_facts(labels, tmp_path / "run_facts.json")
    assert read_run_facts(tmp_path / "run_facts.json") == labels
    first = (tmp_path / "run_facts.json").read_bytes()
    write_run_facts(labels, tmp_path / "run_facts.json")
    assert (tmp_path / "run_facts.json").read_bytes() == first


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"mode": "paper"})])
def test_broken_labels_are_named(tmp_path, text):
    (tmp_path / "run_facts.json").write_text(text)
    with pytest.raises(UserError, match=r"run_facts\.json"):
        read_run_facts(tmp_path / "run_facts.json")
