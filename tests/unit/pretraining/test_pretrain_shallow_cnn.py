"""Training of the shallow CNN and of SwinViT: what is added, what is learnt, that it repeats, and that files fit."""

import json

import numpy as np
import pytest
import torch

from ct4bench.core.errors import UserError
from ct4bench.features import shallow_cnn, swin
from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.features.extract_deep import encode
from ct4bench.features.weights import load_weights
from ct4bench.pretraining import organs, pretrain_shallow_cnn, pretrain_swin
from ct4bench.pretraining.organs import ORGANS, Case
from ct4bench.pretraining.pretrain_shallow_cnn import (
    PRINTED,
    Augmentation,
    PretrainingSettings,
    augment,
    class_weights,
    confusion,
    save_weights,
    train,
)

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tissue():
    """Patches of five tissues that differ in mean and in texture, as (patches, classes)."""
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(5), 12)
    patches = rng.normal(0, 1, (60, 16, 32, 32)) * (5 + 8 * (classes % 2))[:, None, None, None]
    return (patches + (60 * classes)[:, None, None, None]).round().astype(np.int16), classes


def test_noise_offset_and_gain_are_as_said(rng):
    patch = np.full((16, 32, 32), 100, np.int16)
    found = np.stack([augment(patch, Augmentation((10, 20), 4, 0.02), rng) for _ in range(60)])
    assert found.dtype == np.float32
    sd = found.std((1, 2, 3))
    assert sd.min() >= 9.99
    assert sd.max() <= 20.01
    assert abs(found.mean((1, 2, 3)).mean() - 100) < 2
    assert 2 < found.mean((1, 2, 3)).std() < 7
    still = augment(patch, Augmentation((0, 0), 0, 0), rng)
    assert np.array_equal(still, patch)


def test_patches_are_turned_over(rng):
    patch = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    corners = {int(augment(patch, Augmentation((0, 0), 0, 0), rng)[0, 0, 0]) for _ in range(100)}
    assert corners == set(range(8))


def test_classes_weigh_the_same():
    weights = class_weights(np.array([0, 0, 0, 0, 1, 2, 3, 4, 4, 4]))
    assert weights.tolist() == pytest.approx([0.5, 2, 2, 2, 2 / 3])
    with pytest.raises(UserError, match="no patch of kidney"):
        class_weights(np.array([0, 1, 3, 4]))


def test_tissues_are_learnt(tissue):
    quiet = PretrainingSettings(epochs=5, batch=10, learning_rate=1e-3, augmentation=Augmentation((1, 3), 1, 0))
    state = train(*tissue, quiet, 1)
    counts = confusion(state, *tissue, quiet.augmentation, 1)
    assert counts.sum(axis=1).tolist() == [12] * 5
    assert np.diag(counts).sum() >= 36


