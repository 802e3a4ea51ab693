"""The documentation site: pages that are made, links that lead somewhere; for a release, the built site's search."""

import csv
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

spec = importlib.util.spec_from_file_location("build_docs", ROOT / "tools" / "build_docs.py")
build_docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_docs)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    """The site's pages as Markdown, by name."""
    folder = tmp_path_factory.mktemp("pages")
    build_docs.lay_out(folder)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.md"))}


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    heads = re.findall(r"^#+ (.*)$", prose, re.M)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|&lt;|&gt;", "", head).lower()) for head in heads]
    return {head.strip().replace(" ", "-") for head in plain}


def links(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.M | re.S)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"https?://|mailto:", link)]


def test_links_of_the_repository_lead_somewhere():
    """On GitHub, where docs/ is read as it is."""
    sources = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    wrong = []
    for page in sources:
        for link in links(page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                wrong.append(f"{page.name}: {link}")
    assert wrong == []


def test_the_check_of_links_sees_what_is_broken(tmp_path):
    text = "# One\n[a](b.md) [c](#two) [d](#one) `[e](f.md)`\n"
    assert links(text) == ["b.md", "#two", "#one"] and anchors(text) == {"one"}
    assert anchors("## &lt;method&gt;/tables/\n") == {"methodtables"}


def test_every_page_is_in_the_contents(pages):
    trees = re.findall(r"```\{toctree\}\n(?:.*\n)*?\n((?:\S+\n)*)```", "\n".join(pages.values()))
    listed = [f"{name}.md" for tree in trees for name in tree.split()]
    orphans = {name for name, text in pages.items() if text.startswith("---\norphan: true")}
    assert sorted(listed) == sorted(set(pages) - orphans - {"index.md"})


def test_parameters_are_those_of_the_schema(pages):
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]
    rules = {
        name: rule for group in groups.values() for name, rule in group["properties"].items() if not rule.get("hidden")
    }
    rows = dict(re.findall(r"^\| `--(\w+)` \| (.*) \|$", pages["parameters.md"], re.M))
    assert list(rows) == list(rules)
    for name, rule in rules.items():
        cells = re.split(r"(?<!\\) \| ", rows[name])
        assert cells[0].replace("\\|", "|") == rule["description"]
        default = rule.get("default")
        wanted = "" if default in (None, "") else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        assert (cells[2] if len(cells) > 2 else "").strip() == wanted, name


def test_every_module_has_its_place_in_the_api(pages):
    modules = {f"ct4bench.{p.parent.name}.{p.stem}" for p in ROOT.glob("bin/ct4bench/*/*.py") if p.stem != "__init__"}
    shown = set(re.findall(r"automodule:: (\S+)", "\n".join(pages.values())))
    assert shown == modules
    packages = [row["package"] for row in csv.DictReader((ROOT / "docs" / "packages.csv").read_text().splitlines())]
    assert [name for name in packages if f"(api/{name}.md)" not in pages["api.md"]] == []


def test_every_shipped_method_has_a_page(pages):
    names = {path.parent.name for path in ROOT.glob("methods/*/method.yml")}
    assert {name for name in pages if name.startswith("methods/")} == {f"methods/{name}.md" for name in names}
    for name in names:
        assert f"(methods/{name}.md)" in pages["shipped-methods.md"]


@pytest.mark.parametrize(
    ("docstring", "text"),
    [
        ("Return `a` of (`b`, `c`).", "Return ``a`` of (``b``, ``c``)."),
        ("bins of `factor`^3 voxels", r"bins of ``factor``\ ^3 voxels"),
        ("max |x_i - y| and *one*", r"max \|x_i - y\| and \*one\*"),
        ("the `n`th of names_ here", r"the ``n``\ th of names\_ here"),
        ("no code", "no code"),
    ],
)
def test_docstrings_are_read_as_they_are_meant(docstring, text, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("conf", ROOT / "docs" / "conf.py")
    conf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conf)
    assert conf.as_text(docstring) == text


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The whole site; warnings of Sphinx are errors."""
    if not (ROOT / ".docs" / "sphinx").is_dir():
        pytest.skip("no .docs; run 'make docs-setup'")
    folder = tmp_path_factory.mktemp("site")
    assert build_docs.build(folder) == 0
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_and_asks_for_nothing_elsewhere(site, pages):
    assert [name for name in pages if not (site / name).with_suffix(".html").is_file()] == []
    for page in sorted(site.rglob("*.html")):
        fetched = re.findall(r'<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert fetched == [], page.name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "page"),
    [("quarantine", "input.html"), ("twin_scanners", "parameters.html"), ("register_series", "architecture.html"),
     ("trustworthiness", "columns.html")],
)  # fmt: skip
def test_a_page_is_found_by_its_search_from_a_file(site, asked, page, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
               "--virtual-time-budget=20000", "--dump-dom", f"{(site / 'search.html').as_uri()}?q={asked}"]  # fmt: skip
    dom = subprocess.run(command, text=True, capture_output=True, timeout=300).stdout
    hits = re.findall(r'<li[^>]*>\s*<a href="([^"#?]+)', dom.split('id="search-results"')[1])
    assert page in hits


@pytest.mark.slow
def test_a_broken_link_ends_the_build(tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    index = docs / "index.md"
    index.write_text(index.read_text() + "\n[nowhere](glossary.md#no-such-heading)\n")
    monkeypatch.setattr(build_docs, "DOCS", docs)
    monkeypatch.setattr(build_docs, "api_pages", dict)
    assert build_docs.build(tmp_path / "site") != 0
