"""The report in headless Chromium: nothing is fetched, nothing fails, all is drawn, and axe-core finds no fault.

Where Node, npm or Chromium are not there, or their two packages cannot be had, the tests are skipped with the reason.
"""

import json
import os
import shutil
import subprocess

import pytest
from report_data import embedding_table, features_table, series_table
from tests.conftest import ROOT
from tests.unit.report.test_write import make_inputs, write

from ct4bench.core.tables import write_table
from ct4bench.stability.icc import icc_table

FOLDER = ROOT / "tests" / "browser"
HEAP_MB, SECONDS, BYTES = 150, 10, 15_000_000
"""Of the page: memory, time to load (a busy machine is slower than a reader's), size."""


@pytest.fixture(scope="session")
def look(request, tmp_path_factory):
    """Opens a page as check.js does; returns what it tells."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if missing or not chromium:
        pytest.skip(f"not on this machine: {', '.join([*missing, *([] if chromium else ['Chromium'])])}")
    folder = request.config.cache.mkdir("browser")
    if not (folder / "node_modules" / "axe-core").is_dir():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, folder)
        try:
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"packages of tests/browser cannot be had: {error}")
    settings = {**os.environ, "CHROMIUM": chromium, "NODE_PATH": str(folder / "node_modules")}

    def open_page(page, width=1280, scheme="light", media="screen", axe=True):
        command = ["node", str(FOLDER / "check.js"), str(page), str(width), scheme, media, *(["axe"] if axe else [])]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return open_page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with every kind of view."""
    folder = tmp_path_factory.mktemp("browser")
    inputs = make_inputs(folder)
    series = series_table("synthetic", ("A1", "A2", "C1"))
    write_table(embedding_table(series, ("radiomics",)), folder / "none" / "embedding.parquet")
    write_table(icc_table(features_table(series), "radiomics"), folder / "none" / "icc.csv")
    write(inputs, folder / "report.html")
    return folder / "report.html"


def check(found, width):
    assert found["requests"] == [] and found["said"] == []
    assert found["width"] <= width
    assert found["heap_mb"] <= HEAP_MB and found["seconds"] <= SECONDS
    assert [view["view"] for view in found["views"]] == ["ranks", "points"]
    assert all(view["inked"] for view in found["views"])
    before, after = found["sorted"]["before"], found["sorted"]["after"]
    assert found["sorted"]["way"] == "descending" and after == sorted(before, reverse=True) != before
    assert found.get("violations", []) == []


def test_the_page_is_whole_on_a_phone(look, page):
    assert page.stat().st_size <= BYTES
    check(look(page, 360), 360)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme", "media"),
    [(width, scheme, "screen") for width in (360, 768, 1280) for scheme in ("light", "dark")]
    + [(1280, "light", "print")],
)
def test_the_page_is_whole_at_every_size_dark_and_on_paper(look, page, width, scheme, media):
    found = look(page, width, scheme, media)
    check(found, width)
    if media == "print":
        assert found["lost"] == 0  # what is folded away on a screen is there
