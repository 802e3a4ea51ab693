"""UMAP's optimisation of a layout in the plane, several times as fast, with the same samples in the same order.

umap-learn (McInnes et al. 2018, arXiv:1802.03426) moves points along sampled edges of a weighted graph, and away from
random other points, epoch by epoch. Its loop spends its time on real powers of squared distances; here the two factors
that hold them come from tables, to 6e-6 of their value, and steps are taken in float32. All else is as umap-learn has
it: order of the edges, epochs at which each is sampled, random numbers of each point, clipping, width of steps. With
short steps both loops agree to rounding (`layout_difference`); with steps of full width any rounding grows within few
epochs, as it does between runs of umap-learn on two processors.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

LOWEST, HIGHEST = 2.0**-30, 2.0**14
"""Squared distances that the tables span; others are computed."""
STEP_BITS = 14
"""An interval of the tables is what float32 numbers of equal leading bits share: 2^9 for each factor of two."""
FARTHEST_STEP = np.float32(4)
CLOSEST = 0.001
NEGATIVE_SAMPLES = 5
"""Random points for each sampled edge."""


@dataclass(frozen=True)
class Edges:
    """Graph of a layout: edge i joins points `head[i]` and `tail[i]` (int32), sampled every `every[i]` epochs."""

    head: np.ndarray
    tail: np.ndarray
    every: np.ndarray


def attraction(squared: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return the factor of the gradient along an edge, by squared distance; negative."""
    return -2 * a * b * squared ** (b - 1) / (a * squared**b + 1)


def repulsion(squared: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return the factor of the gradient away from a random point, by squared distance; positive."""
    return 2 * b / ((CLOSEST + squared) * (a * squared**b + 1))


FIRST_INTERVAL, LAST_INTERVAL = (int(np.float32(limit).view(np.int32)) >> STEP_BITS for limit in (LOWEST, HIGHEST))
STEP_MASK = (1 << STEP_BITS) - 1


def _table(function, a: float, b: float) -> np.ndarray:
    """Value of a factor at the start of each interval, and what it gains from one float32 number to the next."""
    ends = np.arange(FIRST_INTERVAL, LAST_INTERVAL + 1, dtype=np.int32) << STEP_BITS
    values = function(ends.view(np.float32).astype(float), a, b)
    return np.stack([values[:-1], np.diff(values) / (1 << STEP_BITS)], axis=1).astype(np.float32)


@njit(cache=True, error_model="numpy", nogil=True)
def _look_up(table, squared):
    bits = np.float32(squared).view(np.int32)
    interval = (bits >> STEP_BITS) - FIRST_INTERVAL
    return table[interval, 0] + np.float32(bits & STEP_MASK) * table[interval, 1]


@njit(cache=True, error_model="numpy", nogil=True)
def _clip(step):
    return min(max(step, -FARTHEST_STEP), FARTHEST_STEP)


@njit(cache=True, error_model="numpy", nogil=True)
def _random(states, j):
    # Tausworthe generator of three words, as each point of umap-learn has one.
    low = np.int64(0xFFFFFFFF)
    s, t, u = states[j, 0], states[j, 1], states[j, 2]
    s = (((s & np.int64(4294967294)) << 12) & low) ^ ((((s << 13) & low) ^ s) >> 19)
    t = (((t & np.int64(4294967288)) << 4) & low) ^ ((((t << 2) & low) ^ t) >> 25)
    u = (((u & np.int64(4294967280)) << 17) & low) ^ ((((u << 3) & low) ^ u) >> 11)
    states[j, 0], states[j, 1], states[j, 2] = s, t, u
    return np.int64(np.int32(s ^ t ^ u))


@njit(cache=True, error_model="numpy", nogil=True)
def _epoch(
    position, head, tail, every, due, every_negative, due_negative, states, attractions, repulsions, a, b, alpha, epoch
):
    n = position.shape[0]
    width = np.float32(alpha)
    for i in range(head.shape[0]):
        if due[i] > epoch:
            continue
        j, k = head[i], tail[i]
        x, y = position[j, 0], position[j, 1]
        dx, dy = x - position[k, 0], y - position[k, 1]
        squared = dx * dx + dy * dy
        factor = np.float32(0)
        if LOWEST <= squared < HIGHEST:
            factor = _look_up(attractions, squared)
        elif squared > 0:
            factor = np.float32(-2.0 * a * b * squared ** (b - 1.0) / (a * squared**b + 1.0))
        step_x, step_y = _clip(factor * dx) * width, _clip(factor * dy) * width
        x, y = x + step_x, y + step_y
        position[k, 0], position[k, 1] = position[k, 0] - step_x, position[k, 1] - step_y
        due[i] += every[i]
        n_negative = int((epoch - due_negative[i]) / every_negative[i])
        for _ in range(n_negative):
            k = _random(states, j) % n
            if j == k:
                continue
            dx, dy = x - position[k, 0], y - position[k, 1]
            squared = dx * dx + dy * dy
            if LOWEST <= squared < HIGHEST:
                factor = _look_up(repulsions, squared)
            elif squared > 0:
                factor = np.float32(2.0 * b / ((CLOSEST + squared) * (a * squared**b + 1.0)))
            else:
                continue
            step_x, step_y = factor * dx, factor * dy
            # Points wait for each other's positions: steps that need no clipping take the shorter way.
            if abs(step_x) > FARTHEST_STEP or abs(step_y) > FARTHEST_STEP:
                step_x, step_y = _clip(step_x), _clip(step_y)
            x, y = x + step_x * width, y + step_y * width
        position[j, 0], position[j, 1] = x, y
        due_negative[i] += n_negative * every_negative[i]


def optimise(
    start: np.ndarray, edges: Edges, n_epochs: int, a: float, b: float, random_words: np.ndarray, step: float = 1.0
) -> np.ndarray:
    """Move points (n, 2) float32 for `n_epochs` from `start` (n, 2), which is 10 wide and high.

    `a` and `b` shape the similarity 1 / (1 + a d^2b) in the plane; `random_words` (3,) int64 seed the generators;
    `step` is the first epoch's width of steps, which falls linearly to 0.
    """
    position = np.array(start, np.float32, order="C")
    # Each point has its own generator, told apart by where it starts.
    states = np.array(random_words, np.int64) + position[:, :1].astype(np.float64).view(np.int64)
    every_negative = edges.every / NEGATIVE_SAMPLES
    due, due_negative = edges.every.copy(), every_negative.copy()
    attractions, repulsions, alpha = _table(attraction, a, b), _table(repulsion, a, b), step
    for epoch in range(n_epochs):
        _epoch(
            position, edges.head, edges.tail, edges.every, due, every_negative, due_negative, states, attractions,
            repulsions, a, b, alpha, float(epoch),
        )  # fmt: skip
        alpha = step * (1.0 - epoch / n_epochs)
    return position


def layout_difference(
    start: np.ndarray, edges: Edges, n_epochs: int, a: float, b: float, random_words: np.ndarray, step: float = 1.0
) -> np.ndarray:
    """Return the distance (n,) of each point from where umap-learn's own loop has it after `n_epochs` from the same
    start."""
    from umap.layouts import optimize_layout_euclidean

    ours = optimise(start, edges, n_epochs, a, b, random_words, step)
    position = np.array(start, np.float32, order="C")
    theirs = optimize_layout_euclidean(
        position, position, edges.head, edges.tail, n_epochs, len(position), edges.every.copy(), a, b,
        np.array(random_words, np.int64), initial_alpha=step, move_other=True,
    )  # fmt: skip
    return np.linalg.norm(ours.astype(float) - theirs, axis=1)
