"""A model in two files, front end and body: one behind the other they answer as the whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import sklearn.metrics as oracle
from exporting import exported_here
from small_model import small_model
from voice_model import rows, voice_model

from keras_lmf.data import Split
from keras_lmf.errors import LMFError
from keras_lmf.export import behind, export_model
from keras_lmf.models import body_model, front_end_model
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import attach, attached


@pytest.fixture(scope="module")
def whole():
    """A model of voice and face with its examples; only the voice has a front end."""
    model = voice_model()
    return attach(model, attached(model)[0].replace(temperature=1.5), rows())


@pytest.fixture(scope="module")
def split(whole):
    names = np.arange(5).astype(str)
    return Split("test", rows(), {}, np.arange(5) % 3, names, names, attached(whole)[0].target)


@pytest.fixture(scope="module")
def written(whole, split, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    front_end, body = front_end_model(whole), body_model(whole)
    with exported_here():
        export_model(front_end, folder / "front-end", ["tflite"])
        (artifact,) = export_model(
            body, folder / "body", ["tflite"], evaluation=behind(front_end, split), resamples=0
        )
    return folder / "front-end" / "model.tflite", artifact


def test_the_body_behind_the_front_end_answers_as_the_whole(whole, written):
    front_end, body = (open_artifact(path) for path in (written[0], written[1].path))
    inputs = rows()
    features = front_end.predict({"voice": inputs["voice"]})
    found = body.predict({"face": inputs["face"]} | features)["emotion"]
    expected = whole.predict_on_batch(inputs)["emotion"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_absence_is_seen_in_the_features(whole, written):
    """The last clip is silent: its features are zeros, and the body takes the voice for absent."""
    inputs = rows()
    features = open_artifact(written[0]).predict({"voice": inputs["voice"]})
    assert not features["voice"][4].any()
    louder = open_artifact(written[1].path).predict(
        {"voice": features["voice"][4:], "face": inputs["face"][4:]}
    )
    expected = whole.predict_on_batch({name: values[4:] for name, values in inputs.items()})
    np.testing.assert_allclose(louder["emotion"], expected["emotion"], atol=1e-5)


def test_the_body_is_judged_on_features(whole, split, written):
    answers = whole.predict_on_batch(split.inputs)["emotion"].argmax(axis=1)
    assert written[1].metrics["war"] == pytest.approx(oracle.accuracy_score(split.labels, answers))


def test_each_half_says_what_it_takes(whole, written):
    spec = attached(whole)[0]
    front_end, body = Sidecar.read(written[0]).spec, Sidecar.read(written[1].path).spec
    assert front_end.inputs == {"voice": spec.inputs["voice"]}
    assert front_end.target is None
    features = front_end_model(whole).output["voice"].shape[1:]
    assert (body.inputs["voice"].shape, body.inputs["voice"].media) == (tuple(features), None)
    assert body.inputs["face"].description == spec.inputs["face"].description
    assert (body.target, body.temperature, body.presence) == (spec.target, 1.5, "derived")


def test_a_front_end_that_another_model_called_too(whole):
    """The features are those of this model's call."""
    layer = whole.get_layer("voice_front_end")
    other = keras.Input(layer.input_shape[1:], name="other")
    keras.Model(other, layer(other * 2))
    inputs = rows()
    features = front_end_model(whole).predict_on_batch({"voice": inputs["voice"]})
    found = body_model(whole).predict_on_batch({"face": inputs["face"]} | features)
    np.testing.assert_allclose(found["emotion"], whole.predict_on_batch(inputs)["emotion"], atol=1e-6)


def test_a_model_of_features_has_no_halves():
    for half in (front_end_model, body_model):
        with pytest.raises(LMFError, match="has no front end"):
            half(small_model())
