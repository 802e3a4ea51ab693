import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from tests.dicom_factory import (
    ct_dataset,
    roi_labels,
    save,
    seg_uid,
    stored_pixels,
    uid,
    write_segmentation,
    write_series,
)

import index_series
from ct4bench.core.errors import UserError
from ct4bench.core.reasons import read_reasons
from ct4bench.index.files import FILE_COLUMNS
from ct4bench.index.index import SERIES_COLUMNS, build_index, index_of_idc_table, refuse_any
from ct4bench.index.names import COLLECTION_PATTERN
from ct4bench.index.tree import SHARED

MISSPELT = ("cyst1", "cyst2", "hemangioma", "metastatsis", "normal1", "normal2")


def add(root, folder="a", series="a", description="A1_Harmonized_10mGy_IR - #1", seg=True, seg_name=None, **fields):
    """One series with its segmentation beside it."""
    fields = {"StudyDescription": description[:2], "SeriesDescription": description} | fields
    seg_options = fields.pop("seg_options", {})
    paths = write_series(root / folder, series, **fields)
    if seg:
        write_segmentation(
            root / folder / (seg_name or f"seg_{series}.dcm"), sorted(paths), roi_labels()[: len(paths)], **seg_options
        )
    return paths


def only_reason(root, **options) -> pd.Series:
    """The one quarantined row, beside a good series that must be accepted."""
    add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
    index = build_index([root], **options)
    assert list(index.series["scanner"]) == ["B1"]
    assert len(index.quarantine) == 1, index.quarantine
    return index.quarantine.iloc[0]


def test_a_row_says_what_the_headers_say(tmp_path):
    root = tmp_path / "data"
    add(root, "a/b", "a", "A1_Harmonized_10mGy_IR - #3")
    index = build_index([root])
    assert list(index.series.columns) == SERIES_COLUMNS
    row = index.series.iloc[0].to_dict()
    expected = {
        "series_uid": uid("a"), "seg_series_uid": seg_uid(uid("a"), "seg_a.dcm"), "scan_id": "A1_10mGy_03",
        "scanner": "A1", "maker": "Siemens", "manufacturer_header": "SIEMENS", "model": "SOMATOM Definition Edge",
        "dose_mgy": 10, "recon": "IR", "repetition": 3, "n_slices": 18, "rows": 40, "columns": 36,
        "spacing_row_mm": 0.75, "spacing_col_mm": 0.5, "slice_increment_mm": 1.25, "slice_thickness_mm": 2.0,
        "fov_mm": 350.0, "kvp": 120.0, "exposure_mas": 148.0, "ctdivol_mgy": 9.97, "pitch": 1.0,
        "rotation_time_s": 0.5, "collimation_mm": 38.4, "kernel": "B30f", "scan_options": "", "path": "data/a/b",
        "rotation_time_source": "ExposureTime x pitch", "origin": "collection", "rounding_hu": 0.0,
    }  # fmt: skip
    assert row == expected
    assert index.quarantine.empty


def test_fractions_of_a_hu_are_told_by_series(tmp_path):
    """Of slices that are rescaled differently, the one that rounding moves most counts."""

    def rescale(index, dataset):
        dataset.RescaleIntercept = "-1024.25" if index == 3 else "-1024"

    add(tmp_path / "data", "a", edit=rescale)
    add(tmp_path / "data", "b", "b", "B1_Harmonized_10mGy_FBP - #1", RescaleSlope="0.5")
    add(tmp_path / "data", "c", "c", "C1_Harmonized_10mGy_FBP - #1")
    rounding = build_index([tmp_path / "data"]).series.set_index("scanner")["rounding_hu"]
    assert rounding.to_dict() == {"A1": 0.25, "B1": 0.5, "C1": 0.0}


def test_files_are_listed_in_the_order_of_the_array(tmp_path):
    root = tmp_path / "data"
    add(root, "a")
    files = build_index([root]).files
    assert list(files.columns) == FILE_COLUMNS
    ct = files[files["role"] == "ct"]
    assert list(ct["name"]) == [f"{k:03d}.dcm" for k in range(18)]
    np.testing.assert_allclose(ct["position_mm"], 100 + 1.25 * np.arange(18))
    seg = files[files["role"] == "seg"]
    assert list(seg["name"]) == ["seg_a.dcm"]
    assert seg["position_mm"].isna().all()
    for row in files.itertuples():
        assert row.size_bytes == os.path.getsize(tmp_path / row.root / row.folder / row.name)


