"""A pair metric, a question and a shipped encoder are added to a copy of the project, each by few files.

The copy goes on from the small run of the project, and shows each in its tables, figures, report and docs.
"""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pipeline_run import ROOT

pytestmark = pytest.mark.pipeline

PARTS = ("main.nf", "nextflow.config", "nextflow_schema.json", "assets", "bin", "command", "conf", "methods", "modules",
         "subworkflows", "workflows", "tools", "docs")  # fmt: skip

METRIC = {
    "bin/ct4bench/pairs/similarity.py": (
        (
            '    """The paper\'s Eq. 3: one window, the whole region, population moments."""\n',
            "    offset_hu: float = 0.0\n",
        ),
        ("        ssim_global=whole,\n", "        offset_hu=abs(mean_a - mean_b),\n"),
    ),
    "bin/ct4bench/core/metrics.py": (
        (
            '        of_self=1.0, kind=SHARE, shown_next_to="ssim",\n    ),\n',
            """\
    PairMetric(
        "offset_hu", "Offset", "HU", "difference of mean HU", 1, low_is_alike=True, of_self=0.0, figure="offset_matrix",
        figure_decimals=1,
    ),
""",
        ),
    ),
}
QUESTION = {
    "bin/ct4bench/splits/tasks.py": (
        (
            ' "which of six ROIs", "as Table 7", "as Table 7", default=False\n    ),\n',
            """\
    "roi_other_maker": Task(
        "roi", "the six ROIs, tested on a maker not trained on", leave_one_out("maker"), "which ROI on another maker",
        "all other makers", "each maker", default=False, left_out="other maker, ROIs",
    ),
""",
        ),
    ),
}
ENCODER = {
    "bin/ct4bench/features/moments.py": '''"""Mean and SD of a patch."""

import torch

from ct4bench.features.encoder import Encoder, EncoderOptions
from ct4bench.features.weights import USER, Weights


def encoder(options: EncoderOptions) -> Encoder:
    """Two features without weights."""
    return Encoder(
        "moments", "moment", 2, "raw", None, Weights({}, USER, "no weights"),
        lambda x: torch.stack([x.mean((1, 2, 3)), x.std((1, 2, 3), correction=0)], 1),
    )
''',
    "assets/extractors.yaml": (
        (
            "    patch_merging: swinunetr_patch_merging\n  paper: true\n  colour: '#009E73'\n  marker: ^\n",
            "moments:\n  title: Moments\n  about: mean and SD of a patch\n  features: 2\n"
            "  module: ct4bench.features.moments\n",
        ),
    ),
}  # fmt: skip
"""Each a patch: by file, the text of a new one, or what follows which line of one that is there."""


def apply(patch, project):
    """Change the files of a copy; the number of files changed."""
    for name, change in patch.items():
        path = project / name
        if isinstance(change, str):
            assert not path.exists()
            path.write_text(change)
            continue
        text = path.read_text()
        for old, new in change:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, old + new)
        path.write_text(text)
    return len(patch)


def digests(project):
    """Contents of all files of a copy by name."""
    paths = [path for part in PARTS for path in (project / part).rglob("*")] + [project / part for part in PARTS]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in paths if path.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The copy, with what each step changed in it."""
    folder = tmp_path_factory.mktemp("add_one") / "project"
    folder.mkdir()
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
        else:
            shutil.copy2(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    changed = {}
    for what, patch in (("metric", METRIC), ("question", QUESTION), ("encoder", ENCODER)):
        before = digests(folder)
        apply(patch, folder)
        after = digests(folder)
        changed[what] = {name for name in after if before.get(name) != after[name]}
    before = digests(folder)
    done = subprocess.run([sys.executable, folder / "tools" / "write_lists.py"], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    after = digests(folder)
    changed["tool"] = {name for name in after if before.get(name) != after[name]}
    return folder, changed


@pytest.fixture(scope="module")
def run(project, small_run, nextflow):
    """The copy goes on from where the project's own small run ended: what nothing touched is taken from there."""
    done = nextflow(
        small_run.launch, "-profile", "test", "-resume", "--tasks", "roi_other_maker", "--ablations", "none",
        "--other_classifiers", "none", "--publish_volumes", "true", project=project[0],
        outdir=small_run.launch / "added",
    )  # fmt: skip
    assert done.status == 0, done.text
    return done


def test_each_takes_no_more_files_than_it_should(project):
    _, changed = project
    assert changed["metric"] == {"bin/ct4bench/pairs/similarity.py", "bin/ct4bench/core/metrics.py"}
    assert changed["question"] == {"bin/ct4bench/splits/tasks.py"}
    assert changed["encoder"] == {"bin/ct4bench/features/moments.py", "assets/extractors.yaml"}
    assert changed["tool"] == {"nextflow_schema.json", "docs/learning.md", "docs/outputs.md", "docs/encoders.md"}


