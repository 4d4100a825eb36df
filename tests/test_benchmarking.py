"""The contenders of the speed tables compute what their oracles compute, and take turns. No time is asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from in_torch import LOSSES, answers

from keras_lmf.layers import LowRankFusion
from keras_lmf.models import load_published

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(BENCHMARKS))

from speed import comparisons, heads, keras_networks, published, turns  # noqa: E402

NETWORKS = {"low-rank-1": ("low-rank", 1), "low-rank-4": ("low-rank", 4), "tensor": ("tensor", 0)}


def double(tensor):
    return np.asarray(tensor, "float64")


@pytest.fixture(scope="module")
def in_torch(tmp_path_factory):
    """What PyTorch's networks answer and how they train, by the names of NETWORKS."""
    inputs, labels = published.example(8)
    cases = {name: (published.published_arrays(*which), inputs, labels) for name, which in NETWORKS.items()}
    return answers(tmp_path_factory.mktemp("torch"), cases)


# -- the measuring loop -------------------------------------------------------------------------------------
def test_every_contender_takes_every_turn():
    calls = []
    steps = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = turns.take_turns(steps, repeats=3, seconds=0)
    assert {name: table.shape for name, table in times.items()} == {"cpu": (3, 2), "wall": (3, 2)}
    # Six calls each to compile and count; then turns of one step, in an order that alternates.
    assert calls[:12] == ["a"] * 6 + ["b"] * 6
    assert "".join(calls[12:]) == "baabba"


def test_ratios_are_taken_within_a_turn():
    times = pd.DataFrame({"slow": [2.0, 8.0, 90.0], "fast": [1.0, 2.0, 30.0]})
    assert turns.ratio(times, "slow", "fast") == {
        "ratio": 3,
        "ratio_first_quartile": 2.5,
        "ratio_third_quartile": 3.5,
    }


# -- contenders and their oracles ---------------------------------------------------------------------------
@pytest.mark.parametrize(("modalities", "width"), [(2, 32), (3, 4), (4, 2), (5, 2)])
def test_fusions_of_one_cell_compute_the_same_function(modalities, width):
    found = comparisons.by_modalities(modalities, width)
    random = np.random.default_rng(3)
    inputs = [random.standard_normal((7, width), dtype="float32") for _ in range(modalities)]
    # By hand: Σ_r w_r ∏_m ([1; h_m] F_m[r]) + b in double precision.
    layer = found["low-rank"]
    expected = np.einsum("r,rbo->bo", double(layer.rank_weights), np.prod([
        np.einsum("bi,rio->rbo", np.c_[np.ones(7), h].astype(float), double(layer.factor(m)))
        for m, h in enumerate(inputs)
    ], axis=0)) + double(layer.bias)  # fmt: skip
    assert set(found) == {"low-rank", "tensor"}
    for fusion in found.values():
        np.testing.assert_allclose(fusion(inputs), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            keras_networks.inference_step(fusion, inputs)(), expected, rtol=1e-4, atol=1e-4
        )


def test_tensor_fusion_is_left_out_above_its_limit():
    assert set(comparisons.by_modalities(5, 16)) == {"low-rank"}


