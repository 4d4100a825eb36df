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
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from contract_cases import BATCH, CASES, Case
from keras import ops
from one_framework import keep_apart

# -- checks: each takes a case and a scratch folder, and raises AssertionError --------------------------------


def serialise(case: Case, folder: Path) -> None:
    layer, arrays = case.make(), case.inputs()
    expected = case.output(layer, arrays)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(layer)
    # As JSON: of a network inside the layer, tuples come back as lists.
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
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
    assert {weight.name for weight in layer.non_trainable_weights} == set(case.constants)
    assert len(model.trainable_weights) == len(layer.weights) - len(case.constants) + len(fronts)
    for variable, old, new in zip(model.weights, before, model.get_weights()):
        assert np.isfinite(new).all(), variable.path
        assert not variable.trainable or (new != old).all(), (
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
    keep_apart()
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
