"""The conformance run of a method of images: small volumes of a drawn phantom, seen by scanners of known faults."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from ct4bench.harmonization.check import NAMES, UNSEEN, Verdict, ended_early, judged
from ct4bench.harmonization.methods import Variant
from ct4bench.harmonization.run_fold import Failure, NotApplicable, Sandbox, imports_of
from ct4bench.harmonization.run_volumes import Done, Volume, harmonize_volumes

SHAPE, SPACING_MM = (40, 112, 112), (1.5, 0.7, 0.7)
TOLERANCE_HU = 1e-3
"""Largest difference of two results of one volume: far below a whole HU, to which they are rounded."""
PATCHES = (16, 48, 40), (40, 112, 112)
"""Voxels of patches in which a method of that level gets a volume: several, and the whole of it."""
SEE_IMAGES = "see docs/methods.md, 'Methods of images'"
ANOTHERS_HU = 0.5
"""Mean difference to a volume that was fitted, below which a result is that volume: noise alone differs by more."""
BOXES = {"homogeneous": [[24, 38], [8, 40], [8, 104]], "wedge": [[24, 38], [44, 104], [8, 104]]}
REGIONS = [[[4, 16], [4 + 27 * i, 26 + 27 * i], [8 + 52 * j, 52 + 52 * j]] for i in range(4) for j in range(2)]
PHANTOM = {
    **BOXES,
    "regions": REGIONS,
    "steps": [
        {"box": [[12, 28], [8, 40], [8, 104]], "axis": 0, "at_mm": 12.0, "period_mm": None},
        {"box": [[24, 38], [8, 40], [84, 112]], "axis": 2, "at_mm": 14.0, "period_mm": None},
    ],
}
"""As a method at level calibration is told of it."""


def draw_phantom() -> np.ndarray:
    """Draw the phantom: regions of different HU below, a plain part, a ramp and air above."""
    hu = np.full(SHAPE, 40.0)
    for i, box in enumerate(REGIONS):
        hu[tuple(slice(*ends) for ends in box)] = 20 + 15 * i
    hu[20:] = 90.0
    hu[20:, 44:104] = np.linspace(-100, 200, 60)[:, None]
    hu[20:, :, 104:] = -1000.0
    return hu


def draw_volumes(seed: int, names: tuple[str, ...], each: int) -> list[Volume]:
    """Draw scans of each scanner: its sharpness, slope, offset and noise."""
    hu, found = draw_phantom(), []
    for number, name in enumerate(names):
        rng = np.random.default_rng([seed, number])
        blur, slope = rng.uniform(0.4, 0.8), rng.uniform(0.97, 1.03)
        offset, noise = rng.uniform(-8, 8), rng.uniform(8, 25)
        for _ in range(each):
            coloured = gaussian_filter(rng.normal(size=SHAPE), (0.5, 0.8, 0.8))
            scan = gaussian_filter(hu, (blur, blur / 0.7, blur / 0.7)) * slope + offset
            scan += coloured / coloured.std() * noise
            found.append(Volume(scan.astype(np.float32), SPACING_MM, name))
    return found


class ImageConformance:
    """Runs of one variant on drawn volumes, in two sandboxes that differ in hash seed and threads."""

    def __init__(self, variant: Variant, seed: int, first: Sandbox, second: Sandbox):
        declared = variant.declaration
        names = NAMES[: max(3, declared.min_domains)]
        own = dict(variant.parameters)
        if "reference" in own:
            own["reference"] = names[0]
        if declared.information == "calibration":
            own["phantom"] = PHANTOM
        self.variant, self.declared, self._seed = replace(variant, parameters=own), declared, seed
        self._sandboxes = first, second
        new = draw_volumes(seed + 1, (UNSEEN,), 2)
        self.training = draw_volumes(seed, names, 2)
        if declared.information in ("transductive", "calibration"):
            self.training = [*self.training, new[0]]
        self.targets = [new[1], *draw_volumes(seed + 2, names[:2], 1)]
        if declared.unseen == "refuse":
            self.targets = self.targets[1:]

    def run(
        self, which: list[int], other: bool = False, patch: tuple[int, ...] = PATCHES[0]
    ) -> dict[int, np.ndarray] | Failure | NotApplicable:
        """Return the results of the targets of these numbers, fitted once and transformed in this order, by number."""
        kept: dict[int, np.ndarray] = {}
        done = harmonize_volumes(
            self.variant, self.training, [self.targets[i] for i in which], lambda i, hu: kept.update({which[i]: hu}),
            domains=[volume.domain for volume in self.training], seed=self._seed, sandbox=self._sandboxes[other],
            patch=patch,
        )  # fmt: skip
        return kept if isinstance(done, Done) else done

    def judge(self, check: str, fault: str, mend: str) -> Verdict:
        """Return a verdict by whether there is a fault."""
        return judged(self.variant.name, check, fault, mend)

    def compare(self, check: str, found, base: dict[int, np.ndarray], mend: str) -> Verdict:
        """Return a verdict on a second run: whether it ended, and how far it is off the first."""
        if not isinstance(found, dict):
            return ended_early(self.variant.name, self.declared, check, found, mend)
        return self.judge(check, _different(found, base), mend)


def check_image_variant(conformance: ImageConformance) -> Iterator[Verdict]:
    """Yield the verdicts on a variant of level image; two fits where nothing is wrong."""
    everyone = list(range(len(conformance.targets)))
    base = conformance.run(everyone)
    check = "runs, and gives volumes of the same shape, float32 and finite"
    yield conformance.compare(check, base, base, SEE_IMAGES)
    if not isinstance(base, dict):
        return
    yield from _content(conformance, base)
    if conformance.declared.halo_voxels:
        whole = conformance.run(everyone[:1], patch=PATCHES[1])
        mend = (
            "declare as large a halo_voxels as the map reaches, and let no mean, extreme or draw over a patch into it"
        )
        yield conformance.compare("cut into other patches, the same volume", whole, base, mend)
    changed = conformance.run(everyone[:0:-1], other=True)
    check = "the same in another process, order and company, with 2 threads"
    if isinstance(changed, dict) and not _different(changed, base):
        yield conformance.judge(check, "", "")
        return
    for check, which, other, mend in (
        ("the same seed again, the same volumes", everyone, False, "draw from numpy.random.default_rng(seed) alone"),
        ("hash seed and 2 threads, the same volumes", everyone, True, "iterate over sorted names; set threads to 1"),
        ("another order of volumes, the same", everyone[::-1], False, "let `transform` change nothing of the method"),
        ("a volume alone, the same", everyone[1:2], False, "a volume's result may depend on no other target"),
    ):
        yield conformance.compare(check, conformance.run(which, other), base, mend)


def _different(found: dict[int, np.ndarray], base: dict[int, np.ndarray]) -> str:
    off = max(float(np.abs(hu - base[i]).max()) for i, hu in found.items())
    return f"differs by {off:.3g} HU" if off > TOLERANCE_HU else ""


def _content(conformance: ImageConformance, base: dict[int, np.ndarray]) -> Iterator[Verdict]:
    """A volume is still that volume, in HU, and what is declared of an unseen domain holds."""
    fault, declared = "", conformance.declared
    for i, hu in base.items():
        given = conformance.targets[i].hu
        alike = np.corrcoef(given.ravel(), hu.ravel())[0, 1] if hu.std() > 0 else 0.0
        if alike < 0.9 or abs(float(np.median(hu - given))) > 100:
            fault = f"correlation with the volume {alike:.2f}, median difference {np.median(hu - given):.0f} HU"
        elif any(float(np.abs(hu - volume.hu).mean()) < ANOTHERS_HU for volume in conformance.training):
            fault = "it is one of the volumes that were fitted"
    yield conformance.judge("a volume stays that volume, in HU", fault, "return HU, and no other volume")
    new = [i for i, volume in enumerate(conformance.targets) if volume.domain == UNSEEN]
    if declared.unseen == "identity" and new:
        off = float(np.abs(base[new[0]] - conformance.targets[new[0]].hu).max())
        fault = f"its volume is moved by {off:.3g} HU" if off > TOLERANCE_HU else ""
        yield conformance.judge("a domain that is not trained on: identity", fault, "declare `unseen: pooled`")


def check_images(variants: list[Variant], seed: int) -> Iterator[Verdict]:
    """Yield the verdicts on variants of one method, level image."""
    preload = imports_of(variants)
    with Sandbox(preload) as first, Sandbox(preload, threads=2, hash_seed=4711) as second:
        for variant in variants:
            yield from check_image_variant(ImageConformance(variant, seed, first, second))
