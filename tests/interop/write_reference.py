"""Writes reference.npz, against which check_tensorflow_io.py and check_tensorflow_addons.py compare.

    python tests/interop/write_reference.py FOLDER     # where keras-lmf is installed

Those two run in environments of their own, with a TensorFlow that keras-lmf does not run on: hence the file.
"""

from __future__ import annotations

import io
import sys
import wave
from pathlib import Path

import keras
import numpy as np

import keras_lmf as klmf

RATE, FFT, WINDOW, STRIDE, MELS, LOW, HIGH, TOP_DB = 16000, 512, 400, 160, 40, 0.0, 8000.0, 80.0
CLASSES = 4


def tones(rate: int) -> np.ndarray:
    """A second of two tones."""
    time = np.arange(rate) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 1500 * time)


def waveform() -> np.ndarray:
    """The tones in weak noise, as 16-bit integers hold them."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(RATE)
    return np.round((tones(RATE) + noise) * 32767).astype("int16")


# keras-lmf has no spectrogram layer yet, so the three steps are plain NumPy in float64, after the definitions in
# tensorflow-io's documentation. A layer's output takes their place once there is one.
def spectrogram(signal: np.ndarray) -> np.ndarray:
    """Magnitudes (frames, FFT / 2 + 1): periodic Hann window, frames padded with zeros at the end."""
    starts = np.arange(0, len(signal), STRIDE)
    padded = np.pad(signal, (0, WINDOW))
    frames = padded[starts[:, None] + np.arange(WINDOW)]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return np.abs(np.fft.rfft(frames * window, FFT))


def mel_matrix(bins: int) -> np.ndarray:
    """Triangles (bins, MELS) on HTK's mel scale, peaks of 1, nothing from the constant bin."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    frequencies = mel(np.linspace(0, RATE / 2, bins))[:, None]
    edges = np.linspace(mel(LOW), mel(HIGH), MELS + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - left) / (centre - left), (right - frequencies) / (right - centre)
    matrix = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return matrix


def decibel(magnitudes: np.ndarray) -> np.ndarray:
    """10 · log10 of the squares, at most TOP_DB below the loudest."""
    levels = 10 * np.log10(np.maximum(magnitudes**2, 1e-10))
    return np.maximum(levels, levels.max() - TOP_DB)


def wav(samples: np.ndarray) -> np.ndarray:
    """The bytes of a .wav file."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return np.frombuffer(stream.getvalue(), dtype="uint8")


def audio() -> dict[str, np.ndarray]:
    samples = waveform()
    signal = samples.astype("float32") / 32768
    magnitudes = spectrogram(signal.astype("float64"))
    mels = magnitudes @ mel_matrix(magnitudes.shape[1])
    return {
        "settings": np.array([RATE, FFT, WINDOW, STRIDE, MELS, LOW, HIGH, TOP_DB]),
        "wav": wav(samples),
        "samples": samples,
        "signal": signal,
        "tones": tones(RATE).astype("float32"),
        "spectrogram": magnitudes,
        "mel": mels,
        "decibel": decibel(mels),
        "half_rate": tones(RATE // 2),
    }


def metrics() -> dict[str, np.ndarray]:
    """Labels, scores, and what ours say of them; right about half of the time."""
    random = np.random.default_rng(1)
    labels = random.integers(CLASSES, size=500)
    scores = random.standard_normal((500, CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    found = {"labels": labels, "scores": scores.astype("float32")}
    for weighting in (None, "linear", "quadratic"):
        kappa = klmf.metrics.CohenKappa(CLASSES, weighting)
        for start in range(0, 500, 64):  # batch by batch, as in training
            kappa.update_state(labels[start : start + 64], found["scores"][start : start + 64])
        found[f"kappa/{weighting}"] = np.array(keras.ops.convert_to_numpy(kappa.result()))
    target = klmf.Target(name="emotion", classes=[f"c{k}" for k in range(CLASSES)])
    rows = np.arange(500).astype(str)
    split = klmf.data.Split("test", {}, {}, labels, rows, rows, target)
    judged = klmf.evaluate(found["scores"], split, resamples=0).metrics
    found["kappa/evaluate"] = np.array(judged["cohen_kappa"])
    found["f1/macro"], found["f1/weighted"] = np.array(judged["f1_macro"]), np.array(judged["f1_weighted"])
    found["f1/classes"] = np.array([judged[f"f1_{name}"] for name in target.classes])
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "reference.npz", **audio(), **metrics())
    print(folder / "reference.npz")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python tests/interop/write_reference.py FOLDER")
    main()
