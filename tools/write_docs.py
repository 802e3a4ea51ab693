#!/usr/bin/env python3
"""Write the parts of the docs that are made from data anew: what lies between `<!-- name: … -->` and `<!-- end -->`.

tools/write_docs.py            # needs the environment of `make setup`
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from ct4bench.core import reasons  # noqa: E402  the path above must be there first

PARTS = {"docs/input.md": {"reasons": lambda: reasons.markdown(reasons.read_reasons())}}
"""By page: the parts in it, each with what makes it."""


def page_with_parts(text: str, parts: dict) -> str:
    """A page with each of its parts made anew; `ValueError` where the page has no such part."""
    for name, make in parts.items():
        found = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.S)
        match = found.search(text)
        if not match:
            raise ValueError(f"no part <!-- {name}: … --> … <!-- end -->")
        text = text[: match.end(1)] + make() + text[match.start(2) :]
    return text


def main() -> int:
    """Write all pages."""
    for name, parts in PARTS.items():
        path = ROOT / name
        path.write_text(page_with_parts(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
