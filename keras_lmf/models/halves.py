"""The two halves of a model with front ends: what makes features of recordings, and what answers to features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import keras
import numpy as np

from keras_lmf.backend import calls_within
from keras_lmf.errors import LMFError
from keras_lmf.models.factory import front_ends_of
from keras_lmf.spec import MEDIA, InputSpec, ModelSpec, attach, attached


def front_end_model(model: keras.Model) -> keras.Model:
    """The front ends of `model`, from the recordings to the features; its layers and weights are the model's.

    Args:
        model: of `build`, `load` or a run.

    Returns:
        keras.Model with the modalities that have a front end as inputs {modality: (batch, …)}, as `model` has them, and
        as outputs, under the same names, what `body_model` takes. It carries the spec of its inputs, and examples.

    Raises:
        LMFError: the model has no front end.
    """
    features = _features(model)
    taken = {name: model.input[name] for name in features}
    half = keras.Model(taken, features, name=f"{model.name}_front_end")
    spec, examples = attached(model)
    spec = spec or ModelSpec()
    told = {name: part for name, part in spec.inputs.items() if name in taken}
    return attach(
        half,
        ModelSpec(inputs=told, licence=spec.licence, recipe=spec.recipe),
        None if examples is None else {name: examples[name] for name in taken},
    )


def body_model(model: keras.Model) -> keras.Model:
    """`model` behind its front ends, for programs that compute the features themselves; the weights are the model's.

    Args:
        model: of `build`, `load` or a run.

    Returns:
        keras.Model with the modalities as inputs, in the place of a recording the features that `front_end_model`
        gives, and the targets as outputs. It carries the model's spec, with the shapes of the features, and examples.

    Raises:
        LMFError: the model has no front end.
    """
    features = _features(model)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="When providing `inputs` as a dict"
        )  # features have other names
        half = keras.Model(dict(model.input) | features, model.output, name=f"{model.name}_body")
    spec, examples = attached(model)
    spec = spec or ModelSpec()
    inputs = {name: spec.inputs.get(name, InputSpec()) for name in model.input} | {
        name: _described(spec.inputs.get(name), tensor) for name, tensor in features.items()
    }
    return attach(half, spec.replace(inputs=inputs), examples and _examples(model, examples))


def _features(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """What each front end of the model gives to its body."""
    if not (ends := front_ends_of(model)):
        raise LMFError(
            f"{model.name} has no front end: it takes features, so it is a body by itself. Export it whole."
        )
    return {name: calls_within(model, end)[0][1][0] for name, end in ends.items()}


def _described(recorded: InputSpec | None, features: keras.KerasTensor) -> InputSpec:
    medium = MEDIA.get(recorded.media) if recorded else None
    words = f"features that the front end makes of {medium.content if medium else 'this input'}"
    return InputSpec(shape=tuple(features.shape[1:]), description=words)


def _examples(model: keras.Model, examples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    front_end = front_end_model(model)
    features = front_end.predict_on_batch({name: examples[name] for name in front_end.input})
    return {name: features.get(name, values) for name, values in examples.items()}
