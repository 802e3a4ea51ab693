"""Phantoms without a printed block: their body, their patches, and their registration by image content."""

import numpy as np
import pytest
from foreign_phantoms import PHANTOMS, SCANNERS, _share, description, grid_of, motion_of, points_of, scan

from ct4bench.core.errors import Refusal, UserError
from ct4bench.core.geometry import Grid, Rigid, worst_displacement_mm
from ct4bench.core.regions import FEW_INSIDE, Phantom
from ct4bench.core.yaml_files import fault_of
from ct4bench.preprocess.body import find_body
from ct4bench.preprocess.draw import draw_fitting_centres, patch_table
from ct4bench.preprocess.patches import HALF, VOXEL
from ct4bench.preprocess.prepare import build_reference
from ct4bench.preprocess.registration import prepare_fixed, register


def description_of(kind: str) -> Phantom:
    from ruamel.yaml import YAML

    values = YAML(typ="safe", pure=True).load(description(kind))
    assert fault_of(values, "phantom") == ""
    return Phantom.from_dict(values)


@pytest.fixture(scope="module", params=sorted(PHANTOMS))
def drawn(request):
    """Kind, its description, and the reference as `prepare_reference` makes it: volume, labels, grid, block, values."""
    kind = request.param
    phantom, scanner = PHANTOMS[kind], SCANNERS["Alpha"]
    volume, grid, motion = scan(phantom, scanner, "IR", 1)
    labels = phantom.labels(points_of(grid, motion))
    own = description_of(kind)
    built = build_reference(volume, labels, grid, phantom=own)
    body = find_body(*built[:3], own)[0]
    return kind, own, built, prepare_fixed(built[0], built[2], built[3], (body, built[2]))


def test_the_body_is_what_was_drawn_and_no_couch(drawn):
    kind, own, (volume, labels, grid, block, _, _), _ = drawn
    body, again = find_body(volume, labels, grid, own)
    x, y, z = np.moveaxis(points_of(grid, Rigid.identity()), -1, 0)
    solid = {
        "water": (np.hypot(x, y) < 82) & (np.abs(z) < 36),
        "cartridges": (np.maximum(np.abs(x), np.abs(y)) < 35) & (np.abs(z) < 83),
    }[kind]
    assert np.mean(body == solid) > 0.98
    couch = y > (90 if kind == "water" else 43)
    assert not (body[couch]).any()
    assert np.allclose(again.centre_mm, [0, 0, 0], atol=1.5)
    assert block.box == again.box


def test_patches_lie_in_the_body_and_are_as_many_as_fit(drawn):
    kind, own, (_, labels, grid, block, values, _), _ = drawn
    table = patch_table(draw_fitting_centres(labels, 6, 0, own, values["patch_region"]), labels, grid, own)
    assert table.groupby("roi").size().to_dict() == dict.fromkeys(own.names, 6)
    assert dict(zip(table["roi"], table["tissue"], strict=True)) == {r.name: r.tissue for r in own.regions}
    box = np.array(block.box)
    centres = table[VOXEL].to_numpy()
    assert (centres - HALF >= box[:, 0]).all() and (centres + HALF <= box[:, 1]).all()
    numbers = [own.names.index(roi) + 1 for roi in table["roi"]]
    assert labels[tuple(centres.T)].tolist() == numbers
    if kind == "water":
        # the example of docs/own-phantom.md: nothing is warned of
        assert table.groupby("roi")["share_inside"].mean().min() > FEW_INSIDE
    # where little fits, there are fewer, and with fewer than two classes an error says so
    low = [n // 2 - h for n, h in zip(grid.shape, HALF, strict=True)]
    with pytest.raises(UserError, match="fewer than two classes of regions"):
        draw_fitting_centres(labels, 6, 0, own, [(a, a + 2 * h) for a, h in zip(low, HALF, strict=True)])


@pytest.mark.parametrize("name", ["Beta", "Gamma"])
def test_series_are_registered_by_content(drawn, name):
    kind, _, (_, _, _, block, _, _), fixed = drawn
    volume, grid, motion = scan(PHANTOMS[kind], SCANNERS[name], "FBP", 2)
    found = register(fixed, volume, grid)
    assert worst_displacement_mm(found.motion, motion, block.corners_mm) < 0.5
    assert found.similarity_after > 0.98 > found.similarity_before


def test_a_phantom_laid_down_turned_and_upside_down_is_found(drawn):
    kind, _, (_, _, _, block, _, _), fixed = drawn
    scanner = SCANNERS["Beta"]
    grid = grid_of(PHANTOMS[kind], scanner)
    motion = Rigid((1.0, 178.0, 50.0), (4.0, -3.0, 2.0), (0.0, 0.0, 0.0))
    hu = PHANTOMS[kind].draw(points_of(grid, motion), 0.8)
    found = register(fixed, np.rint(hu).astype(np.int16), grid)
    assert worst_displacement_mm(found.motion, motion, block.corners_mm) < 0.5


def test_what_content_does_not_tell_is_refused():
    """A cylinder looks the same however it is turned about its axis."""

    def drawn(points, seed):
        x, y, z = np.moveaxis(points, -1, 0)
        axis, deep = np.hypot(x, y), np.abs(z)
        hu = -1000 + _share(60 - axis, 1) * _share(30 - deep, 1) * (
            1000 + 300 * _share(25 - axis, 1) * _share(20 - deep, 1)
        )
        return (hu + np.random.default_rng(seed).normal(0, 5, hu.shape)).astype(np.int16), axis, z

    grid = Grid.axis_aligned((40, 140, 140), (2.0, 1.2, 1.2), (-83.4, -83.4, -39.0))
    points = points_of(grid, Rigid.identity())
    volume, axis, z = drawn(points, 0)
    labels = ((axis < 20) & (np.abs(z) < 15)).astype(np.uint8)
    labels[(axis > 30) & (axis < 50) & (np.abs(z) < 15)] = 2
    own = Phantom.from_dict({"name": "c", "regions": [{"name": "rod", "class": "a"}, {"name": "ring", "class": "b"}]})
    body, block = find_body(volume, labels, grid, own)
    fixed = prepare_fixed(volume, grid, block, (body, grid))
    again, _, _ = drawn(points + [0.5, 0.3, 0.7], 1)
    with pytest.raises(Refusal, match="does not tell how the phantom lies: turned about z"):
        register(fixed, again, grid)


def test_another_phantom_is_refused(drawn):
    kind, _, _, fixed = drawn
    other = next(name for name in PHANTOMS if name != kind)
    volume, grid, _ = scan(PHANTOMS[other], SCANNERS["Beta"], "IR", 1)
    with pytest.raises(Refusal) as caught:
        register(fixed, volume, grid)
    assert caught.value.reason in ("registration_failed", "phantom_outside_fov", "mirrored")


def test_a_mask_in_air_is_refused():
    grid = Grid.axis_aligned((20, 40, 40), (2.0, 2.0, 2.0), (0, 0, 0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[5:15, 5:10, 5:10], labels[5:15, 20:25, 20:25] = 1, 2
    own = Phantom.from_dict({"name": "c", "regions": [{"name": "a", "class": "a"}, {"name": "b", "class": "b"}]})
    with pytest.raises(UserError, match="denser than -500 HU"):
        find_body(np.full(grid.shape, -1000, np.int16), labels, grid, own)


def test_each_repetition_lies_elsewhere():
    places = [motion_of(SCANNERS["Alpha"], repetition).translation_mm for repetition in (1, 2, 3)]
    assert places[0] == (0, 0, 0) and len(set(places)) == 3
