"""Fusion of decisions: the answers of trained models, or of anything that names classes, as one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_lmf.backbones.parts import side_by_side
from keras_lmf.errors import LMFError
from keras_lmf.layers import DecisionFusion, ModalityPresence


def decision_fusion(
    parts: Mapping[str, keras.Model],
    rule: str = "product",
    *,
    name: str = "decision_fusion",
    **settings: Any,
) -> keras.Model:
    """One model of several trained ones about the same classes: each answers, and a rule joins the answers.

    >>> model = decision_fusion({"voice": klmf.load("ge2e-ravdess-voice"), "face": face})  # doctest: +SKIP

    An input that is all zeros is absent; a model counts while any of its inputs is there. The parts are not copied: to
    train them along or not, set their `trainable`.

    Args:
        parts: name → model with inputs by name and one output, logits. Inputs of one name are one input.
        rule: "product", "sum" or "maximum", as of `layers.DecisionFusion`.
        name: the model's name.
        settings: `prior`, `importance`, `temperatures` of `layers.DecisionFusion`.

    Returns:
        A model with all inputs; its output, of the name of the parts' output, are log-probabilities: logits whose
        softmax is the joint answer.
    """
    if len(parts) < 2:
        raise LMFError(f"decision_fusion joins two models or more, received {', '.join(parts) or 'none'}.")
    inputs: dict[str, Any] = {}
    answers, there, outputs = {}, [], {}
    for part, model in parts.items():
        if not isinstance(model.input, dict) or len(model.outputs) != 1:
            raise LMFError(
                f"The part {part!r} must have inputs by name and one output, as models of recipes have."
            )
        own = {}
        for key, tensor in model.input.items():
            known = inputs.setdefault(key, keras.Input(tensor.shape[1:], name=key))
            if known.shape != tensor.shape:
                raise LMFError(
                    f"The parts take different inputs {key!r}: of shape {known.shape[1:]} and {tensor.shape[1:]}."
                )
            own[key] = known
        # Under a name of its own: parts of two recipes may have the same.
        answer = keras.Model(model.input, model.output, name=f"{part}_model")(own)
        output, answers[part] = next(iter(answer.items())) if isinstance(answer, dict) else ("answer", answer)
        outputs[output] = answers[part].shape[-1]
        flat = [keras.layers.Flatten(name=f"{part}_{key}_flat")(tensor) for key, tensor in own.items()]
        there.append(side_by_side(flat))
    if len(outputs) > 1 or len({answer.shape for answer in answers.values()}) > 1:
        raise LMFError(f"The parts answer about different things: {outputs}.")
    presence = ModalityPresence(name="presence")(there)
    joined = DecisionFusion(rule, name="fusion", **settings)(answers, presence=presence)
    return keras.Model(inputs, {next(iter(outputs)): joined}, name=name)
