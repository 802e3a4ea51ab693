"""Mode corrected on a small twin with repetitions: which pairs are compared is counted from the index alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.pipeline

SCANNERS = ["A1", "B1", "C1"]
VALUES = ["scanner", "maker", "dose_mgy", "recon", "repetition", "scan_id"]


@pytest.fixture(scope="module")
def run(nextflow, tmp_path_factory):
    """Two makers, three scanners; two repetitions of FBP and IR at 10 mGy, one of IR at 14 mGy."""
    run = nextflow(
        tmp_path_factory.mktemp("corrected"), "-profile", "test", "--mode", "corrected", "--twin_scanners",
        ",".join(SCANNERS), "--twin_repetitions", "2", "--patches_per_roi", "2", "--tasks", "none", "--ablations",
        "none", "--other_classifiers", "none",
    )  # fmt: skip
    assert run.status == 0, run.text
    return replace(run, outdir=run.outdir / "none")


@pytest.fixture(scope="module")
def possible(run) -> pd.DataFrame:
    """Every unordered pair of two series of the index, with what they share."""
    index = pd.read_csv(run.outdir.parent / "index" / "series.csv")
    assert len(index) == 3 * (2 * 2 + 1)
    both = index.merge(index, how="cross", suffixes=("_a", "_b"))
    both = both[both["series_uid_a"] < both["series_uid_b"]]
    return both.assign(**{f"same_{name}": both[f"{name}_a"] == both[f"{name}_b"] for name in VALUES})


@pytest.fixture(scope="module")
def pairs(run) -> pd.DataFrame:
    return pd.read_parquet(run.outdir / "pairs.parquet")


def table(run, name: str) -> pd.DataFrame:
    return pd.read_csv(run.outdir / "tables" / f"{name}.csv")


def of_cell(possible, one: str, other: str, doses: set) -> pd.DataFrame:
    """The pairs of two scanners (or of one) of which one series has each of the doses."""
    scanners = [{a, b} == {one, other} for a, b in zip(possible["scanner_a"], possible["scanner_b"], strict=True)]
    of_dose = [{a, b} == doses for a, b in zip(possible["dose_mgy_a"], possible["dose_mgy_b"], strict=True)]
    return possible[np.array(scanners) & np.array(of_dose)]


def unordered(frame: pd.DataFrame) -> set:
    return {frozenset(pair) for pair in zip(frame["series_uid_a"], frame["series_uid_b"], strict=True)}


@pytest.mark.parametrize("same_recon", [False, True])
def test_every_cell_holds_all_pairs_of_its_scanners_at_10_mgy(run, possible, pairs, same_recon):
    names = {"table3_rmse_hu": "rmse_hu", "table4_psnr_db": "psnr_db", "table5_ssim": "ssim"}
    for name, metric in names.items():
        frame = table(run, name + ("_same_recon" if same_recon else ""))
        frame = frame[frame[f"{metric}_mean"].notna()]
        assert len(frame) == 6
        for cell in frame.itertuples():
            expected = of_cell(possible, cell.scanner_row, cell.scanner_col, {10})
            expected = expected[expected["same_recon"]] if same_recon else expected
            # four series a scanner at 10 mGy, two of each reconstruction, of two scans
            within = cell.scanner_row == cell.scanner_col
            assert len(expected) == ({False: (16, 6), True: (8, 2)}[same_recon][within])
            rows = pairs[(pairs["table"] == "tables3to5") & (pairs["variant"] == cell.variant)]
            rows = rows[(rows["scanner_a"] == cell.scanner_col) & (rows["scanner_b"] == cell.scanner_row)]
            assert cell.variant == ("same_recon" if same_recon else "all_pairs")
            assert unordered(rows) == unordered(expected)
            # reconstructions of one scan are compared, but are no repetition of it
            expected = expected[~expected["same_scan_id"]]
            rows = rows[
                [
                    frozenset(pair) in unordered(expected)
                    for pair in zip(rows["series_uid_a"], rows["series_uid_b"], strict=True)
                ]
            ]
            assert cell.n_pairs == len(rows) == len(expected) == ({False: (16, 4), True: (8, 2)}[same_recon][within])
            assert set(zip(rows["region"], rows["shrink"], strict=True)) == {("mask", 1)}
            mean = getattr(cell, f"{metric}_mean")
            assert mean == pytest.approx(rows[metric].mean(), rel=1e-12)
            if within:
                # two scans meet in one way only
                assert np.isnan(cell.ci_low) and np.isnan(cell.ci_high)
            else:
                assert cell.ci_low < cell.ci_high
                assert cell.ci_low <= mean <= cell.ci_high


def test_table_6_holds_all_pairs_of_10_and_14_mgy(run, possible, pairs):
    frame = table(run, "table6_dose")
    frame = frame[(frame["dose_mgy"] == 10) & (frame["n_pairs"] > 0)]
    assert frame["scanner"].tolist() == SCANNERS
    for row in frame.itertuples():
        rows = pairs[(pairs["table"] == "table6") & (pairs["variant"] == "all_pairs")]
        rows = rows[rows["scanner_a"] == row.scanner]
        assert unordered(rows) == unordered(of_cell(possible, row.scanner, row.scanner, {10, 14}))
        assert row.n_pairs == len(rows) == 4
        # one scan at 14 mGy: nothing to resample
        assert np.isnan(row.rmse_hu_ci_low)


CONTRASTS = {
    "other_recon": (["scan_id"], ["recon"], 6),
    "other_repetition": (["scanner", "dose_mgy", "recon"], ["repetition"], 6),
    "other_dose": (["scanner", "recon", "repetition"], ["dose_mgy"], 3),
    "other_scanner": (["maker", "dose_mgy", "recon", "repetition"], ["scanner"], 4),
    "other_maker": (["dose_mgy", "recon", "repetition"], ["maker"], 8),
}


def test_contrasts_hold_the_pairs_that_differ_in_one_thing(run, possible, pairs):
    frame = table(run, "decomposition").set_index("contrast")
    assert frame.index.tolist() == list(CONTRASTS)
    before = np.nan
    for name, (same, different, count) in CONTRASTS.items():
        chosen = possible[[f"same_{column}" for column in same]].all(axis=1)
        chosen &= ~possible[[f"same_{column}" for column in different]].any(axis=1)
        if name != "other_dose":
            chosen &= possible["dose_mgy_a"] == 10
        rows = pairs[(pairs["table"] == "contrast") & (pairs["variant"] == name)]
        assert unordered(rows) == unordered(possible[chosen])
        assert frame.loc[name, "n_pairs"] == len(rows) == count
        median = np.median(rows["rmse_hu"] ** 2)
        assert frame.loc[name, "mse_hu2_median"] == pytest.approx(median, rel=1e-12)
        assert frame.loc[name, "increment_hu2"] == pytest.approx(median - before, rel=1e-9, nan_ok=True)
        before = median
    # another maker's scanner is further away than another reconstruction of the same scan
    assert frame["mse_hu2_median"].idxmin() == "other_recon"
    assert frame["mse_hu2_median"].idxmax() in ("other_scanner", "other_maker")


def test_repetitions_tell_quantum_noise_from_the_print(run):
    truth = pd.read_csv(run.outdir.parent / "truth.csv").set_index(["scanner", "dose_mgy", "recon", "repetition"])
    profile = pd.read_csv(run.outdir / "scanner_profile.csv")
    quantum = profile[(profile["measure"] == "quantum_block_sd_hu") & (profile["grid"] == "own")]
    assert sorted(zip(quantum["scanner"], quantum["recon"], strict=True)) == sorted(
        (scanner, recon) for scanner in SCANNERS for recon in ("FBP", "IR")
    )
    for row in quantum.itertuples():
        stated = truth.loc[(row.scanner, 10, row.recon, 1), "noise_sd_hu"]
        assert row.value == pytest.approx(stated, rel=0.06)


def test_six_scans_are_too_few_for_ten_folds_and_the_report_says_so(run):
    trainings = pd.read_csv(run.outdir / "trainings.csv")
    assert set(trainings["scheme"]) == {"loso"}
    page = (run.outdir.parent / "report.html").read_text()
    for words in (
        "mode corrected",
        "10 folds of whole scans need as many scans, the features have 6",
        "95 % interval",
        "n=16",
        "other reconstruction of the same scan",
    ):
        assert words in page
