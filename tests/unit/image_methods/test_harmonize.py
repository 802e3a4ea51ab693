"""Registered series through planted methods of images: what they are told, what comes of it, and what is caught."""

import json

import numpy as np
import pandas as pd
import pytest
from planted import plant

from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import open_volume, read_nifti, save_volume
from ct4bench.image_methods import harmonize
from ct4bench.image_methods.harmonize import ChunkRun, harmonize_chunk, harmonize_chunks, told_variant

GRID = Grid.axis_aligned((4, 6, 5), (2.0, 1.5, 1.0), (0.0, 0.0, 0.0))
SERIES = [("1.1", "A1", "IR"), ("1.2", "A1", "FBP"), ("2.1", "B1", "IR"), ("3.1", "C1", "IR")]
PLAIN = """
class Method:
    def __init__(self, *, seed, **parameters):
        self.told, self.means, self.calls = parameters, [], 0
    def fit(self, volumes):
        self.means = [(domain, float(volume.mean())) for volume, spacing_mm, domain in volumes]
        return self
    def transform(self, volume, spacing_mm, domain):
        self.calls += 1
        assert spacing_mm == (2.0, 1.5, 1.0) and volume.dtype.name == "float32"
        return {result}
"""


@pytest.fixture
def series(tmp_path, monkeypatch):
    """Four series with their number as HU, the first as the reference."""
    registered = pd.DataFrame(SERIES, columns=["series_uid", "scanner", "recon"]).assign(
        maker="m", dose_mgy=10, repetition=1, scan_id="s"
    )
    (tmp_path / "volumes").mkdir()
    rng = np.random.default_rng(0)
    for uid, scanner, _ in SERIES:
        array = np.rint(100 * float(uid) + rng.normal(0, 9, GRID.shape)).astype(np.int16)
        save_volume(tmp_path / "volumes" / f"{uid}.b2nd", array, GRID, {"series_uid": uid, "scanner": scanner})
    reference = type("Reference", (), {"series_uid": "1.1"})()
    monkeypatch.setattr(harmonize, "open_reference", lambda folder: reference)
    monkeypatch.setattr(harmonize, "describe_phantom", lambda reference: {"regions": [[[0, 2], [0, 2], [0, 2]]]})
    return registered


def run(
    tmp_path,
    series,
    result="volume + 1",
    uids=("1.1", "1.2", "2.1"),
    fit=("2.1", "1.2", "1.1"),
    by=("scanner",),
    **declared,
):
    variant = plant(
        tmp_path / "methods", PLAIN.replace("{result}", result), level="image", **{"learns": "own_domain"} | declared
    )
    one = ChunkRun(variant, tmp_path / "volumes", "", by, 0, tmp_path / "nifti")
    (row,) = harmonize_chunk(one, series, list(uids), list(fit), tmp_path / "out").to_dict("records")
    return row, {path.stem: open_volume(path) for path in (tmp_path / "out").glob("*.b2nd")}


def voxels(tmp_path, uid):
    return open_volume(tmp_path / "volumes" / f"{uid}.b2nd").read()


def test_volumes_come_back_under_their_names_rounded_once(tmp_path, series):
    row, found = run(tmp_path, series, "volume + 0.26 + 0.26")
    assert row["status"] == "harmonized" and row["reason"] == ""
    assert sorted(found) == ["1.1", "1.2", "2.1"]
    for uid, volume in found.items():
        np.testing.assert_array_equal(volume.read(), voxels(tmp_path, uid) + 1)
        assert volume.attributes["series_uid"] == uid and volume.grid.same_as(GRID)
        np.testing.assert_array_equal(read_nifti(tmp_path / "nifti" / f"{uid}.nii.gz")[0], volume.read())


def test_fit_has_the_reference_first_then_the_others_and_what_a_domain_is_may_be_joined(tmp_path, series):
    message = "(_ for _ in ()).throw(ValueError([domain for domain, _ in self.means]))"
    row, found = run(tmp_path, series, message, by=("scanner", "recon"))
    assert row["status"] == "failed" and not found and not list((tmp_path / "nifti").iterdir())
    assert "['A1|IR', 'B1|IR', 'A1|FBP']" in row["reason"]


