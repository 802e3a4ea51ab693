"""The report in headless Chromium: nothing is fetched, nothing fails, all is drawn, and axe-core finds no fault.

Where Node, npm or Chromium are not there, or their two packages cannot be had, the tests are skipped with the reason.
"""

import base64
import io
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from report_data import embedding_table, features_table, series_table
from tests.conftest import ROOT
from tests.unit.report.test_write import make_inputs, write

from ct4bench.core.benchmark import ROIS
from ct4bench.core.tables import write_table
from ct4bench.core.view_files import write_view
from ct4bench.stability.icc import icc_table

FOLDER = ROOT / "tests" / "browser"
A4_PX = 1062
"""The width of a landscape page within its margins."""
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


def encoded(gray, kind):
    out = io.BytesIO()
    Image.fromarray(gray).convert("RGB").save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def slices_values():
    """Three scanners' slices of one gray each."""
    pictures = [np.full((40, 60), gray, np.uint8) for gray in (90, 130, 170)]
    told = {"mean_hu": 3.0, "sd_hu": 12.0, "regions_hu": {"cyst1": 2.0}}
    scanners = [
        {"scanner": name, "name": "", "repetition": 1, "image": encoded(picture, "WEBP")}
        | (told | {"difference": encoded(picture, "PNG")} if i else {})
        for i, (name, picture) in enumerate(zip(("A1", "A2", "C1"), pictures, strict=True))
    ]
    insets = [{"roi": "cyst1", "tissue": "cyst", "colour": "#0072B2", "box": [3, 4, 10, 10]}]
    return {
        "reference": "A1", "dose_mgy": 10.0, "recon": "IR", "slice_mm": 132.0, "from_first_face": True, "width": 60,
        "height": 40, "pixel_mm": [0.7, 0.7], "bin": 1, "step_hu": 50, "limit_hu": 100, "inset_mm": 40.0,
        "gray_hu": [-150, 250], "colours": ["#0000ff", "#8888ff", "#ffffff", "#ff8888", "#ff0000"], "insets": insets,
        "scanners": scanners, "missing": {},
    }  # fmt: skip


def gray_of(series, uid, roi, patch) -> int:
    return 40 + 20 * list(series["series_uid"]).index(uid) % 160 + 8 * ROIS.index(roi) + 4 * patch


def patches_values(series):
    """A sprite whose tiles have a gray each, by series, region and patch."""
    uids = list(series.loc[series["dose_mgy"] == 10, "series_uid"])
    keys = [(roi, patch) for roi in ROIS for patch in (0, 1)]
    tiles = [np.full((24, 24), gray_of(series, uid, *key), np.uint8) for uid in uids for key in keys]
    sprite = np.block([tiles[i : i + 12] for i in range(0, len(tiles), 12)])
    return {"side": 24, "columns": 12, "series": uids, "n_series": len(uids), "patches": keys, "gray_hu": [-50, 150],
            "image": encoded(sprite, "WEBP")}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with every kind of view."""
    folder = tmp_path_factory.mktemp("browser")
    inputs = make_inputs(folder)
    series = series_table("synthetic", ("A1", "A2", "C1"))
    write_table(embedding_table(series, ("radiomics",)), folder / "none" / "embedding.parquet")
    write_table(icc_table(features_table(series), "radiomics"), folder / "none" / "icc.csv")
    figures = folder / "none" / "figures"
    write_view(slices_values(), "slices", figures)
    write_view(patches_values(series), "patches", figures)
    write(inputs, folder / "report.html")
    return folder / "report.html"


def check(found, width, media="screen"):
    assert found["requests"] == [] and found["said"] == []
    assert found["width"] <= width
    assert found["heap_mb"] <= HEAP_MB and found["seconds"] <= SECONDS
    assert [view["view"] for view in found["views"]] == ["ranks", "points"]
    assert all(view["inked"] for view in found["views"])
    before, after = found["sorted"]["before"], found["sorted"]["after"]
    assert found["sorted"]["way"] == "descending" and after == sorted(before, reverse=True) != before
    assert found.get("violations", []) == []
    if media == "print":
        assert found["slices"]["first"] == {"image": 3, "difference": 2, "insets": 5}
        return
    # A1 is what the others are compared to: its slice stands beside their differences
    assert found["slices"] == {
        "first": {"image": 3, "difference": 0, "insets": 3}, "difference": {"image": 1, "difference": 2, "insets": 3},
        "both": {"image": 3, "difference": 2, "insets": 5}, "closed": {"image": 3, "difference": 2, "insets": 0},
    }  # fmt: skip
    series = series_table("synthetic", ("A1", "A2", "C1"))
    assert len({told["words"] for told in found["patches"]}) > 1
    for told in found["patches"]:
        scanner, dose, recon, roi, patch = re.match(
            r"(\w+) \(\w+\), (\d+) mGy, (\w+) #1\s+(\w+), patch (\d)", told["words"]
        ).groups()
        own = series[(series["scanner"] == scanner) & (series["dose_mgy"] == float(dose)) & (series["recon"] == recon)]
        assert abs(told["gray"] - gray_of(series, own["series_uid"].iloc[0], roi, int(patch))) <= 3


def test_the_page_is_whole_on_a_phone(look, page):
    assert page.stat().st_size <= BYTES
    check(look(page, 360), 360)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme", "media"),
    [(width, scheme, "screen") for width in (360, 768, 1280) for scheme in ("light", "dark")]
    + [(A4_PX, "light", "print")],
)
def test_the_page_is_whole_at_every_size_dark_and_on_paper(look, page, width, scheme, media):
    found = look(page, width, scheme, media)
    check(found, width, media)
    if media == "print":
        assert found["lost"] == 0  # what is folded away on a screen is there
        assert found["divided"] == []
