"""Several methods in one run: equal tables where they do nothing, and none of the first runs again for the second."""

import json
import re
import subprocess
import uuid
from html.parser import HTMLParser

import pandas as pd
import pytest
from pipeline_run import ENGINE, ROOT

from ct4bench.core.benchmark import RESULT_FOLDERS

pytestmark = pytest.mark.pipeline

SPANNING = {"READ_METHODS", "PLAN_METHODS", "RANK_METHODS", "DRAW_LEADERBOARD", "WRITE_REPORT", "COLLECT_RESULTS"}
"""Processes that see all methods."""
METHODS = ("--method_folders", ROOT / "tests" / "data" / "methods", "--method_cells", "all")
OWN = {"harmonization.csv", "untrained.csv"}
"""What a method that maps features has beside, and `none` has not."""
OF_SCANNERS = "scores.csv"
"""Of which `none` has the rows that are tested, a method the fits without each scanner, in another order."""
OF_IMAGES = ("MERGE_FEATURES", "EXTRACT_", "COMPARE_PAIRS", "MERGE_PAIRS", "PROFILE_SERIES", "MERGE_PROFILES",
             "DRAW_IMAGES", "DRAW_PROFILES")  # fmt: skip
CHECKED = ["n_steps_verified", "largest_loss_difference"]
"""Of trainings.csv: what torch repeats of `none`, and not again of features that a method maps."""
NOT_TABLES = (".png", ".svg", ".docx", ".tex")
"""What shows tables, with the name of the method in it."""


class Ids(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name == "id"]


def without_name(path, method):
    """The bytes of a table; of JSON the values, less the method's name where it stands as a value."""
    if path.name == "trainings.csv":
        return pd.read_csv(path, dtype=str).drop(columns=CHECKED).to_csv()
    if path.suffix != ".json":
        return path.read_bytes()
    return json.loads(path.read_text(), object_hook=lambda item: {
        key: None if key == "method" and value == method else value for key, value in item.items()
    })  # fmt: skip


def compare_methods(outdir, first="none", second="none_copy", imageless=False):
    """Every file of the one method is a file of the other, and tables have the same bytes."""
    files = {
        method: {path.relative_to(outdir / method).as_posix(): path for path in (outdir / method).rglob("*.*")}
        for method in (first, second)
    }
    assert set(files[second]) - set(files[first]) == OWN
    assert not imageless or "pairs.parquet" not in files[second]
    assert imageless or set(files[first]) <= set(files[second])
    names = set(files[first]) & set(files[second]) - {OF_SCANNERS, *(("tables/run_facts.json",) if imageless else ())}
    tables = sorted(name for name in names if not name.endswith(NOT_TABLES) and not name.startswith("figures/"))
    assert {"tables/table7_stability_classification.csv", "predictions.parquet", "icc.csv"} <= set(tables)
    for name in tables:
        assert without_name(files[first][name], first) == without_name(files[second][name], second), name
    scores = [pd.read_csv(outdir / method / OF_SCANNERS) for method in (first, second)]
    pd.testing.assert_frame_equal(*scores, rtol=1e-9)
    facts = json.loads((outdir / second / "tables" / "run_facts.json").read_text())
    assert facts["method"] == second
    return tables


def rerun(trace) -> set[str]:
    """Names of the tasks that did run."""
    return set(trace.loc[trace["status"] != "CACHED", "name"].str.split(":").str[-1])


def check_second_run(run, earlier):
    assert run.status == 0, run.text
    before = set(earlier["name"].str.split(":").str[-1])
    ran = rerun(run.trace())
    assert ran
    assert {name.split(" (")[0] for name in ran & before} <= SPANNING
    again = {name for name in ran if name.split(" (")[0] not in SPANNING} - {"SCORE_NONE (none)"}
    assert {name for name in again if not re.search(r"\(none_copy\b", name)} == set(), again
    # the second method has the tasks of the first but those that make features, and images where there are any, and the
    # plan of splits that both have
    own = {name for name in before if re.search(r"\(none\b", name) and not name.startswith((*OF_IMAGES, "PLAN_SPLITS"))}
    mapped = {"HARMONIZE_FEATURES (none_copy)", "SCORE_METHODS (none_copy)"}
    assert {name.replace("(none", "(none_copy", 1) for name in own} | mapped == again
    for name in ("report.html", "report_none_copy.html"):
        page = (run.outdir / name).read_text()
        ids = Ids(page).found
        assert "features" in ids and ("leaderboard" in ids) == (name == "report.html")
        assert len(ids) == len(set(ids))
    assert 'href="report_none_copy.html"' in (run.outdir / "report.html").read_text()


DECLARES = """api: "1"
name: mine
version: "1.0"
citation: none
licence: MIT
level: feature
information: inductive
unseen: identity
learns: pooled
"""
FROM_FEATURES = ("--features", ROOT / "tests" / "data" / "radiomics.csv")


