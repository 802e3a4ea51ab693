"""The report: whole, offline, escaped, the same bytes twice, and with the right numbers in it."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_data import embedding_table, features_table, load_script, pairs_table, series_table, transforms_table

from ct4bench.core.checks import entry
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.extractors import read_extractors
from ct4bench.core.geometry import Rigid
from ct4bench.core.modes import MODES
from ct4bench.core.tables import write_table
from ct4bench.core.view_files import write_view
from ct4bench.report.cells import delta, matrix, mean_sd, number, text_of, value_grid
from ct4bench.report.headlines import feature_headlines
from ct4bench.report.sections import (
    checks_view,
    extractors_view,
    grid_words,
    merge_usage,
    patch_overlaps,
    patches_view,
    registration_errors_mm,
)
from ct4bench.report.write import TEMPLATE, _parameter_rows, fit, png_size, read_figures, read_usage
from ct4bench.results.deviations import read_deviations
from ct4bench.results.run_facts import IMAGELESS
from ct4bench.stability.icc import icc_table

HOSTILE = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags of a page; fails where one is closed out of turn. `code` has the texts of styles and scripts by tag."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.ids, self.code = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.code.append((self.open[-1], self.tags[-1][1].get("type", ""), data))
        else:
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


def write_figure(folder, name, words="A caption", size=(400, 300), **more):
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(3).integers(0, 255, (size[1], size[0]), np.uint8)
    Image.fromarray(noise).save(folder / f"{name}.png", **more)
    caption = {"name": name, "title": "Title", "text": words, "alt": "A picture", "notes": []}
    (folder / f"{name}.json").write_text(json.dumps(caption))


def make_inputs(folder, origin="synthetic", mode="paper", more=()):
    """Files of a run; the arguments of write_report.py. `more` are further ones of make_tables.py."""
    series = series_table(origin, ("A1", "A2", "C1"), repetitions=2 if mode == "corrected" else 1)
    series.to_csv(folder / "registered.csv", index=False)
    pairs_table(series, MODES[mode]).to_parquet(folder / "pairs.parquet")
    transforms_table(series).to_csv(folder / "transforms.csv", index=False)
    quarantine = [
        (f"A1/{HOSTILE}", "1.2.3", "missing_slices", HOSTILE),
        ("B1/a.dcm", "", "unreadable", "ends at byte 12"),
        ("B1/b.dcm", "", "unreadable", "ends at byte 13"),
    ]
    pd.DataFrame(quarantine, columns=["path", "series_uid", "reason", "detail"]).to_csv(
        folder / "quarantine.csv", index=False
    )
    settings = {"extractor": "swin_unetr", "seed": 5, "weights": {"status": "random", "words": HOSTILE, "file": "",
                                                                  "sha256": ""}}  # fmt: skip
    method = folder / "none"
    (method / "features").mkdir(parents=True, exist_ok=True)
    (method / "features" / "swin_unetr.json").write_text(json.dumps(settings))
    run = {"parameters": {"seed": 7, "input": HOSTILE}, "versions": {"nextflow": "25.04.4"}, "command": HOSTILE}
    (folder / "run.json").write_text(json.dumps(run))
    usage = [{"script": "a.py", "cpu_s": 2.5, "wall_s": 3.0, "peak_rss_mb": 100, "versions": {"numpy": "2.4.6"}}]
    (folder / "usage.json").write_text(json.dumps(usage))
    for name in ("figure2", "figure5"):
        write_figure(method / "figures", name, HOSTILE)
    load_script("make_tables").main(
        ["--series", f"{folder}/registered.csv", "--index", f"{folder}/registered.csv", "--pairs",
         f"{folder}/pairs.parquet", "--settings", f"{method}/features/swin_unetr.json", "--mode", mode, "--output",
         f"{method}/tables", *more]
    )  # fmt: skip
    return [
        "--methods", f"{method}", "--registered", f"{folder}/registered.csv", "--quarantine",
        f"{folder}/quarantine.csv", "--transforms", f"{folder}/transforms.csv", "--run", f"{folder}/run.json",
        "--usage", f"{folder}/usage.json",
    ]  # fmt: skip


def write(arguments, output):
    load_script("write_report").main([*arguments, "--output", str(output)])
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("synthetic"))


@pytest.fixture(scope="module")
def page(inputs, tmp_path_factory):
    return write(inputs, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def collection_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection")
    return write(make_inputs(folder, "collection"), folder / "report.html")


def test_the_page_is_well_formed_with_unique_ids_and_working_links(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    anchors = [attributes["href"] for tag, attributes in parsed.tags if tag == "a"]
    assert anchors
    for anchor in anchors:
        assert anchor.startswith("https://doi.org/") or anchor[0] != "#" or anchor[1:] in parsed.ids, anchor


def test_every_table_and_figure_leads_to_its_file(inputs, page):
    """Links are seen from the report, which lies beside the folders of methods."""
    links = {attributes["href"] for tag, attributes in Page(page).tags if tag == "a"}
    files = {link for link in links if link[0] != "#" and not link.startswith("https:")}
    folder = Path(inputs[1])
    shown = {f"none/tables/{path.name}" for path in (folder / "tables").glob("*.csv")}
    assert shown <= files
    assert files - shown == {"none/figures/figure2.svg", "none/figures/figure5.svg"}


def test_strings_of_headers_are_escaped(page):
    assert page.count("<script") == 4 + 1  # the page's own, and one block of data
    assert "onerror" in page
    tags = Page(page).tags
    assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
    assert page.count("&lt;script&gt;") >= 5


def sha256_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_pages_own_style_and_scripts_and_nothing_else(page):
    parsed = Page(page)
    metas = [attributes for tag, attributes in parsed.tags if tag == "meta"]
    (policy,) = (meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy")
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    scripts = [text for tag, kind, text in parsed.code if tag == "script" and not kind]
    styles = [text for tag, _, text in parsed.code if tag == "style"]
    assert rules == {
        "default-src": ["'none'"], "img-src": ["data:", "blob:"], "style-src": [sha256_of(text) for text in styles],
        "script-src": [sha256_of(text) for text in scripts], "base-uri": ["'none'"], "form-action": ["'none'"],
    }  # fmt: skip
    assert len(scripts) == 4 and len(styles) == 1
    # a style in an attribute would not be taken
    assert not [attributes for _, attributes in parsed.tags if "style" in attributes]
    first = next(i for i, (tag, _) in enumerate(parsed.tags) if tag in ("script", "style"))
    assert any(attributes.get("http-equiv") for _, attributes in parsed.tags[:first])


def test_the_page_holds_each_table_as_its_file_has_it(inputs, page):
    (files,) = (json.loads(text) for tag, kind, text in Page(page).code if kind == "application/json")
    paths = {f"none/tables/{path.name}": path.read_text() for path in Path(inputs[1], "tables").glob("*.csv")}
    assert files == paths


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(r"<(link|iframe|object|embed)\b", page)
    assert not [attributes for tag, attributes in Page(page).tags if tag == "script" and "src" in attributes]
    assert not re.search(r"(src|srcset|action)\s*=\s*[\"'](?!data:image/png;base64,)", page)
    assert "url(" not in page
    assert "@import" not in page


def test_every_picture_has_words_and_a_size(page):
    pictures = [attributes for tag, attributes in Page(page).tags if tag == "img"]
    assert len(pictures) == 2
    assert all(p["alt"] and p["width"] == "400" and p["height"] == "300" for p in pictures)


def test_every_table_has_heads_with_a_scope(page):
    heads = [attributes for tag, attributes in Page(page).tags if tag == "th"]
    assert heads
    assert all(attributes.get("scope") in ("row", "col") for attributes in heads)


@pytest.mark.parametrize(
    ("mode", "lost", "interpolated"),
    [("paper", 0.0, False), ("paper", 0.35, True), ("corrected", 0.33, True), ("paper", None, False),
     ("corrected", None, True)],
)  # fmt: skip
def test_the_reference_is_called_interpolated_only_where_it_lost_noise(mode, lost, interpolated):
    """What the transforms say counts, else the mode."""
    frame = transforms_table(series_table("synthetic", ("A1", "C1")))
    frame.loc[frame["status"] == "reference", "lost_noise_variance"] = lost
    words = grid_words(mode, None if lost is None else frame)
    assert ("the reference too" in words, "without any" in words) == (interpolated, not interpolated)


def test_headings_say_table_once_and_the_contents_name_each(page):
    parsed = Page(page)
    assert "Table: Table" not in parsed.words
    contents = re.findall(r'<li><a href="#[^"]*">(.*?)</a>', page.split("</nav>")[0])
    assert "Table" not in contents and "Table 3" in contents and len(contents) > 5
    text = TEMPLATE.read_text(encoding="utf-8")
    assert "leaves, Noise" not in text


def test_what_must_stay_below_is_not_headed_as_an_error():
    """The correlation falls off aside of the motion found: -0.0046, where up to 0.002 more would pass."""
    grid = checks_view(
        {"checks": [entry("registration_place", 13, -0.0046, "series a"), entry("resampling", 9, 0.5, "b")]}
    )
    assert grid["columns"][-1] == "Must not exceed"
    place, voxels = grid["rows"]
    assert "below 0: no better place" in place["head"] and place["cells"][3]["main"] == "0.002"
    assert "up to half a HU is rounding" in voxels["head"]


def test_the_first_screen_says_what_was_run(page):
    words = Page(page).words
    assert "18 synthetic series: 3 scanners (A1, A2, C1); 1, 3, 6, 10 and 14 mGy; FBP and IR; 1 repetition" in words
    assert "Mode paper: as published, except points 5, 6, 11 and 15" in words
    assert "SwinUNETR: random weights" in words
    assert "RMSE between two scanners, median" in words


def test_what_weights_are_is_said_once_on_the_first_screen(page):
    first = page[page.index('<header id="summary">') : page.index("</header>")]
    assert first.count("SwinUNETR: random weights") == 1 and "The weights of SwinUNETR were never trained" in first


def test_headlines_compare_the_cells_that_were_run(page, collection_page):
    assert "published 42.2 HU" not in Page(page).words  # synthetic: nothing to compare with
    words = Page(collection_page).words
    # Published medians of A1, A2 and C1 alone, not of all thirteen scanners.
    assert "published 42.2 HU" in words
    # one scan each has no repetition
    assert "RMSE within a scanner" not in words and "published 7.3 HU" not in words
    assert "one scan of A1 at 10 mGy: two reconstructions of it are no repetition" in page
    assert "published 56.1 HU" not in words


@pytest.mark.parametrize("n", [1, 3, 12, 20])
def test_any_number_of_scanners_has_the_headline_of_an_unseen_one(n):
    stem = f"loso_{n}_scanner{'s' * (n > 1)}_acc"
    row = {"features": "Radiomics", "icc_mean": 0.8, "loso_1_scanner_acc_mean": 0.61, f"{stem}_mean": 0.75}
    # The paper's cell stands beside it, and was not run.
    row |= {"loso_12_scanners_acc_mean": row.get("loso_12_scanners_acc_mean"), "loso_12_scanners_acc_mean_published": 1}
    table = pd.DataFrame([row])
    for domain in ("scanner", "dose_mgy"):
        facts = {"origin": "collection", "domain": domain, "extractors": {}}
        grid = feature_headlines({"table7_stability_classification": table}, facts)
        (cell,) = (line["cells"][0] for line in grid["rows"] if line["head"].endswith(f"(N = {n})"))
        assert (cell["main"], cell.get("sub") == "1.000") == ("0.750", n == 12)


def test_synthetic_input_claims_no_difference(page):
    words = Page(page).words
    assert "Not comparable: synthetic input" in words
    assert "this run less published" not in words
    assert 'class="delta"' not in page
    assert "44.72\N{PLUS-MINUS SIGN}0.12" in words


def test_the_collection_has_differences(collection_page):
    words = Page(collection_page).words
    assert "18 of the collection's 1378 series" in words
    assert "this run less published" in words
    assert 'class="delta"' in collection_page
    assert "ynthetic" not in words.split("Mode and deviations from the paper")[0]


def test_impossible_cells_are_marked(page):
    assert page.count("\N{DAGGER}</abbr>") >= 2
    assert "not a target: mean PSNR below" in page


def test_all_points_and_the_quarantine_are_there(page):
    words = Page(page).words
    for point in read_deviations()[0]:
        assert point.subject in words
    assert "3 items of the input were set aside" in words
    assert "2 \N{MULTIPLICATION SIGN} unreadable : the file cannot be read as DICOM" in words
    assert "ends at byte 13" in words
    assert "What to do: copy or download the file again" in words


def test_what_was_not_made_is_listed(page):
    words = Page(page).words
    for name in ("figure3", "figure4", "figure6"):
        assert f"{name} not drawn in this run" in words


def test_provenance_is_there(page):
    words = Page(page).words
    for item in ("nextflow 25.04.4", "numpy 2.4.6", "seed 7", "a.py 1 2.5 3.0 100", "10.7937/M0PB-BH69", "CC BY 4.0"):
        assert item in words


def test_the_same_inputs_give_the_same_bytes(inputs, page, tmp_path):
    assert write(inputs, tmp_path / "again.html") == page


def test_print_opens_folded_tables_and_has_no_text_below_7_points(page):
    """The sizes that a reader gets on paper; what lies below is relative to these, and has a least size."""
    printed = page[page.index("@media print") :].split("</style>")[0]
    assert "details::details-content { content-visibility:visible; display:block" in printed
    assert "details > * { display:block; }" in printed  # browsers that hide the children themselves
    sizes = [float(size) for size in re.findall(r"font-size:(?:max\(.85em, )?([\d.]+)pt", printed)]
    assert len(sizes) > 5 and min(sizes) >= 7
    assert "size:A4 landscape" in printed


def test_a_figure_is_shown_no_smaller_than_it_is(inputs, tmp_path):
    """1530 pixels at 150 to the inch are 10.2 inches, 979 pixels of a page."""
    folder = tmp_path / "method"
    shutil.copytree(inputs[1], folder)
    write_figure(folder / "figures", "figure2", size=(1530, 400), dpi=(150, 150))
    text = write(["--methods", str(folder)], tmp_path / "r.html")
    assert 'width="1530" height="400" class="w979"' in text
    assert ".w979 { min-width:979px; }" in text
    assert re.search(r'<div class="picture" tabindex="0" role="region" aria-label="Figure 2: [^"]+"><img', text)


def test_a_matrix_has_a_key_of_its_own_scale(page):
    table = pd.DataFrame({"scanner_row": ["A1", "C1", "C1"], "scanner_col": ["A1", "A1", "C1"], "n_pairs": 4})
    key = matrix(table.assign(ssim_mean=[0.99, 0.5, 0.97]), "ssim")["key"]
    assert (key["name"], key["ends"]) == ("SSIM", ["0.990", "0.500"])
    assert matrix(table.assign(rmse_hu_mean=[3.0, 40.0, 5.0]), "rmse_hu")["key"]["ends"] == ["3.00", "40.00"]
    words = Page(page).words
    assert words.count("on this table's own scale") >= 3


def test_mode_corrected_is_said(tmp_path):
    text = write(make_inputs(tmp_path, mode="corrected"), tmp_path / "r.html")
    words = Page(text).words
    assert "Mode corrected: what the text of the paper says" in words
    assert "Mode corrected (this run)" in words
    # Every cell of Tables 3-5 and row of Table 6 has its interval and its number of pairs.
    table = pd.read_csv(tmp_path / "none" / "tables" / "table3_rmse_hu.csv").set_index(["scanner_row", "scanner_col"])
    cell = table.loc["A2", "A1"]
    assert f"95 % interval {cell['ci_low']:.2f}\N{EN DASH}{cell['ci_high']:.2f}" in words
    mean, sd = (f"{cell[f'rmse_hu_{part}']:.2f}" for part in ("mean", "sd"))
    assert re.search(rf"{mean} .{sd} .{{1,60}} n={cell['n_pairs']:.0f} ", words)
    row = pd.read_csv(tmp_path / "none" / "tables" / "table6_dose.csv").iloc[0]
    assert f"{row['ssim_ci_low']:.3f} to {row['ssim_ci_high']:.3f}" in words


def test_a_column_of_numbers_stays_to_the_right_where_only_the_paper_has_one():
    frame = pd.DataFrame(
        {
            "scanner": ["A1", "E1"], "model": ["X", None], "model_published": ["X", "Y"],
            "pitch": [1.0, np.nan], "pitch_published": [0.9, 0.8],
        }
    )  # fmt: skip
    grid = value_grid(frame, "scanner")
    assert grid["left"] == [1]
    assert [[cell["left"] for cell in row["cells"]] for row in grid["rows"]] == [[True, False], [True, False]]
    assert grid["rows"][1]["cells"][1]["sub"] == "0.8"


def test_a_column_that_the_paper_lacks_is_shown_too():
    frame = pd.DataFrame({"scanner": ["X1"], "n_5mgy": [4], "n_10mgy": [6], "comparison": ["not published"],
                          "not_a_target": [""], "reason": [""]})  # fmt: skip
    grid = value_grid(frame, "scanner")
    assert [cell["main"] for cell in grid["rows"][0]["cells"]] == ["4", "6"]


def test_numbers_of_pairs_stand_in_the_cells_where_they_differ():
    frame = pd.DataFrame({"scanner_row": ["A1", "A2", "A2"], "scanner_col": ["A1", "A1", "A2"], "n_pairs": [6, 16, 6],
                          "ssim_mean": [0.99, 0.9, 0.98], "ssim_sd": [0.01, 0.02, np.nan]})  # fmt: skip
    cells = [cell for row in matrix(frame, "ssim")["rows"] for cell in row["cells"] if "empty" not in cell]
    assert [cell["n"] for cell in cells] == ["6", "16", "6"]
    assert [cell.get("sd") for cell in cells] == ["\N{PLUS-MINUS SIGN}0.010", "\N{PLUS-MINUS SIGN}0.020", None]
    even = matrix(frame.assign(n_pairs=20), "ssim")["rows"]
    assert not any("n" in cell for row in even for cell in row["cells"])


def test_tables_alone_make_a_report(inputs, tmp_path):
    shutil.copytree(f"{inputs[1]}/tables", tmp_path / "tables")
    words = Page(write(["--methods", str(tmp_path)], tmp_path / "r.html")).words
    assert "Table 3" in words
    assert "Quarantine" not in words
    assert "figure2 no volumes: the run started from features" in words
    assert "figure5 not drawn in this run" in words


OWN = """
name: Tissue phantom of mine
main_region: oil
regions:
  - {name: oil, class: fat}
  - {name: pool1, class: water}
  - {name: pool2, class: water}
