"""Words of the field, explained where they stand first in a text, and in a list at the end of the page."""

# code-data: ct4bench/report/glossary.csv

import csv
import re
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

SOURCE = Path(__file__).with_name("glossary.csv")


@cache
def read_glossary() -> dict[str, str]:
    """Read what each term means."""
    with open(SOURCE, encoding="utf-8", newline="") as stream:
        return {row["term"]: row["words"] for row in csv.DictReader(stream)}


@cache
def _pattern() -> re.Pattern:
    names = sorted(read_glossary(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")


def with_terms(text: str) -> Markup:
    """Return a text as HTML, every sign escaped, in which the first of each term says on hover what it means."""
    seen, parts, end = set(), [], 0
    for found in _pattern().finditer(text):
        term = found[0]
        if term in seen:
            continue
        seen.add(term)
        parts += [escape(text[end : found.start()])]
        parts += [Markup('<abbr title="{}">{}</abbr>').format(read_glossary()[term], term)]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])
