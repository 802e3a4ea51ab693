"""Tables 1-7 for a manuscript: the run's values in the paper's layout, as LaTeX and as a document of Word."""

import re
import shutil
import subprocess
import zipfile
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from ct4bench.results.paper_layout import TEX_PACKAGES, WORD, caption_words, paper_grids, tex_of, to_docx, to_tex

FACTS = {"origin": "synthetic", "origin_words": "synthetic input: simulated", "mode": "paper", "method": "none",
         "weights": {"swin_unetr": {"status": "random", "words": "seeded"}}}  # fmt: skip


@pytest.fixture(scope="module")
def grids():
    pairs = pd.DataFrame({"scanner_row": ["A1", "B1", "B1"], "scanner_col": ["A1", "A1", "B1"],
                          "rmse_hu_mean": [7.0, 31.257, np.nan], "rmse_hu_sd": [0.5, 2.0, np.nan]})  # fmt: skip
    doses = pd.DataFrame({"scanner": ["A1", "A1"], "row_kind": ["dose", "average"], "dose_mgy": [3.0, np.nan],
                          "rmse_hu_mean": [9.5, 9.5], "rmse_hu_sd": [1.25, np.nan], "psnr_db_mean": [40.0, 40.0],
                          "psnr_db_sd": [1.0, 1.0], "ssim_mean": [0.95, 0.95], "ssim_sd": [0.01, 0.01]})  # fmt: skip
    counts = pd.DataFrame({"scanner": ["A1"], "manufacturer_model": ["X & Y_1"], "n_3mgy": [4], "n_fbp": [2],
                           "n_series": [6], "n_3mgy_published": [20]})  # fmt: skip
    seven = pd.DataFrame({"features": ["Radiomics"], "icc_form": ["ICC(3,1)"], "icc_mean": [0.8732], "icc_sd": [0.2],
                          "loso_1_scanner_acc_mean": [0.9], "loso_1_scanner_acc_sd": [0.05]})  # fmt: skip
    given = {"table7_stability_classification": seven, "table3_rmse_hu": pairs, "table6_dose": doses,
             "table2_series_counts": counts}  # fmt: skip
    return paper_grids({name: (frame, f"Title of {name}") for name, frame in given.items()})


def test_tables_are_in_the_papers_order_and_layout(grids):
    assert [grid.number for grid in grids] == [2, 3, 6, 7]
    counts, pairs, doses, seven = grids
    assert counts.head == ["Scanner", "Manufacturer and model", "3 mGy", "FBP", "Series"]
    assert pairs.rows == [["A1", "7.00 ± 0.50", ""], ["B1", "31.26 ± 2.00", "–"]]  # the lower triangle
    assert doses.rows[0] == ["A1", "3", "9.50 ± 1.25", "40.00 ± 1.00", "0.950 ± 0.010"]
    assert doses.rows[1][:3] == ["A1", "average", "9.50"]
    assert seven.head == ["Features", "Mean ICC(3,1)", "LOSO accuracy, 1 scanner"]
    assert seven.rows == [["Radiomics", "0.873 ± 0.200", "0.900 ± 0.050"]]


def test_latex_has_every_row_with_as_many_cells_as_its_head(grids):
    tex = to_tex(grids, FACTS)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 4
    for grid, body in zip(grids, re.findall(r"\\toprule\n(.*?)\n\\bottomrule", tex, re.DOTALL), strict=True):
        lines = [line for line in body.splitlines() if line != r"\midrule"]
        assert len(lines) == len(grid.rows) + 1
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(grid.head) - 1}
    assert r"X \& Y\_1" in tex and r"31.26 $\pm$ 2.00" in tex


def test_every_sign_of_latex_stands_for_itself():
    assert tex_of(r"\{}%$#~^") == r"\textbackslash{}\{\}\%\$\#\textasciitilde{}\textasciicircum{}"


