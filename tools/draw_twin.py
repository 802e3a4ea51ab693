#!/usr/bin/env python3
"""Draw the pictures of docs/twin.md: two scanners side by side, one place on all thirteen, and, given the public
series, the six regions in it and on the twin."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from ct4bench.core.benchmark import ROIS  # noqa: E402
from ct4bench.core.benchmark import SCANNERS as ORDER  # noqa: E402
from ct4bench.core.phantom import A1_GRID, BLOCK  # noqa: E402
from ct4bench.figures.style import GRAY_LIMITS_HU, WINDOW_HU  # noqa: E402
from ct4bench.twin.copied import read_copy  # noqa: E402
from ct4bench.twin.draw import draw_phantom  # noqa: E402
from ct4bench.twin.from_series import read_one_series  # noqa: E402
from ct4bench.twin.noise import WhiteField, noise_filter  # noqa: E402
from ct4bench.twin.phantom import open_phantom
from ct4bench.twin.scan import (  # noqa: E402
    blur_filter,
    blurred,
    image_slices,
    object_slices,
    prepare_scan,
)
from ct4bench.twin.scanners import read_scanners  # noqa: E402

LABEL = "synthetic: ct4bench digital twin, W 400 L 50"
REAL_LABEL = "real: 10.7937/A1V1-RC66, CC BY 4.0; twin: synthetic"
GRAYS, EDGE = 40, 4
PLACES = {"test patterns": 70, "liver": 157, "thorax": 262}
SAGITTAL_COLUMN = 257
CLOSE_UP = (159, 196, 280)
BLOCK_THICKNESS = 24
REGION_HALF, REGION_SIZE = (44, 52), (176, 149)
"""Pixels of a region's picture on either side of its middle (rows, columns); width and height on paper."""


class Simulated:
    """Slices of one scanner and reconstruction at 10 mGy, without files."""

    def __init__(self, phantom, code: str, recon: str):
        self.scan = prepare_scan(read_scanners()[code], phantom)
        self.model = self.scan.scanner.reconstructions[recon]
        shape = self.scan.padded.shape[1:]
        self.shaping = noise_filter(self.model.noise[10], shape)
        self.transfer = blur_filter(self.model.sigma_mm, self.scan.base_sigma_mm, shape)
        self.seeds = (0, ORDER.index(code))

    def slices(self, first: int, last: int) -> np.ndarray:
        """HU (slices, rows, columns)."""
        scanner = self.scan.scanner
        clean = blurred(object_slices(self.scan, first, last), self.transfer)
        sigma = scanner.noise_slice_sigma_mm / scanner.increment_mm
        white = WhiteField(self.seeds, clean.shape[1:], sigma).slices(first, last)
        return image_slices(
            self.scan, clean, white, self.shaping, self.model.quantum_sd_hu(10), first, self.model.noise[10].tail
        )

    def index(self, place) -> np.ndarray:
        """Where a place (slice, row, column) of A1's grid lies on this scanner's."""
        return np.rint(self.scan.grid.to_index(self.scan.motion(BLOCK.to_mm(place)))).astype(int)

    def axial(self, place) -> np.ndarray:
        """The slice through a place."""
        k = int(self.index(place)[0])
        return self.slices(k, k + 1)[0]

    def sagittal(self, column: int) -> np.ndarray:
        """The sagittal plane (rows, slices from the feet up) through a column."""
        k, _, i = self.index((171, 255, column))
        n = self.scan.grid.shape[0]
        parts = [self.slices(a, min(a + BLOCK_THICKNESS, n))[:, :, i] for a in range(0, n, BLOCK_THICKNESS)]
        return np.concatenate(parts).T


def gray(hu: np.ndarray, size: tuple[int, int] | None = None) -> Image.Image:
    """Window 400, level 50 in few shades, so that the file stays small; `size` is (width, height)."""
    share = np.clip((hu - GRAY_LIMITS_HU[0]) / WINDOW_HU, 0, 1)
    image = Image.fromarray(np.rint(255 * share).astype(np.uint8))
    if size is not None:
        image = image.resize(size, Image.Resampling.HAMMING)
    shades = np.rint(np.asarray(image) / 255 * (GRAYS - 1)) * (255 / (GRAYS - 1))
    return Image.fromarray(np.rint(shades).astype(np.uint8))


