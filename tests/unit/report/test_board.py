"""The leaderboard's words in the report, apart from its page."""

import pandas as pd
import pytest

from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.report.board import score_words

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
