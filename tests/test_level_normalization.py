"""LevelNormalization against its closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lmf.layers import LevelNormalization


def levelled(clips: np.ndarray, level: float) -> np.ndarray:
    return keras.ops.convert_to_numpy(LevelNormalization(level=level)(clips.astype("float32")))


def test_every_clip_has_the_level_whatever_its_loudness_and_padding() -> None:
    clips = np.random.default_rng(0).normal(size=(3, 400)) * [[0.3], [1e-3], [1e-2]]
    clips[2, 100:] = 0
    found = levelled(clips, -20.0)
    for row, length in ((0, 400), (1, 400), (2, 100)):
        assert np.sqrt(np.mean(found[row, :length] ** 2)) == pytest.approx(0.1, rel=1e-4)
    assert not found[2, 100:].any()


def test_one_sample_counts_as_one() -> None:
    np.testing.assert_allclose(levelled(np.array([[0.0, 0.5, 0.0]]), -40.0), [[0, 0.01, 0]], rtol=1e-5)


def test_what_is_quieter_than_100_decibels_stays_quieter() -> None:
    """It is made louder by as much as a clip of −100 dB, an RMS of 1e-5."""
    clips = np.array([[1e-5, -1e-5], [1e-6, -1e-6], [0.0, 0.0]])
    expected = [[0.1, -0.1], [0.01, -0.01], [0, 0]]
    np.testing.assert_allclose(levelled(clips, -20.0), expected, rtol=1e-4)
