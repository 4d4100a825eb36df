"""The layer contract: one table of layers, one list of checks, any backend.

`KERAS_BACKEND=jax python tests/contract.py` runs every check on every layer and prints one line for each.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

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
        half: whether the layer follows a half-precision policy; spectra are float32 under every policy.
    """

    name: str
    make: Callable[[], keras.layers.Layer]
    shapes: dict[str, tuple[int, ...]]
    structure: str = "dict"
    masked: bool = False
    presence: tuple[int, ...] | None = None
    half: bool = True

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


def spectral(layer: type[keras.layers.Layer], **options: Any) -> Callable[[], keras.layers.Layer]:
    return lambda: layer(sample_rate=400, fft_length=20, hop=8, bands=4, **options)


def spec_augment() -> keras.layers.Layer:
    return layers.SpecAugment(band_masks=1, band_width=1, step_masks=1, step_width=2, seed=7)


WAVEFORM = {"voice": (50,)}
TWO = {"audio": (3,), "video": (4,)}
THREE = {"audio": (3,), "video": (4,), "text": (2,)}
STEPS = {"audio": (6, 3), "video": (6, 4)}
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
    Case("convolution", convolution, {"audio": (6, 3)}, "single"),
    Case("convolution_masked", convolution, {"audio": (6, 3)}, "single", masked=True),
    Case("pooling", layers.StatisticsPooling, {"audio": (6, 3)}, "single"),
    Case("pooling_masked", layers.StatisticsPooling, {"audio": (6, 3)}, "single", masked=True),
    Case("mel", spectral(layers.MelSpectrogram), WAVEFORM, "single", half=False),
    Case("log_mel", spectral(layers.LogMelSpectrogram), WAVEFORM, "single", half=False),
    Case("mfcc", spectral(layers.MFCC, coefficients=3), WAVEFORM, "single", half=False),
    Case("level", layers.LevelNormalization, WAVEFORM, "single", half=False),
    Case("spec_augment", spec_augment, {"audio": (6, 3)}, "single", masked=True),
)


# -- checks: each takes a case and a scratch folder, and raises AssertionError --------------------------------


def serialise(case: Case, folder: Path) -> None:
    layer, arrays = case.make(), case.inputs()
    expected = case.output(layer, arrays)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
    case.output(copy, arrays)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(case.output(copy, arrays), expected)


def build_makes_all_weights(case: Case, folder: Path) -> None:
    called, built = case.make(), case.make()
    case.output(called, case.inputs())
    built.build(case.arranged({name: (None, *shape) for name, shape in case.shapes.items()}))
    assert [(weight.name, weight.shape) for weight in built.weights] == [
        (weight.name, weight.shape) for weight in called.weights
    ]


def shapes_agree(case: Case, folder: Path) -> None:
    """Symbolic call and compute_output_shape foretell the eager output."""
    layer, arrays = case.make(), case.inputs()
    symbol = case.apply(layer, case.symbols())
    eager = case.apply(layer, arrays)
    assert symbol.shape == (None, *eager.shape[1:])
    assert keras.backend.standardize_dtype(symbol.dtype) == keras.backend.standardize_dtype(eager.dtype)
    for batch in (None, BATCH):
        fresh = case.make()
        shape = fresh.compute_output_shape(
            case.arranged({name: (batch, *shape) for name, shape in case.shapes.items()})
        )
        assert tuple(shape) == (batch, *eager.shape[1:])


def compiled_equals_eager(case: Case, folder: Path) -> None:
    layer, arrays = case.make(), case.inputs()
    eager = case.output(layer, arrays)
    np.testing.assert_allclose(case.model(layer).predict(arrays, verbose=0), eager, rtol=1e-5, atol=1e-6)


