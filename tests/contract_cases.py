"""The table of the layer contract: every public layer, in one shape or more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf import layers

BATCH = 5
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A layer in one shape.

    Attributes:
        make: makes the layer.
        shapes: input name → shape without the batch axis.
        structure: how the layer takes its inputs: "dict", "list" or "single".
        masked: whether inputs are sequences (time, width) with all-zero rows as padding.
        presence: shape of the presence input without the batch axis, if the layer gets one.
        constants: names of its weights that are fitted otherwise than by gradients.
        half: whether the layer follows a half-precision policy; spectra are float32 under every policy.
    """

    name: str
    make: Callable[[], keras.layers.Layer]
    shapes: dict[str, tuple[int, ...]]
    structure: str = "dict"
    masked: bool = False
    presence: tuple[int, ...] | None = None
    half: bool = True
    constants: tuple[str, ...] = ()

    def inputs(self, seed: int = 0, batch: int = BATCH) -> Arrays:
        """Standard-normal inputs; masked ones end in padding, absent modalities are marked but not blanked."""
        generator = np.random.default_rng(seed)
        arrays = {
            name: generator.standard_normal((batch, *shape)).astype("float32")
            for name, shape in self.shapes.items()
        }
        if self.masked:
            for array in arrays.values():
                lengths = generator.integers(1, array.shape[1] + 1, size=(batch, 1))
                array[np.arange(array.shape[1]) >= lengths] = 0
        if self.presence is not None:
            flags = generator.integers(0, 2, size=(batch, *self.presence))
            flags[0] = 1
            arrays["presence"] = flags.astype("float32")
        return arrays

    def arranged(self, named: dict[str, Any]) -> Any:
        values = {name: named[name] for name in self.shapes}
        if self.structure == "dict":
            return values
        return list(values.values()) if self.structure == "list" else next(iter(values.values()))

    def apply(self, layer: keras.layers.Layer, tensors: dict[str, Any]) -> Any:
        """Calls the layer, eagerly on arrays or symbolically on Keras tensors."""
        named = {name: tensors[name] for name in self.shapes}
        if self.masked:
            named = {name: keras.layers.Masking()(tensor) for name, tensor in named.items()}
        else:
            named = {name: ops.convert_to_tensor(tensor) for name, tensor in named.items()}
        options = {"presence": tensors["presence"]} if self.presence is not None else {}
        return layer(self.arranged(named), **options)

    def symbols(self, prefix: str = "") -> dict[str, keras.KerasTensor]:
        shapes = self.shapes if self.presence is None else {**self.shapes, "presence": self.presence}
        return {name: keras.Input(shape, name=f"{prefix}{name}") for name, shape in shapes.items()}

    def model(self, layer: keras.layers.Layer) -> keras.Model:
        """The layer alone, a dict of arrays in."""
        symbols = self.symbols()
        return keras.Model(symbols, self.apply(layer, symbols))

    def output(self, layer: keras.layers.Layer, arrays: Arrays) -> np.ndarray:
        return ops.convert_to_numpy(self.apply(layer, arrays)).astype("float32")


def low_rank(units: int, rank: int, **options: Any) -> Callable[[], keras.layers.Layer]:
    return lambda: layers.LowRankFusion(units, rank=rank, seed=7, **options)


def convolution() -> keras.layers.Layer:
    initializer = keras.initializers.GlorotUniform(seed=7)
    return layers.TemporalConvolution(4, 3, activation="tanh", kernel_initializer=initializer)


def attention() -> keras.layers.Layer:
    return layers.CrossModalAttention(4, seed=7)


def attention_pooling() -> keras.layers.Layer:
    return layers.AttentionPooling(seed=7)


def table() -> keras.layers.Layer:
    lines = [({"voice": 0, "face": 1}, 2), ({"face": 2}, 0)]
    return layers.DecisionFusion("product", table=lines, certainty=[0.6, 0.9])


def alignment() -> keras.layers.Layer:
    return layers.TimeAlignment(4, rate=1.5)


def spectral(layer: type[keras.layers.Layer], **options: Any) -> Callable[[], keras.layers.Layer]:
    return lambda: layer(sample_rate=400, fft_length=20, hop=8, bands=4, **options)


def spec_augment() -> keras.layers.Layer:
    return layers.SpecAugment(band_masks=1, band_width=1, step_masks=1, step_width=2, seed=7)


def random_affine() -> keras.layers.Layer:
    return layers.RandomAffine(rotation=20.0, shift=0.2, zoom=0.2, seed=7)


def mirror() -> keras.layers.Layer:
    picture = keras.Input((3, 4, 2))
    weights = keras.initializers.GlorotUniform(seed=7)
    flat = keras.layers.Reshape((24,))(picture)
    network = keras.Model(picture, keras.layers.Dense(3, kernel_initializer=weights)(flat))
    return layers.MirrorAverage(network)


