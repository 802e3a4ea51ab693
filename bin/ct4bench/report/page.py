"""Style, scripts and policy of the page: what may run in it, and that nothing may be fetched.

The policy names the one style and the scripts by their hashes, so that no other can act, whatever a header holds; there
are no styles in attributes. Data lie in blocks of type application/json, which no browser runs.
"""

# code-data: ct4bench/report/page.css
# code-data: ct4bench/report/page.js
# code-data: ct4bench/report/points.js
# code-data: ct4bench/report/ranks.js
# code-data: ct4bench/report/slices.js

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from markupsafe import Markup

FOLDER = Path(__file__).parent
SCRIPTS = ("page.js", "points.js", "ranks.js", "slices.js")
STEPS = 20
"""Grounds of the cells of a matrix: classes t0 to t20."""


@cache
def _source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def scripts() -> list[Markup]:
    """Return the texts of the page's scripts; none has an end tag in it."""
    return [Markup(_source(name)) for name in SCRIPTS]  # noqa: S704  files of this package


def style(widths_px: Iterable[int]) -> Markup:
    """Return the page's style, with a class for each least width of a figure and each ground of a cell."""
    rules = [f".w{width} {{ min-width:{width}px; }}" for width in sorted(set(widths_px))]
    rules += [f".t{i} {{ --t:{i / STEPS:g}; }}" for i in range(STEPS + 1)]
    # what is said of paper comes last, so that it holds there
    return Markup("\n".join(["", *rules, _source("page.css")]))  # noqa: S704  numbers, and a file of this package


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(style_text: str, script_texts: Iterable[str]) -> str:
    """Return the content-security policy of a page that has this style and these scripts."""
    allowed = " ".join(map(_hash, script_texts))
    return (
        f"default-src 'none'; img-src data: blob:; style-src {_hash(style_text)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def data_block(values) -> Markup:
    """Return values as JSON that no tag can end: `<`, `>` and `&` are written as their codes."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  no sign of a tag is left
