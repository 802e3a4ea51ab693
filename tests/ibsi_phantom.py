"""The digital phantom of the Image Biomarker Standardisation Initiative, its reference values, and docs/ibsi.md.

Source of voxels and values: Zwanenburg, Leger, Vallieres, Loeck, Image biomarker standardisation initiative, reference
manual, arXiv:1612.07003v11, section 5.1 and chapter 3 (CC BY 4.0): digital phantom, aggregation '3D, averaged' where
there is a choice. Run as a script, this writes the table of docs/ibsi.md anew.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "ibsi.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

SPACING_MM = (2.0, 2.0, 2.0)
VOXELS = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [1, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 1, 1, 1], [1, 1, 9, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ],
    np.int16,
)
"""Intensities (4 slices, 4 rows, 5 columns); a bin of width 1 leaves them as they are."""
INSIDE = np.ones(VOXELS.shape, np.uint8)
INSIDE[1, 2, 0] = INSIDE[2, 2, 2] = 0
INSIDE[2:, 0, 3:] = 0

REFERENCE = (
    # feature, IBSI's name, code, reference value
    ("firstorder_Mean", "mean intensity", "Q4LE", 2.15),
    ("firstorder_Variance", "intensity variance", "ECT3", 3.05),
    ("firstorder_Skewness", "intensity skewness", "KE2A", 1.08),
    ("firstorder_Kurtosis", "(excess) intensity kurtosis", "IPH6", -0.355),
    ("firstorder_Median", "median intensity", "Y12H", 1),
    ("firstorder_Minimum", "minimum intensity", "1GSF", 1),
    ("firstorder_10Percentile", "10th intensity percentile", "QG58", 1),
    ("firstorder_90Percentile", "90th intensity percentile", "8DWT", 4),
    ("firstorder_Maximum", "maximum intensity", "84IY", 6),
    ("firstorder_InterquartileRange", "intensity interquartile range", "SALO", 3),
    ("firstorder_Range", "intensity range", "2OJQ", 5),
    ("firstorder_MeanAbsoluteDeviation", "mean absolute deviation", "4FUA", 1.55),
    ("firstorder_RobustMeanAbsoluteDeviation", "robust mean absolute deviation", "1128", 1.11),
    ("firstorder_Energy", "intensity energy", "N8CA", 567),
    ("firstorder_RootMeanSquared", "root mean square intensity", "5ZWQ", 2.77),
    ("firstorder_Entropy", "discretised intensity entropy", "TLU2", 1.27),
    ("firstorder_Uniformity", "discretised intensity uniformity", "BJ5W", 0.512),
    ("glcm_MaximumProbability", "joint maximum", "GYBY", 0.503),
    ("glcm_JointAverage", "joint average", "60VM", 2.14),
    ("glcm_SumSquares", "joint variance", "UR99", 3.1),
    ("glcm_JointEntropy", "joint entropy", "TU9B", 2.4),
    ("glcm_DifferenceAverage", "difference average, dissimilarity", "TF7R", 1.43),
    ("glcm_DifferenceVariance", "difference variance", "D3YU", 3.06),
    ("glcm_DifferenceEntropy", "difference entropy", "NTRS", 1.56),
    ("glcm_SumAverage", "sum average", "ZGXS", 4.29),
    ("glcm_SumEntropy", "sum entropy", "P6QZ", 1.92),
    ("glcm_JointEnergy", "angular second moment", "8ZQL", 0.303),
    ("glcm_Contrast", "contrast", "ACUI", 5.32),
    ("glcm_Id", "inverse difference", "IB1Z", 0.677),
    ("glcm_Idn", "normalised inverse difference", "NDRX", 0.851),
    ("glcm_Idm", "inverse difference moment", "WF0Z", 0.618),
    ("glcm_Idmn", "normalised inverse difference moment", "1QCO", 0.898),
    ("glcm_InverseVariance", "inverse variance", "E8JP", 0.0604),
    ("glcm_Correlation", "correlation", "NI2N", 0.157),
    ("glcm_Autocorrelation", "autocorrelation", "QWB0", 5.06),
    ("glcm_ClusterTendency", "cluster tendency, sum variance", "DG8W", 7.07),
    ("glcm_ClusterShade", "cluster shade", "7NFM", 16.6),
    ("glcm_ClusterProminence", "cluster prominence", "AE86", 145),
    ("glcm_Imc1", "information correlation 1", "R8DG", -0.157),
    ("glcm_Imc2", "information correlation 2", "JN9H", 0.52),
    ("glrlm_ShortRunEmphasis", "short runs emphasis", "22OV", 0.705),
    ("glrlm_LongRunEmphasis", "long runs emphasis", "W4KF", 3.06),
    ("glrlm_LowGrayLevelRunEmphasis", "low grey level run emphasis", "V3SW", 0.603),
    ("glrlm_HighGrayLevelRunEmphasis", "high grey level run emphasis", "G3QZ", 9.7),
    ("glrlm_ShortRunLowGrayLevelEmphasis", "short run low grey level emphasis", "HTZT", 0.352),
    ("glrlm_ShortRunHighGrayLevelEmphasis", "short run high grey level emphasis", "GD3A", 8.54),
    ("glrlm_LongRunLowGrayLevelEmphasis", "long run low grey level emphasis", "IVPO", 2.39),
    ("glrlm_LongRunHighGrayLevelEmphasis", "long run high grey level emphasis", "3KUM", 17.6),
    ("glrlm_GrayLevelNonUniformity", "grey level non-uniformity", "R5YN", 21.8),
    ("glrlm_GrayLevelNonUniformityNormalized", "normalised grey level non-uniformity", "OVBL", 0.43),
    ("glrlm_RunLengthNonUniformity", "run length non-uniformity", "W92Y", 26.9),
    ("glrlm_RunLengthNonUniformityNormalized", "normalised run length non-uniformity", "IC23", 0.513),
    ("glrlm_RunPercentage", "run percentage", "9ZK5", 0.68),
    ("glrlm_GrayLevelVariance", "grey level variance", "8CE5", 3.46),
    ("glrlm_RunVariance", "run length variance", "SXLW", 0.574),
    ("glrlm_RunEntropy", "run entropy", "HJ9O", 2.43),
    ("glszm_SmallAreaEmphasis", "small zone emphasis", "5QRC", 0.255),
    ("glszm_LargeAreaEmphasis", "large zone emphasis", "48P8", 550),
    ("glszm_LowGrayLevelZoneEmphasis", "low grey level zone emphasis", "XMSY", 0.253),
    ("glszm_HighGrayLevelZoneEmphasis", "high grey level zone emphasis", "5GN9", 15.6),
    ("glszm_SmallAreaLowGrayLevelEmphasis", "small zone low grey level emphasis", "5RAI", 0.0256),
    ("glszm_SmallAreaHighGrayLevelEmphasis", "small zone high grey level emphasis", "HW1V", 2.76),
    ("glszm_LargeAreaLowGrayLevelEmphasis", "large zone low grey level emphasis", "YH51", 503),
    ("glszm_LargeAreaHighGrayLevelEmphasis", "large zone high grey level emphasis", "J17V", 1490),
    ("glszm_GrayLevelNonUniformity", "grey level non-uniformity", "JNSA", 1.4),
    ("glszm_GrayLevelNonUniformityNormalized", "normalised grey level non-uniformity", "Y1RO", 0.28),
    ("glszm_SizeZoneNonUniformity", "zone size non-uniformity", "4JP3", 1),
    ("glszm_SizeZoneNonUniformityNormalized", "normalised zone size non-uniformity", "VB3A", 0.2),
    ("glszm_ZonePercentage", "zone percentage", "P30P", 0.0676),
    ("glszm_GrayLevelVariance", "grey level variance", "BYLV", 2.64),
    ("glszm_ZoneVariance", "zone size variance", "3NSA", 331),
    ("glszm_ZoneEntropy", "zone size entropy", "GU8N", 2.32),
    ("ngtdm_Coarseness", "coarseness", "QCDE", 0.0296),
    ("ngtdm_Contrast", "contrast", "65HE", 0.584),
    ("ngtdm_Busyness", "busyness", "NQ30", 6.54),
    ("ngtdm_Complexity", "complexity", "HDEZ", 13.5),
    ("ngtdm_Strength", "strength", "1X9X", 0.763),
    ("gldm_SmallDependenceEmphasis", "low dependence emphasis", "SODN", 0.045),
    ("gldm_LargeDependenceEmphasis", "high dependence emphasis", "IMOQ", 109),
    ("gldm_LowGrayLevelEmphasis", "low grey level count emphasis", "TL9H", 0.693),
    ("gldm_HighGrayLevelEmphasis", "high grey level count emphasis", "OAE7", 7.66),
    ("gldm_SmallDependenceLowGrayLevelEmphasis", "low dependence low grey level emphasis", "EQ3F", 0.00963),
    ("gldm_SmallDependenceHighGrayLevelEmphasis", "low dependence high grey level emphasis", "JA6D", 0.736),
    ("gldm_LargeDependenceLowGrayLevelEmphasis", "high dependence low grey level emphasis", "NBZI", 102),
    ("gldm_LargeDependenceHighGrayLevelEmphasis", "high dependence high grey level emphasis", "9QMG", 235),
    ("gldm_GrayLevelNonUniformity", "grey level non-uniformity", "FP8K", 37.9),
    ("gldm_DependenceNonUniformity", "dependence count non-uniformity", "Z87G", 4.86),
    ("gldm_DependenceNonUniformityNormalized", "normalised dependence count non-uniformity", "OKJI", 0.0657),
    ("gldm_GrayLevelVariance", "grey level variance", "1PFV", 3.05),
    ("gldm_DependenceVariance", "dependence count variance", "DNX2", 22.1),
    ("gldm_DependenceEntropy", "dependence count entropy", "FCBV", 4.4),
)
OFFSETS = {"firstorder_Kurtosis": 3.0}
"""By how much a feature exceeds IBSI's by definition."""
WITHOUT_REFERENCE = {
    "firstorder_TotalEnergy": "energy times the volume of a voxel; not of IBSI",
    "glcm_MCC": "maximal correlation coefficient of Haralick; not of IBSI",
}


