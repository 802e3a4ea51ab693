"""Compliance with IBSI on its digital phantom, by both engines, and the table in the documentation."""

import numpy as np
import pytest
from tests import ibsi_phantom as ibsi
from tests.radiomics_reference import differences, extractor, reference_features

from ct4bench.features.radiomics import FEATURES, RadiomicsOptions, region_features


@pytest.fixture(scope="module")
def features():
    return ibsi.computed()


@pytest.mark.parametrize(("name", "words", "code", "reference"), ibsi.REFERENCE, ids=[r[0] for r in ibsi.REFERENCE])
def test_a_feature_has_its_reference_value(features, name, words, code, reference):
    value = features[name] - ibsi.OFFSETS.get(name, 0.0)
    assert ibsi.agrees(value, reference), f"{words} ({code}): {value} is not {reference}"


def test_every_feature_is_in_the_table_once():
    named = [row[0] for row in ibsi.REFERENCE] + list(ibsi.WITHOUT_REFERENCE)
    assert sorted(named) == [name.removeprefix("original_") for name in FEATURES]
    assert len({row[2] for row in ibsi.REFERENCE}) == len(ibsi.REFERENCE)


def test_pyradiomics_agrees_on_the_phantom():
    reference = reference_features(extractor(binWidth=1), ibsi.VOXELS, ibsi.SPACING_MM, ibsi.INSIDE)
    own = region_features(ibsi.VOXELS, ibsi.SPACING_MM, ibsi.INSIDE, RadiomicsOptions(bin_width=1))
    assert differences(own, reference) == {}


def test_a_wrong_value_would_be_seen(features):
    assert not ibsi.agrees(features["glcm_Contrast"] * 1.01, 5.32)
    assert "**no**" in ibsi.table(features | {"glcm_Contrast": features["glcm_Contrast"] * 1.01})


def test_bins_depart_from_ibsi_as_documented():
    """The same intensities in the same bins, wherever a region's lowest intensity lies."""
    voxels = np.array([[[20, 24, 26, 49, 51]]], np.int16).repeat(2, axis=1)
    features = region_features(voxels, (1.0, 1.0, 1.0))
    uniformity = features[FEATURES.index("original_firstorder_Uniformity")]
    # Edges at 0, 25, 50, 75: two, two and one of five; from 20 on it would be four (20 to 45) and two of two bins.
    assert uniformity == pytest.approx((4 + 4 + 1) / 25)


def test_the_document_holds_the_table_as_computed_now():
    document = ibsi.DOCUMENT.read_text(encoding="utf-8")
    assert document == ibsi.with_table(document), "run: python tests/ibsi_phantom.py"
    assert "**no**" not in document
