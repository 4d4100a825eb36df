"""From tensor to low-rank fusion: known factors are found again, models agree, ranks fall in order of their norm."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.layers import LowRankFusion, TensorFusion
from keras_lmf.models import build, compress, low_rank_from_tensor, prune_ranks, rank_norms
from keras_lmf.recipe import Recipe
from keras_lmf.training import train

numpy = keras.ops.convert_to_numpy


def recipe(fusion: dict, head: tuple[int, ...] = (), **sections) -> Recipe:
    return Recipe(
        name="small",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={
            name: {"shape": [8], "backbone": {"name": "mlp", "units": [width]}}
            for name, width in (("audio", 4), ("video", 3))
        },
        fusion=fusion,
        head={"units": head},
        training={"loss": "cross_entropy", "epochs": 2},
        **sections,
    )


def rows(widths: dict[str, int], count: int = 20) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        name: generator.standard_normal((count, width)).astype("float32") for name, width in widths.items()
    }


@pytest.mark.parametrize(
    ("widths", "rank"),
    [({"a": 6, "v": 4}, 3), ({"a": 5, "v": 4, "t": 7}, 3), ({"a": 3, "v": 2, "t": 4, "e": 3}, 2)],
)
def test_a_tensor_of_that_rank_is_found_again(widths: dict[str, int], rank: int) -> None:
    generator = np.random.default_rng(0)
    units, bias = 4, generator.standard_normal(4)
    factors = [generator.standard_normal((rank, width + 1, units)) for width in widths.values()]
    letters = "ijkl"[: len(widths)]
    terms = ",".join(f"r{letter}o" for letter in letters)
    weights = np.einsum(f"{terms}->{letters}o", *factors).reshape(-1, units)
    inputs = rows(widths)
    expected = numpy(TensorFusion()(inputs)) @ weights + bias
    layer = low_rank_from_tensor(weights, bias, widths=widths, rank=rank)
    assert numpy(layer.rank_weights).tolist() == [1] * rank
    np.testing.assert_allclose(numpy(layer(inputs)), expected, atol=1e-4 * np.abs(expected).max())
    assert tuple(layer.factor("v").shape) == (rank, widths["v"] + 1, units)


def test_of_two_modalities_the_error_is_that_of_the_singular_values() -> None:
    weights = np.random.default_rng(0).standard_normal((5 * 7, 1))
    left = np.linalg.svd(weights.reshape(5, 7), compute_uv=False)
    for rank in (1, 3):
        layer = low_rank_from_tensor(weights, widths=[4, 6], rank=rank)
        found = np.einsum("rio,rjo->ij", numpy(layer.factor(0)), numpy(layer.factor(1)))
        assert np.linalg.norm(found - weights.reshape(5, 7)) == pytest.approx(
            np.sqrt((left[rank:] ** 2).sum()), rel=1e-5
        )


@pytest.mark.parametrize("head", [(), (6, 5)])
def test_a_model_of_full_rank_answers_as_before(head: tuple[int, ...]) -> None:
    given = recipe({"name": "tensor"}, head).replace(head={"dropout": 0.3})
    model = build(given)
    smaller, made = compress(given, model, 4)  # a slice of 5 × 4
    assert smaller.head.dropout == (0.3 if head else 0)  # no dropout of the answers themselves
    inputs = rows({"audio": 8, "video": 8})
    np.testing.assert_allclose(
        made.predict(inputs, verbose=0)["emotion"], model.predict(inputs, verbose=0)["emotion"], atol=1e-5
    )
    assert (smaller.fusion.name, smaller.fusion.rank) == ("low_rank", 4)
    assert [weight.shape for weight in made.weights] == [weight.shape for weight in build(smaller).weights]


def test_the_norm_of_a_rank_is_that_of_its_tensor_and_the_smallest_goes_first() -> None:
    given = recipe({"name": "low_rank", "units": 3, "rank": 3})
    model = build(given)
    layer = model.get_layer("fusion")
    factors = [numpy(layer.factor(m)).copy() for m in range(2)]
    factors[0][1] *= 1e-6
    layer.set_factors(dict(zip(layer.modalities, factors)))
    tensors = np.einsum("r,rio,rjo->rijo", numpy(layer.rank_weights), *factors)
    expected = np.sqrt(np.square(tensors).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(rank_norms(layer), expected, rtol=1e-4)
    smaller, made = prune_ranks(given, model, 2)
    inputs = rows({"audio": 8, "video": 8})
    np.testing.assert_allclose(
        made.predict(inputs, verbose=0)["emotion"], model.predict(inputs, verbose=0)["emotion"], atol=1e-4
    )
    assert smaller.fusion.rank == 2
    assert isinstance(made.get_layer("fusion"), LowRankFusion)


@pytest.mark.slow
def test_training_starts_from_the_given_weights(tmp_path: Path) -> None:
    given = recipe({"name": "tensor"}).replace(training={"learning_rate": 1e-9})
    smaller, made = compress(given, build(given), 2)
    data = synthetic.load(samples=400)
    run = train(smaller, data, tmp_path / "run", start=made)
    np.testing.assert_allclose(
        numpy(run.model.get_layer("fusion").factor("audio")),
        numpy(made.get_layer("fusion").factor("audio")),
        atol=1e-5,
    )
    assert (
        train(smaller, data, tmp_path / "run", start=made).folder == run.folder
    )  # finished: not trained again
    with pytest.raises(LMFError, match="another recipe"):
        train(smaller, data, tmp_path / "run")
    with pytest.raises(LMFError, match="'start'"):
        train(given, data, tmp_path / "other", start=made)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: low_rank_from_tensor(np.ones((30, 2)), widths=[4, 6], rank=1), r"\(5 · 7, units\)"),
        (lambda: low_rank_from_tensor(np.full((35, 1), np.nan), widths=[4, 6], rank=1), "finite"),
        (lambda: low_rank_from_tensor(np.ones((35, 1)), widths=[4, 6], rank=0), "1 or more"),
        (lambda: compress(recipe({"name": "early"}), None, 2), "'tensor'"),
        (lambda: prune_ranks(recipe({"name": "low_rank", "rank": 2}), None, 3), "1 to 2"),
    ],
)
def test_refusals(call, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        call()
