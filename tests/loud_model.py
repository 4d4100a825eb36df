"""A waveform model whose answer is known in closed form, exported; and sounds whose energy is known."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import soundfile
from exporting import exported_here

from keras_lmf.data import Split
from keras_lmf.export import InputDescription, export_model
from keras_lmf.target import Target

RATE, SAMPLES = 16000, 16000  # windows of one second
SLOPE, OFFSET, TEMPERATURE = 6.0, -2.0, 2.0
TARGET = Target(name="emotion", classes=("loud", "quiet"))
WORDS = (1.5, -2.0, 0.5)  # what each number of the input `words` adds to the logit of "loud"
VOICE = InputDescription(rate=RATE, media="waveform")


def expected(energy: float, words: float = 0.0, temperature: float = TEMPERATURE) -> float:
    """The probability of "loud" in a window of that mean square."""
    return 1 / (1 + np.exp(-(SLOPE * energy + OFFSET + words) / temperature))


def loud_model(with_words: bool = False) -> keras.Model:
    """Logits (SLOPE · mean square + OFFSET + WORDS · words, 0)."""
    voice = keras.Input((SAMPLES,), name="voice")
    squares = keras.ops.square(keras.layers.Reshape((100, SAMPLES // 100))(voice))
    energy = keras.ops.mean(squares, axis=(1, 2), keepdims=True)
    ends = {"voice": voice}
    parts = [keras.layers.Reshape((1,))(energy)]
    if with_words:
        ends["words"] = keras.Input((3,), name="words")
        parts.append(ends["words"])
    hidden = keras.layers.Concatenate()(parts) if with_words else parts[0]
    logits = keras.layers.Dense(2, name="emotion")
    model = keras.Model(ends, {"emotion": logits(hidden)}, name="loudness")
    kernel = np.zeros((hidden.shape[-1], 2))
    kernel[:, 0] = [SLOPE, *WORDS][: len(kernel)]
    logits.set_weights([kernel, np.array([OFFSET, 0])])
    return model


def rows(model: keras.Model, target: Target = TARGET) -> Split:
    """A few rows on which files are judged."""
    generator = np.random.default_rng(0)
    inputs = {
        name: generator.uniform(-1, 1, (4, *tensor.shape[1:])).astype("float32")
        for name, tensor in model.input.items()
    }
    names = np.arange(4).astype(str)
    labels = np.arange(4) % 2 if target.classes else np.linspace(0, 1, 4)
    return Split("test", inputs, {}, labels, names, names, target)


def export(model: keras.Model, folder: Path, formats: tuple[str, ...], **facts) -> Path:
    """`export_model` in this process alone."""
    facts = {"evaluation": rows(model), "descriptions": {"voice": VOICE}, **facts}
    with exported_here():
        export_model(model, folder, formats, resamples=0, tolerance=1e-4, **facts)
    return folder


def square_wave(*stretches: tuple[float, float]) -> np.ndarray:
    """(samples,) float32: for each (amplitude, seconds) a wave ±amplitude, whose mean square is amplitude²."""
    parts = [np.full(round(seconds * RATE), amplitude, np.float32) for amplitude, seconds in stretches]
    wave = np.concatenate(parts)
    wave[::2] *= -1
    return wave


def write_wave(path: Path, *stretches: tuple[float, float]) -> Path:
    """Exactly those numbers, at the model's rate."""
    soundfile.write(path, square_wave(*stretches), RATE, subtype="FLOAT")
    return path