LAYOUTS = {
    "TCIA": lambda scanner, k: (f"CT4/{scanner}/01-01-2021-NA-{scanner}/{k}.000000-x", "1-{index:03d}.dcm"),
    "IDC": lambda scanner, k: (f"{uid(scanner, k)[-12:]}", "{index:x}{series}-cafe.dcm"),
    "authors": lambda scanner, k: (f"{scanner}/{scanner}_174008_SOMATOM_ID{k}_Harmonized_10mGy", "IM{index}.dcm"),
    "one folder": lambda scanner, k: ("", "{series}.{index}"),
    "no suffix": lambda scanner, k: ("", "{series}_{index}"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_series(tmp_path, layout):
    root = tmp_path / "data"
    scans = [("A1", "IR", 1), ("A1", "FBP", 1), ("H2", "FBP", 2)]
    for scanner, recon, k in scans:
        folder, name = LAYOUTS[layout](scanner, f"{recon}{k}")
        series = f"{scanner}{recon}{k}"
        mask = "mask/1.dcm" if layout == "authors" else f"{series}seg" + (".dcm" if layout != "no suffix" else "")
        description = f"{scanner}_Harmonized_10mGy_{recon} - #{k}"
        add(root, folder, series, description, file_name=name, seg_name=mask)
    (root / "LICENSE").write_text("CC BY 4.0\n")
    (root / "metadata.csv").write_text("a,b\n")
    (root / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(50))
    (root / "._junk.dcm").write_bytes(b"\0\5\x16\7")
    index = build_index([root])
    assert [f"{r.scanner}{r.recon}{r.repetition}" for r in index.series.itertuples()] == ["A1FBP1", "A1IR1", "H2FBP2"]
    for row in index.series.itertuples():
        series = f"{row.scanner}{row.recon}{row.repetition}"
        mask = "1.dcm" if layout == "authors" else f"{series}seg" + (".dcm" if layout != "no suffix" else "")
        assert row.seg_series_uid == seg_uid(uid(series), mask)
    assert index.quarantine.empty
    assert sum(index.ignored.values()) == 4


def test_order_of_roots_and_threads_do_not_matter(tmp_path):
    for k, name in enumerate(("one", "two", "three")):
        add(tmp_path / name, "x", name, f"A1_Harmonized_10mGy_IR - #{k + 1}")
        add(tmp_path / name, "y", name + "y", f"A2_Harmonized_10mGy_IR - #{k + 1}", skip=(5,))
    roots = [tmp_path / name for name in ("one", "two", "three")]
    one, two = build_index(roots), build_index(roots[::-1], threads=3)
    for table in ("series", "quarantine", "files", "inputs"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))


@pytest.mark.parametrize("references", ["series", "source", "frame"])
def test_a_segmentation_is_found_by_what_it_refers_to(tmp_path, references):
    root = tmp_path / "data"
    for k in (1, 2):
        paths = add(root, "", f"s{k}", f"A1_Harmonized_10mGy_IR - #{k}", seg=False, file_name="{series}-{index}")
        write_segmentation(root / f"m{3 - k}.dcm", sorted(paths), roi_labels(), references=references)
    index = build_index([root])
    assert list(index.series["seg_series_uid"]) == [seg_uid(uid("s1"), "m2.dcm"), seg_uid(uid("s2"), "m1.dcm")]


def _set(keyword, value, which=5):
    def edit(index, dataset):
        if index == which:
            setattr(dataset, keyword, value)

    return edit


def _fractional(dataset):
    dataset.SegmentationType = "FRACTIONAL"


REFUSED = {
    "not_ct": {"Modality": "MR", "seg": False},
    "not_an_image_series": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "seg": False},
    "description_unmatched": {"description": "A1 Thorax 2.0"},
    "missing_slices": {"skip": (8,)},
    "duplicate_slices": {"edit": _set("ImagePositionPatient", [-2.5, -4, 105])},
    "mixed_geometry": {"edit": _set("PixelSpacing", [0.75, 0.51])},
    "non_parallel_slices": {"edit": _set("ImageOrientationPatient", [1, 0, 0, 0, 0.9998, 0.02])},
    "gantry_tilt": {"step": (0, 0.2, 1.25)},
    "no_segmentation": {"seg": False},
    "segmentation_mismatch": {"seg_options": {"FrameOfReferenceUID": "1.2.3"}},
    "unknown_label": {"seg_options": {"names": ("cyst1", "cyst2", "hemangioma", "spleen", "normal1", "normal2")}},
    "missing_label": {"seg_options": {"names": MISSPELT[:5]}},
    "bad_rescale": {"RescaleSlope": None, "seg": False},
    "mixed_metadata": {"edit": _set("ConvolutionKernel", "B70f")},
    "too_few_slices": {"pixels": stored_pixels((15, 40, 36))},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_each_reason(tmp_path, reason):
    root = tmp_path / "data"
    add(root, **REFUSED[reason])
    row = only_reason(root)
    assert (row["reason"], row["series_uid"], row["path"]) == (reason, uid("a"), "data/a"), row.to_dict()
    assert row["detail"]
    assert reason in read_reasons()


def test_a_fractional_segmentation_is_refused_with_its_place(tmp_path):
    root = tmp_path / "data"
    add(root, seg_options={"edit": _fractional})
    row = only_reason(root)
    assert row["reason"] == "segmentation_mismatch"
    assert "FRACTIONAL" in row["detail"]
    assert "data/a/seg_a.dcm" in row["detail"]


@pytest.mark.parametrize("kept, rows", [(-10, 1), (800, 2)])
def test_a_cut_segmentation_is_named(tmp_path, kept, rows):
    root = tmp_path / "data"
    add(root)
    path = root / "a" / "seg_a.dcm"
    path.write_bytes(path.read_bytes()[:kept])
    add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
    quarantine = build_index([root]).quarantine
    assert len(quarantine) == rows
    named = quarantine["path"].eq("data/a/seg_a.dcm") | quarantine["detail"].str.contains("data/a/seg_a.dcm")
    assert quarantine.loc[named, "reason"].tolist() == ["unreadable"]


def test_lossy_compression(tmp_path):
    root = tmp_path / "data"
    for path in add(root, seg=False):
        data = path.read_bytes()
        path.write_bytes(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    row = only_reason(root)
    assert row["reason"] == "unsupported_transfer_syntax"


def test_a_cut_file_takes_its_series_along_and_is_named(tmp_path):
    root = tmp_path / "data"
    paths = add(root)
    paths[-1].write_bytes(paths[-1].read_bytes()[:-50])
    add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
    index = build_index([root])
    assert list(index.series["scanner"]) == ["B1"]
    assert list(index.quarantine["reason"]) == ["unreadable", "unreadable"]
    assert list(index.quarantine["path"]) == ["data/a", "data/a/017.dcm"]
    assert "017.dcm" in index.quarantine["detail"].iloc[0]


@pytest.mark.parametrize(
    "name, content, listed",
    [
        ("x.dcm", b"", True),
        ("x.dcm", b"<html>not found</html>", True),
        ("x", bytes(200), True),
        ("x", b"plain text\n", False),
        ("1.2.840.5", bytes(200), True),
        ("x.png", b"\x89PNG\r\n" + bytes(200), False),
        ("x.zip", b"PK\3\4" + bytes(200), False),
    ],
)
def test_what_is_no_dicom_is_listed_where_its_name_says_dicom(tmp_path, name, content, listed):
    root = tmp_path / "data"
    add(root)
    (root / name).write_bytes(content)
    index = build_index([root])
    assert list(index.quarantine["reason"]) == ["unreadable"] * listed
    assert sum(index.ignored.values()) == (not listed)


def test_what_cannot_be_opened_as_a_file_is_unreadable(tmp_path):
    root = tmp_path / "data"
    add(root)
    (root / "b.dcm").symlink_to(root / "gone.dcm")
    os.mkfifo(root / "c.dcm")
    (root / "loop").symlink_to(root)
    index = build_index([root])
    assert list(index.quarantine["path"]) == ["data/b.dcm", "data/c.dcm"]
    assert len(index.series) == 1


def test_a_whole_copy_is_listed_and_the_first_is_used(tmp_path):
    root = tmp_path / "data"
    add(root, "a")
    shutil.copytree(root / "a", root / "b")
    index = build_index([root])
    assert list(index.series["path"]) == ["data/a"]
    assert set(index.quarantine["reason"]) == {"duplicate_series"}
    assert list(index.quarantine["path"]) == ["data/b", "data/b/seg_a.dcm"]
    shutil.copytree(root, tmp_path / "more")
    index = build_index([root, tmp_path / "more"])
    assert list(index.series["path"]) == ["data/a"]


def test_versions_of_a_series_are_no_copies(tmp_path):
    """Each edit of one slice of the second: neither version may be used."""
    edits = {
        "their pixels": lambda d: setattr(d, "PixelData", bytes(d.PixelData[:-2]) + b"\1\0"),
        "SeriesDescription": lambda d: setattr(d, "SeriesDescription", "A1_Harmonized_10mGy_FBP - #1"),
        "their positions": lambda d: setattr(d, "ImagePositionPatient", [-2.5, -4.0, 106.3]),
        "PatientID": lambda d: setattr(d, "PatientID", "x"),
    }
    for number, (what, edit) in enumerate(edits.items()):
        root = tmp_path / str(number)
        add(root, "a")
        shutil.copytree(root / "a", root / "b")
        path = root / "b" / "005.dcm"
        dataset = pydicom.dcmread(path)
        edit(dataset)
        dataset.save_as(path)
        add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
        index = build_index([root])
        assert list(index.series["scanner"]) == ["B1"]
        row = index.quarantine[index.quarantine["series_uid"] == uid("a")]
        assert list(row["reason"]) == ["duplicate_series"], what
        assert what in row["detail"].iloc[0] and "005.dcm" in row["detail"].iloc[0]


def test_a_copy_in_another_transfer_syntax_is_a_copy(tmp_path):
    root = tmp_path / "data"
    add(root, "b", "a")
    write_series(root / "a", "a", syntax="1.2.840.10008.1.2.4.80")
    index = build_index([root])
    assert list(index.series["path"]) == ["data/a"]
    assert list(index.quarantine["detail"]) == ["a copy; the one at data/a is used"]


def test_an_edited_segmentation_is_no_copy(tmp_path):
    root = tmp_path / "data"
    add(root, "a")
    (root / "b").mkdir()
    (seg,) = root.rglob("seg_*.dcm")
    dataset = pydicom.dcmread(seg)
    dataset.PixelData = bytes(dataset.PixelData[:-1]) + bytes([dataset.PixelData[-1] ^ 1])
    dataset.save_as(root / "b" / "seg.dcm")
    assert only_reason(root)["reason"] == "ambiguous_segmentation"


@pytest.mark.parametrize("field", [name for name in SHARED if name != "PatientName"])
def test_slices_that_disagree_are_mixed(tmp_path, field):
    root = tmp_path / "data"
    value = {"PatientPosition": "FFS", "KVP": 140, "SliceThickness": 3, "ReconstructionDiameter": 360}.get(
        field, "1.2.3"
    )
    add(root, edit=_set(field, value))
    row = only_reason(root)
    assert (row["reason"], field in row["detail"]) == ("mixed_metadata", True)
    assert field in (Path(__file__).parents[3] / "docs" / "input.md").read_text()


def test_what_says_the_same_is_not_mixed_and_no_patient_is_named(tmp_path):
    add(tmp_path / "a", edit=_set("KVP", "120.0"))
    assert len(build_index([tmp_path / "a"]).series) == 1
    add(tmp_path / "b", edit=_set("PatientID", "secret"))
    assert "secret" not in only_reason(tmp_path / "b")["detail"]


def test_the_row_of_a_series_does_not_depend_on_names_of_files(tmp_path):
    def edit(index, dataset):
        dataset.CTDIvol = 10.0 + index

    for name in ("{index:03d}.dcm", "{series}_{index}.x"):
        folder = tmp_path / name[:4].strip("{")
        add(folder, edit=edit, file_name=name)
    found = [build_index([folder]).series.drop(columns="path") for folder in sorted(tmp_path.iterdir())]
    pd.testing.assert_frame_equal(*found)


def test_a_tree_of_links_holds_each_file_once(tmp_path):
    root = tmp_path / "data"
    paths = add(root, "a")
    (root / "me").symlink_to("me")
    (root / "up").symlink_to(root)
    (root / "0_link").symlink_to(root / "a")
    (root / "gone").symlink_to("nowhere.dcm")
    (root / "a" / "0.dcm").symlink_to(paths[3])
    os.link(paths[4], root / "a" / "hard.dcm")
    for folder in (".hidden", "__MACOSX", "lost+found"):
        shutil.copytree(root / "a", root / folder)
    index = build_index([root])
    assert len(index.series) == 1
    files = index.files[index.files["role"] == "ct"]
    assert sorted(files["name"]) == [path.name for path in sorted(paths)]
    assert set(index.quarantine["path"]) == {"data/me", "data/gone"}
    assert index.ignored["hidden folder"] == 3
    assert index.ignored["another name of a file"] == 2


def test_equal_or_missing_times_are_named_with_the_remedy(tmp_path):
    pattern = r"(?P<dose>\d+)mGy (?P<recon>\w+)$"
    for number in range(3):
        add(tmp_path / "equal", str(number), str(number), "10mGy IR", AcquisitionTime="000000")
        add(tmp_path / "none", str(number), str(number), "10mGy IR", AcquisitionTime=None, AcquisitionDate=None)
    add(tmp_path / "one", "x", "x", "10mGy IR", AcquisitionTime=None, AcquisitionDate=None)
    for folder, reason, words in (
        (
            "equal",
            "duplicate_series",
            "times are equal .20210320000000.; equal times .*give the pattern a group repetition",
        ),
        ("none", "description_unmatched", "no acquisition time or irradiation event"),
    ):
        with pytest.raises(UserError, match=f"{reason} 3.*{words}"):
            build_index([tmp_path / folder], pattern)
    assert list(build_index([tmp_path / "one"], pattern).series["repetition"]) == [1]


def test_part_of_a_series_twice_is_refused(tmp_path):
    root = tmp_path / "data"
    paths = add(root, "a")
    (root / "b").mkdir()
    shutil.copy(paths[4], root / "b")
    assert only_reason(root)["reason"] == "duplicate_slices"


def test_a_series_spread_over_folders_is_one(tmp_path):
    root = tmp_path / "data"
    paths = add(root, "a")
    (root / "b").mkdir()
    for path in paths[::2]:
        shutil.move(path, root / "b")
    index = build_index([root])
    assert list(index.series["path"]) == ["data/a;data/b"]
    assert list(index.inputs["folders"]) == ["data/a;data/b"]
    assert index.quarantine.empty


def test_two_series_of_one_name_are_both_refused(tmp_path):
    root = tmp_path / "data"
    add(root, "a", "a")
    add(root, "b", "b")
    add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
    index = build_index([root])
    assert list(index.series["scanner"]) == ["B1"]
    assert list(index.quarantine["reason"]) == ["duplicate_series"] * 2


def test_two_segmentations_of_a_series_are_ambiguous(tmp_path):
    root = tmp_path / "data"
    paths = add(root)
    write_segmentation(root / "other.dcm", sorted(paths), roi_labels())
    row = only_reason(root)
    assert row["reason"] == "ambiguous_segmentation"
    assert "data/other.dcm" in row["detail"]


def test_a_segmentation_of_nothing_here_is_listed(tmp_path):
    root = tmp_path / "data"
    paths = add(root, "elsewhere", "z")
    shutil.move(root / "elsewhere" / "seg_z.dcm", root / "lost.dcm")
    for path in paths:
        path.unlink()
    row = only_reason(root)
    assert (row["reason"], row["path"]) == ("segmentation_mismatch", "data/lost.dcm")


def test_a_localizer_in_a_series_makes_it_mixed(tmp_path):
    root = tmp_path / "data"
    add(root, edit=_set("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert only_reason(root)["reason"] == "mixed_geometry"


def test_ir_and_dl_are_told_apart_though_they_share_their_series_numbers(tmp_path):
    root = tmp_path / "data"
    for recon in ("IR", "DL"):
        add(root, recon, recon, f"E2_Harmonized_10mGy_{recon} - #1", SeriesNumber=9102001)
    series = build_index([root]).series
    assert sorted(series["recon"]) == ["DL", "IR"]
    assert set(series["scan_id"]) == {"E2_10mGy_01"}


def test_a_study_that_names_another_scanner_is_refused(tmp_path):
    root = tmp_path / "data"
    add(root, StudyDescription="A2")
    assert only_reason(root)["reason"] == "description_unmatched"


def test_repetitions_follow_the_acquisition_where_names_have_none(tmp_path):
    root = tmp_path / "data"
    times = {"x": "120000", "y": "110000", "z": "130000"}
    for name, time in times.items():
        for recon in ("FBP", "IR"):
            if (name, recon) == ("y", "IR"):
                continue
            add(
                root,
                f"{name}{recon}",
                f"{name}{recon}",
                f"lot 5mGy {recon}",
                AcquisitionTime=time,
                StudyDescription="S",
            )
    index = build_index([root], r"(?P<dose>\d+)mGy (?P<recon>\w+)$")
    found = {(r.path[5:], r.repetition, r.scanner, r.dose_mgy, r.recon) for r in index.series.itertuples()}
    assert found == {
        ("yFBP", 1, "S", 5, "FBP"), ("xFBP", 2, "S", 5, "FBP"), ("xIR", 2, "S", 5, "IR"),
        ("zFBP", 3, "S", 5, "FBP"), ("zIR", 3, "S", 5, "IR"),
    }  # fmt: skip
    assert set(index.series["origin"]) == {"other"}


def test_reconstructions_of_one_irradiation_are_one_scan_whatever_their_times(tmp_path):
    root = tmp_path / "data"
    for name, recon, time in (
        ("x", "FBP", "120000"),
        ("x", "IR", "125500"),
        ("y", "FBP", "123000"),
        ("y", "IR", "115500"),
    ):
        fields = {"AcquisitionTime": time, "IrradiationEventUID": uid("event", name)}
        add(root, f"{name}{recon}", f"{name}{recon}", f"lot 5mGy {recon}", **fields)
    series = build_index([root], r"(?P<dose>\d+)mGy (?P<recon>\w+)$").series.set_index("path")["scan_id"]
    assert series["data/xFBP"] == series["data/xIR"] != series["data/yFBP"] == series["data/yIR"]


def test_a_scanner_may_not_leave_its_folder_by_its_name(tmp_path):
    root = tmp_path / "data"
    add(root, description="5mGy IR", StudyDescription="../../etc/x; rm *")
    index = build_index([root], r"(?P<dose>\d+)mGy (?P<recon>\w+)$")
    assert index.series["scanner"].iloc[0] == "etc_x_rm"


def test_a_uid_that_is_none_is_refused(tmp_path):
    root = tmp_path / "data"
    for path in add(root, seg=False):
        path.write_bytes(path.read_bytes().replace(uid("a").encode(), ("../" + uid("a")[3:]).encode()))
    assert only_reason(root)["reason"] == "unreadable"


def test_rotation_time_and_exposure(tmp_path):
    root = tmp_path / "data"
    philips = {"ExposureTime": 508, "SpiralPitchFactor": 0.985, "XRayTubeCurrent": 270, "Exposure": 137}
    ge = {"RevolutionTime": 0.5, "SpiralPitchFactor": 0.984, "Exposure": 112, "ExposureInuAs": 112500}
    bare = dict.fromkeys(("ExposureTime", "SpiralPitchFactor", "XRayTubeCurrent"))
    modulated = {"edit": _set("Exposure", 238), "ExposureInuAs": 1}
    unstated = {"Exposure": None, "SpiralPitchFactor": None, "TableFeedPerRotation": 19.2}
    for name, fields in {"C1": philips, "D1": ge, "F1": bare, "B1": modulated, "B2": unstated}.items():
        add(root, name, name, f"{name}_Harmonized_10mGy_FBP - #1", **fields)
    series = build_index([root]).series.set_index("scanner")
    assert series.loc["C1", "rotation_time_s"] == pytest.approx(0.508 * 0.985)
    assert series.loc["D1", "rotation_time_s"] == 0.5
    assert np.isnan(series.loc["F1", "rotation_time_s"])
    sources = series["rotation_time_source"].to_dict()
    assert (sources["C1"], sources["D1"], sources["F1"]) == ("ExposureTime x pitch", "RevolutionTime", "")
    exposures = series["exposure_mas"].to_dict()
    assert exposures == {"C1": 137, "D1": 112.5, "F1": 148, "B1": 153, "B2": 148}
    assert series.loc["B2", "pitch"] == 0.5


def test_what_the_twin_made_says_so(tmp_path):
    root = tmp_path / "data"
    add(root, ImageComments="synthetic: ct4bench digital twin, seed 0")
    assert set(build_index([root]).series["origin"]) == {"synthetic"}


def test_slices_that_share_nothing_but_a_name_are_not_a_series(tmp_path):
    root = tmp_path / "data"
    add(root, seg=False)
    pixels = np.zeros((40, 36))
    save(ct_dataset("a", 99, pixels, (0, 0, 500)), pixels, root / "a" / "far.dcm")
    assert only_reason(root)["reason"] == "missing_slices"


def test_nothing_accepted_is_one_error_with_counts(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        build_index([tmp_path / "none"])
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="no file in data"):
        build_index([tmp_path / "data"])
    (tmp_path / "data" / "a.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"1 \.zip; unpack"):
        build_index([tmp_path / "data"])
    add(tmp_path / "data", seg=False)
    with pytest.raises(UserError, match="no_segmentation 1"):
        build_index([tmp_path / "data"])


def test_what_is_left_out_is_listed_where_nothing_is_accepted(tmp_path):
    add(tmp_path / "data", "a", "a", seg=False)
    add(tmp_path / "data", "b", "b", skip=(4,))
    with pytest.raises(UserError, match="no_segmentation 1, missing_slices 1.*quarantine.csv lists all") as caught:
        index_series.main(["--roots", str(tmp_path / "data"), "--output", str(tmp_path / "index")])
    table = pd.read_csv(tmp_path / "index" / "quarantine.csv")
    assert list(table["reason"]) == ["no_segmentation", "missing_slices"]
    assert f"{tmp_path}/index/quarantine.csv" in str(caught.value)
    assert list(pd.read_csv(tmp_path / "index" / "series.csv").columns) == SERIES_COLUMNS
    with pytest.raises(UserError, match="--strict"):
        add(tmp_path / "data", "c", "c")
        index_series.main(["--roots", str(tmp_path / "data"), "--strict", "--output", str(tmp_path / "strict")])
    assert len(pd.read_csv(tmp_path / "strict" / "quarantine.csv")) == 2


def test_two_roots_of_one_name_are_refused(tmp_path):
    for part in "xy":
        add(tmp_path / part / "data")
    with pytest.raises(UserError, match="two input folders are named data"):
        build_index([tmp_path / "x" / "data", tmp_path / "y" / "data"])


def test_strict_names_the_first(tmp_path):
    root = tmp_path / "data"
    add(root, skip=(4,))
    add(root, "good", "good", "B1_Harmonized_10mGy_FBP - #1")
    index = build_index([root])
    with pytest.raises(UserError, match=r"1 files or series.*data/a \(missing_slices"):
        refuse_any(index.quarantine)
    refuse_any(index.quarantine.iloc[:0])


def test_the_page_on_input_has_every_reason_and_the_pattern(request):
    docs = request.config.rootpath / "docs"
    page, of_download = ((docs / name).read_text() for name in ("input.md", "download.md"))
    where = {code: of_download if reason.found_by == "download" else page for code, reason in read_reasons().items()}
    assert [code for code, text in where.items() if f"`{code}`" not in text] == []
    assert COLLECTION_PATTERN in page


def test_a_malformed_row_of_a_table_is_set_aside_alone():
    good = {
        "study_description": "A1", "series_description": "A1_Harmonized_10mGy_IR - #1", "manufacturer": "SIEMENS",
        "model": "x", "series_instance_uid": "1.2.3", "n_instances": 343, "crdc_series_uuid": "a",
        "seg_series_instance_uid": "1.2.4",
    }  # fmt: skip
    bad = [{"series_description": "scout"}, {"series_description": None}, {"series_instance_uid": None}, {}]
    frame = pd.DataFrame([good, *(good | {"series_instance_uid": f"1.9.{k}"} | b for k, b in enumerate(bad[:3])), good])
    index = index_of_idc_table(frame)
    assert list(index.series["series_uid"]) == ["1.2.3"]
    assert sorted(index.quarantine["reason"]) == [
        "description_unmatched", "description_unmatched", "duplicate_series", "unreadable",
    ]  # fmt: skip
    with pytest.raises(UserError, match="no row of the table"):
        index_of_idc_table(frame.iloc[1:2])


@pytest.mark.parametrize("name", ["A1 $5", "A1;2", "A[1]", "A*", "what?", 'the "A"', "{a,b}", "{1..3}", "a`b", "a\\b"])
def test_a_folder_that_the_engine_cannot_quote_is_refused_by_name(tmp_path, name):
    add(tmp_path / "data", name)
    row = only_reason(tmp_path / "data")
    assert (row["reason"], row["path"]) == ("unreadable", f"data/{name}")


@pytest.mark.parametrize(
    "name", ["A1, best", "A1 {v2}", "o'brien", "für", "A#1", "~x", "(1) & more", "1!", "a=b", "東京"]
)
def test_any_other_name_of_a_folder_is_taken(tmp_path, name):
    add(tmp_path / "data", name)
    assert list(build_index([tmp_path / "data"]).series["path"]) == [f"data/{name}"]