def test_nothing_runs_again_for_a_new_encoder(run):
    trace = run.trace()
    trace["name"] = trace["name"].str.split(":").str[-1]
    ran = set(trace.loc[trace["status"] == "COMPLETED", "name"])
    extracted = {name for name in ran if name.startswith(("EXTRACT_", "MERGE_FEATURES", "REGISTER_", "SIMULATE_"))}
    assert extracted and all("moments" in name for name in extracted), extracted
    cached = trace.loc[trace["status"] == "CACHED", "name"]
    assert all(cached.str.startswith(f"EXTRACT_DEEP (none {name} ").any() for name in ("swin_unetr", "shallow_cnn"))


def test_the_unit_tests_hold_with_them(project):
    folder, _ = project
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__", "pipeline"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    names = ("pairs/test_tables", "core/test_metrics", "core/test_extractors", "report/test_cells", "splits/test_tasks",
             "test_lists")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/unit/{name}.py" for name in names)],
        cwd=folder, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_docs_and_parameters_tell_of_them(project):
    folder, _ = project
    outputs, learning, encoders, schema = (
        (folder / name).read_text()
        for name in ("docs/outputs.md", "docs/learning.md", "docs/encoders.md", "nextflow_schema.json")
    )
    assert "| `offset_hu` | difference of mean HU: lower is more alike | 0 | `similarity_offset_hu.csv` |" in outputs
    assert "| `roi_other_maker` | the six ROIs, tested on a maker not trained on | all other makers |" in learning
    assert "| `moments` | Moments | 2 | mean and SD of a patch |" in encoders
    assert "roi_other_maker" in schema


def test_the_metric_has_its_tables_figure_and_place_in_the_report(run):
    pairs = pd.read_parquet(run.outdir / "none/pairs.parquet")
    different = pairs[~pairs["is_self_pair"].astype(bool)]
    # means differ by no more than the root mean square does
    assert (different["offset_hu"] > 0).all() and (different["offset_hu"] <= different["rmse_hu"]).all()
    table = pd.read_csv(run.outdir / "none/tables/similarity_offset_hu.csv")
    rows = different[(different["table"] == "tables3to5") & (different["scanner_a"] + different["scanner_b"] == "A1C1")]
    cell = table[(table["scanner_row"] == "C1") & (table["scanner_col"] == "A1")].iloc[0]
    assert np.isclose(cell["offset_hu_mean"], rows.loc[rows["variant"] == cell["variant"], "offset_hu"].mean())
    for name in ("similarity_choices", "similarity_by_choice"):
        columns = pd.read_csv(run.outdir / f"none/tables/{name}.csv").columns
        assert any(column.startswith("offset_hu") for column in columns), name
    assert "offset_hu_mean" in pd.read_csv(run.outdir / "none/tables/table6_dose.csv").columns
    assert "mean Offset (HU)" in (run.outdir / "none/figures/offset_matrix.svg").read_text()
    page = (run.outdir / "report.html").read_text()
    assert 'id="similarity_offset_hu"' in page
    assert "difference of mean HU, lower is more alike" in re.sub(r"</?abbr[^>]*>", "", page)  # terms are explained
    assert 'id="figure_offset_matrix"' in page


def test_the_question_is_asked_and_shown(run):
    table = pd.read_csv(run.outdir / "none/tables/accuracy_tasks.csv")
    own = table[table["task"] == "roi_other_maker"]
    assert set(own["description"]) == {"the six ROIs, tested on a maker not trained on"}
    assert np.allclose(own["chance"], 1 / 6, atol=0.01) and (own["n_folds"] == 3).all()
    held_out = pd.read_csv(run.outdir / "none/tables/accuracy_left_out.csv")
    assert set(held_out.loc[held_out["task"] == "roi_other_maker", "left_out"]) == {"Siemens", "Philips", "GE"}
    assert "which ROI on another maker" in (run.outdir / "none/figures/accuracy_tasks.svg").read_text()
    assert "other maker, ROIs" in (run.outdir / "none/figures/accuracy_left_out.svg").read_text()
    assert "the six ROIs, tested on a maker not trained on" in (run.outdir / "report.html").read_text()


def test_the_encoder_runs_and_is_shown(run):
    features = pd.read_parquet(run.outdir / "none/features/moments.parquet")
    radiomics = pd.read_parquet(run.outdir / "none/features/radiomics.parquet")
    assert np.allclose(features["moment_000"], radiomics["original_firstorder_Mean"], atol=1e-3)
    assert np.allclose(features["moment_001"] ** 2, radiomics["original_firstorder_Variance"], rtol=1e-4)
    table = pd.read_csv(run.outdir / "none/tables/table7_stability_classification.csv")
    assert list(table["features"]) == ["Radiomics", "Shallow CNN", "SwinUNETR", "Moments"]
    assert table.set_index("extractor").loc["moments", ["icc_mean", "loso_1_scanner_acc_mean"]].notna().all()
    for name in ("figure5", "accuracy_by_n", "accuracy_tasks"):
        assert re.search(r"\bMoments\b", (run.outdir / f"none/figures/{name}.svg").read_text()), name
    assert re.search(r"\bMoments\b", (run.outdir / "report.html").read_text())
