"""Fusion of sequences: at each step, with attention either way, and between all pairs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from exporting import exported_here
from word_recipes import recipe

import keras_lmf as klmf
from keras_lmf import sequence_fusion
from keras_lmf.errors import LMFError
from keras_lmf.layers import (
    AttentionPooling,
    LastStep,
    LowRankFusion,
    PresentSteps,
    StatisticsPooling,
    TemporalConvolution,
    TimeAlignment,
)
from keras_lmf.runtime import open_artifact

# Three rates: audio 3, text 2, video 1.
INPUTS = {
    "audio": {"shape": [12, 5], "backbone": {"name": "lstm", "units": 6}},
    "video": {"shape": [4, 7], "backbone": {"name": "temporal_convolution", "filters": [5], "units": 5}},
    "text": {"shape": [8, 3], "backbone": {"name": "average_pooling", "units": [4]}},
}
LOW_RANK = {"name": "low_rank", "units": 8, "rank": 2}
STEPS = {"name": "step_by_step", "each": LOW_RANK, "filters": [6]}
FUSIONS = {
    "early": {**STEPS, "each": {"name": "early"}, "attention": "none"},
    "tensor": {**STEPS, "each": {"name": "tensor"}, "attention": "none", "pooling": "last"},
    "low_rank": {**STEPS, "attention": "none", "pooling": "attention"},
    "to_modalities": {**STEPS, "pooling": "attention"},
    "from_modalities": {**STEPS, "attention": "from_modalities", "pooling": "last"},
    "transformer": {"name": "multimodal_transformer", "units": 6, "layers": 2, "pooling": "last"},
}
TRANSFORMER = pytest.param("transformer", marks=pytest.mark.long)


def clips() -> dict[str, np.ndarray]:
    """Three clips; the second is shorter, and has no text."""
    draw = np.random.default_rng(0)
    rows = {
        name: draw.standard_normal((3, *part["shape"])).astype("float32") for name, part in INPUTS.items()
    }
    for name, real in (("audio", 9), ("video", 3), ("text", 0)):
        rows[name][1, real:] = 0
    return rows


def answer(model: keras.Model, rows: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(rows)["emotion"])


@pytest.mark.slow
@pytest.mark.parametrize("word", FUSIONS)
def test_more_padding_changes_nothing(word):
    rows, fusion = clips(), FUSIONS[word]
    longer = {
        name: {**part, "shape": [2 * part["shape"][0], part["shape"][1]]} for name, part in INPUTS.items()
    }
    model = klmf.build(recipe(INPUTS, fusion, presence={}))
    padded = klmf.build(recipe(longer, fusion, presence={}))
    padded.set_weights(model.get_weights())
    more = {name: np.pad(array, ((0, 0), (0, array.shape[1]), (0, 0))) for name, array in rows.items()}
    np.testing.assert_allclose(answer(padded, more), answer(model, rows), rtol=0, atol=1e-6)
    rows["audio"][0, 2] += 1
    assert np.abs(answer(model, rows) - answer(padded, more))[0].max() > 1e-5


@pytest.mark.long
@pytest.mark.parametrize("word", ["tensor", "to_modalities", TRANSFORMER])
def test_a_file_of_builtin_ops_answers_as_keras(word, tmp_path):
    model = klmf.build(recipe(INPUTS, FUSIONS[word], presence={}))
    with exported_here():
        (file,) = klmf.export_model(model, tmp_path, ["tflite"])
    found = open_artifact(file.path).predict(clips())["emotion"]
    np.testing.assert_allclose(found, answer(model, clips()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "word", [TRANSFORMER, *(pytest.param(word, marks=pytest.mark.long) for word in list(FUSIONS)[:-1])]
)
def test_every_weight_learns_and_every_modality_counts(word):
    model, rows = klmf.build(recipe(INPUTS, FUSIONS[word], presence={})), clips()
    before = [weight.copy() for weight in model.get_weights()]
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(rows, {"emotion": np.array([0, 1, 1])}, epochs=3, verbose=0)
    stood = [
        variable.path
        for variable, old, new in zip(model.weights, before, model.get_weights())
        if variable.trainable and (old == new).all()
    ]
    assert stood == []
    full = answer(model, rows)
    for name in rows:
        without = {**rows, name: np.zeros_like(rows[name])}
        assert np.abs(answer(model, without) - full)[0].max() > 1e-6
        assert np.isfinite(answer(model, without)).all()


def test_attentions_are_as_many_as_modalities_and_as_ordered_pairs():
    def attentions(word: str) -> int:
        model = klmf.build(recipe(INPUTS, FUSIONS[word]))
        return sum(isinstance(layer, klmf.layers.CrossModalAttention) for layer in model.layers)

    assert attentions("to_modalities") == attentions("from_modalities") == 3
    # M (M − 1) stacks, and one of self-attention for each modality; two blocks each.
    assert attentions("transformer") == 2 * (3 * 2 + 3)


def test_one_step_is_the_fusion_of_vectors():
    """Sequences of one step, without convolutions: the pooled answer is the layer's own."""
    draw = np.random.default_rng(1)
    voice, face = draw.standard_normal((2, 4, 1, 3)).astype("float32")
    layer = LowRankFusion(5, rank=2, seed=0, name="fusion")
    tensors = {"voice": keras.Input((1, 3), name="voice"), "face": keras.Input((1, 3), name="face")}
    clock = sequence_fusion.Clock.of(tensors, None)
    fused = sequence_fusion.fused_steps(tensors, clock, layer, (), 3, 0.0, iter([]))
    model = keras.Model(tensors, sequence_fusion.pooled({"fused": fused}, "mean", iter([]), "fusion"))
    found = model({"voice": voice, "face": face})
    np.testing.assert_allclose(found, layer({"voice": voice[:, 0], "face": face[:, 0]}), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("steps_in", "rate"), [(6, 2.0), (5, 2.5), (3, 0.5), (4, 1.0)])
