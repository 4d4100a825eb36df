"""Fusion of decisions: the answers of trained models, or of anything that scores classes, as one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import keras
import numpy as np
from keras import ops

from keras_lmf.backbones.parts import side_by_side
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import DecisionFusion, EstimateFusion, ModalityPresence, Stacking
from keras_lmf.layers.decision_fusion import RULES
from keras_lmf.recipe import Rule
from keras_lmf.spec import ModelSpec, attach, attached

JOINTS = {**dict.fromkeys(RULES, DecisionFusion), "inverse_variance": EstimateFusion, "stacking": Stacking}
BY_PART = ("importance", "temperatures", "variances")


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


def joint_layer(
    rule: str,
    parts: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    rules: Sequence[Rule | Mapping[str, Any]] = (),
    name: str = "fusion",
    **settings: Any,
) -> keras.layers.Layer:
    """The layer of a rule; arguments and errors as of `decision_fusion`."""
    if not isinstance(rule, str) or rule not in JOINTS:
        raise unknown_name("rule", str(rule), JOINTS)
    for key in BY_PART:
        if isinstance(settings.get(key), Mapping):
            given = settings[key]
            for part in given:
                if part not in parts:
                    raise unknown_name(f"part in {key}", part, parts)
            if missing := [part for part in parts if part not in given]:
                raise LMFError(f"{key} miss {', '.join(missing)}. Received: {', '.join(given)}.")
            settings[key] = [given[part] for part in parts]
    if rules:
        settings["table"] = [_line(line, parts, classes) for line in rules]
    known = JOINTS[rule].ARGUMENTS
    for key in settings:
        if key not in known:
            raise unknown_name(f"setting of the rule {rule!r}", key, known)
    if JOINTS[rule] is DecisionFusion:
        settings["rule"] = rule
    return JOINTS[rule](**settings, modalities=tuple(parts), name=name)


def _line(
    line: Rule | Mapping[str, Any], parts: Sequence[str], classes: Sequence[str] | None
) -> tuple[dict[str, int], int]:
    """A line of a rule table in numbers."""
    rule = Rule.of(line)
    if classes is None:
        raise LMFError('Rules name classes: give their names in order, classes=["neutral", …].')
    for part in rule.when:
        if part not in parts:
            raise unknown_name("part in a rule", part, parts)
    for word in (*rule.when.values(), rule.then):
        if word not in classes:
            raise unknown_name("class in a rule", word, classes)
    number = list(classes).index
    return {part: number(word) for part, word in rule.when.items()}, number(rule.then)


# -- of arrays -------------------------------------------------------------------------------------------------
def _of_arrays(parts: Mapping[str, Any], rule: Any, settings: Mapping[str, Any]) -> np.ndarray:
    settings = dict(settings)
    scores, there = checked_scores(parts, settings.pop("presence", None))
    if hasattr(rule, "predict_proba"):
        refuse_settings(rule, settings, ("presence",))
        return _by_classifier(scores, there, rule)
    layer = joint_layer(rule, list(scores), **settings)
    tensors = {part: ops.convert_to_tensor(rows.astype("float32")) for part, rows in scores.items()}
    return ops.convert_to_numpy(layer(tensors, presence=ops.convert_to_tensor(there.astype("float32"))))


def checked_scores(
    parts: Mapping[str, Any], presence: Mapping[str, Any] | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The scores, zero where they are absent, and what is there, (N, parts) bool.

    Raises:
        LMFError: other shapes than (N, width), unequal numbers of rows, or rows that are NaN or infinite in part.
    """
    scores, flags = {}, []
    for part in presence or ():
        if part not in parts:
            raise unknown_name("part in presence", part, parts)
    for part, values in parts.items():
        try:
            rows = np.asarray(values, float)
        except (TypeError, ValueError):
            rows = np.zeros(0)
        if rows.ndim != 2 or not rows.size:
            raise LMFError(
                f"The part {part!r} must be a model or an array (N, classes) of logits or (N, width) of numbers, "
                f"received {getattr(values, 'shape', type(values).__name__)}. Of votes, decisions.votes makes one."
            )
        there = ~np.isnan(rows).all(axis=1)
        if part in (presence or ()):
            given = np.asarray(presence[part])
            if given.shape != there.shape:
                raise LMFError(f"presence[{part!r}] needs the shape {there.shape}, received {given.shape}.")
            there &= given.astype(bool)
        rows = np.where(there[:, None], np.maximum(rows, -1e30), 0.0)  # the logarithm of 0 is −infinity
        if not np.isfinite(rows).all():
            raise LMFError(f"The part {part!r}, row {np.argmin(np.isfinite(rows).all(axis=1))}: not finite.")
        scores[part] = rows
        flags.append(there)
    if len(shapes := {rows.shape[0] for rows in scores.values()}) > 1:
        raise LMFError(f"The parts need equally many rows, received {sorted(shapes)}.")
    return scores, np.stack(flags, axis=1)


