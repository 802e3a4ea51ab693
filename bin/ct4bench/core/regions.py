"""The phantom of a run: its regions and their classes, and whether it has the printed block with its test patterns.

The CT4Harmonization phantom is described by ct4harmonization.json beside this module, any other one by a YAML file of
the same keys (`--phantom`, docs/own-phantom.md).
"""

# code-data: ct4bench/core/schemas/phantom.json

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ct4bench.core.benchmark import DESCRIPTION, bare_label, tissue_of
from ct4bench.core.errors import UserError
from ct4bench.core.yaml_files import read_yaml

REMEDY = "docs/own-phantom.md has an example"
FEW_INSIDE = 0.5
"""Of a region whose patches have fewer of their voxels in it in the mean, they show its surroundings more than it."""
SMALL_REMEDY = "Smaller voxels by --spacing, --region both (whole regions) or centres of your own by --patches help"


@dataclass(frozen=True)
class Region:
    """A region of interest: its name in tables, its class, its name in figures, and what masks call it."""

    name: str
    tissue: str
    title: str
    labels: tuple[str, ...]
    """Texts as `benchmark.bare_label` makes them, of segmentations and structure sets."""
    numbers: tuple[int, ...]
    """Values of a NIfTI mask."""


@dataclass(frozen=True)
class Phantom:
    """A phantom; the values of its labels' volume are 1, 2, ... in the order of `regions`."""

    name: str
    regions: tuple[Region, ...]
    main_region: str
    printed_block: bool
    solid_hu: float
    margin_mm: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regions, in the order of their label values."""
        return tuple(region.name for region in self.regions)

    @property
    def tissues(self) -> tuple[str, ...]:
        """Classes, in the order of their first regions."""
        return tuple(dict.fromkeys(region.tissue for region in self.regions))

    @property
    def is_published(self) -> bool:
        """Whether it is the CT4Harmonization phantom, of which there are published numbers."""
        return self == CT4HARMONIZATION

    @property
    def class_word(self) -> str:
        """What a class of its regions is called in a sentence: `tissue`, or `class` of a phantom of the user's own."""
        return "tissue" if self.is_published else "class"

    @property
    def listed(self) -> str:
        """Classes with their regions, in words: `bone (bone1, bone2), water (water)`."""
        classes = {tissue: [r.name for r in self.regions if r.tissue == tissue] for tissue in self.tissues}
        return ", ".join(f"{tissue} ({', '.join(names)})" for tissue, names in classes.items())

    def words(self, text: str) -> str:
        """Return a text that speaks of the benchmark's phantom as it holds of this one; its own names stay."""
        if self.is_published or not text:
            return text
        parts, own = text.split(self.name), {*self.names, *self.tissues}
        for old, new in OF_ANOTHER.items():
            if any(re.search(old, name) for name in own):
                continue
            parts = [re.sub(old, new.format(n=len(self.regions), main=self.main_region), part) for part in parts]
        return self.name.join(parts)

    def tissue_of(self, name: str) -> str:
        """Find the class of a region by its name; `KeyError` where there is none."""
        return {region.name: region.tissue for region in self.regions}[name]

    def class_of(self, name: str) -> str:
        """Find the class of a region, or of one that is not the phantom's by its name less the number."""
        return {region.name: region.tissue for region in self.regions}.get(name) or tissue_of(name)

    def named(self, label: str) -> str | None:
        """Find the region that a text of a segmentation or structure set names; None where there is none."""
        return {text: region.name for region in self.regions for text in region.labels}.get(bare_label(label))

    def numbered(self, number: int) -> str | None:
        """Find the region of a value of a NIfTI mask; None where there is none."""
        return {value: region.name for region in self.regions for value in region.numbers}.get(number)

    def to_dict(self) -> dict:
        """Return the description as `from_dict` reads it."""
        regions = [
            {"name": r.name, "class": r.tissue, "title": r.title, "label": [*r.labels, *r.numbers]}
            for r in self.regions
        ]
        return {
            "name": self.name,
            "regions": regions,
            "main_region": self.main_region,
            "printed_block": self.printed_block,
            "solid_hu": self.solid_hu,
            "margin_mm": self.margin_mm,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "Phantom":
        """Make a phantom of a description that fits the schema; `ValueError` says what in it contradicts itself."""
        regions = tuple(_region(number, entry) for number, entry in enumerate(values["regions"], 1))
        for what, found in (
            ("regions are named", [bare_label(region.name) for region in regions]),
            ("regions have the label", [text for region in regions for text in region.labels]),
            ("regions have the label", [value for region in regions for value in region.numbers]),
        ):
            twice = [name for name, n in Counter(found).items() if n > 1]
            if twice:
                raise ValueError(f"two {what} {twice[0]} (case, blanks, _ and - do not count)")
        if len({region.tissue for region in regions}) < 2:
            raise ValueError("all regions are of one class; a classifier needs two")
        for name in ("solid_hu", "margin_mm"):
            if not math.isfinite(values.get(name, 0)):
                raise ValueError(f"{name} is no number")
        main = values.get("main_region", regions[0].name)
        if main not in [region.name for region in regions]:
            raise ValueError(f"main_region {main} is none of its regions")
        return cls(
            values["name"],
            regions,
            main,
            values.get("printed_block", False),
            float(values.get("solid_hu", -500)),
            float(values.get("margin_mm", 20)),
        )


def _region(number: int, entry: dict) -> Region:
    given = entry.get("label", [])
    given = given if isinstance(given, list) else [given]
    texts = dict.fromkeys(bare_label(text) for text in (entry["name"], *given) if isinstance(text, str))
    # "3" is the value 3, too: who quotes it means no other
    values = dict.fromkeys(int(value) for value in given if isinstance(value, int) or value.isdecimal())
    numbers = tuple(values) or (number,)
    return Region(entry["name"], entry["class"], entry.get("title", entry["name"]), tuple(texts), numbers)


OF_ANOTHER = {
    r", inside \[[0-9:, ]+\](?: \(slice, row, column\))?": "",
    r" \(18 with E1, 30 for E2-E2\)": "",
    r"with 13 scanners as raters": "with scanners as raters",
    r"A1, 10 mGy, IR": "one of its series",
    r"A1's others nearly so": "others of its scanner nearly so",
    r"one cyst and one normal region": "one region of each class that has two",
    r"hemangioma and metastasis have one region each, and are left out": "classes of one region are left out",
    r"there are two classes, cyst and normal tissue": "there are only the classes with two regions",
    r"[Cc]yst or normal\b": "classes with two regions",
    r"\bfour tissues": "all classes",
    r"larger than four of the six ROIs": "larger than many a region",
    r"(?:\bthe )?\bsix ROIs": "the {n} ROIs",
    r"\bsix regions": "{n} regions",
    r"in the large cyst": "in the region {main}",
    r"the large cyst": "the main region",
    r"the first cyst": "the region {main}",
    r"the printed tissue": "the class of a region",
    r"its paper block": "the phantom",
    r"tissue classification": "classification of regions",
    r"tissue classifier": "classifier",
    r"(?<![\w-])tissues(?![\w-])": "classes",
    r"(?<![\w-])Tissues(?![\w-])": "Classes",
    r"(?<![\w-])tissue(?![\w-])": "class",
    r"(?<![\w-])Tissue(?![\w-])": "Class",
}
"""What is said of the benchmark's phantom (regular expressions), and what holds of any other one, in order; columns
and names of tasks, which have a _, stay."""
CT4HARMONIZATION = Phantom.from_dict(DESCRIPTION)
"""The phantom of the benchmark."""


def phantom_of(values: dict) -> Phantom:
    """Take what was scanned from the values of reference.json, of its volumes or of the facts of a run: the benchmark's
    phantom where they name no other."""
    return Phantom.from_dict(values["phantom"]) if "phantom" in values else CT4HARMONIZATION


def read_phantom(path: Path | str | None) -> Phantom:
    """Read the description of a phantom, by default that of the benchmark; `UserError` says what is wrong with it."""
    if not path:
        return CT4HARMONIZATION
    values = read_yaml(path, "phantom", "a description of a phantom", REMEDY)
    try:
        return Phantom.from_dict(values)
    except ValueError as error:
        raise UserError(f"{path} is not a description of a phantom: {error}; {REMEDY}") from error
