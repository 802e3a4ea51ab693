"""The thorax' ribs: how each lies in the slices that it meets.

A rib is oblique, so that it moves by more than its width between the slices on which outlines are given; here its
place, size and direction are, and go over from slice to slice. The printed thorax is a mirror image of itself.
"""

from functools import lru_cache

import numpy as np

from ct4bench.twin.phantom import Ellipsoid

MIRROR_COLUMN = 253.5
PIXEL_MM = 0.68359375
ALONG_MM = 400.0
"""Semi-axis along z of a section's solid: so long that it is the same in neighbouring planes."""
RIM_MM = 1.7
SMALLEST_MM = 0.6
"""Semi-axis below which a section is not drawn."""
SECTIONS = """\
= rib
196 379 74 12.2 4.3 46
201 384 78 16.4 5.0 42
206 389 83 13.6 4.9 33
211 392 87 10.6 3.9 19
216 393 91 7.5 2.5 14
219 394 93 4.2 1.4 11
= rib
218 359 67 9.9 1.3 83
223 363 69 13.4 3.0 76
228 368 71 14.8 4.6 69
233 372 74 16.9 5.4 60
238 381 80 15.7 5.5 52
243 386 86 14.5 5.8 41
248 390 91 12.9 4.4 26
253 394 97 8.3 2.2 13
254 395 100 6.1 1.6 13
= rib
230 316 66 5.9 1.4 83
235 320 67 9.0 2.2 84
240 330 70 12.8 2.7 90
245 340 72 15.2 5.4 87
250 347 74 16.3 6.4 76
255 357 79 17.0 6.5 69
260 366 84 18.4 6.8 64
265 373 90 19.9 6.6 60
270 381 96 18.6 6.7 54
275 386 103 16.8 6.9 37
280 391 111 14.2 2.4 20
285 393 116 10.1 1.6 17
286 394 119 6.8 1.6 18
= rib
242 282 67 11.3 1.4 91
247 291 68 12.8 2.1 90
252 301 70 11.9 2.4 88
257 314 71 17.2 2.8 97
262 323 72 17.1 4.9 93
267 330 73 16.6 5.7 83
272 339 77 17.6 6.4 78
277 349 82 18.8 6.1 73
282 354 85 19.3 6.7 70
287 362 91 20.4 7.4 66
292 372 98 21.4 7.5 61
297 378 103 21.4 7.7 55
302 384 110 17.9 7.5 44
307 389 117 15.6 4.8 21
312 392 126 13.8 2.9 11
317 394 133 7.2 1.4 9
= rib
217 172 85 5.2 1.7 165
222 178 81 12.2 4.0 134
227 186 77 20.0 5.2 122
232 194 76 22.6 5.1 116
237 209 75 16.5 2.2 110
242 222 73 19.6 3.7 105
247 234 72 18.7 4.5 101
252 246 72 15.7 4.6 97
257 258 72 17.1 4.5 94
262 267 71 17.2 5.3 93
267 276 72 15.8 5.7 96
272 288 72 16.5 6.5 95
277 296 73 16.4 7.1 92
282 303 74 15.7 7.2 89
287 313 77 15.8 7.7 86
292 322 80 16.2 7.9 82
297 329 82 17.3 8.1 79
302 338 86 17.8 7.5 75
307 349 92 18.9 7.6 69
312 357 97 19.9 7.1 64
317 365 104 20.6 6.6 62
325 378 116 21.0 6.2 60
= rib
254 176 95 5.4 2.3 121
259 181 94 13.7 4.9 131
264 188 90 20.1 5.0 121
269 194 88 27.6 4.9 116
274 204 85 30.9 4.7 112
279 217 81 25.6 4.5 108
284 229 79 22.6 4.7 105
289 240 77 20.5 4.6 104
294 252 76 21.7 4.8 101
299 266 76 19.1 5.3 97
304 281 76 18.4 5.3 93
309 293 79 19.3 5.8 87
314 303 81 19.5 6.5 83
325 324 90 19.0 6.6 76
= rib
298 173 106 5.9 2.1 141
303 183 101 18.4 3.5 126
308 190 99 29.0 3.8 123
313 198 96 25.4 2.9 122
325 216 89 24.0 2.9 118
= rib
294 357 68 5.5 2.1 80
299 360 71 7.9 4.3 68
304 364 75 9.4 4.2 27
309 366 78 13.3 3.2 22
314 367 80 15.5 3.1 21
319 368 80 17.5 2.2 21
325 368 81 17.5 2.2 20
"""
"""Sections of the left ribs: slice, row, column of the centre; semi-axes in pixels, the longer first; the longer one's
angle in degrees, from the columns' axis to the rows'. Measured on the mean of both halves of the series that
`phantom_outlines` names."""


def parse_sections(text: str) -> list[np.ndarray]:
    """Sections (n, 6) of each rib by ascending slice."""
    ribs: list[list[list[float]]] = []
    for line in text.splitlines():
        if line == "= rib":
            ribs.append([])
        else:
            ribs[-1].append([float(word) for word in line.split()])
    return [np.array(rib) for rib in ribs]


@lru_cache
def _ribs() -> tuple[np.ndarray, ...]:
    return tuple(parse_sections(SECTIONS))


def rib_sections(slice_number: float) -> list[tuple[Ellipsoid, Ellipsoid | None]]:
    """Both halves' rib sections in a slice: the bone, and its marrow where there is room for one."""
    out = []
    for rib in _ribs():
        if not rib[0, 0] <= slice_number <= rib[-1, 0]:
            continue
        row, column, long, short, angle = (np.interp(slice_number, rib[:, 0], rib[:, n]) for n in range(1, 6))
        for mirrored in (False, True):
            place = (slice_number, row, 2 * MIRROR_COLUMN - column if mirrored else column)
            turn = (0.0, 0.0, float(180.0 - angle if mirrored else angle))
            bone, marrow = (
                Ellipsoid(place, (long * PIXEL_MM - less, short * PIXEL_MM - less, ALONG_MM), turn)
                for less in (0.0, RIM_MM)
            )
            if bone.semi_axes_mm[1] >= SMALLEST_MM:
                out.append((bone, marrow if marrow.semi_axes_mm[1] >= SMALLEST_MM else None))
    return out
