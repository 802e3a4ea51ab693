"""The stand-in weights of the shallow CNN: known by their hash, as their card says, and trained again to the same."""

import json
import re

import pytest
import torch
from pipeline_run import ROOT

from ct4bench.features.encoder import EncoderOptions
from ct4bench.features.encoders import build_encoder
from ct4bench.features.shallow_cnn import CLASSES
from ct4bench.features.weights import STAND_IN_LABELS, read_state, sha256_of
from ct4bench.pretraining.organs import ORGANS

STAND_IN = ROOT / "assets" / "shallow_cnn_standin.safetensors"
CARD = STAND_IN.with_suffix(".md")


def test_the_file_is_small_half_precision_and_known():
    assert STAND_IN.stat().st_size < 560_000
    state = read_state(STAND_IN)
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    assert sum(tensor.numel() for tensor in state.values()) == pytest.approx(270_000, rel=0.02)
    assert len(state["fc2.bias"]) == CLASSES
    weights = build_encoder("shallow_cnn", EncoderOptions(weights=STAND_IN)).weights
    assert (weights.status, weights.words) == ("stand-in", STAND_IN_LABELS)


def test_the_card_is_of_this_file():
    card = CARD.read_text(encoding="utf-8")
    assert sha256_of(STAND_IN) in card
    assert all(organ in card for organ in ORGANS)
    assert STAND_IN_LABELS in card


@pytest.mark.slow
def test_another_training_is_as_accurate_and_the_same_on_the_same_processor(tmp_path):
    """About seven minutes of CPU. Other kinds of processors round otherwise."""
    from pretrain_shallow_cnn import main

    path = tmp_path / "again.safetensors"
    main(["--output", str(path), "--report", str(tmp_path / "report.json")])
    report = json.loads((tmp_path / "report.json").read_text())
    said = float(re.search(r"Held-out accuracy \| ([\d.]+) balanced", CARD.read_text(encoding="utf-8"))[1])
    assert report["balanced_accuracy"] == pytest.approx(said, abs=0.02)
    if path.read_bytes() != STAND_IN.read_bytes():
        # which of the two it is cannot be told from here; that one processor repeats itself, test_pretraining.py tells
        pytest.skip("other bytes of the same accuracy: another kind of processor than the file's, or another drawing")
