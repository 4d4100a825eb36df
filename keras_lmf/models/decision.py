"""Fusion of decisions: the answers of trained models, or of anything that scores classes, as one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import keras
import numpy as np
from keras import ops

from keras_lmf.backbones.parts import side_by_side
from keras_lmf.errors import LMFError
from keras_lmf.layers import ModalityPresence
from keras_lmf.layers.decision_fusion import RULES
from keras_lmf.models.joints import joint_layer
from keras_lmf.models.scores import as_linear, by_classifier, checked_scores, refuse_settings
from keras_lmf.spec import ModelSpec, attach, attached


@overload
def decision_fusion(
    parts: Mapping[str, keras.Model], rule: Any = ..., *, name: str = ..., **settings: Any
) -> keras.Model: ...
@overload
def decision_fusion(
    parts: Mapping[str, np.ndarray], rule: Any = ..., *, name: str = ..., **settings: Any
) -> np.ndarray: ...


def decision_fusion(
    parts: Mapping[str, Any], rule: Any = "product", *, name: str = "decision_fusion", **settings: Any
) -> Any:
    """The answers of several models about the same thing, joined by a rule: of models a model, of arrays an array.

    >>> both = decision_fusion({"voice": klmf.load("ge2e-ravdess-voice"), "face": face})   # doctest: +SKIP
    >>> np.exp(decision_fusion({"voice": voice_logits, "face": face_logits}, rule="sum"))  # doctest: +SKIP

    **Models** become one, which trains, saves and exports as any other. An input that is all zeros is absent; a model
    counts while any of its inputs is there. The parts are not copied: to train them along or not, set their
    `trainable`. Where they carry temperatures, as zoo entries and runs do, these are the `temperatures`.

    **Arrays** hold a row for each answer, (N, classes) logits or (N, width) numbers. (Of probabilities, give their
    logarithm; of votes, `decisions.votes` makes such arrays.) What is not there is a row of NaN, or 0 in `presence`.

    Args:
        parts: name → model with inputs by name and one output, where inputs of one name are one input; or name → array.
            Two or more.
        rule: for classes "product", "sum", "maximum" or "vote" (`layers.DecisionFusion`); for numbers
            "inverse_variance" (`layers.EstimateFusion`); for both "stacking" (`layers.Stacking`). Or a scikit-learn
            classifier that was fitted on `decisions.features` (`decisions.fit` does it): any for arrays; for models one
            whose answer is the softmax of a linear function, as that of LogisticRegression.
        name: the model's name.
        settings: of the rule's layer; `decisions.fit` finds them on validation rows. Those with a number for each part
            may be a dict by part. Further: `rules`, lines {"when": {part: class}, "then": class} that go before the
            rule, and `classes`, the names of the classes in their order, where the parts don't carry them; `presence`
            of arrays, part → (N,).

    Returns:
        A model with all inputs; its output has the name of the parts' output. Or an array (N, classes) or (N, width).
        For classes they are log-probabilities: logits whose softmax is the joint answer.

    Raises:
        LMFError: fewer than two parts, parts or settings that don't fit, or an unknown rule.
    """
    if len(parts) < 2:
        raise LMFError(f"decision_fusion joins two parts or more, received {', '.join(parts) or 'none'}.")
    models = [isinstance(part, keras.Model) for part in parts.values()]
    if all(models):
        return _of_models(parts, rule, name, settings)
    if any(models):
        raise LMFError("decision_fusion takes models or arrays, not both: of a model, give what it predicts.")
    return _of_arrays(parts, rule, settings)


def _of_arrays(parts: Mapping[str, Any], rule: Any, settings: Mapping[str, Any]) -> np.ndarray:
    settings = dict(settings)
    scores, there = checked_scores(parts, settings.pop("presence", None))
    if hasattr(rule, "predict_proba"):
        refuse_settings(rule, settings, ("presence",))
        return by_classifier(scores, there, rule)
    layer = joint_layer(rule, list(scores), **settings)
    tensors = {part: ops.convert_to_tensor(rows.astype("float32")) for part, rows in scores.items()}
    return ops.convert_to_numpy(layer(tensors, presence=ops.convert_to_tensor(there.astype("float32"))))


def _of_models(
    parts: Mapping[str, keras.Model], rule: Any, name: str, settings: Mapping[str, Any]
) -> keras.Model:
    inputs: dict[str, Any] = {}
    answers, own, outputs = {}, {}, {}
    for part, model in parts.items():
        if not isinstance(model.input, dict) or len(model.outputs) != 1:
            raise LMFError(
                f"The part {part!r} must have inputs by name and one output, as models of recipes have."
            )
        own[part] = {}
        for key, tensor in model.input.items():
            known = inputs.setdefault(key, keras.Input(tensor.shape[1:], name=key))
            if known.shape != tensor.shape:
                raise LMFError(
                    f"The parts take different inputs {key!r}: of shape {known.shape[1:]} and {tensor.shape[1:]}."
                )
            own[part][key] = known
        # Under a name of its own: parts of two recipes may have the same.
        answer = keras.Model(model.input, model.output, name=f"{part}_model")(own[part])
        output, answers[part] = next(iter(answer.items())) if isinstance(answer, dict) else ("answer", answer)
        outputs[output] = answers[part].shape[-1]
    if len(outputs) > 1 or len({answer.shape for answer in answers.values()}) > 1:
        raise LMFError(f"The parts answer about different things: {outputs}.")
    specs = [attached(model)[0] for model in parts.values()]
    settings = dict(settings)
    if hasattr(rule, "predict_proba"):
        settings |= as_linear(rule, [answer.shape[-1] for answer in answers.values()])
        rule = "stacking"
    elif rule in RULES and "temperatures" not in settings:
        settings["temperatures"] = [(spec and spec.temperature) or 1.0 for spec in specs]
    if settings.get("rules"):
        told = next((spec.target.classes for spec in specs if spec and spec.target), None)
        settings.setdefault("classes", told)
    layer = joint_layer(rule, list(parts), **settings)
    joined = layer(answers, presence=_presence_of(own))
    model = keras.Model(inputs, {next(iter(outputs)): joined}, name=name)
    return attach(model, _joint_spec(specs))


def _presence_of(features: Mapping[str, Mapping[str, Any]]) -> Any:
    """Part → its inputs; (batch, parts), 1 where any of a part's inputs has a number that is not zero."""
    there = [
        side_by_side([keras.layers.Flatten(name=f"{part}_{key}_flat")(tensor) for key, tensor in own.items()])
        if len(own) > 1
        else next(iter(own.values()))
        for part, own in features.items()
    ]
    return ModalityPresence(name="presence")(there)


def _joint_spec(specs: Sequence[ModelSpec | None]) -> ModelSpec:
    """What is known of the model of all parts."""
    known = [spec for spec in specs if spec]
    targets = [spec.target for spec in known]
    return ModelSpec(
        inputs={key: value for spec in known for key, value in spec.inputs.items()},
        target=targets[0]
        if targets and len(known) == len(specs) and targets.count(targets[0]) == len(targets)
        else None,
        presence="derived",
    )
