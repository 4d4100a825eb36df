"""A face, drawn from signed distances: a shape covers a pixel by how far the pixel's centre lies inside it.

Lengths are in half heights (of the picture's smaller side); x points right, y down, 0 is the head's middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_lmf.data.corpora.synthetic_clips.performance import Performance

Number = float | np.ndarray

_STEP = 25  # frames drawn at once: a long clip must not fill the memory
_GRAIN = 4.0  # standard deviation of the picture's noise, of 255
_WHITE = np.array([245.0, 243, 238])
_DARK = np.array([40.0, 18, 20])
_IRIS = np.array([52.0, 40, 32])


@dataclass
class _Canvas:
    """Colours (3, T, height, width) float32, and each pixel's coordinates x, y (T, height, width)."""

    colours: np.ndarray
    x: np.ndarray
    y: np.ndarray
    pixels: float  # in a length of 1

    def part(self, left: float, right: float, top: float, bottom: float) -> _Canvas:
        """The pixels around the box `left` ≤ x ≤ `right`, `top` ≤ y ≤ `bottom`, as views of this canvas."""
        inside = (self.x >= left) & (self.x <= right) & (self.y >= top) & (self.y <= bottom)
        rows, columns = (_span(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        colours, x, y = (array[..., rows, columns] for array in (self.colours, self.x, self.y))
        return _Canvas(colours, x, y, self.pixels)

    def fill(self, distance: np.ndarray, colour: np.ndarray) -> None:
        """Paint where `distance` (T, height, width) is negative, with soft edges of one pixel."""
        cover = np.clip(0.5 - distance * np.float32(self.pixels), 0, 1)
        for plane, value in zip(self.colours, colour.astype(np.float32)):
            plane += cover * (value - plane)

    def ellipse(
        self,
        centre: tuple[Number, Number],
        radii: tuple[Number, Number],
        bend: Number = 0.0,
        slope: Number = 0.0,
    ) -> np.ndarray:
        """Distance (T, height, width) to an ellipse whose axis is the curve y = slope · u − bend · u², u = x / radius.

        To first order, which is exact at the edge.
        """
        u = (self.x - centre[0]) / radii[0]
        v = (self.y - centre[1] - slope * u + bend * u * u) / radii[1]
        level = np.sqrt(u * u + v * v) + np.float32(1e-4)
        across = (u + v * (2 * bend * u - slope) / radii[1]) / radii[0]
        down = v / radii[1]
        steepness = np.sqrt(across * across + down * down) + np.float32(1e-4)
        # Far from a thin and bent ellipse the first order says too little: it ends where its radius does.
        return np.maximum((level - 1) * level / steepness, (np.abs(u) - 1) * radii[0])


def _span(inside: np.ndarray) -> slice:
    """From the first to the last true element."""
    indices = inside.nonzero()[0]
    return slice(indices[0], indices[-1] + 1) if len(indices) else slice(0, 0)


def frames(
    performance: Performance, count: int, frame_rate: int, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """The clip's pictures, in pieces (at most 25, height, width, 3) uint8; together `count` of them."""
    random = np.random.default_rng([*performance.noise, 1])
    for start in range(0, count, _STEP):
        times = np.arange(start, min(start + _STEP, count)) / frame_rate
        colours = _draw(performance, times, size)
        colours += _GRAIN * random.standard_normal(colours.shape[1:], np.float32)
        pictures = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
        yield np.ascontiguousarray(pictures.transpose(1, 2, 3, 0))


def _draw(performance: Performance, times: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    pixels = min(size) / 2
    across = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / pixels)[None, None, :]
    down = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / pixels)[None, :, None]
    speaker = performance.speaker
    share = np.clip((down + 1) / 2, 0, 1)
    colours = np.empty((3, len(times), height, width), np.float32)
    for plane, upper, lower in zip(colours, speaker.upper, speaker.lower):
        plane[:] = upper + share * (lower - upper)

    x, y, tilt, gaze = (curve.astype(np.float32)[:, None, None] for curve in performance.drift(times))
    loudness = performance.loudness(times).astype(np.float32)[:, None, None]
    across = across - x
    down = down - y - np.float32(performance.face.nod) - 0.02 * loudness - 0.03
    canvas = _Canvas(
        colours,
        np.cos(tilt) * across + np.sin(tilt) * down,
        np.cos(tilt) * down - np.sin(tilt) * across,
        pixels,
    )
    _draw_head(canvas, performance)
    _draw_eyes(canvas, performance, times, gaze)
    _draw_mouth(canvas, performance, times, loudness)
    left, right, whole = performance.light
    colours *= whole * np.linspace(left, right, width, dtype=np.float32)
    return colours


def _draw_head(canvas: _Canvas, performance: Performance) -> None:
    speaker = performance.speaker
    wide, high = speaker.head
    below = canvas.part(-3, 3, 0.2, 3)
    long = canvas.ellipse((0, -0.12), (wide + 0.09, high + 0.02))
    falling = np.maximum(
        np.abs(canvas.x) - wide - 0.09, np.maximum(-0.1 - canvas.y, canvas.y - speaker.hair_length)
    )
    canvas.fill(np.minimum(long, falling), speaker.hair)
    below.fill(below.ellipse((0, 1.35), (0.95, 0.52)), speaker.shirt)
    below.fill(np.maximum(np.abs(below.x) - 0.2, below.y - 0.95), speaker.skin * 0.82)
    head = canvas.ellipse((0, 0), (wide, high))
    for ear in (-wide, wide):
        around = canvas.part(ear - 0.15, ear + 0.15, -0.2, 0.2)
        around.fill(around.ellipse((ear, 0.02), (0.08, 0.13)), speaker.skin * 0.9)
    canvas.fill(head, speaker.skin)
    line = -high + 2 * high * speaker.hairline
    # Wider than the head, or its skin would shine through at the soft edge.
    canvas.fill(np.maximum(head - 0.03, canvas.y - line - 0.25 * canvas.x**2), speaker.hair)


def _draw_eyes(canvas: _Canvas, performance: Performance, times: np.ndarray, gaze: np.ndarray) -> None:
    speaker, face = performance.speaker, performance.face
    opening = face.eyes * (1 - performance.blink(times)).astype(np.float32)[:, None, None]
    for side in (-1, 1):
        middle, level = side * speaker.eyes, -0.1
        upper = canvas.part(middle - 0.25, middle + 0.25, -0.65, 0.15)
        high = 0.09 * opening + 0.004
        lid = level + high * (1 - 2 * face.lower_lid)
        eye = np.maximum(upper.ellipse((middle, level), (0.125, high)), upper.y - lid)
        rim = np.maximum(upper.ellipse((middle, level), (0.145, high + 0.024)), upper.y - lid - 0.024)
        upper.fill(rim, speaker.skin * 0.5)
        upper.fill(eye, _WHITE)
        iris = upper.ellipse((middle + gaze, level), (0.062, 0.066))
        upper.fill(np.maximum(iris, eye), _IRIS)
        # From the brow's inner end to its outer one, which lies on the `side`.
        rise = (face.inner_brow - face.outer_brow) / 2
        brow = upper.ellipse(
            (middle * 1.02 - side * face.frown, -0.30 - (face.inner_brow + face.outer_brow) / 2),
            (0.165, speaker.brow),
            bend=-0.035,
            slope=side * rise,
        )
        upper.fill(brow, speaker.hair * 0.4)
    nose = canvas.part(-0.15, 0.15, 0.05, 0.25)
    nose.fill(nose.ellipse((0, 0.14), (0.075, 0.022), bend=0.02), speaker.skin * 0.68)


def _draw_mouth(canvas: _Canvas, performance: Performance, times: np.ndarray, loudness: np.ndarray) -> None:
    speaker, face = performance.speaker, performance.face
    opened, widened = performance.articulation(times)[3:, :, None, None].astype(np.float32)
    wide = face.mouth_width * (1 + 0.35 * loudness * (widened - 1))
    high = face.mouth_opening + face.jaw * loudness * opened
    lower = canvas.part(-0.5, 0.5, 0.05, 0.85)
    # The opening grows downwards, as a jaw does.
    centre = (0, 0.36 + 0.5 * high)
    inside = lower.ellipse(centre, (wide, high), bend=face.smile)
    lips = lower.ellipse(centre, (wide + 0.045, high + 0.04), bend=face.smile)
    lower.fill(lips, speaker.skin * np.array([0.78, 0.48, 0.5]))
    lower.fill(inside, _DARK)
    teeth = lower.ellipse((0, centre[1] - 0.6 * high), (wide * 0.85, 0.42 * high), bend=face.smile)
    lower.fill(np.maximum(teeth, inside), _WHITE * 0.95)
