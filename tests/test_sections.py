"""The words of a recipe: each builds its own part, and says how large it is before it does."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from word_recipes import CASES, recipe, two

from keras_lmf import backbones, layers
from keras_lmf.errors import LMFError
from keras_lmf.models import build, foretold_shapes, weight_shapes
from keras_lmf.recipe import BACKBONES, FRONT_ENDS, FUSIONS, Recipe
from keras_lmf.training import Run

MOST = 2**20  # of one number in a recipe


@functools.cache
def built(word: str) -> tuple[Recipe, keras.Model]:
    words = recipe({"input": CASES[word]})
    return words, build(words)


def test_every_word_is_tried():
    assert CASES.keys() == BACKBONES.keys() | FRONT_ENDS.keys()


@pytest.mark.parametrize("section", [*BACKBONES.values(), *FRONT_ENDS.values(), *FUSIONS.values()])
def test_a_word_says_what_it_is_called_and_described(section):
    assert section.title or section is FUSIONS["none"]
    assert all(isinstance(paper, str) for paper in section.papers)
    undescribed = [
        key for key, field in section.model_fields.items() if not field.description and key != "name"
    ]
    assert undescribed == []


@pytest.mark.slow
@pytest.mark.parametrize("word", CASES)
def test_the_size_is_foretold_and_weights_come_from_the_seed(word):
    words, model = built(word)
    assert foretold_shapes(words) == weight_shapes(model)
    again = build(words).get_layer("input_backbone").get_weights()
    for one, other in zip(model.get_layer("input_backbone").get_weights(), again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("word", [word for word in BACKBONES if not word.startswith("published")])
def test_a_backbone_is_the_function_of_its_name(word):
    words, model = built(word)
    section = words.inputs["input"]
    options = section.backbone.model_dump(exclude={"name"})
    made = getattr(backbones, word)(section.shape, **options)
    assert weight_shapes(model.get_layer("input_backbone")) == weight_shapes(made)
    assert set(inspect.signature(getattr(backbones, word)).parameters) >= options.keys()


@pytest.mark.parametrize(
    ("fusion", "layer"),
    [
        ({"name": "early"}, layers.EarlyFusion),
        ({"name": "tensor"}, layers.TensorFusion),
        ({"name": "low_rank", "units": 3, "rank": 2}, layers.LowRankFusion),
    ],
)
@pytest.mark.parametrize("presence", [None, {"dropout": 0.2}])
def test_a_fusion_builds_its_layer(fusion, layer, presence):
    words = two(fusion, presence=presence, head={"units": [5, 4], "dropout": 0.3})
    model = build(words)
    assert isinstance(model.get_layer("fusion"), layer)
    assert foretold_shapes(words) == weight_shapes(model)
    assert model.spec == words.spec


def test_a_large_run_of_ones_own_loads(tmp_path: Path, monkeypatch):
    """As many numbers as its file has bytes are never too many."""
    monkeypatch.setattr("keras_lmf.models.pretrained.MAX_PARAMETERS", 3)
    words = two({"name": "early"})
    words.write(tmp_path / "recipe.toml")
    build(words).save_weights(tmp_path / "model.weights.h5")
    assert Run.open(tmp_path).model.count_params() > 3


def test_parts_that_do_not_fit_are_told():
    words = recipe({"input": {"shape": [5], "backbone": {"name": "lstm"}}})
    with pytest.raises(LMFError, match=r"takes features of shape \(steps, width\)"):
        foretold_shapes(words)
