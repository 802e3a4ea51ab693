"""The table of scanner models against the published acquisition table, the series index and the measured noise."""

import numpy as np
import pandas as pd
import pytest
from tests.conftest import ROOT

from ct4bench.core.benchmark import DOSES_MGY, RECONSTRUCTIONS, SCANNERS
from ct4bench.core.phantom import BLOCK
from ct4bench.twin.scan import full_grid, pose
from ct4bench.twin.scanners import read_scanners
from ct4bench.twin.write_ct import SeriesIdentity

MODELS = read_scanners()


def test_all_thirteen_are_there():
    assert sorted(MODELS) == sorted(SCANNERS)
    assert {model.maker for model in MODELS.values()} == {"Siemens", "Philips", "GE", "Toshiba"}


def test_acquisition_is_the_published():
    table = pd.read_csv(ROOT / "assets" / "published" / "table1_acquisition.csv").set_index("scanner")
    for code, model in MODELS.items():
        row = table.loc[code]
        assert model.exposure_mas == row["tube_current_time_product_mas"]
        assert model.pitch == row["pitch"]
        assert model.rotation_time_s == row["rotation_time_s"]
        assert model.collimation_mm == row["collimation_mm"]
        assert model.thickness_mm == row["slice_thickness_mm"]
        assert model.increment_mm == row["slice_increment_mm"]


def test_noise_totals_are_the_measured(shared_data):
    measured = pd.read_csv(shared_data("measured_noise.csv")).set_index("scanner")
    for code, model in MODELS.items():
        row, values = measured.loc[code], {}
        for which in ("registered", "unregistered"):
            recon = row[f"{which}_10mgy_recon"]
            values.setdefault(recon, []).append(row[f"{which}_10mgy_hu_sd"])
        expected = {recon: float(np.mean(found)) for recon, found in values.items()}
        expected.setdefault("FBP", expected.get("IR", 0) * 1.27)
        expected.setdefault("IR", expected["FBP"] / 1.27)
        for recon, sd in expected.items():
            if code != "A1" and 10.0 in model.reconstructions[recon].noise:
                assert model.reconstructions[recon].noise[10].total_sd_hu == pytest.approx(sd, abs=0.06), (code, recon)


def test_noise_of_the_reference_is_that_of_its_published_features(shared_data):
    """Whole large cyst, all repetitions: these hold where figures and features differ."""
    features = pd.read_csv(shared_data("a1_radiomics_published.csv"))
    voxels = features["original_firstorder_Energy"] / features["original_firstorder_RootMeanSquared"] ** 2
    cyst = features[voxels > 150_000]
    number = cyst["SeriesNumber"].astype(str).str[-5:]
    sd = np.sqrt(cyst["original_firstorder_Variance"])
    for digit, recon in (("1", "FBP"), ("2", "IR")):
        for dose, noise in MODELS["A1"].reconstructions[recon].noise.items():
            chosen = sd[(number.str[:2] == f"{int(dose):02d}") & (number.str[2] == digit)]
            assert len(chosen) == 10
            assert noise.total_sd_hu == pytest.approx(chosen.mean(), rel=0.05), (recon, dose)


def test_starved_scanners_have_the_measured_noise_at_one_milligray(shared_data):
    measured = pd.read_csv(shared_data("measured_noise.csv")).set_index("scanner")["hu_sd_1mgy"]
    for code, recon in (("H2", "FBP"), ("D1", "FBP"), ("F1", "FBP"), ("E1", "IR"), ("H1", "IR")):
        model = MODELS[code].reconstructions[recon].noise
        assert model[1].total_sd_hu == pytest.approx(measured[code], rel=0.03)
        if recon == "FBP":
            mean = 1.434 * model[1].nps_peak_per_mm
            assert 0.37 < mean < 0.41 and model[1].anisotropy > 2 * model[10].anisotropy


def test_series_are_those_of_the_collection(shared_data):
    index = pd.read_csv(shared_data("idc_series_index.csv"))
    pattern = r"^(?P<scanner>..)_Harmonized_(?P<dose>\d+)mGy_(?P<recon>[A-Z]+) - #(?P<repetition>\d+)$"
    names = index["series_description"].str.extract(pattern).astype({"dose": int, "repetition": int})
    theirs = {tuple(row) for row in names.itertuples(index=False)}
    ours = {
        (code, dose, recon, repetition)
        for code in MODELS
        for dose in DOSES_MGY
        for recon in RECONSTRUCTIONS
        for repetition in range(1, 11)
        if MODELS[code].n_slices_of(dose, recon, repetition)
    }
    assert ours == theirs
    for row, name in zip(index.itertuples(), names.itertuples(index=False), strict=True):
        made = SeriesIdentity("", name.scanner, name.dose, name.recon, name.repetition)
        assert made.description == row.series_description
        assert made.number == row.series_number
        model = MODELS[name.scanner]
        assert (model.manufacturer, model.model) == (row.manufacturer, row.model)
        assert model.study_date == row.study_date.replace("-", "")
        assert model.n_slices_of(name.dose, name.recon, name.repetition) == row.n_instances


def test_quantum_noise_falls_with_dose_as_stated():
    for model in MODELS.values():
        for recon in model.reconstructions.values():
            for dose, noise in recon.noise.items():
                total = np.hypot(recon.quantum_sd_hu(dose), recon.texture_sd_hu)
                assert total == pytest.approx(noise.total_sd_hu)
    law = MODELS["G1"].reconstructions["FBP"]
    assert law.quantum_sd_hu(1) / law.quantum_sd_hu(10) == pytest.approx(10**0.345, rel=0.01)


def test_block_lies_in_the_field_of_view_and_in_the_slices():
    low, high = np.array(BLOCK.low_mm), np.array(BLOCK.high_mm)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (high - low) + low
    for model in MODELS.values():
        at = pose(model)(corners)
        radius = np.hypot(at[:, 0], at[:, 1] - model.image_centre_y_mm)
        assert radius.max() < 174, model.code
        index = full_grid(model).to_index(at)
        assert index[:, 0].min() > 2 and index[:, 0].max() < model.n_slices - 3, model.code


def test_reference_scanner_has_the_phantoms_frame():
    motion = pose(MODELS["A1"])
    np.testing.assert_allclose(motion.offset, 0, atol=1e-9)
    np.testing.assert_allclose(full_grid(MODELS["A1"]).origin_mm, [-174.658203125, -340.158203125, 24.0], atol=1e-9)


def test_scanners_differ_in_what_harmonization_must_undo():
    of = [
        (m.slope, m.offset_hu, m.rotation_deg, m.reconstructions["FBP"].noise[10].nps_peak_per_mm)
        for m in MODELS.values()
    ]
    assert len({values[:3] for values in of}) == 13
    for model in MODELS.values():
        fbp, ir = (model.reconstructions[name].noise[10] for name in ("FBP", "IR"))
        assert ir.total_sd_hu < fbp.total_sd_hu and ir.nps_peak_per_mm < fbp.nps_peak_per_mm
    assert {m.descending for m in MODELS.values()} == {True, False}
    assert len({m.transfer_syntax for m in MODELS.values()}) == 4