def agrees(value: float, reference: float) -> bool:
    """Whether a value rounds to the reference, which has three significant digits."""
    return float(f"{value:.3g}") == reference


def table(features: dict[str, float]) -> str:
    """Markdown of all features beside IBSI's values; `features` by name without `original_`."""
    lines = ["| feature | IBSI name | code | IBSI | here | agrees |", "|---|---|---|---|---|---|"]
    for name, words, code, reference in REFERENCE:
        offset = OFFSETS.get(name, 0.0)
        verdict = "yes" if agrees(features[name] - offset, reference) else "**no**"
        verdict += f", less {offset:g}" if offset else ""
        lines.append(f"| {name} | {words} | {code} | {reference:g} | {features[name]:.6g} | {verdict} |")
    for name, words in WITHOUT_REFERENCE.items():
        lines.append(f"| {name} | {words} | | | {features[name]:.6g} | |")
    return "\n".join(lines)


def computed() -> dict[str, float]:
    """Features of the phantom by the fast engine."""
    from ct4bench.features.radiomics import FEATURES, RadiomicsOptions, region_features

    values = region_features(VOXELS, SPACING_MM, INSIDE, RadiomicsOptions(bin_width=1))
    return {name.removeprefix("original_"): float(value) for name, value in zip(FEATURES, values, strict=True)}


def with_table(document: str) -> str:
    """The document with its table as computed now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(computed())}\n{END}{after}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "bin"))
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