@pytest.mark.parametrize("parameters", [{}, {"reference": None}, {"reference": "A1"}])
def test_a_fold_without_the_references_scanner_has_another_one_first(tmp_path, series, parameters):
    message = "(_ for _ in ()).throw(ValueError([self.told, [domain for domain, _ in self.means]]))"
    row, _ = run(
        tmp_path,
        series,
        message,
        uids=("1.1", "2.1", "3.1"),
        fit=("3.1", "2.1"),
        learns="pooled",
        parameters=parameters,
    )
    told, order = ({"reference": "B1"}, ["B1", "C1"]) if parameters else ({}, ["C1", "B1"])
    assert f"[{told}, {order}]" in row["reason"]


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({}, {}),
        ({"parameters": {"reference": None, "gain": 2.0}}, {"reference": "A1", "gain": 2.0}),
        ({"parameters": {"reference": "Z9"}}, {"reference": "A1"}),
        ({"parameters": {"reference": "B1"}}, {"reference": "B1"}),
        ({"information": "calibration", "calibration_series": 1}, {"phantom": {"regions": [[[0, 2], [0, 2], [0, 2]]]}}),
        ({"information": "transductive"}, {}),
    ],
)
def test_a_method_is_told_what_it_declares_and_no_more(tmp_path, series, declared, told):
    message = "(_ for _ in ()).throw(ValueError(__import__('json').dumps(self.told)))"
    row, _ = run(tmp_path, series, message, **declared)
    assert json.JSONDecoder().raw_decode(row["reason"].split("ValueError: ", 1)[1])[0] == told


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("volume[:2]", "for a volume of"),
        ("volume * float('nan')", "missing or infinite"),
        ("volume.astype(int)", "not float32"),
        ("volume + self.calls if self.calls > 1 else volume", ""),
    ],
)
def test_what_is_no_volume_fails_and_calls_do_not_add_up(tmp_path, series, result, words):
    row, found = run(tmp_path, series, result)
    assert (row["status"] == "failed") == bool(words) and words in row["reason"]
    for uid, volume in found.items():
        np.testing.assert_array_equal(volume.read(), voxels(tmp_path, uid))


def test_another_series_volume_is_caught(tmp_path, series):
    code = PLAIN.replace("{result}", "self.first.copy()").replace(
        "self.means = [", "self.first = next(iter(volumes))[0]\n        self.means = ["
    )
    variant = plant(tmp_path / "methods", code, level="image", learns="own_domain")
    one = ChunkRun(variant, tmp_path / "volumes", "")
    (row,) = harmonize_chunk(one, series, ["1.1", "2.1"], ["1.1", "2.1"], tmp_path / "out").to_dict("records")
    assert row["status"] == "failed" and "another series' volume" in row["reason"]
    assert not list((tmp_path / "out").glob("*.b2nd"))


def test_what_does_not_apply_says_why(tmp_path, series):
    row, found = run(tmp_path, series, fit=("1.1",), unseen="refuse")
    assert (row["status"], row["reason"], found) == (
        "not applicable", "refuses domains that it has not seen: B1", {},
    )  # fmt: skip
    row, _ = run(tmp_path, series, uids=("2.1", "3.1"), fit=("2.1",), learns="pooled", min_domains=2)
    assert (row["status"], row["reason"]) == ("not applicable", "needs 2 training domains, and has 1")
    row, _ = run(tmp_path, series, min_domains=3)
    assert row["status"] == "not applicable" and "needs 3 training domains" in row["reason"]


def test_parts_are_mapped_apart_and_one_that_fails_leaves_no_volume(tmp_path, series):
    parts = [(["1.1", "1.2"], ["1.1"]), (["2.1"], ["1.1", "2.1"])]

    def harmonized(result):
        code = PLAIN.replace("{result}", result)
        variant = plant(tmp_path / "methods", code, level="image", learns="own_domain")
        settings = ChunkRun(variant, tmp_path / "volumes", "", nifti=tmp_path / "nifti")
        (row,) = harmonize_chunks(settings, series, parts, tmp_path / "out").to_dict("records")
        return row, {path.stem: open_volume(path).read() for path in (tmp_path / "out").glob("*.b2nd")}

    row, found = harmonized("volume + 100 * len(self.means)")
    assert row["status"] == "harmonized" and sorted(found) == ["1.1", "1.2", "2.1"]
    for uid, added in {"1.1": 100, "1.2": 100, "2.1": 200}.items():
        np.testing.assert_array_equal(found[uid], voxels(tmp_path, uid) + added)
    row, found = harmonized("volume[:2] if len(self.means) == 2 else volume")
    assert row["status"] == "failed" and not found and not list((tmp_path / "nifti").iterdir())


def test_a_series_that_is_not_registered_is_an_error(tmp_path, series):
    with pytest.raises(UserError, match=r"no series 9\.9"):
        run(tmp_path, series, uids=("9.9",))


def test_more_volumes_have_more_time(tmp_path):
    variant = plant(tmp_path, "", level="image", max_minutes=2)
    assert told_variant(variant, ["A1"], "A1", {}, 21).declaration.max_minutes == 8