def test_the_contenders_of_the_ranks():
    found = comparisons.by_rank([1, 4])
    assert {rank: layer.rank for rank, layer in found.items() if rank} == {1: 1, 4: 4}
    random = np.random.default_rng(4)
    inputs = [random.standard_normal((5, width), dtype="float32") for width in (32, 32, 64)]
    np.testing.assert_allclose(found[0](inputs), found[4](inputs), rtol=1e-3, atol=1e-4)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_the_whole_low_rank_network_equals_a_tensor_network_of_the_same_factors(in_torch):
    arrays = published.published_arrays(published.LOW_RANK, 4)
    inputs, _ = published.example(8)
    output = load_published(arrays).predict(inputs, verbose=0)[published.TARGET]
    a, v, t = np.split(in_torch["low-rank-4"]["vectors"], [33, 66], axis=1)
    factors = [arrays[f"{name}_factor"][..., 0] for name in inputs]
    kernel = np.einsum("r,ri,rj,rk->ijk", arrays["fusion_weights"][0], *factors)
    expected = np.einsum("bi,bj,bk,ijk->b", a, v, t, kernel)[:, None] + arrays["fusion_bias"]
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.backends("torch")
@pytest.mark.parametrize(("name", "xla"), [("low-rank-1", False), ("low-rank-4", True), ("tensor", False)])
def test_the_torch_networks_equal_ours(name, xla, in_torch):
    inputs, _ = published.example(8)
    model = load_published(published.published_arrays(*NETWORKS[name]))
    ours = keras_networks.inference_step(model, inputs, xla=xla)()[published.TARGET].numpy()
    assert ours.shape == (8, 1)
    assert np.ptp(ours) > 1e-3
    np.testing.assert_allclose(ours, in_torch[name]["output"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.backends("torch")
def test_training_steps_follow_the_same_losses(in_torch):
    """Forward, loss, gradients and Adam: five losses in a row agree only when all four do."""
    inputs, labels = published.example(8)
    model = load_published(published.published_arrays("low-rank", 4))
    step = keras_networks.training_step(model, inputs, labels, xla=False)
    ours, theirs = np.array([float(step()) for _ in range(LOSSES)]), in_torch["low-rank-4"]["losses"]
    assert ours[-1] < 0.85 * ours[0]
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    # Keras and PyTorch add Adam's epsilon in different places, which moves weights of tiny gradients apart.
    np.testing.assert_allclose(ours, theirs, rtol=5e-3)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_pytorch_takes_its_turns_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(comparisons, "COMPILED", comparisons.COMPILED[:1])
    speeds, ratios = comparisons.measure_networks("inference", 2, [4], "torch", repeats=2, seconds=0)
    assert [(row["code"], row["fusion"]) for row in speeds] == [
        ("keras-lmf", "low-rank"),
        ("keras-lmf", "tensor"),
        ("PyTorch", "low-rank"),
        ("PyTorch", "tensor"),
        ("PyTorch", published.PRODUCTS),
    ]
    assert all(row["ratio"] > 0 and row["cpu_ms"] > 0 for row in speeds)
    assert [row["compared"] for row in ratios] == [
        "low-rank ÷ tensor",
        "low-rank: keras-lmf ÷ PyTorch",
        "low-rank ÷ tensor, PyTorch",
        "LSTM's products alone ÷ PyTorch",
    ]
    with comparisons.rivals("training", 2, "torch") as found:
        assert [contender.fusion for contender in found] == ["low-rank", "tensor"]
        times = [turn(1) for turn in found.values()]
    assert all(time[clock] > 0 for time in times for clock in ("cpu", "wall"))
    assert "torch" not in sys.modules


def test_a_single_row_and_no_rival_start_no_process(monkeypatch):
    monkeypatch.setattr(comparisons, "conversation", None)
    # PyTorch's batch normalisation refuses to train on a single row.
    for case in (("training", 1, "torch"), ("inference", 1, None)):
        with comparisons.rivals(*case) as found:
            assert found == {}


@pytest.mark.slow
def test_the_files_answer_what_the_heads_answer():
    inputs = heads.embeddings()
    model = keras_networks.head(published.LOW_RANK, 4)
    (layer,) = (layer for layer in model.layers if isinstance(layer, LowRankFusion))
    vectors = [np.r_[1, value[0]] for value in inputs.values()]
    factors = [double(layer.factor(m)) for m in range(3)]
    terms = [np.einsum("i,rio->ro", vector, factor) for vector, factor in zip(vectors, factors)]
    expected = np.einsum("r,ro->o", double(layer.rank_weights), np.prod(terms, axis=0)) + double(layer.bias)
    content = heads.file(model)
    np.testing.assert_allclose(heads.file_step(content, inputs)()[0][0], expected, rtol=1e-5, atol=1e-6)
    called = keras_networks.call_step(model, inputs, xla=False)()[published.TARGET]
    np.testing.assert_allclose(called[0], expected, rtol=1e-5, atol=1e-6)
