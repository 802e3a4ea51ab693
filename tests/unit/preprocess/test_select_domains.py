"""A run that could not answer its questions is refused by the index alone."""

import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.preprocess.select import check_domains

SERIES = pd.DataFrame(
    {"scanner": ["A1", "A1", "B1"], "maker": ["Siemens"] * 3, "dose_mgy": [10, 14, 10], "recon": ["IR", "IR", "FBP"]}
)


def test_two_values_suffice():
    check_domains(SERIES, "scanner", [10.0])
    check_domains(SERIES, "dose_mgy", [10.0, 14.0])


@pytest.mark.parametrize(
    ("domain", "doses", "words"),
    [
        ("maker", [10.0], "have maker Siemens; .*takes two maker values: .*--domain"),
        ("scanner", [14.0], "all 1 accepted series at 14 mGy have scanner A1"),
        ("scanner", [3.0], "no accepted series is at 3 mGy.* the input has 10, 14 mGy: choose with --feature_doses"),
    ],
)
def test_one_value_is_refused(domain, doses, words):
    with pytest.raises(UserError, match=words):
        check_domains(SERIES, domain, doses)
