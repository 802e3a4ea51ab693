"""PyRadiomics settings (YAML), validated by PyRadiomics' own schema, and which engine serves them.

The fast engine (`radiomics`) serves what it is proven equal for; PyRadiomics itself does the rest. What does not
change a value, as a filter's parameter without the filter, does not decide.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from ct4bench.core.errors import UserError, error_words
from ct4bench.core.yaml_files import yaml_words
from ct4bench.features.radiomics import FEATURE_CLASSES, FEATURES, RadiomicsOptions

FAST, PYRADIOMICS = "fast", "pyradiomics"
MANUAL = "https://pyradiomics.readthedocs.io/en/v3.0.1/customization.html"


@dataclass(frozen=True)
class RadiomicsSettings:
    """What a YAML file asks for, as PyRadiomics understands it."""

    engine: str
    """`fast` or `pyradiomics`."""
    reason: str
    """Why that engine."""
    parameters: dict
    """The content of the file: imageType, featureClass, setting."""
    resolved: dict
    """All settings with PyRadiomics' defaults filled in, as plain values."""
    sha256: str
    file: str
    options: RadiomicsOptions = field(default_factory=RadiomicsOptions)
    features: tuple[str, ...] = FEATURES
    """Columns of the fast engine."""

    @property
    def general(self) -> dict:
        """The settings that hold for all image types."""
        return self.resolved["setting"]


def read_parameters(path: Path | str) -> tuple[dict, str]:
    """Read the content of a YAML file that holds a mapping, and the SHA-256 of its bytes.

    It is read as PyRadiomics reads it: YAML 1.2, in which a key may not come twice, `no` is a text and 1e3 a number.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path, text = Path(path), ""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
        values = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeError) as error:
        raise UserError(f"{path} cannot be read ({error_words(error)}); name a PyRadiomics parameter file") from error
    except (YAMLError, ValueError) as error:
        words = yaml_words(error, text)
        raise UserError(f"{path} is not YAML 1.2 as PyRadiomics reads it ({words}); see {MANUAL}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no mapping; give imageType, featureClass and setting as in {MANUAL}")
    return values, hashlib.sha256(content).hexdigest()


def build_extractor(parameters: dict, source: Path | str):
    """Build PyRadiomics' extractor for the parameters, checked by PyRadiomics' own schema; `source` names them in
    errors."""
    from pykwalify.errors import PyKwalifyException
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    for name in ("pykwalify", "radiomics"):
        # A fault of the file is reported once, as a UserError, and so is a filter that is left out.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return RadiomicsFeatureExtractor(parameters)
    except PyKwalifyException as error:
        raise UserError(
            f"{source}: {error.msg or error}; correct or remove that key as {MANUAL} describes it"
        ) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UserError(f"{source}: {error}; correct that entry as {MANUAL} describes it") from error


def _plain(values):
    """The same values as JSON has them."""
    return json.loads(json.dumps(values, default=str))


def _columns(enabled: dict) -> tuple[tuple[str, ...], list[str]]:
    """Columns of the enabled classes that the fast engine has, and what it lacks."""
    names, missing = [], []
    for class_name, features in enabled.items():
        known = FEATURE_CLASSES.get(class_name)
        if known is None:
            missing.append(f"feature class {class_name}")
            continue
        chosen = features or known
        missing += [f"deprecated feature {class_name} {name}" for name in chosen if name not in known]
        names += [f"original_{class_name}_{name}" for name in chosen if name in known]
    return tuple(name for name in FEATURES if name in set(names)), missing


def _beyond(setting: dict) -> list[str]:
    """Settings that the fast engine does not serve."""
    return [
        f"{name} {value}"
        for name, value, neutral in (
            ("normalize", setting.get("normalize", False), False),
            ("resampledPixelSpacing", setting.get("resampledPixelSpacing"), None),
            ("resegmentRange", setting.get("resegmentRange"), None),
            ("force2D", setting.get("force2D", False), False),
            ("weightingNorm", setting.get("weightingNorm"), None),
            ("distances", list(setting.get("distances", [1])), [1]),
        )
        if value != neutral
    ]


def load_settings(path: Path | str, engine: str = "auto") -> RadiomicsSettings:
    """Load the settings of a PyRadiomics parameter file; `UserError` names the file and the entry that is wrong.

    `engine` is `auto` (fast where it serves the settings) or `pyradiomics`.
    """
    parameters, sha256 = read_parameters(path)
    if parameters.get("voxelSetting"):
        raise UserError(
            f"{path}: voxelSetting is for feature maps, and features here are one value a region; remove voxelSetting"
        )
    extractor = build_extractor(parameters, path)
    image_types, classes = dict(extractor.enabledImagetypes), dict(extractor.enabledFeatures)
    resolved = {"setting": dict(extractor.settings), "imageType": image_types, "featureClass": classes}
    resolved["setting"].setdefault("binWidth", 25)
    setting = {**resolved["setting"], **image_types.get("Original", {})}
    features, missing = _columns(classes)
    missing = [f"image type {name}" for name in image_types if name != "Original"] + missing + _beyond(setting)
    if "Original" in image_types and "label" in image_types["Original"]:
        raise UserError(f"{path}: imageType Original has a label of its own; a run has one: give it under setting")
    options = RadiomicsOptions(
        bin_width=setting["binWidth"],
        bin_count=setting.get("binCount"),
        symmetrical=setting.get("symmetricalGLCM", True),
        gldm_alpha=setting.get("gldm_a", 0),
        array_shift=setting.get("voxelArrayShift", 0),
    )
    if missing:
        used, reason = PYRADIOMICS, f"the fast engine does not have: {'; '.join(missing)}"
    elif engine == PYRADIOMICS:
        used, reason = PYRADIOMICS, "asked for with --engine pyradiomics"
    else:
        used, reason = FAST, "the fast engine is proven equal to PyRadiomics for these settings"
    return RadiomicsSettings(used, reason, parameters, _plain(resolved), sha256, Path(path).name, options, features)