def test_a_second_training_is_the_same(tissue):
    some = tissue[0][::4], tissue[1][::4]
    first, again, other = (train(*some, PretrainingSettings(epochs=1, batch=5), seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_weights_are_half_precision_and_fit_the_encoder(tissue, tmp_path):
    state = train(tissue[0][::4], tissue[1][::4], PretrainingSettings(epochs=1, batch=15), 2)
    save_weights(state, tmp_path / "a" / "w.safetensors")
    assert (tmp_path / "a" / "w.safetensors").stat().st_size == pytest.approx(540_000, rel=0.02)
    encoder = build_encoder("shallow_cnn", EncoderOptions(weights=tmp_path / "a" / "w.safetensors"))
    features = encode(encoder, tissue[0][:3], 3)
    exact = shallow_cnn.ShallowCnnFeatures({n: t for n, t in state.items() if n.startswith("conv")}, (32, 32, 16))
    x = torch.from_numpy(np.moveaxis(tissue[0][:3], 1, 3).astype(np.float32))
    assert np.allclose(features, exact(x).numpy(), rtol=0.01, atol=0.01 * features.max())


def test_a_diverged_training_is_not_written(tmp_path):
    with pytest.raises(UserError, match="diverged"):
        save_weights({"a": torch.tensor([torch.nan])}, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def small_cases(n):
    """Cases like `phantom_cases` gives, but of five boxes of plain tissue."""
    for number in range(n):
        rng = np.random.default_rng(number)
        labels = np.repeat(np.arange(1, 6, dtype=np.uint8), 40)[None, None, :] * np.ones((24, 40, 1), np.uint8)
        yield Case(f"box {number}", (50 * labels + rng.normal(0, 5, labels.shape)).astype(np.int16), labels)


def test_the_script_trains_on_cases_and_tells(tmp_path, monkeypatch):
    from pretrain_shallow_cnn import main

    monkeypatch.setattr(pretrain_shallow_cnn, "iterate_cases", lambda folder: small_cases(int(folder)))
    path = tmp_path / "w.safetensors"
    main(f"--cases 2 --patches_per_organ 4 --epochs 1 --output {path} --report {tmp_path}/r.json".split())
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["train"], report["test"], report["n_patches"]) == (["box 0"], ["box 1"], 20)
    assert np.sum(report["confusion"]) == 20
    assert (
        report["sha256"]
        == load_weights(tmp_path / "w.safetensors", shallow_cnn.parameters(), shallow_cnn.translate).sha256
    )
    monkeypatch.setattr(pretrain_shallow_cnn, "phantom_cases", lambda seed, n, threads: small_cases(n))
    main(f"--phantoms 1 --patches_per_organ 2 --epochs 1 --output {tmp_path}/p.safetensors".split())
    assert (tmp_path / "p.safetensors").is_file()


# ----------------------------------------------------------------------------------------------------------- SwinViT
def test_a_share_of_a_view_is_masked(rng):
    patch = np.full((32, 32, 16), 7, np.float32)
    masked = pretrain_swin.mask(patch, rng)
    share = np.mean(masked != 7)
    assert pretrain_swin.MASKED_SHARE <= share < pretrain_swin.MASKED_SHARE + 0.1
    assert (patch == 7).all()


def test_views_are_turned_by_what_they_say(rng):
    patches = rng.random((3, 32, 32, 16)).astype(np.float32)
    shown, hidden, turns = pretrain_swin.views(patches, [1, 2])
    assert shown.shape == hidden.shape == (6, 32, 32, 16)
    for number in range(6):
        assert np.array_equal(hidden[number], np.rot90(patches[number % 3], int(turns[number])))
        assert 0.5 < (shown[number] == hidden[number]).float().mean() < 0.75
    assert torch.equal(pretrain_swin.views(patches, [1, 2])[0], shown)


def test_contrast_prefers_the_other_view():
    views = torch.eye(4, 8)
    same = pretrain_swin.contrast_loss(torch.cat([views, views]))
    other = pretrain_swin.contrast_loss(torch.cat([views, views.flip(0)]))
    assert same < other
    # One right partner at cosine 1 among seven others at cosine 0.
    weight = np.exp(1 / pretrain_swin.TEMPERATURE)
    assert float(same) == pytest.approx(-np.log(weight / (weight + 6)), abs=1e-6)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_the_path_from_images_to_features(tmp_path, monkeypatch, suffix, tissue):
    """The script writes what the encoder accepts: other weights than it started from, by both formats."""
    from pretrain_swin import main

    monkeypatch.setattr(pretrain_swin, "iterate_cases", lambda folder: small_cases(int(folder)))
    path = tmp_path / f"w.{suffix}"
    main(f"--cases 1 --patches 6 --steps 2 --batch 2 --output {path} --report {tmp_path}/r.json".split())
    report = json.loads((tmp_path / "r.json").read_text())
    assert [set(losses) for losses in report["losses"]] == [{"filling", "rotation", "contrast"}] * 2
    encoder = build_encoder("swin_unetr", EncoderOptions(weights=path, intensity="scaled"))
    assert encoder.weights.sha256 == report["sha256"]
    untrained = build_encoder("swin_unetr", EncoderOptions(intensity="scaled"))
    features, before = (encode(e, tissue[0][:2], 2) for e in (encoder, untrained))
    assert np.isfinite(features).all()
    assert not np.allclose(features, before, atol=1e-3)


def test_a_released_file_is_a_start(tmp_path, monkeypatch):
    """Training from a file with no step keeps its weights, and the names that MONAI's own loader reads."""
    monkeypatch.setattr(pretrain_swin, "iterate_cases", lambda folder: small_cases(1))
    first, second = tmp_path / "a.pt", tmp_path / "b.pt"
    pretrain_swin.pretrain_swin(first, pretrain_swin.PretrainingSettings(0, 2), 3, 5, cases="1")
    pretrain_swin.pretrain_swin(second, pretrain_swin.PretrainingSettings(0, 2), 3, 6, cases="1", weights=first)
    one, two = (load_weights(path, swin.parameters(), swin.translate).state for path in (first, second))
    assert all(torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(UserError, match="smaller --batch"):
        pretrain_swin.pretrain_swin(second, pretrain_swin.PretrainingSettings(1, 9), 3, 5, cases="1")


def test_the_phantoms_drawings_are_apart_from_data_sets(monkeypatch):
    seeds = []
    monkeypatch.setattr(organs, "phantom_case", lambda folder, seed, threads: seeds.append(seed))
    list(organs.phantom_cases(2, 3))
    assert seeds == [organs.PHANTOM_SEED + 200 + n for n in range(3)]
    assert len(ORGANS) == shallow_cnn.CLASSES
    assert PRINTED.noise_sd_hu[0] > 0
