"""Backbones for faces as landmarks, (frames, 68, 2) in pixels: a front end, then a backbone for its features.

A frame of zeros is missing or padding, and a clip of such frames alone is an absent face. Nothing before the backbone
is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_lmf.backbones.front_ends.faces import FEATURES, POINTS, STATISTICS, landmark_statistics, landmarks
from keras_lmf.backbones.parts import joined
from keras_lmf.backbones.sequence import bilstm, gru, lstm, mlp, temporal_convolution


def landmark_convolution(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = FEATURES,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Landmarks → convolutions over time. (batch, frames, 68, 2) → (batch, units).

    `landmarks`, then `temporal_convolution`, which takes `options`.

    >>> landmark_convolution((20, 68, 2), filters=(8,), units=16).output_shape
    (None, 16)
    """
    return joined(landmarks(shape, features=features), temporal_convolution, name, options)


def landmark_lstm(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = FEATURES,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Landmarks → LSTM, its last state. (batch, frames, 68, 2) → (batch, units). `lstm` takes `options`."""
    return joined(landmarks(shape, features=features), lstm, name, options)


def landmark_gru(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = FEATURES,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Landmarks → GRU, its last state. (batch, frames, 68, 2) → (batch, units). `gru` takes `options`."""
    return joined(landmarks(shape, features=features), gru, name, options)


def landmark_bilstm(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = FEATURES,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Landmarks → LSTM in each direction, mean and deviation of their states: (batch, 4 · units).

    `bilstm` takes `options`.
    """
    return joined(landmarks(shape, features=features), bilstm, name, options)


def landmark_mlp(
    shape: Sequence[int] = (75, *POINTS),
    *,
    features: Sequence[str] = ("distances",),
    statistics: Sequence[str] = STATISTICS,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """Statistics of landmarks over the clip → dense layers. (batch, frames, 68, 2) → (batch, units[-1]).

    `landmark_statistics`, then `mlp`, which takes `options`.
    """
    front_end = landmark_statistics(shape, features=features, statistics=statistics)
    return joined(front_end, mlp, name, options)