def mosaic(rows: list[list[Image.Image]], titles: list[list[str]], label: str = LABEL) -> Image.Image:
    """Pictures side by side and below each other, a title over each, the label at the foot."""
    font, line = ImageFont.load_default(13), 18
    heights = [max(image.height for image in row) + line for row in rows]
    width = max(sum(image.width + EDGE for image in row) for row in rows) + EDGE
    out = Image.new("L", (width, sum(heights) + EDGE * len(rows) + line + EDGE), 255)
    draw, y = ImageDraw.Draw(out), EDGE
    for row, names, height in zip(rows, titles, heights, strict=True):
        x = EDGE
        for image, name in zip(row, names, strict=True):
            draw.text((x, y), name, 0, font)
            out.paste(image, (x, y + line))
            x += image.width + EDGE
        y += height + EDGE
    draw.text((EDGE, y - EDGE // 2), label, 0, font)
    return out


def two_scanners(phantom) -> Image.Image:
    """A1 (slices of 2 mm every 1 mm) over F1 (2.5 mm every 1.25 mm), FBP: three axial slices, one sagittal plane."""
    rows, titles = [], []
    for code in ("A1", "F1"):
        simulated = Simulated(phantom, code, "FBP")
        scanner = simulated.scan.scanner
        rows.append([])
        for slice_number in PLACES.values():
            _, j, i = simulated.index((slice_number, 258, 253))
            part = simulated.axial((slice_number, 258, 253))[j - 155 : j + 155, i - 205 : i + 205]
            rows[-1].append(gray(part, (280, 212)))
        k, j, _ = simulated.index((172, 258, 253))
        half = round(160 / scanner.increment_mm)
        part = simulated.sagittal(SAGITTAL_COLUMN)[j - 155 : j + 155, k - half : k + half]
        rows[-1].append(gray(part, (round(2 * half * scanner.increment_mm), 212)))
        of = f"{code}, {scanner.maker}, {scanner.increment_mm:g} mm"
        titles.append([f"{of}: {place}" for place in PLACES] + [f"{code}: sagittal, head right"])
    return mosaic(rows, titles)


def all_scanners(phantom) -> Image.Image:
    """Hemangioma and large cyst in IR at 10 mGy on each scanner, own grid and pose, pixels as they are."""
    images, titles = [], []
    for code in ORDER:
        simulated = Simulated(phantom, code, "IR")
        _, j, i = simulated.index(CLOSE_UP)
        images.append(gray(simulated.axial(CLOSE_UP)[j - 62 : j + 62, i - 88 : i + 88]))
        titles.append(f"{code}, {read_scanners()[code].maker}")
    parts = [slice(a, a + 5) for a in range(0, len(ORDER), 5)]
    return mosaic([images[part] for part in parts], [titles[part] for part in parts])


def regions(phantom, series: Path) -> Image.Image:
    """The six regions in the public series, and beside each the twin's A1."""
    volume, _, _ = read_one_series(series)
    simulated, copy = Simulated(phantom, "A1", "FBP"), read_copy()
    first = np.rint(A1_GRID.to_index(copy.grid.origin_mm)).astype(int)
    images, titles = [], []
    for value, roi in enumerate(ROIS, start=1):
        k, j, i = np.rint(np.argwhere(copy.labels == value).mean(axis=0)).astype(int) + first
        kk, jj, ii = simulated.index((k, j, i))
        real, own = volume[k].astype(float), simulated.slices(kk, kk + 1)[0]
        for image, row, column in ((real, j, i), (own, jj, ii)):
            half, wide = REGION_HALF
            images.append(gray(image[row - half : row + half, column - wide : column + wide], REGION_SIZE))
        titles += [f"{roi}, real", f"{roi}, twin"]
    parts = [slice(a, a + 4) for a in range(0, len(images), 4)]
    return mosaic([images[part] for part in parts], [titles[part] for part in parts], REAL_LABEL)


def main(argv=None):
    """Draw the whole phantom in a temporary folder and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True, type=Path, help="folder of the pictures")
    parser.add_argument("--series", type=Path, help="folder of the public series, for twin_regions.png")
    args = parser.parse_args(argv)
    output = args.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        draw_phantom(None, 0, folder)
        phantom = open_phantom(folder)
        for name, draw in (("twin", two_scanners), ("twin_scanners", all_scanners)):
            draw(phantom).save(output / f"{name}.png", optimize=True)
        if args.series:
            regions(phantom, args.series).save(output / "twin_regions.png", optimize=True)


if __name__ == "__main__":
    main()
