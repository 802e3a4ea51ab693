"""Sphinx's settings of the documentation; tools/build_docs.py lays out the pages and calls it."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

project = "ct4bench"
author = "ct4bench maintainers"
version = release = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)[1]
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["*.csv"]
# anchors of headings, as GitHub makes them
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
# names in annotations that several classes have
suppress_warnings = ["misc.highlighting_failure", "ref.python"]

# the site is read from files, where a page may not fetch the others: hits come without their text
html_show_search_summary = False
html_theme = "furo"
html_title = f"ct4bench {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = []
# no font and no script from elsewhere
html_theme_options = {"source_repository": ""}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
# what only some machines have
autodoc_mock_imports = ["torch", "monai", "onnxruntime", "radiomics", "highdicom", "umap"]
add_module_names = False
nitpicky = False


def as_text(text: str) -> str:
    """Return a docstring, in which single backticks mark code and other marks mean nothing, as reStructuredText."""
    parts = re.split(r"(`+[^`]+`+)", text)
    code = [f"``{part.strip('`')}``" for part in parts[1::2]]
    words = [re.sub(r"(?<=\w)_(?!\w)", r"\\_", re.sub(r"([|*])", r"\\\1", part)) for part in parts[0::2]]
    text = words[0]
    for span, after in zip(code, words[1:], strict=True):
        # code that touches another sign is none to reStructuredText
        before_it = "" if not text or re.search(r"[\s'\"(\[{<:/-]$", text) else "\\ "
        after_it = "" if not after or re.match(r"[\s'\")\]}>/:.,;!?-]", after) else "\\ "
        text += f"{before_it}{span}{after_it}{after}"
    return text


def setup(app):
    """Have autodoc read docstrings as the code writes them."""

    def process(_app, _what, _name, _object, _options, lines):
        lines[:] = as_text("\n".join(lines)).split("\n")

    app.connect("autodoc-process-docstring", process)
