"""Read the outlines and rib sections of the printed anatomy.

Both were measured on a public CT series of the phantom (DOI 10.7937/A1V1-RC66, CC BY 4.0); assets/twin/README.md
describes the tables. The thorax is printed as a mirror image about MIRROR_COLUMN: the tables hold its left half.
"""

# code-data: ../assets/twin/outlines.csv
# code-data: ../assets/twin/rib_sections.csv

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np

TABLES = Path(__file__).resolve().parents[3] / "assets" / "twin"
MIRROR_COLUMN = 253.5
RIB_COLUMNS = ("slice", "row", "column", "long_semi_axis_px", "short_semi_axis_px", "angle_deg")


@lru_cache
def read_outlines(folder: Path = TABLES) -> dict[tuple[str, str], dict[int, list[np.ndarray]]]:
    """Read outlines.csv: polygons, arrays (n, 2) of rows and columns on A1's grid, by (part, layer) and slice.

    A slice without polygons is one on which the layer has nothing; between slices layers are interpolated.
    """
    out: dict[tuple[str, str], dict[int, list[np.ndarray]]] = {}
    with (folder / "outlines.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            slices = out.setdefault((line["part"], line["layer"]), {})
            polygons = slices.setdefault(int(line["slice"]), [])
            if line["vertices"]:
                polygons.append(np.array(line["vertices"].replace(";", " ").split(), float).reshape(-1, 2))
    return out


@lru_cache
def read_ribs(folder: Path = TABLES) -> tuple[np.ndarray, ...]:
    """Read rib_sections.csv: for each rib the columns RIB_COLUMNS (n, 6) of its sections by ascending slice."""
    ribs: dict[str, list[list[float]]] = {}
    with (folder / "rib_sections.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            ribs.setdefault(line["rib"], []).append([float(line[name]) for name in RIB_COLUMNS])
    return tuple(np.array(rib) for rib in ribs.values())
