"""What layers must refuse, and odd inputs that they must answer right: one table, any backend.

`KERAS_BACKEND=jax python tests/attacks/layer_inputs.py` runs it, prints what was wrong, and how many checks there were;
`--record` writes the figures to benchmarks/results.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import figures
import keras
import numpy as np
from layer_check import Check, normal, problem
from layer_mistakes import BATCH, BUILT_ONLY, NAMES, wrong_inputs, wrong_presence
from layer_singles import (
    SINGLE,
    argument_checks,
    decision_checks,
    pair_checks,
    presence_checks,
    single_checks,
)
from one_framework import keep_apart

from keras_lmf import layers

WIDTHS = (3, 4, 2)
FUSIONS: dict[str, Callable[..., Any]] = {
    "early": layers.EarlyFusion,
    "tensor": layers.TensorFusion,
    "low_rank": lambda **options: layers.LowRankFusion(6, 2, seed=0, **options),
}


def fused(kind: str, layer: Any, parts: list[np.ndarray]) -> np.ndarray:
    """The fusion by its formula, float64."""
    parts = [part.astype("float64") for part in parts]
    if kind == "early":
        return np.concatenate(parts, axis=-1)
    whole = [np.concatenate([np.ones_like(part[..., :1]), part], axis=-1) for part in parts]
    if kind == "tensor":
        product = whole[0]
        for part in whole[1:]:
            wide = product[..., :, None] * part[..., None, :]
            product = wide.reshape(*part.shape[:-1], product.shape[-1] * part.shape[-1])
        return product
    factors = [keras.ops.convert_to_numpy(layer.factor(m)) for m in range(len(parts))]
    product = 1.0
    for part, factor in zip(whole, factors):
        product = product * np.einsum("...i,rio->...ro", part, factor)
    return np.einsum("...ro,r->...o", product, keras.ops.convert_to_numpy(layer.rank_weights))


# -- fusion layers --------------------------------------------------------------------------------------------


def fusion_checks(kind: str, count: int, named: bool) -> Iterator[Check]:
    parts = [normal(BATCH, width) for width in WIDTHS[:count]]

    def arranged(items: list[Any]) -> Any:
        return dict(zip((*NAMES, "face", "hands"), items)) if named else items

    make = FUSIONS[kind]
    built = make()
    built(arranged(parts))
    right = fused(kind, built, parts)
    where = f"{kind}, {count} in a {'dict' if named else 'list'}"
    for what, wrong in wrong_inputs(parts).items():
        yield Check(f"{where}, built: {what}", lambda wrong=wrong: built(arranged(wrong)))
        if what not in BUILT_ONLY or len(wrong) < 2:
            yield Check(f"{where}, new: {what}", lambda wrong=wrong: make()(arranged(wrong)))
    shapes = {
        "one fewer": [part.shape for part in parts[1:]],
        "wider": [(BATCH, part.shape[-1] + 1) for part in parts],
        "of unknown width": [(BATCH, None) for part in parts],
        "of one axis": [(part.shape[-1],) for part in parts],
        "no shapes": [None] * count,
    }
    for what, wrong in shapes.items():
        yield Check(f"{where}, output shape: {what}", lambda w=wrong: built.compute_output_shape(arranged(w)))
    for what, wrong in wrong_presence(count).items():
        yield Check(f"{where}, presence: {what}", lambda w=wrong: built(arranged(parts), presence=w))
    steps = [normal(BATCH, 3, width) for width in WIDTHS[:count]]
    masks = {
        "one fewer": [np.ones((BATCH, 3), bool)] * (count - 1),
        "of more steps": [np.ones((BATCH, 4), bool)] * count,
        "of another batch": [np.ones((1, 3), bool)] * count,
        "of one axis": [np.ones((3,), bool)] * count,
        "lists": [np.ones((BATCH, 3)).tolist()] * count,
        "of text": [np.ones((BATCH, 3)).astype(str)] * count,
    }
    for what, wrong in masks.items():
        yield Check(f"{where}, masks: {what}", lambda w=wrong: built(arranged(steps), mask=arranged(w)))
    for what, wrong in {
        "tensor": parts[0],
        "nothing": None,
        "text": "ab",
        "set": {1, 2},
        "number": 1.0,
    }.items():
        yield Check(f"{where}, built: a {what}", lambda wrong=wrong: built(wrong))
        yield Check(f"{where}, new: a {what}", lambda wrong=wrong: make()(wrong))
    other = parts if named else dict(zip(NAMES, parts))
    yield Check(f"{where}, built: the other structure", lambda: built(other))
    if named:
        renamed = dict(zip(("audoi", *NAMES[1:]), parts))
        yield Check(f"{where}, built: another name", lambda: built(renamed))
        yield Check(f"{where}, built: a name more", lambda: built({**arranged(parts), "face": parts[0]}))
        yield Check(
            f"{where}, in another order", lambda: built(dict(reversed(arranged(parts).items()))), right
        )
    for dtype in ("int8", "int32", "int64", "uint8", "bool", "float16", "float64"):
        odd = [np.abs(part).astype(dtype) for part in parts]
        yield Check(f"{where}, of {dtype}", lambda odd=odd: built(arranged(odd)), fused(kind, built, odd))
    deep = [normal(BATCH, 2, 3, width) for width in WIDTHS[:count]]
    yield Check(f"{where}, more axes", lambda: built(arranged(deep)), fused(kind, built, deep))
    none = [part[:0] for part in parts]
    yield Check(f"{where}, no rows", lambda: built(arranged(none)), fused(kind, built, none))
    flags = np.eye(count)[np.arange(BATCH) % count]
    absent = [part * flags[:, m : m + 1] for m, part in enumerate(parts)]
    for dtype in ("bool", "int32", "float32"):
        given = flags.astype(dtype)
        yield Check(
            f"{where}, presence of {dtype}",
            lambda given=given: built(arranged(parts), presence=given),
            fused(kind, built, absent),
        )
    # What was refused has left nothing behind.
    yield Check(f"{where}, answers as before", lambda: built(arranged(parts)), right)


def name_checks() -> Iterator[Check]:
    x = normal(BATCH, 3)
    wrong_keys = [("a/b", "c"), ("", "c"), (0, 1), (0, "b"), (None, "b"), ("a",), (b"a", b"b"), ((), "c")]
    wrong_names = [("a", "a"), "ab", ("a",), (), (1, 2), ("a/b", "c"), ("a", ""), ("a", None), 5, ([], "a")]
    for kind, make in FUSIONS.items():
        for keys in wrong_keys:
            yield Check(f"{kind}: keys {keys}", lambda make=make, keys=keys: make()(dict.fromkeys(keys, x)))
        for names in wrong_names:
            yield Check(
                f"{kind}: modalities {names!r}", lambda make=make, names=names: make(modalities=names)
            )
        for other in (["a", "c"], ["a"], ["a", "b", "c"]):
            yield Check(
                f"{kind}: inputs {other} for modalities a, b",
                lambda make=make, other=other: make(modalities=["a", "b"])(dict.fromkeys(other, x)),
            )
        yield Check(
            f"{kind}: a list for modalities a, b", lambda make=make: make(modalities=["a", "b"])([x, x])
        )


def factor_checks() -> Iterator[Check]:
    make = FUSIONS["low_rank"]
    parts = [normal(BATCH, width) for width in WIDTHS]
    built = make()
    built(parts)
    before = [keras.ops.convert_to_numpy(built.factor(m)) for m in range(3)]
    unbuilt = {
        "factor": lambda: make().factor(0),
        "factor by name": lambda: make(modalities=NAMES).factor("audio"),
        "set_factors": lambda: make().set_factors(before),
        "set_factors by name": lambda: make(modalities=NAMES).set_factors(dict(zip(NAMES, before))),
        "interactions": lambda: make().interactions(parts),
        "widths": lambda: make().widths,
        "fused_width of early": lambda: layers.EarlyFusion().fused_width,
        "fused_width of tensor": lambda: layers.TensorFusion().fused_width,
    }
    for what, call in unbuilt.items():
        yield Check(f"before build: {what}", call)
    for which in (-1, 3, 1.0, True, None, "audio", [0], 2**70):
        yield Check(f"factor({which!r})", lambda which=which: built.factor(which))
    wrong = {
        "fewer": before[:2],
        "more": [*before, before[0]],
        "of another shape": [factor[:, 1:] for factor in before],
        "ragged": [[[1], [2, 3]]] * 3,
        "text": [factor.astype(str) for factor in before],
        "NaN": [factor * np.nan for factor in before],
        "infinite": [factor + np.inf for factor in before],
        "a dict": dict(zip(NAMES, before)),
        "a string": "abc",
        "nothing": None,
    }
    for what, factors in wrong.items():
        yield Check(f"set_factors: {what}", lambda factors=factors: built.set_factors(factors))
    for option, values in {
        "rank_weights": [1.0, "x", np.full(2, np.nan)],
        "bias": [[1, 2], np.full(6, np.inf)],
    }.items():
        for value in values:
            yield Check(f"{option}={value!r}", lambda o=option, v=value: built.set_factors(before, **{o: v}))
    for what, inputs in wrong_inputs(parts).items():
        if "symbolic" not in what:
            yield Check(f"interactions: {what}", lambda inputs=inputs: built.interactions(inputs))
    for what, presence in wrong_presence(3).items():
        yield Check(
            f"interactions, presence: {what}", lambda p=presence: built.interactions(parts, presence=p)
        )
    for m in range(3):
        yield Check(f"factor {m} as before", lambda m=m: built.factor(m), before[m])
    widest = [keras.Input((2**10,))] * 2
    too_wide = layers.TensorFusion()
    for time in ("at first", "again"):
        yield Check(f"a product that is too wide, {time}", lambda: too_wide(widest))


def checks() -> list[Check]:
    """The whole table; layers are built as it is made."""
    found = [
        check
        for kind in FUSIONS
        for count in (2, 3)
        for named in (True, False)
        for check in fusion_checks(kind, count, named)
    ]
    found += [
        *name_checks(),
        *factor_checks(),
        *presence_checks(),
        *argument_checks(),
        *pair_checks(),
        *decision_checks(),
    ]
    return found + [check for name in SINGLE for check in single_checks(name)]


def count() -> int:
    """How many checks there are."""
    return len(checks())


def main() -> int:
    """Runs the table on the backend that Keras uses; 1 where something was wrong."""
    keep_apart()
    found = checks()
    wrong = {check.name: trouble for check in found if (trouble := problem(check))}
    for name, trouble in wrong.items():
        print(f"FAILED {name}: {trouble}")
    print(f"{len(found)} checks on {keras.backend.backend()}, {len(wrong)} wrong", flush=True)
    if "--record" in sys.argv:
        backend = keras.backend.backend()
        command = f"KERAS_BACKEND={backend} python tests/attacks/layer_inputs.py --record"
        figures.record(f"calls of layers on {backend}", len(found), len(wrong), command)
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