WAVEFORM = {"voice": (50,)}
TWO = {"audio": (3,), "video": (4,)}
THREE = {"audio": (3,), "video": (4,), "text": (2,)}
STEPS = {"audio": (6, 3), "video": (6, 4)}
ATTENTION = {"video": (3, 4), "audio": (6, 3)}
ANSWERS = {"voice": (3,), "face": (3,)}
DECISION = ("log_prior", "joint_temperature")
DEEP = {"audio": (3, 2, 3), "video": (3, 2, 4), "text": (3, 2, 2)}

CASES = (
    Case("early_three_presence", layers.EarlyFusion, THREE, presence=(3,)),
    Case("early_steps_masked", layers.EarlyFusion, STEPS, "list", masked=True),
    Case("tensor_two_list", layers.TensorFusion, TWO, "list"),
    Case("tensor_three_presence", layers.TensorFusion, THREE, presence=(3,)),
    Case("tensor_steps_masked", layers.TensorFusion, STEPS, masked=True),
    Case("low_rank_two_list", low_rank(3, 2), TWO, "list"),
    Case(
        "low_rank_named_presence", low_rank(3, 2, modalities=["text", "audio", "video"]), THREE, presence=(3,)
    ),
    Case("low_rank_steps_masked", low_rank(3, 2), STEPS, masked=True),
    Case(
        "low_rank_deep_list",
        low_rank(2, 3, initialization="reference", use_bias=False, kernel_regularizer="l2"),
        DEEP,
        "list",
    ),
    Case(
        "product",
        lambda: layers.DecisionFusion(prior=[0.5, 0.2, 0.3], joint_temperatures=[0.9, 1.2]),
        ANSWERS,
        presence=(2,),
        constants=DECISION,
    ),
    Case("sum", lambda: layers.DecisionFusion("sum", importance=[1, 2]), ANSWERS, "list", constants=DECISION),
    Case("table", table, ANSWERS, presence=(2,), constants=(*DECISION, "certainty")),
    Case(
        "estimates",
        lambda: layers.EstimateFusion([[1, 2, 3], [0.5, 2, 1]], fallback=[1, 2, 3]),
        ANSWERS,
        presence=(2,),
        constants=("fallback",),
    ),
    Case("stacking", layers.Stacking, ANSWERS, presence=(2,)),
    Case("stacking_list", lambda: layers.Stacking(2, kernel=[[1, -2]] * 9), TWO, "list"),
    Case("convolution", convolution, {"audio": (6, 3)}, "single"),
    Case("convolution_masked", convolution, {"audio": (6, 3)}, "single", masked=True),
    Case("attention", attention, ATTENTION, "list"),
    Case("attention_masked", attention, ATTENTION, "list", masked=True),
    Case("pooling", layers.StatisticsPooling, {"audio": (6, 3)}, "single"),
    Case("pooling_masked", layers.StatisticsPooling, {"audio": (6, 3)}, "single", masked=True),
    Case("attention_pooling", attention_pooling, {"audio": (6, 3)}, "single"),
    Case("attention_pooling_masked", attention_pooling, {"audio": (6, 3)}, "single", masked=True),
    Case("last_step", layers.LastStep, {"audio": (6, 3)}, "single"),
    Case("last_step_masked", layers.LastStep, {"audio": (6, 3)}, "single", masked=True),
    Case("alignment", alignment, {"audio": (6, 3)}, "single"),
    Case("alignment_masked", alignment, {"audio": (6, 3)}, "single", masked=True),
    Case("positions", layers.Positions, {"audio": (6, 3)}, "single"),
    Case("mel", spectral(layers.MelSpectrogram), WAVEFORM, "single", half=False),
    Case("log_mel", spectral(layers.LogMelSpectrogram), WAVEFORM, "single", half=False),
    Case("mfcc", spectral(layers.MFCC, coefficients=3), WAVEFORM, "single", half=False),
    Case("level", layers.LevelNormalization, WAVEFORM, "single", half=False),
    Case("landmarks", layers.FaceLandmarkNormalization, {"face": (2, 68, 2)}, "single", half=False),
    Case(
        "landmarks_masked",
        layers.FaceLandmarkNormalization,
        {"face": (4, 136)},
        "single",
        masked=True,
        half=False,
    ),
    Case("affine", random_affine, {"face": (6, 5, 2)}, "single"),
    Case("mirror", mirror, {"face": (3, 4, 2)}, "single"),
    Case("spec_augment", spec_augment, {"audio": (6, 3)}, "single", masked=True),
)
