"""Which files an entry ships: what each may lose, how large it may be, and how near to Keras on the test vectors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from keras_lmf.export import Latency
from keras_lmf.locate import bundled_folder
from keras_lmf.publishing import shipping
from keras_lmf.zoo import Entry

NO_VECTORS: tuple[dict, dict] = ({}, {})


def spec_of(name: str):
    return Entry.read(bundled_folder() / name).spec


def written(name: str, **facts) -> SimpleNamespace:
    """A small exported file that answers as Keras does, but for `facts`."""
    given = {
        "format": name,
        "path": Path(name),
        "bytes": 1000,
        "compressed_bytes": 900,
        "agreement": None,
        "difference_max": 0.0,
        "difference_mean": 0.0,
        "latency": Latency(1.0, 1.0),
        "errors": pd.DataFrame(),
    }
    return SimpleNamespace(**given | facts)


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files answer the test vectors as Keras does."""
    monkeypatch.setattr(shipping, "_difference", lambda *_: 0.0)


@pytest.mark.parametrize(
    ("name", "right", "shipped"),
    [
        ("tflite-float16", 799, True),
        ("tflite-float16", 798, False),
        ("tflite-dynamic", 795, True),
        ("tflite-dynamic", 794, False),
        ("tflite-int8", 790, True),
        ("tflite-int8", 789, False),
        ("tflite-int8-integer", 790, True),
        ("tflite-int8-integer", 789, False),
        ("of tomorrow", 800, True),
        ("of tomorrow", 799, False),
    ],
)
def test_what_a_format_may_lose(name: str, right: int, shipped: bool, near: None) -> None:
    """Of 1000 rows Keras has 800 right, or 0.8 of a mean absolute error that grows by as much."""
    for scores in (
        {"weights": [{"war": 0.8}, {"war": 0.8}], name: [{"war": 0.8}, {"war": (2 * right - 800) / 1000}]},
        {"weights": [{"mae": 1.0}], name: [{"mae": 1 + (800 - right) / 1000}]},
    ):
        spec = spec_of("lmf-mosi-avt")
        found = shipping.shipped_formats({name: written(name)}, scores, NO_VECTORS, spec, [])
        assert found == [name] * shipped


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tflite": (500_000, 1.0), "tflite-float16": (300_000, 1.0)}, ["tflite", "tflite-float16"]),
        ({"tflite": (900_000, 1.0), "tflite-float16": (500_000, 1.0)}, ["tflite-float16"]),
        ({"tflite": (1_100_000, 1.0), "tflite-dynamic": (300_000, 0.9)}, ["tflite-dynamic"]),
        ({"tflite-float16": (4_000_000, 1.0), "tflite-dynamic": (1_200_000, 0.99)}, ["tflite-float16"]),
        ({"tflite": (4_000_000, 1.0), "tflite-dynamic": (1_200_000, 0.99)}, ["tflite-dynamic"]),
        ({"tflite": (9_000_000, 1.0), "tflite-dynamic": (6_000_000, 0.97)}, ["tflite-dynamic"]),
        ({"tflite": (9_000_000, 1.0)}, []),
    ],
    ids=["small", "float16 small", "one small", "nearest", "not float32", "one not too large", "too large"],
)
def test_large_files_are_shipped_where_none_is_small(files: dict, expected: list[str], near: None) -> None:
    artifacts = {
        key: written(key, bytes=size, compressed_bytes=size, agreement=agreement)
        for key, (size, agreement) in files.items()
    }
    scores = {key: [{"war": 0.8}] for key in ("weights", *files)}
    notes: list[str] = []
    sound = spec_of("ge2e-ravdess-voice")
    assert shipping.shipped_formats(artifacts, scores, NO_VECTORS, sound, notes) == expected
    assert len(notes) == len(files) - len(expected)
    small = [name for name in expected if files[name][0] <= 2**20]
    features = spec_of("lmf-ravdess-av")
    assert shipping.shipped_formats(artifacts, scores, NO_VECTORS, features, notes) == small


def test_a_large_file_that_loses_too_much_is_not_shipped_in_the_place_of_a_small_one(near: None) -> None:
    file = written("tflite-dynamic", bytes=2_000_000, agreement=0.9)
    scores = {"weights": [{"war": 0.8}], "tflite-dynamic": [{"war": 0.7}]}
    notes: list[str] = []
    sound = spec_of("ge2e-ravdess-voice")
    assert shipping.shipped_formats({"tflite-dynamic": file}, scores, NO_VECTORS, sound, notes) == []
    (note,) = notes
    assert "2,000,000 bytes" in note
    assert "10.00 points" in note


@pytest.mark.parametrize(("name", "allowed"), [("tflite", 1e-4), ("tflite-dynamic", 0.02)])
def test_the_test_vectors_are_answered_nearly_as_exactly_as_the_test_split(
    name: str, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a float32 file to 1e-4, by others to twice what they differ there, 0.01 here."""
    expected = {"emotion": np.array([[0.5, -1.0], [2.0, 0.0]])}
    scores = {"weights": [{"war": 0.8}], name: [{"war": 0.8}]}
    spec = spec_of("lmf-ravdess-av")
    for difference, shipped in ((0.9 * allowed, [name]), (1.1 * allowed, [])):
        answers = {"emotion": expected["emotion"] - [[0, 0], [0, difference]]}
        monkeypatch.setattr(
            shipping, "open_artifact", lambda _, told=answers: SimpleNamespace(predict=lambda _: told)
        )
        files = {name: written(name, difference_max=0.01)}
        assert shipping.shipped_formats(files, scores, ({}, expected), spec, []) == shipped
