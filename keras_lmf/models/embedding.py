"""The vector of which a model makes its answer."""

from __future__ import annotations

import keras

from keras_lmf.backend import layer_calls, maker
from keras_lmf.errors import LMFError
from keras_lmf.target import EMBEDDING


def with_embedding(model: keras.Model, target: str) -> keras.Model:
    """The model with one more output, the vector "embedding" of `embedding_model`, whose errors are those of this."""
    return keras.Model(model.input, model.output | embedding_model(model, target).output, name=model.name)


def embedding_model(model: keras.Model, target: str) -> keras.Model:
    """The model up to the vector that the output layer of `target` takes; its layers and weights are the model's.

    Args:
        model: functional, with a dict of outputs, as from `fusion_model`, `build` or `load`.
        target: the output's name.

    Returns:
        keras.Model of the same inputs, with the output {"embedding": (batch, width)}. The logits are
        embedding · kernel + bias of the layer `target`.

    Raises:
        LMFError: the output isn't a linear map of one vector: answers of several networks are joined.
    """
    output = model.output[target]
    layer = maker(output)
    if not isinstance(layer, keras.layers.Dense):
        raise LMFError(
            f"{model.name} has no embedding: its output {target!r} is not made of one vector by a Dense layer, but by "
            f"{type(layer).__name__}. Ask the networks that it joins."
        )
    ((vector,),) = [inputs for inputs, outputs in layer_calls(layer) if any(one is output for one in outputs)]
    return keras.Model(model.input, {EMBEDDING: vector}, name=f"{model.name}_{EMBEDDING}")
