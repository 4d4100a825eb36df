"""An entry's test vectors: inputs that are drawn, never taken from a corpus, and what the model answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.data import Dataset
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
        if part.front_end:
            inputs[modality] = _waveforms(random, part.shape[0], part.front_end.sample_rate)
            continue
        mean, variance = data.statistics(modality)
        rows = random.standard_normal((VECTOR_ROWS, *part.shape)) * np.sqrt(variance) / 2 + mean
        if modality in data.masks:
            padded_left = data.masks[modality][:, 0].mean() < data.masks[modality][:, -1].mean()
            for row in range(VECTOR_ROWS):
                cut = slice(row) if padded_left else slice(part.shape[0] - row, None)
                rows[row, cut] = 0
            rows[absent] = 0
        inputs[modality] = rows.astype(np.float32)
    write_testvectors(path, inputs, open_artifact(run.model).predict(inputs))


def _waveforms(random: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Gliding harmonics in noise, each shorter than the one before; the last is silent. Few bits, for a small file."""
    seconds = np.arange(samples) / rate
    rows = np.zeros((VECTOR_ROWS, samples), np.float32)
    for row in range(VECTOR_ROWS - 1):
        pitch = np.cumsum(random.uniform(90, 250) * (1 + random.uniform(-0.3, 0.3) * seconds)) / rate
        voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 16))
        voice *= 0.05 * (1.1 + np.sin(2 * np.pi * random.uniform(2, 6) * seconds))
        rows[row] = np.round((voice + 0.003 * random.standard_normal(samples)) * 1024) / 1024
        rows[row, samples - row * samples // (VECTOR_ROWS + 1) :] = 0
    return rows
