"""An entry's test vectors: inputs that are drawn, never taken from a corpus, and what the model answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data import Dataset
from keras_lmf.recipe import Modality
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Run
from keras_lmf.zoo import write_testvectors

VECTOR_ROWS = 8


def write_vectors(path: Path, run: Run, data: Dataset) -> None:
    """Random numbers around the training data's mean, with half its deviation, and the answers: within what int8 files
    are calibrated for. Sequences are cut short where the corpus pads them; one row has none of a sequence at all."""
    random = np.random.default_rng(0)
    inputs = {}
    for absent, (modality, part) in enumerate(run.recipe.inputs.items()):
        if part.media:
            inputs[modality] = DRAWN[part.media](random, part)
            continue
        mean, variance = data.statistics(modality)
        rows = random.standard_normal((VECTOR_ROWS, *part.shape)) * np.sqrt(variance) / 2 + mean
        if modality in data.masks:
            padded_left = data.masks[modality][:, 0].mean() < data.masks[modality][:, -1].mean()
            for row in range(VECTOR_ROWS):
                cut = slice(row) if padded_left else slice(part.shape[0] - row, None)
                rows[row, cut] = 0
            rows[absent] = 0
        inputs[modality] = _coarse(rows).astype(np.float32)
    write_testvectors(path, inputs, open_artifact(run.model).predict(inputs))


def _coarse(numbers: np.ndarray) -> np.ndarray:
    """Each with the 11 bits of a float16: half of the bytes in a compressed file."""
    mantissas, exponents = np.frexp(numbers)
    return np.ldexp(np.round(mantissas * 2**11) / 2**11, exponents)


def _waveforms(random: np.random.Generator, part: Modality) -> np.ndarray:
    """Gliding harmonics in noise, each shorter than the one before; the last is silent. Few bits, for a small file."""
    (samples,), rate = part.shape, part.rate
    seconds = np.arange(samples) / rate
    rows = np.zeros((VECTOR_ROWS, samples), np.float32)
    for row in range(VECTOR_ROWS - 1):
        pitch = np.cumsum(random.uniform(90, 250) * (1 + random.uniform(-0.3, 0.3) * seconds)) / rate
        voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 16))
        voice *= 0.05 * (1.1 + np.sin(2 * np.pi * random.uniform(2, 6) * seconds))
        rows[row] = np.round((voice + 0.003 * random.standard_normal(samples)) * 128) / 128
        rows[row, samples - row * samples // (VECTOR_ROWS + 1) :] = 0
    return rows


def _videos(random: np.random.Generator, part: Modality) -> np.ndarray:
    """Coarse pictures that fade into others, each clip shorter than the one before; the last is black. Few bits.

    Of an input that is one picture, the first of each clip.
    """
    frames, height, width, channels = (1, *part.shape)[-4:]
    rows = np.zeros((VECTOR_ROWS, frames, height, width, channels), np.float32)
    weights = np.linspace(0, 1, frames)[:, None, None, None]
    for row in range(VECTOR_ROWS - 1):
        first, last = (
            np.kron(random.uniform(0, 1, (8, 8, channels)), np.ones((-(-height // 8), -(-width // 8), 1)))
            for _ in range(2)
        )
        fading = (1 - weights) * first[:height, :width] + weights * last[:height, :width]
        rows[row] = (1 + np.round(fading * 62)) / 64
        rows[row, frames - row * frames // (VECTOR_ROWS + 1) :] = 0
    return rows.reshape(VECTOR_ROWS, *part.shape)


DRAWN = {"waveform": _waveforms, "frames": _videos}  # by what of a recording fills the input