def test_alignment_is_the_mean_of_what_lies_in_each_unit(steps_in, rate):
    """Against a stretched copy of which every step of 1/1000 is averaged."""
    sequence = np.random.default_rng(2).standard_normal((1, steps_in, 2)).astype("float32")
    out = int(np.ceil(steps_in / rate))
    fine = (np.arange(out * 1000) + 0.5) / 1000 * rate
    there = fine < steps_in
    values = np.where(there[:, None], sequence[0, np.minimum(fine.astype(int), steps_in - 1)], np.nan)
    expected = np.nanmean(values.reshape(out, 1000, 2), axis=1)
    np.testing.assert_allclose(TimeAlignment(out, rate=rate)(sequence)[0], expected, rtol=1e-3, atol=1e-3)


def test_pooling_of_real_steps_alone():
    sequence = np.array([[[1.0, 5.0], [2.0, 6.0], [np.nan, np.nan]]], "float32")
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(LastStep()(sequence, mask=mask), [[2.0, 6.0]])
    layer = AttentionPooling()
    layer.build((None, 3, 2))
    layer.set_weights([np.array([[0.5], [0.25]])])
    scores = np.exp([0.5 * 1 + 0.25 * 5, 0.5 * 2 + 0.25 * 6])
    expected = (scores[:, None] * sequence[0, :2]).sum(axis=0) / scores.sum()
    np.testing.assert_allclose(layer(sequence, mask=mask)[0], expected, rtol=1e-6)
    nothing = np.zeros_like(mask)
    assert (np.asarray(layer(sequence, mask=nothing)) == 0).all()
    assert (np.asarray(LastStep()(sequence, mask=nothing)) == 0).all()


def test_pooling_without_a_mask_is_of_all_steps():
    sequence = np.random.default_rng(3).standard_normal((2, 4, 3)).astype("float32")
    np.testing.assert_array_equal(LastStep()(sequence), sequence[:, 3])
    layer = AttentionPooling(seed=1)
    found = keras.ops.convert_to_numpy(layer(sequence))
    scores = np.exp(sequence @ keras.ops.convert_to_numpy(layer.kernel))
    np.testing.assert_allclose(found, (sequence * scores).sum(axis=1) / scores.sum(axis=1), rtol=1e-5)


