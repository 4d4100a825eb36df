"""The layers that fuse nothing: shapes, kinds of numbers and arguments that each can't take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from layer_check import Check, normal

from keras_lmf import layers


def network() -> keras.Model:
    picture = keras.Input((3, 4, 2))
    return keras.Model(picture, keras.layers.Dense(3)(keras.layers.Flatten()(picture)))


SPECTRAL = {"sample_rate": 400, "fft_length": 20, "hop": 8, "bands": 4}
# Layer → how it is made, a shape that it takes, shapes that it doesn't take once it is built on that.
SINGLE: dict[str, tuple[Callable[..., Any], tuple[int, ...], list[tuple[int | None, ...]]]] = {
    "TemporalConvolution": (
        lambda: layers.TemporalConvolution(4, 3),
        (5, 6, 3),
        [(5, 6, 2), (5, 6, 4), (5, 6, None)],
    ),
    "AttentionPooling": (lambda: layers.AttentionPooling(seed=0), (5, 6, 3), [(5, 6, 2), (5, 6, None), (5, 6, 0)]),
    "LastStep": (layers.LastStep, (5, 6, 3), [(5, 6, None), (5, 6, 0), (5, 0, 3)]),
    "Positions": (layers.Positions, (5, 6, 3), [(5, 6, None), (5, 6, 0)]),
    "TimeAlignment": (lambda: layers.TimeAlignment(3, rate=2.0), (5, 6, 3), [(5, None, 3), (5, 0, 3), (5, 6, 0)]),
    "StatisticsPooling": (layers.StatisticsPooling, (5, 6, 3), [(5, 6, None), (5, 6, 0)]),
    "MelSpectrogram": (lambda: layers.MelSpectrogram(**SPECTRAL), (5, 50), [(5, None), (5, 0)]),
    "LogMelSpectrogram": (lambda: layers.LogMelSpectrogram(**SPECTRAL), (5, 50), [(5, None), (5, 0)]),
    "MFCC": (lambda: layers.MFCC(**SPECTRAL, coefficients=3), (5, 50), [(5, None), (5, 0)]),
    "LevelNormalization": (layers.LevelNormalization, (5, 50), []),
    "FaceLandmarkNormalization": (
        layers.FaceLandmarkNormalization,
        (5, 3, 68, 2),
        [(5, 3, 70, 2), (5, 3, 68, 3), (5, 3, 138), (5, 0, 136), (5, None, 136), (5, 3, None, 2)],
    ),
    "MirrorAverage": (
        lambda: layers.MirrorAverage(network()),
        (5, 3, 4, 2),
        [(5, 4, 3, 2), (5, 3, 4, 1), (5, 3, 5, 2)],
    ),
    "RandomAffine": (layers.RandomAffine, (5, 6, 5, 2), [(5, None, 5, 2), (5, 6, 5, 0)]),
    "SpecAugment": (
        lambda: layers.SpecAugment(band_width=1, step_width=2),
        (5, 6, 3),
        [(5, 1, 3), (5, None, 3), (5, 6, 0)],
    ),
}  # fmt: skip
KEEPS_WIDTH = ("TemporalConvolution", "AttentionPooling")  # a new one takes any
# Layer → arguments of `__init__`, with values that it can't take.
NOT_WHOLE, NOT_POSITIVE = ("x", 1.5, None, True, [], float("nan"), 2**40), (-1, 0)
NOT_SHARE = ("x", None, True, [], float("nan"), float("inf"), -0.1, 1e9)
NOT_SEED = ("x", 1.5, True, [], -1, 2**31)
ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "LowRankFusion": {
        "units": NOT_WHOLE + NOT_POSITIVE,
        "rank": NOT_WHOLE + NOT_POSITIVE,
        "initialization": ("x", None, 1, []),
        "seed": NOT_SEED,
    },
    "ModalityPresence": {"dropout": (*NOT_SHARE[:2], *NOT_SHARE[3:], 1), "seed": NOT_SEED},
    "LevelNormalization": {"level": ("x", None, True, [], float("nan"), float("inf"), -float("inf"), 1)},
    "MelSpectrogram": dict.fromkeys(("sample_rate", "fft_length", "hop", "bands"), NOT_WHOLE + NOT_POSITIVE)
    | {"lowest": (*NOT_SHARE, 200), "highest": ("x", True, [], float("nan"), -1, 0, 201)}
    | {"window_length": ("x", 1.5, 0, 21)},
    "LogMelSpectrogram": {"dynamic_range": ("x", [], float("nan"), 0, -1)},
    "MFCC": {"coefficients": (*NOT_WHOLE, *NOT_POSITIVE, 5)},
    "AttentionPooling": {"seed": NOT_SEED},
    "CrossModalAttention": {"units": NOT_WHOLE + NOT_POSITIVE, "dropout": NOT_SHARE, "seed": NOT_SEED},
    "PresentSteps": {"modality": (*NOT_WHOLE, -1)},
    "Positions": {"rate": (*NOT_SHARE[:5], 0, -1)},
    "TimeAlignment": {"steps": NOT_WHOLE + NOT_POSITIVE, "rate": (*NOT_SHARE[:5], 0, -1)},
    "DecisionFusion": {"rule": ("x", None, []), "prior": ("x", 1.0, [0.5, -0.5], [float("nan")] * 2, [[0.5], [0.5]])}
    | dict.fromkeys(
        ("importance", "temperatures", "joint_temperatures", "certainty"),
        ("x", 1.0, [-1, 1], [float("inf"), 1], [None, 1]),
    )
    | {"table": ("x", 1.0, [1], [({"voice": 0},)])},
    "EstimateFusion": {
        "variances": ("x", 1.0, [0.0, 1.0], [[1], [1, 2]], [float("nan"), 1]),
        "fallback": ("x", 1.0, [None]),
    },
    "Stacking": {
        "units": NOT_WHOLE[:2] + NOT_POSITIVE,
        "kernel": ("x", 1.0, [[1], [1, 2]], [float("nan")]),
        "bias": ("x", 1.0, [None]),
    },
    "MirrorAverage": {"network": ("x", None, layers.EarlyFusion)},
    "RandomAffine": dict.fromkeys(("rotation", "shift", "zoom"), NOT_SHARE) | {"seed": NOT_SEED},
    "SpecAugment": dict.fromkeys(("band_masks", "band_width", "step_masks", "step_width"), (*NOT_WHOLE, -1))
    | {"seed": NOT_SEED},
}  # fmt: skip


def single_checks(name: str) -> Iterator[Check]:
    make, shape, wrong_shapes = SINGLE[name]
    x = normal(*shape)
    if "Spec" in name or "Level" in name or name == "MFCC":
        x = x / 10
    built = make()
    before = keras.ops.convert_to_numpy(built(x))
    for wrong in [shape[1:], shape[:1], (), (*shape, 1), *wrong_shapes]:
        yield Check(f"{name}, output shape of {wrong}", lambda wrong=wrong: built.compute_output_shape(wrong))
        if None in wrong:
            continue
        for state, layer in (("built", lambda: built), ("new", make)):
            if state == "built" or wrong not in wrong_shapes or name not in KEEPS_WIDTH:
                yield Check(f"{name}, {state}: {wrong}", lambda w=wrong, layer=layer: layer()(normal(*w)))
    dtypes = ["complex64", "str", "object"]
    if "int" not in built.NUMBERS:
        dtypes += ["int16", "int32", "uint8", "bool"]  # no numbers in [-1, 1]
    for dtype in dtypes:
        yield Check(f"{name}, of {dtype}", lambda dtype=dtype: built(x.astype(dtype)))
    for what, wrong in {
        "a list": [x],
        "a dict": {"x": x},
        "nothing": None,
        "numbers": x.tolist(),
        "a number": 1.0,
        "text": "x",
    }.items():
        yield Check(f"{name}, built: {what}", lambda wrong=wrong: built(wrong))
        yield Check(f"{name}, new: {what}", lambda wrong=wrong: make()(wrong))
    yield Check(f"{name}, of float64", lambda: built(x.astype("float64")), before)
    yield Check(f"{name}, answers as before", lambda: built(x), before)


def presence_checks() -> Iterator[Check]:
    make, x = layers.ModalityPresence, normal(5, 3)
    built = make()
    built([x, x])
    wrong = {
        "one": [x],
        "none": [],
        "a tensor": x,
        "a dict": {"a": x, "b": x},
        "nothing": None,
        "another batch": [x, x[1:]],
        "batch of one": [x, x[:1]],
        "vectors": [x[:, 0], x[:, 0]],
        "numbers": [1.0, 2.0],
        "text": [x, x.astype(str)],
        "nested": [[x], [x]],
    }
    for what, inputs in wrong.items():
        yield Check(f"ModalityPresence, new: {what}", lambda inputs=inputs: make()(inputs))
        yield Check(f"ModalityPresence, built: {what}", lambda inputs=inputs: built(inputs))
    zeros = np.zeros_like(x)
    expected = np.array([[1.0, 0.0]] * 5)
    yield Check("ModalityPresence of zeros", lambda: built([x, zeros]), expected)
    yield Check("ModalityPresence of integers", lambda: built([np.ones((5, 2), "int32"), zeros]), expected)


def pair_checks() -> Iterator[Check]:
    """Layers of a list of two."""
    x, y, presence = normal(5, 6, 3), normal(5, 4, 2), np.array([[1, i % 2] for i in range(5)], "float32")
    attention, steps = layers.CrossModalAttention(4, seed=0), layers.PresentSteps(1)
    before = keras.ops.convert_to_numpy(attention([x, y]))
    steps([x, presence])
    shared = {
        "one": [x],
        "three": [x, y, y],
        "a tensor": x,
        "a dict": {"x": x, "y": y},
        "nothing": None,
        "numbers": [1.0, 2.0],
        "text": [x, y.astype(str)],
        "complex": [x.astype("complex64"), y],
        "a matrix first": [x[0], y],
    }
    wrong = {
        "attention": shared
        | {
            "batch of one": [x, y[:1]],
            "another batch": [x, y[1:]],
            "wider": [x, normal(5, 4, 3)],
            "the other way round": [y, x],
            "a vector each": [x, y[:, 0]],
        },
        "steps": shared
        | {
            "batch of one": [x, presence[:1]],
            "another batch": [x, presence[1:]],
            "too few modalities": [x, presence[:, :1]],
            "without batch": [x, presence[0]],
            "sequences": [x, y],
        },
    }
    for layer, make, given in (
        (attention, lambda: layers.CrossModalAttention(4), wrong["attention"]),
        (steps, lambda: layers.PresentSteps(1), wrong["steps"]),
    ):
        for what, inputs in given.items():
            yield Check(f"{type(layer).__name__}, built: {what}", lambda i=inputs, layer=layer: layer(i))
            if what not in ("wider", "the other way round"):
                yield Check(f"{type(layer).__name__}, new: {what}", lambda i=inputs, make=make: make()(i))
    yield Check("CrossModalAttention answers as before", lambda: attention([x, y]), before)
    there = x * presence[:, 1, None, None]
    yield Check("PresentSteps of some", lambda: steps([x, presence]), there)
    yield Check("PresentSteps of NaN", lambda: steps([np.where(there, x, np.nan), presence]), there)


def decision_checks() -> Iterator[Check]:
    two, three = normal(5, 2), normal(5, 3)
    for make, options in (
        (layers.DecisionFusion, {"prior": [0.2, 0.8]}),
        (layers.DecisionFusion, {"importance": [1] * 3}),
        (layers.DecisionFusion, {"temperatures": [1.0]}),
        (layers.DecisionFusion, {"joint_temperatures": [1.0]}),
        (layers.DecisionFusion, {"table": [({"voice": 0}, 1)]}),
        (layers.EstimateFusion, {"variances": [1.0] * 3}),
        (layers.EstimateFusion, {"variances": [[1.0, 2.0]] * 2}),
        (layers.EstimateFusion, {"fallback": [0.0]}),
        (layers.Stacking, {"kernel": [[0.0] * 3] * 7}),
        (layers.Stacking, {"bias": [0.0]}),
    ):
        layer = make(**options)
        for time in ("at first", "again"):
            yield Check(
                f"{make.__name__}({options}) of others, {time}", lambda layer=layer: layer([three, three])
            )
    for line in (({"vioce": 0}, 1), ({"voice": 3}, 1), ({"voice": 0}, -1), ({"voice": 0}, 1.5), ({}, 1)):
        layer = layers.DecisionFusion(table=[line])
        yield Check(f"a table of {line}", lambda layer=layer: layer({"voice": three, "face": three}))
    for make in (layers.DecisionFusion, layers.EstimateFusion):
        yield Check(f"{make.__name__} of unequal widths", lambda make=make: make()([two, three]))


def argument_checks() -> Iterator[Check]:
    for name, arguments in ARGUMENTS.items():
        given = {"LowRankFusion": {"units": 4}, "MelSpectrogram": SPECTRAL, "MFCC": SPECTRAL}.get(name, {})
        given |= {"CrossModalAttention": {"units": 4}, "TimeAlignment": {"steps": 3, "rate": 1.0}}.get(
            name, {}
        )
        for argument, values in arguments.items():
            for value in values:
                options = {**given, argument: value}
                call = lambda name=name, options=options: getattr(layers, name)(**options)  # noqa: E731
                yield Check(f"{name}({argument}={value!r})", call)