@pytest.mark.parametrize(
    ("folders", "text", "words"),
    [
        (
            ["one"],
            DECLARES.replace("name: mine", "name: other"),
            ["{one}/mine/method.yml is not what", "name is other"],
        ),
        (["one", "two"], DECLARES, ["2 methods called mine: ", "{one}/mine and ", "{two}/mine;"]),
        (
            ["one"],
            DECLARES.replace("level: feature", "level: [feature"),
            ["{one}/mine/method.yml is not YAML (line 7:"],
        ),
        # a method's results lie in a folder of its name, beside the figures of all
        (
            ["one"],
            DECLARES.replace("name: mine", "name: figures"),
            [
                "{one}/figures: figures has a meaning of its own in a run and its results",
                "otherwise, such as figures_mine",
            ],
        ),
    ],
)
def test_a_fault_of_a_method_is_told_with_the_path_that_its_user_knows(folders, text, words, nextflow, tmp_path):
    """The first one is found by a task, which has the folder under another path."""
    places = {name: tmp_path / name for name in folders}
    called = "figures" if "name: figures" in text else "mine"
    for place in places.values():
        (place / called).mkdir(parents=True)
        (place / called / "method.yml").write_text(text)
        (place / called / "method.py").write_text("class Method: ...\n")
    given = ",".join(str(place) for place in places.values())
    run = nextflow(tmp_path / "run", *FROM_FEATURES, "--methods", "none,mine", "--method_folders", given)
    assert run.status != 0
    said = " ".join(run.text.split())
    for word in words:
        assert word.format(**places) in said, run.text


def test_a_name_that_is_not_known_says_which_are(nextflow, tmp_path):
    run = nextflow(tmp_path, *FROM_FEATURES, "--methods", "none,combatt")
    assert run.status != 0
    said = " ".join(run.text.split())
    assert "--methods combatt is not known; nearest: combat; there are none, " in said
    assert "default and all for several" in said and "--method_folders" in said


CHOOSING = """
include { chosenMethods } from './subworkflows/utilities/methods'
include { givenInFolds  } from './subworkflows/utilities/methods'

workflow {
    chosenMethods(params).each { method ->
        println("CHOSEN ${method.name},${method.level},${method.of ?: ''},${method.adaptation},${givenInFolds(method)}")
    }
}
"""


def test_what_a_run_gives_each_method_of_its_target(tmp_path):
    """The method that is fitted on all rows, once; five scans, and not one; of volumes, which were mapped before the
    folds, no tissue alone, which was trained for 13 scanners and showed the score of all tissues."""
    script = ROOT / f".choosing-{uuid.uuid4().hex}.nf"
    names = "combat.mean_only,combat,coral,paired_map.five_series,histogram_matching,reference_matching"
    try:
        script.write_text(CHOOSING)
        run = subprocess.run(
            [ENGINE, "-log", tmp_path / "log", "run", script, "-ansi-log", "false", "--methods", names],
            cwd=tmp_path, text=True, capture_output=True,
        )  # fmt: skip
    finally:
        script.unlink()
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.findall("^CHOSEN (.*)$", run.stdout, re.MULTILINE) == [
        "none,,,null,null",
        "combat.mean_only,feature,,null,null",
        "combat,feature,,null,null",
        "coral,feature,,half,half",
        "paired_map.five_series,feature,,5,5",
        "histogram_matching,image,,half,0",
        "reference_matching,image,,1,1",
        "combat.mean_only.leaky,leaky,combat.mean_only,null,null",
    ]