def fit_moves_every_weight(case: Case, folder: Path) -> None:
    """One step of plain gradient descent moves each entry of each weight, and what lies before the layer."""
    layer, symbols = case.make(), case.symbols()
    # Without bias, so that padding stays zero.
    fronts = {
        name: keras.layers.Dense(
            shape[-1],
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed=i),
            name=f"{name}_front",
        )
        for i, (name, shape) in enumerate(case.shapes.items())
    }
    hidden = {**symbols, **{name: front(symbols[name]) for name, front in fronts.items()}}
    model = keras.Model(symbols, case.apply(layer, hidden))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    before = [weight.copy() for weight in model.get_weights()]
    arrays = case.inputs(batch=16)
    targets = np.random.default_rng(1).standard_normal((16, *model.output_shape[1:])).astype("float32")
    history = model.fit(arrays, targets, batch_size=16, epochs=1, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert len(model.trainable_weights) == len(layer.weights) + len(fronts)
    for variable, old, new in zip(model.weights, before, model.get_weights()):
        assert np.isfinite(new).all(), variable.path
        assert (new != old).all(), (
            f"{variable.path}: {int((new == old).sum())} of {new.size} entries stood still"
        )


def mixed_precision(case: Case, folder: Path) -> None:
    """Half-precision outputs, float32 weights, values as in float32."""
    full, arrays = case.make(), case.inputs()
    expected = case.output(full, arrays)
    for policy, tolerance in (("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)):
        half = type(full).from_config({**full.get_config(), "dtype": policy})
        output = case.apply(half, arrays)
        expected_dtype = policy.removeprefix("mixed_") if case.half else "float32"
        assert keras.backend.standardize_dtype(output.dtype) == expected_dtype
        assert {weight.dtype for weight in half.weights} <= {"float32"}
        half.set_weights(full.get_weights())
        error = np.abs(case.output(half, arrays) - expected).max()
        assert error <= tolerance * max(1, np.abs(expected).max()), (policy, error)


def saved_and_loaded(case: Case, folder: Path) -> None:
    model, arrays = case.model(case.make()), case.inputs()
    path = folder / f"{case.name}.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_allclose(
        ops.convert_to_numpy(loaded(arrays)), ops.convert_to_numpy(model(arrays)), rtol=1e-6, atol=1e-7
    )


def one_row_at_a_time(case: Case, folder: Path) -> None:
    layer, arrays = case.make(), case.inputs()
    together = case.output(layer, arrays)
    for row in range(BATCH):
        alone = case.output(layer, {name: array[row : row + 1] for name, array in arrays.items()})
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5, atol=1e-6)


def rows_are_independent(case: Case, folder: Path) -> None:
    """Other neighbours, far louder or not finite, leave a row as it was."""
    layer, arrays = case.make(), case.inputs()
    expected = case.output(layer, arrays)[0]
    for noise in (1e4, np.nan):
        others = {name: array.copy() for name, array in arrays.items()}
        for name in case.shapes:
            others[name][1:] *= noise
        np.testing.assert_allclose(case.output(layer, others)[0], expected, rtol=1e-5, atol=1e-6)


def padding_is_inert(case: Case, folder: Path) -> None:
    """Three more steps of padding change neither the pooled output nor that of the steps before."""
    if not case.masked:
        return
    layer, arrays = case.make(), case.inputs()
    expected = case.output(layer, arrays)
    longer = case.output(
        layer, {name: np.pad(array, ((0, 0), (0, 3), (0, 0))) for name, array in arrays.items()}
    )
    if expected.ndim == 3:
        longer = longer[:, : expected.shape[1]]
    np.testing.assert_allclose(longer, expected, rtol=1e-5, atol=1e-6)


CHECKS: tuple[Callable[[Case, Path], None], ...] = (
    serialise,
    build_makes_all_weights,
    shapes_agree,
    compiled_equals_eager,
    fit_moves_every_weight,
    mixed_precision,
    saved_and_loaded,
    one_row_at_a_time,
    rows_are_independent,
    padding_is_inert,
)


def main() -> int:
    """Runs the whole table on the backend that Keras uses; the number of failures, at most 1."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            for check in CHECKS:
                try:
                    check(case, Path(folder))
                except Exception:
                    failures += 1
                    traceback.print_exc()
                    print(f"FAILED {keras.backend.backend()} {case.name} {check.__name__}", flush=True)
                else:
                    print(f"passed {keras.backend.backend()} {case.name} {check.__name__}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
