"""Names and orders of the CT4Harmonization benchmark (DOI 10.7937/M0PB-BH69) that every module shares."""

# code-data: ct4bench/core/ct4harmonization.json

import json
from pathlib import Path

DESCRIPTION = json.loads(Path(__file__).with_name("ct4harmonization.json").read_text(encoding="utf-8"))
"""The phantom of the benchmark, as `regions.Phantom` reads it. JSON, which is YAML, for every script reads it."""

SCANNERS = ("A1", "A2", "B1", "B2", "G1", "G2", "C1", "H2", "D1", "E2", "F1", "E1", "H1")
"""The paper's order of the scanners in its tables."""

ROIS = tuple(region["name"] for region in DESCRIPTION["regions"])
"""Segment names, in the order of their label values 1 to 6."""

TISSUES = tuple(dict.fromkeys(region["class"] for region in DESCRIPTION["regions"]))
"""The classes of the tissue classifier; a ROI's tissue is its name less the number."""

DOMAIN_LABELS = {"scanner": "scanner", "maker": "maker", "dose_mgy": "dose", "recon": "reconstruction"}
"""The factors that can be left out and compared, by their columns, in words."""
DOMAINS = tuple(DOMAIN_LABELS)

MAIN_DOSE_MGY = 10
"""The dose of Tables 1, 3-5 and 7, to which other doses are related."""
MISSPELT = {label: region["name"] for region in DESCRIPTION["regions"] for label in region.get("label", [])}
"""Regions by the names that the collection's segments have beside their own."""

DOSES_MGY = (1, 3, 6, 10, 14)
RECONSTRUCTIONS = ("FBP", "IR", "DL")
MAKERS = ("Siemens", "Philips", "GE", "Toshiba")
NO_METHOD = "none"
"""The harmonization method that leaves series and features as they are."""
METHOD_WORDS = ("default", "all")
"""What `--methods` takes for several methods at once."""
RESULT_FOLDERS = ("dicom", "download", "figures", "index", "pipeline_info", "provenance", "registration")
"""What else lies beside the methods' folders in a run's results. The workflow reads these lines, too
(subworkflows/utilities/methods.nf)."""

PATCH_SHAPE = (16, 32, 32)
"""Voxels of a patch as (slices, rows, columns); the paper writes it 32 x 32 x 16."""

PIXEL_MM = 0.68359375
"""Side of A1's pixels: 350 mm over 512."""
BOXES = {"box": ((40, 280), (120, 395), (64, 445)), "box_table6": ((13, 323), (120, 395), (64, 445))}
"""The published boxes of Tables 3-5 and of Table 6: half-open (slice, row, column) voxels of A1's full grid."""
BOX_SPACING_MM = (1.0, PIXEL_MM, PIXEL_MM)

SERIES_KEY = ["scan_id", "series_uid", "scanner", "maker", "dose_mgy", "recon", "repetition"]
ROW_KEY = ["series_uid", "roi", "patch"]
FEATURE_KEY = ["series_uid", "scan_id", "scanner", "maker", "dose_mgy", "recon", "repetition", "roi", "tissue", "patch"]
"""The columns that precede the features in `features/<extractor>.parquet`."""


def tissue_of(roi: str) -> str:
    """Return the tissue class of a ROI name: `cyst2` is `cyst`."""
    return roi.rstrip("0123456789")


def _rank(name: str, order: tuple[str, ...]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def bare_label(label: str) -> str:
    """Return a region's label as labels are compared: without case, blanks, underscores and hyphens."""
    return "".join(c for c in label.lower() if c not in " _-\t\0")


def bare_name(label: str) -> str:
    """Return a region's name as the benchmark compares it: `Cyst_1` is `cyst1`, and the collection's misspelling."""
    bare = bare_label(label)
    return MISSPELT.get(bare, bare)


def scanner_rank(scanner: str) -> tuple[int, str]:
    """Sort key: the paper's scanners in the paper's order, others after them by name."""
    return _rank(scanner, SCANNERS)


def recon_rank(recon: str) -> tuple[int, str]:
    """Sort key: FBP, IR, DL, others after them by name."""
    return _rank(recon, RECONSTRUCTIONS)


def roi_rank(roi: str) -> tuple[int, str]:
    """Sort key: ROIs in the order of their label values, others after them by name."""
    return _rank(roi, ROIS)


def scan_id(scanner: str, dose_mgy: float, repetition: int) -> str:
    """Return the name of one acquisition, shared by all its reconstructions: `A1_10mGy_03`."""
    return f"{scanner}_{dose_mgy:g}mGy_{repetition:02d}"