def test_a_method_that_does_nothing_is_equal_to_none_from_features(nextflow, tmp_path):
    arguments = ("--features", ROOT / "tests" / "data" / "radiomics.csv", "--tasks", "none", "--ablations", "none",
                 "--training_parts", "1", "--other_classifiers", "none", "--verify", "0")  # fmt: skip
    one = nextflow(tmp_path, *arguments)
    assert one.status == 0, one.text
    assert not (one.outdir / "none_copy").exists()
    earlier = one.trace()
    kept = {path: path.read_bytes() for path in (one.outdir / "none").rglob("*.*")}
    two = nextflow(tmp_path, *arguments, "--methods", "none,none_copy", *METHODS, "-resume")
    check_second_run(two, earlier)
    compare_methods(two.outdir)
    of_none = {path: path.read_bytes() for path in (two.outdir / "none").rglob("*.*")}
    assert of_none.pop(two.outdir / "none" / OF_SCANNERS)
    assert of_none == kept
    # one that fails has a row with its reason, one that a fold is too small for lacks that fold alone, and one that all
    # folds are too small for has no training at all
    names = "none,none_copy,none_fails,needs_two,needs_all"
    brought = ("--harmonized_features", f"elsewhere={ROOT / 'tests' / 'data' / 'radiomics.csv'}")
    three = nextflow(tmp_path, *arguments, "--methods", names, *METHODS, *brought, "-resume")
    assert three.status == 0, three.text
    ran = {name for name in rerun(three.trace()) if name.split(" (")[0] not in SPANNING}
    assert ran
    assert all(re.search(r"\((none_fails|needs_two|needs_all|elsewhere)\b", name) for name in ran), ran
    assert re.search(r"needs_two: \d+ fits", three.text)
    methods = pd.read_csv(three.outdir / "methods.csv").set_index("method")
    assert list(methods.index) == [*names.split(","), "elsewhere"]
    assert "the sea is rough" in methods.loc["none_fails", "reason"]
    assert methods["reason"].isna().sum() == 4
    assert "needs 4 training domains" in methods.loc["needs_all", "reason"]
    board = pd.read_csv(three.outdir / "leaderboard.csv")
    primary = board[board["score"] == "tissue_n2"].set_index("method")
    assert list(primary.loc[["none_copy", "needs_two", "elsewhere"], "difference"]) == [0, 0, 0]
    # features that were brought have been harmonized by nobody knows what, and are ranked apart
    assert primary.loc["elsewhere", "information"] not in set(primary["information"].drop("elsewhere"))
    kept = (three.outdir / "none" / "features" / "radiomics.parquet").read_bytes()
    assert (three.outdir / "elsewhere" / "features" / "radiomics.parquet").read_bytes() == kept
    assert "the sea is rough" in primary.loc["none_fails", "reason"]
    untrained = pd.read_csv(three.outdir / "needs_two" / "untrained.csv")
    assert set(untrained["n_train"]) == {1}
    assert set(untrained["reason"]) == {"needs 2 training domains, and has 1"}
    assert pd.read_csv(three.outdir / "needs_all" / "trainings.csv").empty
    assert len(pd.read_csv(three.outdir / "needs_all" / "untrained.csv")) == len(
        pd.read_csv(three.outdir / "none_copy" / "trainings.csv")
    )
    assert "needs_all: " in three.text and "needs 4 training domains" in primary.loc["needs_all", "reason"]
    page = (three.outdir / "report.html").read_text()
    assert page.index('id="leaderboard"') < page.index('id="features"')
    pages = {path.name for path in three.outdir.glob("report_*.html")}
    assert pages == {
        "report_none_copy.html",
        "report_needs_two.html",
        "report_needs_all.html",
        "report_elsewhere.html",
    }  # what came to no end is in the leaderboard alone
    assert "No harmonization was applied." not in page
    folders = {path.name for path in three.outdir.iterdir() if path.is_dir()}
    assert folders - set(methods.index) <= set(RESULT_FOLDERS)


@pytest.mark.slow
def test_a_method_that_does_nothing_is_equal_to_none_from_images(small_run, nextflow, tmp_path):
    earlier = small_run.trace()
    arguments = ("-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true", "-resume")
    two = nextflow(small_run.launch, *arguments, "--methods", "none,none_copy", *METHODS, outdir=tmp_path / "two")
    check_second_run(two, earlier)
    tables = compare_methods(two.outdir, imageless=True)
    assert {"features/swin_unetr.parquet", "tables/table1_acquisition.csv", "predictions.parquet"} <= set(tables)
    for name in tables:
        assert (two.outdir / "none" / name).read_bytes() == (small_run.outdir / "none" / name).read_bytes(), name


@pytest.mark.slow
def test_volumes_that_were_brought_are_equal_to_those_of_which_they_were_made(small_run, nextflow, tmp_path):
    """Volumes that a run has published are `none` again; what a method of images is, its volumes are elsewhere."""
    arguments = ("-profile", "test", "--publish_dicom", "true", "--publish_volumes", "true", "--tasks", "none",
                 "--feature_sets", "radiomics", "--ablations", "none", "--other_classifiers", "none",
                 "-resume")  # fmt: skip
    one = nextflow(
        small_run.launch, *arguments, "--methods", "none,reference_matching.calibration",
        "--harmonized_volumes", f"back={small_run.outdir / 'none' / 'volumes'}", outdir=tmp_path / "one",
    )  # fmt: skip
    assert one.status == 0, one.text
    method = "reference_matching.calibration"
    two = nextflow(
        small_run.launch, *arguments, "--methods", "none", "--harmonized_volumes",
        f"elsewhere={one.outdir / method / 'volumes'}", outdir=tmp_path / "two",
    )  # fmt: skip
    assert two.status == 0, two.text
    for name in ("features/radiomics.parquet", "pairs.parquet", "icc.csv", "scanner_profile.csv"):
        made, own = (one.outdir / folder / name for folder in ("back", "none"))
        if name != "scanner_profile.csv":  # of which `none` has values on the scanners' own grid, too
            assert made.read_bytes() == own.read_bytes(), name
        assert (one.outdir / method / name).read_bytes() != own.read_bytes(), name
        assert (two.outdir / "elsewhere" / name).read_bytes() == (one.outdir / method / name).read_bytes(), name
    # what the method is for
    board = pd.read_csv(one.outdir / "leaderboard.csv")
    bias = board[board["score"] == "roi_bias"].set_index("method")[["raw", "value_none"]]
    assert bias.loc[method, "raw"] < 0.5 * bias.loc[method, "value_none"]
    assert bias.loc["back", "raw"] == bias.loc["back", "value_none"] == bias.loc[method, "value_none"]
