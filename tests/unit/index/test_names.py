import pytest

from ct4bench.core.errors import UserError
from ct4bench.index.names import SeriesName, clean_name, compile_pattern, maker_of, parse_name, safe_names


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
    "text, name", [("A1", "A1"), ("../../x", "x"), ("a b/c;d", "a_b_c_d"), ("", ""), ("..", ""), ("é" * 9, "é" * 9)]
)
def test_clean_names_hold_nothing_that_a_path_or_shell_reads(text, name):
    assert clean_name(text) == name


def test_names_of_any_script_stay_as_they_are():
    names = ["Север", "Юг", "東京", "Müller", "İzmir", "A1", "हिन्दी"]
    assert [clean_name(name) for name in names] == names
    assert clean_name("Mu\u0308ller") == "Müller"


@pytest.mark.parametrize(
    "called",
    [
        ["A 1", "A_1", "A/1", "A#1"],
        ["!!", "??"],
        ["x" * 64 + "1", "x" * 64 + "2"],
        ["A1", "A1.", "_A1"],
        ["\u2603", "\u2604"],
    ],
)
def test_a_safe_name_is_one_to_one(called):
    names = safe_names((text,) for text in called)
    assert len(set(names.values())) == len(called)
    assert all(clean_name(name) == name for name in names.values())


def test_what_tells_scanners_apart_is_in_their_names():
    names = safe_names([("+", "Force"), ("++", "Force"), ("Edge",)])
    assert len(set(names.values())) == 3 and names[("Edge",)] == "Edge"


def test_blanks_and_forms_of_letters_are_no_other_name():
    names = safe_names([("Ward  X",), ("Ward X",), ("Mu\u0308ller",), ("Müller",)])
    assert set(names.values()) == {"Ward_X", "Müller"}