def side_by_side_with_presence(scores: Mapping[str, np.ndarray], there: np.ndarray) -> np.ndarray:
    """(N, Σ widths + parts): the scores, zero where absent, and 1 for each part that is there."""
    return np.concatenate([*scores.values(), there], axis=1)


def _by_classifier(scores: Mapping[str, np.ndarray], there: np.ndarray, classifier: Any) -> np.ndarray:
    """The classifier's log-probabilities of all classes, also of those that it never saw."""
    features = side_by_side_with_presence(scores, there)
    try:
        found = np.asarray(classifier.predict_proba(features), float)
    except ValueError as error:  # scikit-learn's NotFittedError is one
        raise LMFError(f"{_unfitted(classifier)} ({error})") from None
    width = next(iter(scores.values())).shape[1]
    probabilities = np.zeros((len(features), width))
    probabilities[:, classes_of(classifier, width)] = found
    return np.log(np.maximum(probabilities, 1e-12))


def refuse_settings(classifier: Any, settings: Mapping[str, Any], known: Sequence[str] = ()) -> None:
    """LMFError where there are any: a classifier has its own."""
    for key in settings:
        raise unknown_name(f"setting of the rule {type(classifier).__name__}", key, known)


def classes_of(classifier: Any, width: int) -> np.ndarray:
    """The class integers that the classifier has seen, each 0 … width − 1.

    Raises:
        LMFError: it was fitted on other labels.
    """
    seen = np.asarray(classifier.classes_)
    if seen.dtype.kind not in "iuf" or not np.isin(seen, np.arange(width)).all():
        raise LMFError(
            f"{type(classifier).__name__} must be fitted on class integers 0 … {width - 1}, as the parts have {width} "
            f"classes; it knows {', '.join(map(str, seen[:20]))}."
        )
    return seen.astype(int)


def _unfitted(classifier: Any) -> str:
    return (
        f"{type(classifier).__name__} can't join these parts. Fit it on validation rows of theirs: "
        "rule = keras_lmf.decisions.fit(scores, labels, rule=…)['rule']."
    )


def _as_linear(classifier: Any, widths: Sequence[int]) -> dict[str, Any]:
    """The settings of `Stacking` whose softmax is the classifier's answer.

    Raises:
        LMFError: there are none.
    """
    if not hasattr(classifier, "coef_"):
        raise LMFError(
            f"{_unfitted(classifier)} Of models, rule takes a classifier that is the softmax of a linear function; any "
            "other takes arrays."
        )
    rows, bias = np.asarray(classifier.coef_, float), np.asarray(classifier.intercept_, float)
    if len(rows) == 1:  # of two classes: the log-odds of the second
        rows, bias = np.concatenate([0 * rows, rows]), np.concatenate([0 * bias, bias])
    units, size = widths[0], sum(widths) + len(widths)
    if rows.shape[1:] != (size,):
        raise LMFError(f"{_unfitted(classifier)} It takes {rows.shape[1]} features, theirs are {size}.")
    kernel, offset = np.zeros((size, units)), np.full(units, -30.0)
    seen = classes_of(classifier, units)
    kernel[:, seen], offset[seen] = rows.T, bias
    probe = np.random.default_rng(0).normal(size=(8, size))
    logits = probe @ rows.T + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    if not np.allclose(
        powers / powers.sum(axis=1, keepdims=True), classifier.predict_proba(probe), atol=1e-6
    ):
        raise LMFError(
            f"The answer of {type(classifier).__name__} is not the softmax of a linear function: give it arrays."
        )
    return {"kernel": kernel.tolist(), "bias": offset.tolist()}


# -- of models -------------------------------------------------------------------------------------------------
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
        settings |= _as_linear(rule, [answer.shape[-1] for answer in answers.values()])
        rule = "stacking"
    elif rule in RULES and "temperatures" not in settings:
        settings["temperatures"] = [(spec and spec.temperature) or 1.0 for spec in specs]
    if settings.get("rules"):
        told = next((spec.target.classes for spec in specs if spec and spec.target), None)
        settings.setdefault("classes", told)
    layer = joint_layer(rule, list(parts), **settings)
    joined = layer(answers, presence=presence_of(own))
    model = keras.Model(inputs, {next(iter(outputs)): joined}, name=name)
    return attach(model, _joint_spec(specs))


def presence_of(features: Mapping[str, Mapping[str, Any]]) -> Any:
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
