"""LSTMs in written files: one builtin op that answers as Keras's layer, whatever is masked and whatever came before."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lmf import export_model
from keras_lmf.export import Artifact
from keras_lmf.layers import StatisticsPooling
from keras_lmf.runtime import open_artifact

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
STEPS, WIDTH, UNITS = 9, 3, 4


def recurrent(kind: type[keras.layers.Layer] = keras.layers.LSTM, **options: object) -> keras.layers.Layer:
    draw = keras.initializers.RandomNormal(stddev=0.7, seed=3)
    return kind(UNITS, bias_initializer=draw, **options)


def model_of(*hidden: object, inputs: object) -> keras.Model:
    beside = keras.layers.Concatenate()(list(hidden)) if len(hidden) > 1 else hidden[0]
    return keras.Model({"voice": inputs}, {"mood": keras.layers.Dense(2, name="mood")(beside)}, name="moods")


def rows() -> np.ndarray:
    """Whole, zeros at the end, in the middle, at the beginning, everywhere, one step alone."""
    found = np.random.default_rng(0).normal(0, 2, (6, STEPS, WIDTH)).astype("float32")
    found[1, 6:] = found[2, 3:5] = found[3, :4] = found[4] = 0
    found[5, 1:] = 0
    return found


def names(artifact: Artifact) -> set[str]:
    return set(artifact.operators["operator"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, dict[str, Artifact]]:
    """All ways in which a layer gives its states, behind a mask and without one."""
    inputs = keras.Input((STEPS, WIDTH), name="voice")
    heard = keras.layers.Masking()(inputs)
    pooled = StatisticsPooling()
    both = keras.layers.Bidirectional(recurrent(return_sequences=True))(heard)
    zeros = recurrent(return_sequences=True, zero_output_for_mask=True)(heard)
    model = model_of(
        recurrent()(inputs),
        recurrent(use_bias=False, go_backwards=True)(heard),
        recurrent()(recurrent(return_sequences=True)(heard)),
        pooled(both),
        keras.layers.Flatten()(zeros),
        inputs=inputs,
    )
    formats = ["tflite", "tflite-float16", "tflite-dynamic"]
    artifacts = export_model(model, tmp_path_factory.mktemp("exported"), formats)
    return model, {artifact.format: artifact for artifact in artifacts}


@pytest.mark.slow
def test_a_file_answers_as_keras_whatever_is_masked(written):
    model, artifacts = written
    assert LSTM in names(artifacts["tflite"])
    assert "WHILE" not in names(artifacts["tflite"])
    found = open_artifact(artifacts["tflite"].path).predict({"voice": rows()})["mood"]
    expected = model.predict({"voice": rows()}, verbose=0)["mood"]
    assert np.ptp(expected, axis=0).min() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tflite", "tflite-float16", "tflite-dynamic"])
def test_what_came_before_changes_nothing(written, kind):
    runtime = open_artifact(written[1][kind].path)
    loud = 1e3 * rows()
    alone = [open_artifact(written[1][kind].path).predict({"voice": row[None]})["mood"] for row in rows()]
    runtime.predict({"voice": loud})
    np.testing.assert_array_equal(runtime.predict({"voice": rows()})["mood"], np.concatenate(alone))


@pytest.mark.slow
def test_smaller_files_have_smaller_weights_and_nearly_the_answers(written):
    model, artifacts = written
    expected = model.predict({"voice": rows()}, verbose=0)["mood"]
    for kind, dtype, tolerance in (("tflite-float16", "float16", 5e-3), ("tflite-dynamic", "int8", 0.1)):
        table = artifacts[kind].operators
        assert dtype in table[table["operator"] == LSTM]["weights"].iloc[0] or dtype == "float16"
        found = open_artifact(artifacts[kind].path).predict({"voice": rows()})["mood"]
        np.testing.assert_allclose(found, expected, atol=tolerance)
        assert np.abs(found - expected).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("layer", [lambda: recurrent(keras.layers.GRU), lambda: recurrent(activation="relu")])
def test_what_the_op_does_not_compute_stays_a_loop(layer, tmp_path: Path):
    inputs = keras.Input((STEPS, WIDTH), name="voice")
    model = model_of(layer()(inputs), inputs=inputs)
    (artifact,) = export_model(model, tmp_path, ["tflite"])
    assert "WHILE" in names(artifact)
    assert LSTM not in names(artifact)


@pytest.mark.slow
def test_the_model_is_as_before(written):
    model, _ = written
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    assert layers
    assert not [layer for layer in layers if "call" in vars(layer)]
