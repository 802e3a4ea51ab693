"""PyRadiomics parameter files: what is refused, with which words, and which engine serves what is accepted."""

import pytest
from tests.conftest import ROOT

from ct4bench.core.errors import UserError
from ct4bench.features.radiomics import FEATURES
from ct4bench.features.radiomics_settings import FAST, PYRADIOMICS, load_settings

TEXTURE = "featureClass: {firstorder: , glcm: , gldm: , glrlm: , glszm: , ngtdm: }\n"


@pytest.fixture
def load(tmp_path):
    def of(text, **options):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return load_settings(path, **options)

    return of


def test_the_default_file_is_the_93_features_by_the_fast_engine():
    settings = load_settings(ROOT / "assets" / "radiomics.yaml")
    assert settings.engine == FAST
    assert settings.features == FEATURES
    general = settings.general
    assert (general["binWidth"], general["distances"], general["force2D"]) == (25, [1], False)
    assert (general["normalize"], general["resampledPixelSpacing"]) == (False, None)
    assert len(settings.sha256) == 64


@pytest.mark.parametrize(
    ("setting", "option", "value"),
    [
        ("binWidth: 12.5", "bin_width", 12.5), ("binCount: 32", "bin_count", 32), ("gldm_a: 1", "gldm_alpha", 1),
        ("symmetricalGLCM: false", "symmetrical", False), ("voxelArrayShift: 1000", "array_shift", 1000),
    ],
)  # fmt: skip
def test_served_settings_reach_the_fast_engine(load, setting, option, value):
    settings = load(f"{TEXTURE}setting: {{{setting}}}\n")
    assert settings.engine == FAST
    assert getattr(settings.options, option) == value


@pytest.mark.parametrize(
    "setting",
    [
        "label: 3", "padDistance: 9", "interpolator: sitkLinear", "sigma: [2.0]", "normalizeScale: 100",
        "removeOutliers: 3", "force2Ddimension: 1", "resegmentMode: sigma", "geometryTolerance: 0.1",
        "additionalInfo: false", "minimumROISize: 10", "wavelet: coif1", "weightingNorm: ", "preCrop: true",
    ],
)  # fmt: skip
def test_settings_without_effect_do_not_change_the_engine(load, setting):
    assert load(f"{TEXTURE}setting: {{{setting}}}\n").engine == FAST


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (TEXTURE + "setting: {normalize: true}", "normalize"),
        (TEXTURE + "setting: {resampledPixelSpacing: [1, 1, 1]}", "resampledPixelSpacing"),
        (TEXTURE + "setting: {resegmentRange: [-100, 200]}", "resegmentRange"),
        (TEXTURE + "setting: {force2D: true}", "force2D"),
        (TEXTURE + "setting: {weightingNorm: no_weighting}", "weightingNorm"),
        (TEXTURE + "setting: {distances: [1, 2]}", "distances"),
        (TEXTURE + "imageType: {Original: {}, LoG: {sigma: [2.0]}}", "image type LoG"),
        (TEXTURE + "imageType: {Original: {force2D: true}}", "force2D"),
        ("featureClass: {firstorder: [StandardDeviation]}", "StandardDeviation"),
        ("featureClass: {shape: , glcm: }", "feature class shape"),
        ("setting: {binWidth: 25}", "feature class shape"),
    ],
)
def test_pyradiomics_does_the_rest_and_the_reason_is_given(load, text, word):
    settings = load(text)
    assert settings.engine == PYRADIOMICS
    assert word in settings.reason


def test_image_type_settings_take_precedence(load):
    settings = load(TEXTURE + "imageType: {Original: {binWidth: 10}}\nsetting: {binWidth: 50}")
    assert settings.engine == FAST
    assert settings.options.bin_width == 10


def test_classes_and_features_can_be_chosen(load):
    settings = load("featureClass: {glcm: [MCC, Contrast], firstorder: [Mean], ngtdm: []}")
    assert settings.engine == FAST
    ngtdm = [f"original_ngtdm_{name}" for name in ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")]
    assert list(settings.features) == [
        "original_firstorder_Mean", "original_glcm_Contrast", "original_glcm_MCC", *ngtdm,
    ]  # fmt: skip


def test_pyradiomics_can_be_asked_for(load):
    settings = load(TEXTURE, engine="pyradiomics")
    assert settings.engine == PYRADIOMICS
    assert "--engine" in settings.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("setting: {binwidth: 25}", ["own.yaml", "binwidth", "correct or remove"]),
        ("setting: {binWidth: wide}", ["own.yaml", "/setting/binWidth", "wide"]),
        ("setting: {binWidth: -5}", ["own.yaml", "/setting/binWidth"]),
        ("settings: {binWidth: 25}", ["own.yaml", "settings"]),
        ("featureClass: {glcm: [Contrats]}", ["own.yaml", "glcm", "Contrats"]),
        ("featureClass: {texture: }", ["own.yaml", "texture"]),
        ("imageType: {Laplace: {}}", ["own.yaml", "Laplace"]),
        ("imageType: {Original: }", ["own.yaml", "Original"]),
        ("setting: {weightingNorm: maximum}", ["own.yaml", "maximum"]),
        ("setting: [1, 2]", ["own.yaml", "setting"]),
        ("[1, 2]", ["own.yaml", "mapping"]),
        ("", ["own.yaml", "mapping"]),
        ("setting: {binWidth: 25", ["own.yaml", "YAML", "line 1"]),
        ("setting: !!python/object/apply:os.system [echo]", ["own.yaml", "YAML"]),
        ("voxelSetting: {kernelRadius: 2}", ["own.yaml", "voxelSetting", "remove"]),
        ("imageType: {Original: {label: 2}}", ["own.yaml", "label"]),
    ],
)
def test_faults_are_named_with_file_entry_and_remedy(load, text, words, capsys):
    with pytest.raises(UserError) as caught:
        load(text)
    for word in words:
        assert word in str(caught.value)
    assert capsys.readouterr().err == ""


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="absent.yaml cannot be read"):
        load_settings(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "setting: {binWidth: 10}\nfeatureClass: {firstorder: }\nsetting: {label: 1}",
        "setting: {binWidth: 10, label: 1, binWidth: 20}",
        "setting: {force2D: yes}",
        "setting: {binWidth: 5}\n---\nsetting: {binWidth: 10}",
    ],
)
def test_what_pyradiomics_cannot_read_is_refused(load, tmp_path, text):
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    with pytest.raises(UserError, match="own.yaml") as caught:
        load(text)
    assert "suppress" not in str(caught.value)
    with pytest.raises(Exception):  # noqa: B017  whatever it raises, it does not take the file
        RadiomicsFeatureExtractor(str(tmp_path / "own.yaml"))


@pytest.mark.parametrize("number", ["010", "1e1", "0x1F", "12.50", "1_0", "+7"])
def test_numbers_are_read_as_pyradiomics_reads_them(load, tmp_path, number):
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    (tmp_path / "own.yaml").write_text(f"setting: {{binWidth: {number}}}")
    due = RadiomicsFeatureExtractor(str(tmp_path / "own.yaml")).settings["binWidth"]
    assert load(f"setting: {{binWidth: {number}}}").general["binWidth"] == due
