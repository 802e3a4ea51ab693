"""Texts of options, and what is said of a fault: in words that name what to write, without Python's own."""

import argparse
import re
from pathlib import Path

import pytest

from ct4bench.core.arguments import count, doses_mgy, names, number_or, part
from ct4bench.core.errors import UserError
from ct4bench.core.json_files import read_object
from ct4bench.core.tables import read_table
from ct4bench.core.yaml_files import read_yaml


def test_texts_are_what_they_say():
    assert names("A1, D1,") == ("A1", "D1") and doses_mgy("10,0.5") == [10.0, 0.5]
    assert (count("3"), part("2/3"), number_or("half", -1)("half"), number_or("half", -1)("4")) == (3, (2, 3), -1, 4)
    assert number_or("half", -1, 0)("0") == 0


@pytest.mark.parametrize(
    ("parse", "text"),
    [(names, ","), (doses_mgy, ","), (doses_mgy, "ten"), (doses_mgy, "0"), (doses_mgy, "1e400"), (count, "0"),
     (count, "1_0"), (part, "3/2"), (part, "half"), (number_or("half", -1), "0"), (number_or("half", -1), "all")],
)  # fmt: skip
def test_other_texts_are_named(parse, text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^'{text}' "):
        parse(text)


@pytest.mark.parametrize("read", [read_table, read_object, lambda path: read_yaml(path, "phantom", "a phantom", "x")])
@pytest.mark.parametrize("kind", ["a folder", "no text", "not there"])
def test_files_that_cannot_be_read_are_named_without_words_of_python(read, kind, tmp_path):
    path = tmp_path / "given.csv"
    if kind == "a folder":
        path.mkdir()
    elif kind == "no text":
        path.write_bytes("a,b\nä,ö\n".encode("utf-16"))
    with pytest.raises(UserError, match=re.escape(str(Path(path)))) as error:
        read(path)
    assert not re.search("Errno|codec|Error", str(error.value))
