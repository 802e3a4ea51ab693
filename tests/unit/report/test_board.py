"""The leaderboard's words in the report, apart from its page."""

import pandas as pd
import pytest

from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.report.board import class_table, score_words

OTHER = Phantom.from_dict({"name": "rods", "regions": [{"name": "a", "class": "x"}, {"name": "b", "class": "y"}]})


@pytest.mark.parametrize(
    ("phantom", "score", "said"),
    [
        (CT4HARMONIZATION, "tissue_other_roi", "cyst or normal told on another region"),
        (OTHER, "tissue_other_roi", "classes with two regions told on another region"),
        (CT4HARMONIZATION, "nps_difference", "in plane of the large cyst is"),
        (OTHER, "nps_difference", "in plane of the main region is"),
    ],
)
def test_scores_are_told_as_they_hold_of_the_phantom_that_was_scanned(phantom, score, said):
    (line,) = score_words(pd.DataFrame({"score": [score], "raw": [0.5]}), phantom)
    assert said in line["words"]
    assert phantom.is_published or not any(name in line["words"] for name in ("cyst", "normal", "hemangioma"))


def test_classes_of_features_name_the_form_of_their_icc():
    """ICC(3,1) of the classes stood below a mean ICC(2,1), without its name, and gains did not add up to a reader."""
    own, none = (
        pd.DataFrame({"extractor": "radiomics", "feature_class": ["glcm"], "icc_mean": [value], "n_features": [24]})
        for value in (0.95, 0.90)
    )
    table = class_table({"stability_by_class": own}, {"stability_by_class": none}, "ICC(3,1)")
    assert table["columns"][1] == "mean ICC(3,1)"
    assert "0.05" in table["rows"][0]["cells"][0]["delta"]
