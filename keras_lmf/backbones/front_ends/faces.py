"""Front ends for faces as landmarks: what the points say of an expression.

A clip is (frames, 68, 2): the landmarks of Multi-PIE and 300-W in pixels, x then y. A frame of zeros is missing or
padding, and a clip of such frames alone is an absent face.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.parts import (
    FRONT_END,
    frozen,
    input_layer,
    mean_change,
    require_different,
    side_by_side,
)
from keras_lmf.layers import FaceLandmarkNormalization, StatisticsPooling

POINTS = (68, 2)
# Landmarks whose distance is measured: mouth's width, opening within and of the lips, jaw, upper lip to nose,
# inner ends of the brows, nose, face.
DISTANCES = ((48, 54), (62, 66), (51, 57), (8, 33), (33, 51), (21, 22), (27, 33), (0, 16))
# How high the first points are above the second ones: inner and outer ends of the brows above the eyes' corners, upper
# lip to the corners of the mouth.
HEIGHTS = (
    ((20, 21), (36, 39)),
    ((22, 23), (42, 45)),
    ((17, 18), (36, 39)),
    ((25, 26), (42, 45)),
    ((51, 57), (48, 54)),
)
EYES = (36, 42)  # first of six points: corner, two of the upper lid, corner, two of the lower one
WIDTHS = {
    "coordinates": POINTS[0] * 2,
    "velocities": POINTS[0] * 2,
    "distances": len(DISTANCES) + len(HEIGHTS) + len(EYES),
}
FEATURES = tuple(WIDTHS)
STATISTICS = ("mean", "log_deviation", "log_change", "quarters")
# In inter-ocular distances: what moves less than this is noise of the landmarks.
STILL = 3e-3


def landmarks(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = FEATURES,
    name: str = FRONT_END,
) -> keras.Model:
    """What the landmarks say of each frame, (batch, frames, 68, 2) → (batch, frames, width): a front end.

    Args:
        shape: (frames, 68, 2), in pixels.
        features: one or more of, in the order they come out:
            "coordinates": normalised by `FaceLandmarkNormalization`, 136 numbers.
            "velocities": their change since the frame before, per frame; zeros where either is missing.
            "distances": 15 numbers in inter-ocular distances: 8 distances between landmarks (mouth, lips, jaw, brows,
                nose, face), 5 heights (ends of the brows, corners of the mouth), and the aspect ratio of each eye,
                (|p1 − p5| + |p2 − p4|) / (2 |p0 − p3|) of its six points (Soukupová & Čech, "Real-time eye blink
                detection using facial landmarks", CVWW 2016).
        name: the model's name.
    """
    clip = _clip(shape)
    return frozen(clip, _features(clip, features), name)


def landmark_statistics(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = ("distances",),
    statistics: Sequence[str] = STATISTICS,
    name: str = FRONT_END,
) -> keras.Model:
    """The features of `landmarks` over a clip as statistics, (batch, frames, 68, 2) → (batch, width): a front end.

    Args:
        shape, features, name: as `landmarks`.
        statistics: one or more, in the order they come out, over the frames that are there:
            "mean";
            "log_deviation": natural logarithm of 0.003 + the standard deviation;
            "log_change": that of 0.003 + the mean absolute change from a frame to the next;
            "quarters": mean of each quarter of the frames minus the mean of all: the course of an expression, without
                what this face looks like at rest. Four times as wide as the others.
    """
    require_different("statistics of landmarks", statistics, STATISTICS)
    clip = _clip(shape)
    steps, present = _features(clip, features), _present(clip)
    moments = StatisticsPooling(name="pooling")(steps, mask=present)
    mean, deviation = moments[:, : steps.shape[-1]], moments[:, steps.shape[-1] :]
    found = {"mean": mean, "log_deviation": ops.log(deviation + STILL)}
    if "log_change" in statistics:
        found["log_change"] = ops.log(mean_change(steps, present, "changes") + STILL)
    if "quarters" in statistics:
        found["quarters"] = _quarters(steps, present, mean)
    # A clip without a face is zeros; logarithms of its statistics are not.
    some = ops.any(present, axis=1, keepdims=True)
    pooled = side_by_side([found[word] for word in statistics])
    return frozen(clip, ops.where(some, pooled, ops.zeros_like(pooled)), name)


def _clip(shape: Sequence[int]) -> Any:
    return input_layer("landmarks", shape, "frames", *((length,) for length in POINTS))


def _present(clip: Any) -> Any:
    """(batch, frames), True where a face was found."""
    return ops.any(ops.not_equal(ops.reshape(clip, (-1, clip.shape[1], WIDTHS["coordinates"])), 0), axis=-1)


def _features(clip: Any, words: Sequence[str]) -> Any:
    """(batch, frames, width); rows of zeros where there is no face."""
    require_different("features of landmarks", words, FEATURES)
    points = FaceLandmarkNormalization(name="normalization")(clip)
    frames = points.shape[1]
    coordinates = ops.reshape(points, (-1, frames, WIDTHS["coordinates"]))
    present = ops.expand_dims(_present(clip), -1)
    found = {"coordinates": coordinates}
    if "velocities" in words:
        both = ops.logical_and(present[:, 1:], present[:, :-1])
        changes = coordinates[:, 1:] - coordinates[:, :-1]
        found["velocities"] = ops.pad(
            ops.where(both, changes, ops.zeros_like(changes)), ((0, 0), (1, 0), (0, 0))
        )
    if "distances" in words:
        measured = _distances(points)
        found["distances"] = ops.where(present, measured, ops.zeros_like(measured))
    return side_by_side([found[word] for word in words])


def _quarters(steps: Any, present: Any, mean: Any) -> Any:
    """(batch, 4 · width): how far the mean of each quarter of the frames is from `mean`; zeros for one without any."""
    there = ops.cast(present, "float32")
    place = ops.cumsum(there, axis=1) - 1
    count = ops.sum(there, axis=1, keepdims=True)
    # The mean of a long clip lost its last digits, and quarters are small: they are taken from what it left over.
    around = (steps - ops.expand_dims(mean, 1)) * ops.expand_dims(there, -1)
    left_over = ops.sum(around, axis=1) / ops.maximum(count, 1.0)
    found = []
    for quarter in range(4):
        inside = ops.logical_and(4 * place >= quarter * count, 4 * place < (quarter + 1) * count)
        weights = ops.expand_dims(there * ops.cast(inside, "float32"), -1)
        frames = ops.sum(weights, axis=1)
        total = ops.sum(weights * (around - ops.expand_dims(left_over, 1)), axis=1)
        found.append(total / ops.maximum(frames, 1.0))
    return ops.concatenate(found, axis=-1)


def _distances(points: Any) -> Any:
    """(batch, frames, 15) of normalised points."""

    def distance(a: int, b: int) -> Any:
        return ops.sqrt(ops.sum(ops.square(points[:, :, a] - points[:, :, b]), axis=-1))

    def height(indices: Sequence[int]) -> Any:
        return sum(points[:, :, i, 1] for i in indices) / len(indices)

    measured = [distance(a, b) for a, b in DISTANCES]
    measured += [height(low) - height(high) for high, low in HEIGHTS]
    for eye in EYES:
        lids = distance(eye + 1, eye + 5) + distance(eye + 2, eye + 4)
        measured.append(lids / ops.maximum(2 * distance(eye, eye + 3), 1e-6))
    return ops.stack(measured, axis=-1)
