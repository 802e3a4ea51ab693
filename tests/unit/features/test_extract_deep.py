"""Extraction: same values whatever the chunk, threads and run; what is refused; what the settings say."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from ct4bench.core.benchmark import FEATURE_KEY, ROIS, tissue_of
from ct4bench.core.device import choose_device
from ct4bench.core.errors import UserError
from ct4bench.core.geometry import Grid
from ct4bench.core.volumes import save_volume
from ct4bench.features import encoder as encoder_types
from ct4bench.features import extract_deep
from ct4bench.features.encoder import INTENSITIES, Encoder, EncoderOptions, Scaling, to_input
from ct4bench.features.encoders import build_encoder
from ct4bench.features.extract_deep import EncodingRun, batches, encode, relative_difference, sample
from ct4bench.features.weights import Weights
from extract_deep import main

GRID = Grid.axis_aligned((40, 60, 70), (1, 0.7, 0.7), (5, -10, 100))
UIDS = ["1.2.10", "1.2.3", "1.2.4"]


@pytest.fixture(scope="module")
def chunk(tmp_path_factory):
    """Three small series with 7 patches each: (registered, folder of volumes, patches)."""
    folder = tmp_path_factory.mktemp("volumes")
    rng = np.random.default_rng(5)
    for uid in UIDS:
        save_volume(folder / f"{uid}.b2nd", rng.normal(50, 30, GRID.shape).astype(np.int16), GRID, {"series_uid": uid})
    registered = pd.DataFrame(
        {
            "series_uid": UIDS, "scan_id": [f"A1_10mGy_{i:02d}" for i in range(3)], "scanner": "A1", "maker": "Siemens",
            "dose_mgy": 10, "recon": ["FBP", "IR", "IR"], "repetition": [1, 2, 3], "kernel": "B30f",
        }
    )  # fmt: skip
    voxels = rng.integers([8, 16, 16], [32, 44, 54], (7, 3))
    places = GRID.to_lps(voxels)
    patches = pd.DataFrame(
        {
            "roi": [ROIS[i % 6] for i in range(7)], "tissue": [tissue_of(ROIS[i % 6]) for i in range(7)],
            "patch": [i // 6 for i in range(7)], "x_mm": places[:, 0], "y_mm": places[:, 1], "z_mm": places[:, 2],
            "slice": voxels[:, 0], "row": voxels[:, 1], "column": voxels[:, 2], "share_inside": 1.0,
        }
    )  # fmt: skip
    return registered, folder, patches


@pytest.fixture(scope="module")
def cnn():
    choose_device("cpu")
    return build_encoder("shallow_cnn", EncoderOptions(seed=1))


def means(intensity="raw", shape=encoder_types.SHAPE, factor=1.0):
    """An encoder whose two features are mean and first voxel, and a reference that gives `factor` times that."""

    def features(x):
        return torch.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0]], 1)

    return Encoder(
        "means", "m", 2, intensity, INTENSITIES[intensity], Weights({}, "random", ""), features,
        reference=lambda: lambda x: features(x) * factor, shape=shape,
    )  # fmt: skip


def test_batches_are_equal_and_cover_all():
    assert batches(60, 16) == [slice(0, 15), slice(15, 30), slice(30, 45), slice(45, 60)]
    assert batches(7, 10) == [slice(0, 7)]
    assert batches(0, 10) == []
    sizes = [part.stop - part.start for part in batches(64, 10)]
    assert sum(sizes) == 64
    assert max(sizes) <= 10
    assert max(sizes) - min(sizes) <= 1


def test_input_has_the_slice_axis_last(rng):
    patches = rng.integers(-1024, 3000, (2, 16, 32, 32)).astype(np.int16)
    x = to_input(patches, None)
    assert x.shape == (2, 32, 32, 16)
    assert x.dtype == np.float32
    assert x[1, 20, 30, 4] == patches[1, 4, 20, 30]
    assert to_input(patches, None, (20, 32, 8))[1, 14, 30, 0] == patches[1, 4, 20, 30]


def test_scaling_clips_and_maps():
    hu = np.array([-1024, -1000, -500, 0, 1000, 3071], np.int16)[None, :, None, None] * np.ones((1, 1, 2, 2), np.int16)
    shape = (2, 2, 6)
    assert to_input(hu, INTENSITIES["scaled"], shape)[0, 0, 0].tolist() == [0, 0, 0.25, 0.5, 1, 1]
    assert to_input(hu, Scaling(-500, 0, -1, 1), shape)[0, 0, 0].tolist() == [-1, -1, -1, 1, 1, 1]


def extract_series(encoder, registered, uids, folder, patches, batch, **options):
    return extract_deep.extract_series(EncodingRun(encoder, folder, patches, batch, **options), registered, uids)


def test_table_has_keys_then_features(chunk):
    registered, folder, patches = chunk
    table, settings = extract_series(means(), registered, UIDS[::-1], folder, patches.sample(frac=1, random_state=1), 3)
    assert list(table.columns) == [*FEATURE_KEY, "m_000", "m_001"]
    assert table["m_000"].dtype == np.float64
    assert table.equals(table.sort_values(["series_uid", "roi", "patch"], ignore_index=True))
    assert len(table) == 21
    row = table[(table["series_uid"] == "1.2.3") & (table["roi"] == "cyst1") & (table["patch"] == 1)].iloc[0]
    assert (row["recon"], row["tissue"], row["scan_id"]) == ("IR", "cyst", "A1_10mGy_01")
    assert settings["n_features"] == 2
    assert (settings["verified"], settings["largest_difference"]) == (1, 0)


def test_values_do_not_depend_on_chunk_threads_or_run(chunk, cnn):
    registered, folder, patches = chunk
    whole, _ = extract_series(cnn, registered, UIDS, folder, patches, 3, share=0)
    again, _ = extract_series(cnn, registered, UIDS, folder, patches, 3, threads=2, share=0)
    alone, _ = extract_series(cnn, registered, UIDS[:1], folder, patches, 3, share=0)
    assert whole.equals(again)
    assert whole[whole["series_uid"] == UIDS[0]].reset_index(drop=True).equals(alone)


def test_verification_compares_with_the_reference(chunk, cnn):
    registered, folder, patches = chunk
    _, settings = extract_series(cnn, registered, UIDS, folder, patches, 3, share=0.1)
    assert settings["verified"] == 3
    assert 0 < settings["largest_difference"] < 1e-5
    extract_series(means(factor=1 + 1e-7), registered, UIDS, folder, patches, 3, share=1)
    with pytest.raises(UserError, match=r"series 1\.2\.\d+, .* differ by 1\.0\de-04"):
        extract_series(means(factor=1 + 1e-4), registered, UIDS, folder, patches, 3, share=1)


def test_half_precision_has_its_own_tolerance(chunk, cnn):
    registered, folder, patches = chunk
    exact, _ = extract_series(cnn, registered, UIDS[:1], folder, patches, 7, share=0)
    table, settings = extract_series(cnn, registered, UIDS[:1], folder, patches, 7, share=1, precision="bfloat16")
    assert 1e-5 < settings["largest_difference"] < settings["tolerance"]
    assert not table.equals(exact)


def test_the_sample_is_seeded_and_rounded_up():
    assert len(sample(60, 0.01, 0)) == 1
    assert len(sample(60, 0, 0)) == 0
    assert sample(60, 1, 3).tolist() == list(range(60))
    assert sample(600, 0.1, 1).tolist() == sample(600, 0.1, 1).tolist() != sample(600, 0.1, 2).tolist()


def test_relative_difference_is_by_patch():
    reference = np.array([[1.0, 100.0], [1.0, -2.0]])
    assert relative_difference(reference, reference) == 0
    assert relative_difference(reference + [[1, 0], [0, 0.5]], reference) == 0.25
    assert relative_difference(np.ones((1, 2)), np.zeros((1, 2))) == np.inf


def test_features_that_are_not_finite_are_refused(chunk):
    registered, folder, patches = chunk
    broken = Encoder("b", "b", 1, "raw", None, Weights({}, "random", ""), lambda x: x.mean((1, 2, 3))[:, None] / 0)
    with pytest.raises(UserError, match="not finite"):
        extract_series(broken, registered, UIDS, folder, patches, 3)


def test_unknown_series_and_volumes_are_refused(chunk, tmp_path):
    registered, folder, patches = chunk
    with pytest.raises(UserError, match=r"9\.9"):
        extract_series(means(), registered, ["9.9"], folder, patches, 3)
    with pytest.raises(UserError, match="is not a volume"):
        extract_series(means(), registered, UIDS, tmp_path, patches, 3)


def test_no_patch_gives_no_row():
    assert encode(means(), np.empty((0, 16, 32, 32), np.int16), 4).shape == (0, 2)


def test_encoders_refuse_what_does_not_apply():
    for extractor, options, word in [
        ("shallow_cnn", EncoderOptions(layer="3"), "--layer"),
        ("shallow_cnn", EncoderOptions(patch_merging="legacy"), "--patch_merging"),
        ("swin_unetr", EncoderOptions(layer="5"), "0, 1, 2, 3, 4"),
        ("densenet", EncoderOptions(), "shallow_cnn, swin_unetr"),
    ]:
        with pytest.raises(UserError, match=word):
            build_encoder(extractor, options)


def test_no_gpu_is_said():
    if torch.cuda.is_available():
        assert choose_device("auto") == "cuda"
    else:
        assert choose_device("auto") == "cpu"
        with pytest.raises(UserError, match="no GPU"):
            choose_device("cuda")


def test_shallow_cnn_takes_raw_hu_always():
    encoder = build_encoder("shallow_cnn", EncoderOptions(intensity="scaled"))
    assert (encoder.intensity, encoder.scaling) == ("raw", None)
    assert encoder.columns()[::255] == ["cnn_000", "cnn_255"]


@pytest.mark.parametrize("extractor", ["shallow_cnn", "swin_unetr"])
def test_script_writes_the_same_bytes_again(chunk, tmp_path, extractor):
    registered, folder, patches = chunk
    registered.to_csv(tmp_path / "registered.csv", index=False)
    patches.to_csv(tmp_path / "patches.csv", index=False)
    for name, threads in (("one", 1), ("two", 2)):
        main(
            f"--extractor {extractor} --registered {tmp_path}/registered.csv --series_uids {UIDS[1]},{UIDS[0]} "
            f"--volumes {folder} --patches {tmp_path}/patches.csv --batch 4 --threads {threads} --verify 0 "
            f"--device cpu --intensity scaled --output {tmp_path}/{name}.parquet "
            f"--settings {tmp_path}/{name}.json".split()
        )
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    settings = json.loads((tmp_path / "one.json").read_text())
    assert settings["weights"] == {
        "file": "", "sha256": "", "status": "random", "words": "seeded random weights, not trained (seed 0)",
    }  # fmt: skip
    assert settings["intensity"] == ("scaled" if extractor == "swin_unetr" else "raw")
    assert settings["extractor"] == extractor
    table = pd.read_parquet(tmp_path / "one.parquet")
    assert len(table) == 14
    assert table.shape[1] == len(FEATURE_KEY) + settings["n_features"]


@pytest.mark.parametrize("extractor", ["shallow_cnn", "swin_unetr"])
def test_everything_is_on_the_encoders_device(extractor):
    """On torch's device without values, an operation that mixes devices fails as it would on a GPU."""
    encoder = build_encoder(extractor, EncoderOptions(device="meta"))
    features = encoder.features(torch.zeros(2, 32, 32, 16))
    assert features.shape == (2, encoder.n_features)
    assert features.device.type == "meta"
