import pytest

from ct4bench.core.errors import UserError
from ct4bench.index.names import SeriesName, clean_name, compile_pattern, maker_of, parse_name


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A1_Harmonized_10mGy_IR - #1", ("A1", 10.0, "IR", 1)),
        ("H2_Harmonized_14mGy_FBP - #10", ("H2", 14.0, "FBP", 10)),
        ("E2_Harmonized_1mGy_DL - #5", ("E2", 1.0, "DL", 5)),
    ],
)
def test_names_of_the_collection(text, expected):
    assert parse_name(compile_pattern(None), text[:2], text) == SeriesName(*expected)
    assert parse_name(compile_pattern(None), "", text) == SeriesName(*expected)


@pytest.mark.parametrize(
    "study, text",
    [
        ("A1", "A1_Harmonized_2mGy_IR - #1"),
        ("A1", "A1_Harmonized_10mGy_MBIR - #1"),
        ("A1", "A3_Harmonized_10mGy_IR - #1"),
        ("A1", "A1_Harmonized_10mGy_IR - #1 thin"),
        ("A1", "x A1_Harmonized_10mGy_IR - #1"),
        ("A2", "A1_Harmonized_10mGy_IR - #1"),
        ("A1", "Harmonized b 10 mGy 2.0  B30f axial - #18"),
        ("A1", ""),
    ],
)
def test_what_the_collection_has_not_is_unmatched(study, text):
    assert isinstance(parse_name(compile_pattern(None), study, text), str)


def test_a_pattern_of_ones_own_sees_both_descriptions():
    pattern = compile_pattern(r"^Ward (?P<scanner>\w+)\n.*?(?P<dose>[\d.,]+) ?mGy.*(?P<recon>fbp|Br\d+)")
    assert parse_name(pattern, "Ward X7", "lot 2,5 mGy Br40") == SeriesName("X7", 2.5, "Br40", None)
    assert parse_name(pattern, "Ward X7", "lot 2.5mGy fbp") == SeriesName("X7", 2.5, "FBP", None)
    assert isinstance(parse_name(pattern, "Ward X7", "lot 0 mGy fbp"), str)
    assert isinstance(parse_name(pattern, "Ward X7", "lot 1.2.3 mGy fbp"), str)


def test_a_repetition_must_be_a_number():
    pattern = compile_pattern(r"(?P<dose>\d+) (?P<recon>\w+) (?P<repetition>\w+)$")
    assert isinstance(parse_name(pattern, "", "5 FBP x"), str)
    assert parse_name(pattern, "", "5 FBP 03").repetition == 3


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("(?P<dose>x", "not a regular expression"),
        ("(?P<dose>x)", "missing: recon"),
        ("(?P<dose>x)(?P<recon>y)(?P<kernel>z)", "unknown: kernel"),
    ],
)
def test_a_wrong_pattern_is_an_error_that_says_why(pattern, message):
    with pytest.raises(UserError, match=message):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "header, maker",
    [
        ("SIEMENS", "Siemens"),
        ("Siemens Healthineers", "Siemens"),
        ("Philips", "Philips"),
        ("Philips Medical Systems", "Philips"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GE Healthcare", "GE"),
        ("GE", "GE"),
        ("TOSHIBA", "Toshiba"),
        ("CANON_MEC", "Toshiba"),
        ("Canon Medical Systems", "Toshiba"),
        ("UIH ", "UIH"),
        ("Imagerie", "Imagerie"),
        ("", "unknown"),
    ],
)
def test_makers(header, maker):
    assert maker_of(header) == maker


@pytest.mark.parametrize(
    "text, name", [("A1", "A1"), ("../../x", "x"), ("a b/c;d", "a_b_c_d"), ("", ""), ("..", ""), ("é" * 9, "")]
)
def test_clean_names_hold_nothing_that_a_path_or_shell_reads(text, name):
    assert clean_name(text) == name
