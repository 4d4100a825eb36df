"""The layer that joins the answers of several parts, by the word of its rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers import DecisionFusion, EstimateFusion, Stacking
from keras_lmf.layers.decision_fusion import RULES
from keras_lmf.recipe import Rule

JOINTS = {**dict.fromkeys(RULES, DecisionFusion), "inverse_variance": EstimateFusion, "stacking": Stacking}
BY_PART = ("importance", "temperatures", "variances")


def joint_layer(
    rule: str,
    parts: Sequence[str],
    *,
    classes: Sequence[str] | None = None,
    rules: Sequence[Rule | Mapping[str, Any]] = (),
    name: str = "fusion",
    **settings: Any,
) -> keras.layers.Layer:
    """The layer of a rule; arguments and errors as of `models.decision_fusion`."""
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
