"""Terms are explained once in a text, and no text of a header becomes a tag by it."""

from ct4bench.report.glossary import read_glossary, with_terms


def test_the_first_of_each_term_is_explained_and_the_longest_fits():
    text = str(with_terms("ICC(2,1) and RMSE in HU; RMSE again, an ICC, not PRICCE or non-IR"))
    assert text.count("<abbr") == 4
    for term in ("ICC(2,1)", "RMSE", "HU", "ICC"):
        assert f">{term}</abbr>" in text
    assert "RMSE again" in text


def test_other_signs_are_escaped():
    assert str(with_terms('<b>"SSIM"</b>')).startswith("&lt;b&gt;&#34;<abbr title=")
    assert str(with_terms("plain")) == "plain"


def test_each_term_has_words():
    assert len(read_glossary()) >= 20 and all(read_glossary().values())
