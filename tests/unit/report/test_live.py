"""Data of the views that move: what a reader of the page gets is what the tables have."""

import base64

import numpy as np
import pandas as pd
import pytest
from report_data import embedding_table, features_table, series_table

from ct4bench.report.live import points_view, ranks_view
from ct4bench.report.page import data_block
from ct4bench.stability.icc import icc_table

SERIES = series_table("synthetic", ("A1", "C1"), repetitions=2)
FACTS = {"weights": {}, "extractors": {}, "origin": "synthetic"}


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.fixture(scope="module")
def embedding():
    return embedding_table(SERIES, ("radiomics", "swin_unetr")).sample(frac=1, random_state=3)


def test_points_come_back_from_their_bytes(embedding):
    data = points_view(embedding, SERIES, FACTS).data
    assert len(data["sets"]) == 4 and len(data["rows"]) == 2  # rows once for all extractors of a figure
    for chosen, (figure, extractor) in zip(
        data["sets"], [("figure6", "radiomics"), ("figure6", "swin_unetr"), ("figure5", "radiomics"),
                       ("figure5", "swin_unetr")], strict=True,
    ):  # fmt: skip
        rows = data["rows"][chosen["rows"]]
        found = pd.DataFrame({
            "series_uid": [data["series"][i]["uid"] for i in unpacked(rows["series"], "<u2")],
            "roi": [data["rois"][i] for i in unpacked(rows["roi"], "u1")], "patch": unpacked(rows["patch"], "<u2"),
        })  # fmt: skip
        own = embedding[(embedding["figure"] == figure) & (embedding["extractor"] == extractor)]
        true = found.merge(own, on=["series_uid", "roi", "patch"], validate="1:1")
        assert len(true) == len(own)
        for plane in ("umap", "pca"):
            x, y = np.split(unpacked(chosen[plane], "<u2").astype(float), 2)
            for place, column in ((x, f"{plane}_1"), (y, f"{plane}_2")):
                values = true[column].to_numpy()
                back = values.min() + place / 65535 * (values.max() - values.min())
                assert np.abs(back - values).max() <= np.ptp(values) / 65535


def test_every_point_has_a_colour_whatever_it_is_coloured_by(embedding):
    data = points_view(embedding, SERIES, FACTS).data
    for scale in data["colours"]:
        known = {item["value"] for item in scale["values"]}
        if scale["by"] in ("tissue", "roi"):
            assert known == set(data["tissues"] if scale["by"] == "tissue" else data["rois"])
        else:
            assert known == {series[scale["by"]] for series in data["series"]}
    doses = next(scale for scale in data["colours"] if scale["by"] == "dose")
    assert [item["title"] for item in doses["values"]] == ["10 mGy"]


def test_a_run_without_series_or_embedding_has_no_points(embedding):
    assert points_view(None, SERIES, FACTS) is None and points_view(embedding, None, FACTS) is None


def test_features_are_ranked_with_the_tables_values():
    icc = icc_table(features_table(series_table("synthetic")), "radiomics")
    (chosen,) = ranks_view(icc, FACTS).data["sets"]
    for form in ("ICC(2,1)", "ICC(3,1)"):
        own = icc[(icc["form"] == form) & (icc["stratum"] == "all")].set_index("feature")
        for values, column in zip(chosen["values"][form], ("icc", "ci_low", "ci_high"), strict=True):
            assert values == pytest.approx(list(own.loc[chosen["names"], column]), abs=6e-5)
    assert [chosen["classes"][i] for i in chosen["kinds"]] == ["glcm"] * 6 + ["firstorder"] * 6
    assert ranks_view(icc.iloc[:0], FACTS) is None


def test_a_feature_without_an_icc_is_null():
    icc = icc_table(features_table(series_table("synthetic")), "radiomics")
    icc.loc[icc["feature"] == icc["feature"].iloc[0], ["icc", "ci_low", "ci_high"]] = np.nan
    assert '"values":{"ICC(1,1)":[[null,' in data_block(ranks_view(icc, FACTS).data)


def test_no_text_ends_its_block_of_data():
    text = data_block({"a": "</script><!--<script>&amp;\u2028"})
    assert not set("<>&") & set(text)
    assert "\\u003c/script\\u003e" in text