def test_the_document_has_the_same_cells_and_the_same_bytes_twice(grids, tmp_path):
    for name in ("a", "b"):
        to_docx(grids, FACTS, tmp_path / f"{name}.docx")
    assert (tmp_path / "a.docx").read_bytes() == (tmp_path / "b.docx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.docx") as archive:
        trees = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}  # noqa: S314
    assert {"[Content_Types].xml", "_rels/.rels", "word/document.xml"} == set(trees)
    space = {"w": WORD}
    for grid, table in zip(grids, trees["word/document.xml"].findall(".//w:tbl", space), strict=True):
        rows = [["".join(text.text or "" for text in cell.iterfind(".//w:t", space)).replace("\xa0", " ")
                 for cell in row.findall("w:tc", space)] for row in table.findall("w:tr", space)]  # fmt: skip
        assert rows == [grid.head, *grid.rows]


def whole_tables():
    """Tables as large as the paper's: thirteen scanners side by side, 65 rows of doses, long names of models."""
    names = [f"{letter}{i}" for letter in "ABC" for i in range(1, 5)] + ["D1"]
    pairs = pd.DataFrame([(a, b, 21.5, 1.25) for i, a in enumerate(names) for b in names[: i + 1]],
                         columns=["scanner_row", "scanner_col", "rmse_hu_mean", "rmse_hu_sd"])  # fmt: skip
    values = {f"{metric}_{part}": 1.5 for metric in ("rmse_hu", "psnr_db", "ssim") for part in ("mean", "sd")}
    doses = pd.DataFrame([(name, "dose", float(dose)) for name in names for dose in range(5)],
                         columns=["scanner", "row_kind", "dose_mgy"]).assign(**values)  # fmt: skip
    counts = pd.DataFrame({"scanner": names, "manufacturer_model": "Siemens SOMATOM Definition Flash", "n_3mgy": 4,
                           "n_series": 6})  # fmt: skip
    given = {"table3_rmse_hu": pairs, "table6_dose": doses, "table2_series_counts": counts}
    return paper_grids({name: (frame, name) for name, frame in given.items()})


def test_large_tables_run_over_pages_or_stand_upright_and_words_to_the_left():
    counts, pairs, doses = to_tex(whole_tables(), FACTS).split(r"\label")[1:]
    tex = to_tex(whole_tables(), FACTS)
    assert re.findall(r"\\begin\{(\w*table)\}", tex) == ["table", "sidewaystable", "longtable"]
    assert r"\begin{tabular}{llrr}" in counts and r"\endhead" in doses and "longtable" not in counts + pairs[:200]


def test_columns_of_the_document_are_as_wide_as_their_cells_need(tmp_path):
    to_docx(whole_tables(), FACTS, tmp_path / "t.docx")
    with zipfile.ZipFile(tmp_path / "t.docx") as archive:
        text = archive.read("word/document.xml").decode()
    scanner, model, dose, series = (int(n) for n in re.findall(r'<w:gridCol w:w="(\d+)"', text)[:4])
    assert model > 3 * max(scanner, dose, series) and "21.50\xa0±\xa01.25" in text
    captions = re.findall(r"<w:p>(?:(?!</w:p>).)*Table \d\.", text)
    assert len(captions) == 3 and all("<w:keepNext/>" in caption for caption in captions)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="not on this machine: pdflatex")
def test_latex_makes_pages_of_which_nothing_runs_out(tmp_path):
    (tmp_path / "tables.tex").write_text(to_tex(whole_tables(), FACTS), encoding="utf-8")
    packages = "".join(rf"\usepackage{{{name}}}" for name in TEX_PACKAGES)
    paper = rf"\documentclass[a4paper]{{article}}{packages}\begin{{document}}\input{{tables}}\end{{document}}"
    (tmp_path / "paper.tex").write_text(paper)
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    said = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Overfull" not in said and "too large for page" not in said and (tmp_path / "paper.pdf").stat().st_size


def test_captions_say_what_a_reader_must_know():
    assert caption_words(FACTS, 3) == "Synthetic data; mode paper."
    assert "swin_unetr: random weights" in caption_words({**FACTS, "method": "mine"}, 7)
    assert "harmonization method mine" in caption_words({**FACTS, "method": "mine"}, 7)


def test_a_run_without_tables_has_empty_documents(tmp_path):
    assert paper_grids({}) == []
    to_docx([], FACTS, tmp_path / "t.docx")
    assert to_tex([], FACTS).startswith("%") and (tmp_path / "t.docx").stat().st_size > 500