def test_statistics_are_those_of_the_real_steps_and_of_equal_ones_zero():
    sequence = np.random.default_rng(4).standard_normal((3, 5, 2)).astype("float32")
    sequence[1] = 7
    mask = np.arange(5) < np.array([[3], [4], [0]])
    sequence[~mask] = np.nan
    expected = np.zeros((3, 4))
    expected[0] = [*sequence[0, :3].mean(axis=0), *sequence[0, :3].std(axis=0)]
    expected[1, :2] = 7
    found = keras.ops.convert_to_numpy(StatisticsPooling()(sequence, mask=mask))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_masked_steps_are_zeros_to_a_convolution_whatever_they_hold_and_their_mask_goes_on():
    sequence = np.random.default_rng(5).standard_normal((1, 6, 2)).astype("float32")
    mask = np.array([[True, True, False, True, True, False]])
    layer = TemporalConvolution(3, 3)
    layer.build((None, 6, 2))
    padded = np.pad(np.where(mask[..., None], sequence, 0)[0], ((1, 1), (0, 0)))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    expected = [np.einsum("kc,kcf->f", padded[step : step + 3], kernel) for step in range(6)]
    sequence[~mask] = np.nan
    np.testing.assert_allclose(layer(sequence, mask=mask)[0], expected, atol=1e-5)
    masked = keras.layers.Masking()(np.where(mask[..., None], sequence, 0))
    np.testing.assert_array_equal(layer(masked)._keras_mask, mask)


@pytest.mark.parametrize(
    ("inputs", "fusion", "says"),
    [
        ({**INPUTS, "face": {"shape": [5], "backbone": {"name": "mlp"}}}, STEPS, "'mlp' of face keeps none"),
        ({"audio": INPUTS["audio"]}, STEPS, "takes two inputs or more"),
    ],
)
def test_inputs_without_steps_are_refused(inputs, fusion, says):
    with pytest.raises(LMFError, match=says):
        recipe(inputs, fusion)


@pytest.mark.parametrize(
    ("rates", "says"),
    [({"audio": 3.0}, "miss 'video'"), ({"audio": 3, "video": 1, "text": 2, "face": 1}, "face")],
)
def test_rates_of_other_modalities_are_refused(rates, says):
    with pytest.raises(LMFError, match=says):
        klmf.build(recipe(INPUTS, {**STEPS, "rates": rates}))


def test_rates_say_how_long_each_lasts():
    """With rates, padding of one modality alone changes nothing."""
    rates = {"audio": 3.0, "video": 1.0, "text": 2.0}
    rows, fusion = clips(), {**STEPS, "rates": rates}
    longer = {**INPUTS, "audio": {**INPUTS["audio"], "shape": [20, 5]}}
    model, padded = klmf.build(recipe(INPUTS, fusion)), klmf.build(recipe(longer, fusion))
    padded.set_weights(model.get_weights())
    more = {**rows, "audio": np.pad(rows["audio"], ((0, 0), (0, 8), (0, 0)))}
    np.testing.assert_allclose(answer(padded, more), answer(model, rows), rtol=0, atol=1e-6)


def test_an_absent_modalitys_steps_are_masked():
    sequence, presence = np.ones((2, 3, 4), "float32"), np.array([[1.0, 0.0], [1.0, 1.0]], "float32")
    found = PresentSteps(1)([sequence, presence])
    np.testing.assert_array_equal(found, sequence * np.array([0.0, 1.0])[:, None, None])
    np.testing.assert_array_equal(
        PresentSteps(1).compute_mask([sequence, presence]), [[False] * 3, [True] * 3]
    )
    known = np.array([[True] * 3, [True, False, False]])
    mask = PresentSteps(1).compute_mask([sequence, presence], [known, None])
    np.testing.assert_array_equal(mask, [[False] * 3, [True, False, False]])