"""


def test_parameters_of_a_source_stand_where_the_series_came_from_it():
    given = {"seed": 0, "twin_scanners": "A1", "download_retries": 5, "tcia_endpoint": "", "doses": None, "doses_of": 1}
    names = {
        source: [name for name, _ in _parameter_rows({"parameters": {**given, source: value}})]
        for source, value in (("input", "/a"), ("features", "b.csv"), ("download", "idc"), ("mode", "paper"))
    }
    of_all = ["doses_of", "seed"]
    assert names == {
        "input": sorted([*of_all, "input"]),
        "features": sorted([*of_all, "features"]),
        "download": sorted([*of_all, "download", "download_retries", "tcia_endpoint", "doses"]),
        "mode": sorted([*of_all, "mode", "twin_scanners"]),
    }


@pytest.mark.parametrize(("sets", "n"), [("all", 2), (None, 2), ("radiomics,swin_unetr", 1), ("radiomics", 0)])
def test_parameters_of_an_extractor_stand_where_it_was_asked_for(sets, n):
    given = {"feature_sets": sets, "swinunetr_layer": 4, "shallow_cnn_weights": "a.npz"}
    assert len(_parameter_rows({"parameters": given})) == n + 1


def test_the_page_of_a_phantom_of_ones_own_speaks_of_it_alone(tmp_path):
    (tmp_path / "phantom.yml").write_text(OWN)
    patches = pd.DataFrame({"roi": ["oil", "oil", "pool1", "pool2"], "slice": 20, "row": 40, "column": [40, 50, 60, 70],
                            "share_inside": [0.5, 0.25, 0.75, 0.5]})  # fmt: skip
    patches.to_csv(tmp_path / "patches.csv", index=False)
    arguments = make_inputs(tmp_path, "other", more=("--phantom", f"{tmp_path}/phantom.yml"))
    html = write([*arguments, "--patches", f"{tmp_path}/patches.csv"], tmp_path / "r.html")
    assert re.search(r"<title>ct4bench report: Tissue phantom of mine, \d+ series", html)
    assert "<h1>Tissue phantom of mine:" in html
    words = Page(html).words.replace("Tissue phantom of mine", "")
    said = "Columns and tasks keep the benchmark's names: 'tissue' for the class of a region, and 'block' for the whole"
    assert said in words
    words = words.replace(said, "")
    for word in (
        "cyst",
        "hemangioma",
        "six ROIs",
        "six regions",
        "issue",
        "liver",
        "paper block",
        "H2-A1",
        "Six ",
        "printed phantom",
        "inside the block",
    ):
        assert word not in words, words[max(0, words.find(word) - 80) : words.find(word) + 80]
    assert "On a phantom of your own" in words
    assert "Points 3, 9, 10, 11, 14, 18, 21 are of the CT4Harmonization phantom" in words
    assert "over the 3 ROIs" in words and "Please cite the paper, whose benchmark this run follows" in words
    # the first screen warns of what lies outside, and of nothing else; 0.5 is half
    warned = words[words.index("What to know") : words.index("Mode paper")]
    assert "Patches of oil (38 %) lie in their region by less than half" in warned and "--spacing" in warned
    assert "pool" not in warned[warned.index("Patches of oil") :]


def test_a_run_from_features(tmp_path):
    features = features_table(series_table("synthetic"))
    write_table(features, tmp_path / "features.parquet")
    write_table(icc_table(features, "radiomics"), tmp_path / "icc.csv")
    load_script("make_tables").main(
        ["--series", f"{tmp_path}/features.parquet", "--icc", f"{tmp_path}/icc.csv", "--output", f"{tmp_path}/tables"]
    )
    write_table(embedding_table(features, ("radiomics",)), tmp_path / "embedding.parquet")
    text = write(["--methods", str(tmp_path), "--series", f"{tmp_path}/features.parquet"], tmp_path / "r.html")
    words = Page(text).words
    # points are there, of the series of the table, and no picture of a patch is promised
    (data,) = re.findall(r'data-view="points" hidden><script type="application/json">(.*?)</script>', text)
    told = json.loads(data)
    assert "thumbnails" not in told and "middle slice" not in words
    assert {row["scanner"] for row in told["series"]} == set(features["scanner"])
    assert "Not comparable: input of unknown origin" in words
    assert "table3_rmse_hu no registered volumes: the run started from features" in words
    assert "table1_acquisition no index" in words
    assert "Mean ICC(3,1)" in words
    # what was done to a table before is not known
    assert "No harmonization was applied" not in words
    assert "no harmonization was applied to them here, and what was done before is not known" in words


def test_each_method_has_a_page_and_the_run_is_told_once(inputs, page, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(inputs[1], other)
    facts = other / "tables" / "run_facts.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "method": "other"}))
    values = {}
    for folder, more in ((Path(inputs[1]), 0), (other, 500)):
        table = pd.read_csv(folder / "tables" / "table3_rmse_hu.csv")
        table["rmse_hu_mean"] += more
        table.to_csv(other / "tables" / "table3_rmse_hu.csv", index=False)
        values[folder.name] = table.set_index(["scanner_row", "scanner_col"]).loc[("A2", "A1"), "rmse_hu_mean"]
    text = write(["--methods", inputs[1], str(other), *inputs[2:]], tmp_path / "report.html")
    pages = {"none": Page(text), "other": Page((tmp_path / "report_other.html").read_text(encoding="utf-8"))}
    alone = Page(page)
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["report.html", "report_other.html"]
    for name, beside in (("none", "report_other.html"), ("other", "report.html")):
        parsed = pages[name]
        assert len(set(parsed.ids)) == len(parsed.ids)
        links = {attributes["href"] for tag, attributes in parsed.tags if tag == "a"}
        assert {link[1:] for link in links if link.startswith("#")} <= set(parsed.ids)
        assert beside in links
        assert f"{values[name]:.2f}" in parsed.words and parsed.words.count("Table 3. RMSE") == 2
        assert f"{name}/tables/table3_rmse_hu.csv" in links
    # `none` is no method that was applied, and has no page of its own
    applied = "The harmonization method other was applied to the same series, and has a page of its own"
    assert applied in pages["none"].words and "methods none" not in pages["none"].words
    # the page of `none` is that of a run without methods, and the other has what is of the method
    assert f"{values['other']:.2f}" not in pages["none"].words
    for words in ("Table 1.", "Table 2.", "Registration by scanner"):
        assert pages["none"].words.count(words) == alone.words.count(words) > pages["other"].words.count(words) == 0
    means = [pd.read_csv(folder / "tables" / "table3_rmse_hu.csv") for folder in (Path(inputs[1]), other)]
    medians = [frame.loc[frame["scanner_row"] != frame["scanner_col"], "rmse_hu_mean"].median() for frame in means]
    # a run of methods is not called one without
    badges = text.split('<ul class="badges">')[1].split("</ul>")[0]
    assert "1 harmonization method<" in badges and "no harmonization" not in badges
    change = f"RMSE between two scanners {medians[0]:.1f} HU before, {medians[1]:.1f} HU after"
    assert change in pages["other"].words and medians[1] - medians[0] == pytest.approx(500)


def test_the_page_of_a_method_is_headed_as_the_leaderboard_and_says_what_failed(inputs, tmp_path):
    other, board = tmp_path / "mine", tmp_path / "board"
    shutil.copytree(inputs[1], other)
    facts = other / "tables" / "run_facts.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "method": "mine"}))
    board.mkdir()
    about = {"role": "method", "level": "feature", "information": "inductive"}
    methods = [{"method": "none", "title": "None"}, {"method": "mine", "title": "ComBat"},
               {"method": "combat", "title": "ComBat", "reason": "failed: rough"}]  # fmt: skip
    failed = {"extractor": "swin_unetr", "fit": "fold", "reason": "failed: KeyError: calm"}
    tables = {
        "methods": [about | row for row in methods],
        "leaderboard": [
            about | failed | {"method": "mine", "score": "tissue_n1"},
            about | failed | {"method": "mine", "score": "tissue_n2", "raw": 0.5, "reason": ""},
        ],
        "leaderboard_makers": [],
    }
    for name, rows in tables.items():
        pd.DataFrame(rows).reindex(columns=columns_of(f"{name}.csv")).to_csv(board / f"{name}.csv", index=False)
    arguments = ["--methods", inputs[1], str(other), *inputs[2:], "--board", str(board)]
    report = Page(write(arguments, tmp_path / "report.html")).words
    page = Page((tmp_path / "report_mine.html").read_text(encoding="utf-8")).words
    assert "Method ComBat (mine): " in page and "Without Tissue, N = 1: failed: KeyError: calm." in page
    assert "ComBat (mine) , without Tissue, N = 1: failed: KeyError: calm." in report
    assert "ComBat (combat) , without any result: failed: rough." in report
    assert "The harmonization method mine was applied" in report


def test_what_maps_features_shows_the_patches_of_no_harmonization(tmp_path):
    series = series_table("synthetic", ("A1", "A2", "C1"))
    arguments = make_inputs(tmp_path)
    none = tmp_path / "none"
    write_table(embedding_table(series, ("radiomics",)), none / "embedding.parquet")
    uids = list(series.loc[series["dose_mgy"] == 10, "series_uid"])
    sprite = {"side": 24, "columns": 6, "series": uids, "n_series": len(uids), "patches": [["cyst1", 0]],
              "gray_hu": [-50, 150], "image": "c3ByaXRl"}  # fmt: skip
    for name, reason in (("of_features", IMAGELESS), ("of_images", "no volumes were made")):
        shutil.copytree(none, tmp_path / name)
        facts = tmp_path / name / "tables" / "run_facts.json"
        values = json.loads(facts.read_text())
        facts.write_text(json.dumps(values | {"method": name, "missing": {"table3_rmse_hu": reason}}))
    write_view(sprite, "patches", none / "figures")
    write([*arguments[:2], str(tmp_path / "of_features"), str(tmp_path / "of_images"), *arguments[2:]],
          tmp_path / "report.html")  # fmt: skip
    shown = {path.stem: "c3ByaXRl" in path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}
    assert shown == {"report": True, "report_of_features": True, "report_of_images": False}


def test_one_method_twice_is_refused(inputs, tmp_path):
    with pytest.raises(UserError, match="hold the same method"):
        write([*inputs[:2], inputs[1]], tmp_path / "r.html")


def test_an_empty_quarantine_is_said(inputs, tmp_path):
    (tmp_path / "quarantine.csv").write_text("path,series_uid,reason,detail\n")
    words = Page(write([*inputs[:2], "--quarantine", f"{tmp_path}/quarantine.csv"], tmp_path / "r.html")).words
    assert "Every series of the input was accepted" in words


def test_the_date_stands_only_where_given(inputs, page, tmp_path):
    (tmp_path / "run.json").write_text('{"date": "2026-11-25"}')
    dated = write([*inputs[:2], "--run", f"{tmp_path}/run.json"], tmp_path / "r.html")
    assert "2026-11-25" in dated
    assert not re.search(r"20\d\d-\d\d-\d\d", page)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [("--run", "{", "run.bad"), ("--usage", "{", "--usage"),
     ("--template", "{{ nothing }}", "template"), ("--deviations", "points: 1", "deviations")],
)  # fmt: skip
def test_broken_inputs_are_named(inputs, tmp_path, option, text, words):
    (tmp_path / "run.bad").write_text(text)
    with pytest.raises(UserError, match=re.escape(words)):
        write([*inputs[:2], option, f"{tmp_path}/run.bad"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_caption_without_its_picture_is_refused(tmp_path):
    write_figure(tmp_path, "figure2")
    (tmp_path / "figure2.png").unlink()
    with pytest.raises(UserError, match=r"figure2\.png"):
        read_figures(tmp_path)


def test_large_pictures_are_halved_until_they_fit(tmp_path):
    for name, size in (("a", (600, 400)), ("b", (200, 100))):
        write_figure(tmp_path, name, size=size)
    pngs = {name: png for name, (_, png) in read_figures(tmp_path).items()}
    small = fit(pngs, 150_000)
    assert png_size(small["a"]) == (300, 200)
    assert small["b"] == pngs["b"]
    assert sum(map(len, small.values())) <= 150_000
    assert fit(pngs) == pngs


def test_registration_errors_are_displacements_of_the_corners():
    corners = np.array([[x, y, z] for x in (-100, 100) for y in (-80, 80) for z in (-150, 150)], float)
    zero = (0.0, 0.0, 0.0)
    reference = Rigid((0.5, -0.2, 0.1), (3.0, 1.0, -2.0), zero)
    moved = Rigid((0.0, 0.3, 0.0), (1.0, 0.0, 5.0), (10.0, 0.0, 0.0))
    true = moved.after(reference.inverse())
    found = Rigid(true.rotation_deg, tuple(np.array(true.translation_mm) + [0.03, 0.0, 0.04]), true.centre_mm)

    def row(uid, motion, **more):
        values = {"series_uid": uid, **more}
        for kind, unit in (("translation", "mm"), ("rotation", "deg"), ("centre", "mm")):
            numbers = getattr(motion, f"{kind}_{unit}")
            values |= {f"{kind}_{axis}_{unit}": value for axis, value in zip("xyz", numbers, strict=True)}
        return values

    truth = pd.DataFrame([row("r", reference), row("s", moved)])
    still = Rigid(zero, zero, zero)
    transforms = pd.DataFrame([row("r", still, status="reference"), row("s", found, status="registered")])
    errors = registration_errors_mm(transforms, truth, corners)
    assert list(errors.index) == ["s"]
    assert errors["s"] == pytest.approx(0.05, abs=1e-9)


def test_truth_reaches_the_page(inputs, tmp_path):
    transforms = pd.read_csv(inputs[inputs.index("--transforms") + 1])
    transforms.to_csv(tmp_path / "truth.csv", index=False)
    corners = [[x, y, z] for x in (-100, 100) for y in (-80, 80) for z in (-150, 150)]
    (tmp_path / "reference.json").write_text(json.dumps({"corners_mm": corners}))
    more = ["--truth", f"{tmp_path}/truth.csv", "--reference", str(tmp_path)]
    words = Page(write([*inputs, *more], tmp_path / "r.html")).words
    assert "is 0.000 mm in the median and 0.000 mm at most (17 series)" in words


def test_a_stretched_series_is_named_as_a_flaw(inputs, tmp_path):
    at = inputs.index("--transforms") + 1
    assert "were stretched to as many" not in Page(write(inputs, tmp_path / "plain.html")).words
    transforms = pd.read_csv(inputs[at])
    transforms["detail"] = ["stretched: 337 slices to 343", *[""] * (len(transforms) - 1)]
    transforms.to_csv(tmp_path / "transforms.csv", index=False)
    changed = [*inputs[:at], f"{tmp_path}/transforms.csv", *inputs[at + 1 :]]
    words = Page(write(changed, tmp_path / "r.html")).words
    assert "1 series with fewer slices than the reference were stretched" in words
    assert "a flaw of the published code, point 11" in words


def test_the_report_says_which_hu_were_rounded_and_by_how_much(inputs, tmp_path):
    at = inputs.index("--registered") + 1
    registered = pd.read_csv(inputs[at])

    def words(rounding) -> str:
        registered.assign(rounding_hu=rounding).to_csv(tmp_path / "registered.csv", index=False)
        changed = [*inputs[:at], f"{tmp_path}/registered.csv", *inputs[at + 1 :]]
        return Page(write(changed, tmp_path / "r.html")).words

    rounding = np.zeros(len(registered))
    assert "All rescale slopes and intercepts are integers: no HU was rounded" in words(rounding)
    rounding[[2, 4]] = 0.5, 0.125
    text = words(rounding)
    assert f"2 of {len(registered)} series have fractions of a HU" in text and "by 0.500 HU at most" in text
    part = text[text.index("Series with rounded HU") :]
    for i in (2, 4):
        row = registered.iloc[i]
        name = f"{row['scanner']}, {row['dose_mgy']:g} mGy, {row['recon']} #{row['repetition']}"
        assert f"{name} {rounding[i]:.3f} {row['series_uid']}" in part
    # the index of 0.1.0 does not say
    assert "fractions of a HU" not in Page(write(inputs, tmp_path / "r.html")).words


def test_overlap_of_patches():
    patches = pd.DataFrame({"roi": "cyst1", "slice": [20, 28, 60], "row": [40, 40, 40], "column": [50, 66, 50],
                            "share_inside": [1.0, 0.5, 0.75]})  # fmt: skip
    found = patch_overlaps(patches).iloc[0]
    assert found["n_patches"] == 3
    assert found["mean_overlap"] == pytest.approx(0.5 * 0.5 / 3)
    assert found["mean_share_inside"] == pytest.approx(0.75)
    assert patches_view(patches)["overlap"]
    apart = patches.assign(slice=[0, 30, 60])
    assert not patches_view(apart)["overlap"]


def test_usage_adds_up(tmp_path):
    task = {"script": "a.py", "cpu_s": 1.5, "wall_s": 2.0, "peak_rss_mb": 10.0, "versions": {"numpy": "1"}}
    (tmp_path / "one.json").write_text(json.dumps(task) + "\n" + json.dumps(task | {"peak_rss_mb": 30.0}))
    (tmp_path / "two.json").write_text(json.dumps([task | {"versions": {"numpy": "2"}}, {}]))
    rows, versions = merge_usage(read_usage(tmp_path.glob("*.json")))
    assert rows == [{"script": "a.py", "n": 3, "cpu_s": 4.5, "wall_s": 6.0, "peak_rss_mb": 30.0}]
    assert versions == {"numpy": "1, 2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(-1.5), "\N{MINUS SIGN}1.5"),
        (number(float("nan")), "\N{EN DASH}"),
        (number(float("inf"), 2), "inf"),
        (number(12.0), "12"),
        (number(-0.04, 1), "0.0"),
        (number(-0.06, 1), "\N{MINUS SIGN}0.1"),
        (number(0.123456), "0.1235"),
        (mean_sd(1.0, float("nan"), 2), "1.00"),
        (mean_sd(1.0, 0.5, 1, tight=True), "1.0\N{PLUS-MINUS SIGN}0.5"),
        (delta(0.25, 2), "+0.25"),
        (delta(-0.25, 2), "\N{MINUS SIGN}0.25"),
        (text_of(None), ""),
        (text_of("a"), "a"),
    ],
)
def test_numbers_as_text(text, expected):
    assert text == expected


def test_the_report_says_how_features_were_made_and_checked(page):
    fast = {"n_features": 93, "engine": "fast", "engine_reason": "proven", "params_file": "a.yaml", "verified": 3,
            "largest_difference": 2e-12, "largest_difference_at": "series 1", "tolerance": 1e-6}  # fmt: skip
    slow = fast | {"engine": "pyradiomics", "engine_reason": "image type LoG", "verified": 0}
    deep = {"n_features": 768, "layer": 4, "verified": 2, "reference": "monai", "largest_difference": 3e-7,
            "largest_difference_at": "series 2", "tolerance": 1e-5}  # fmt: skip
    settings = {"swin_unetr": deep, "radiomics": fast, "mine": {"n_features": 5, "verified": 0}}
    rows = extractors_view(settings, read_extractors())["rows"]
    assert [row["head"] for row in rows] == ["Radiomics", "SwinUNETR", "mine"]
    checked = [row["cells"][2]["main"] for row in rows]
    assert checked[0].startswith("3 rows against PyRadiomics: largest relative difference 2.0e-12 (series 1)")
    assert "monai" in checked[1]
    assert checked[2] == "none"
    cells = extractors_view({"radiomics": slow}, {})["rows"][0]["cells"]
    assert "pyradiomics engine: image type LoG" in cells[1]["main"]
    assert "PyRadiomics itself" in cells[2]["main"]
    assert "How they were made" in Page(page).words
