"""Contributions of subsets of modalities against the product written out, on every backend; and the corpus's table."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from other_backend import LONG_ON_OTHERS, passes_exactly

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.layers import EarlyFusion, LowRankFusion, TensorFusion

WIDTHS = {"voice": 3, "face": 4, "words": 2}
CLASSES = ("calm", "happy", "sad")


def rows(count: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.standard_normal((count, width)).astype("float32") for name, width in WIDTHS.items()}


def model_of(fusion, *, presence: float | None = None, head=(), seed: int = 1) -> keras.Model:
    """Each input is its own embedding, through one dense layer; every weight is random."""
    backbones = {
        name: klmf.backbones.mlp((width,), units=[5], seed=seed, name=f"{name}_backbone")
        for name, width in WIDTHS.items()
    }
    model = klmf.models.fusion_model(
        backbones, fusion, {"emotion": len(CLASSES)}, presence_dropout=presence, head=head, seed=seed
    )
    draw = np.random.default_rng(seed)
    for layer in (model.get_layer(fusion.name), model.get_layer("emotion")):
        layer.set_weights([draw.standard_normal(weight.shape) for weight in layer.get_weights()])
    return model


def embeddings(model: keras.Model, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: ops.convert_to_numpy(model.get_layer(f"{name}_backbone")(inputs[name])).copy()
        for name in WIDTHS
    }


def answer(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return ops.convert_to_numpy(model(inputs, training=False)["emotion"])


@pytest.mark.parametrize("presence", [None, 0.2])
def test_low_rank_terms_are_the_expanded_product_exact(presence):
    model, inputs = model_of(LowRankFusion(6, rank=3, name="fusion"), presence=presence), rows()
    inputs["face"][1] = inputs["words"][2] = 0
    found = klmf.explain(model, inputs)
    layer, (kernel, bias) = model.get_layer("fusion"), model.get_layer("emotion").get_weights()
    hidden = embeddings(model, inputs)
    if presence is not None:
        hidden["face"][1] = hidden["words"][2] = 0
    factors = {name: ops.convert_to_numpy(layer.factor(name)).astype("float64") for name in WIDTHS}
    weights = ops.convert_to_numpy(layer.rank_weights)
    assert found.linear
    assert len(found.terms) == 8
    for size in range(4):
        for subset in itertools.combinations(WIDTHS, size):
            product = np.ones(())
            for name, factor in factors.items():
                data = np.einsum("ni,rio->nro", hidden[name], factor[:, 1:])
                product = product * (data if name in subset else factor[None, :, 0])
            fused = np.einsum("nro,r->no", np.broadcast_to(product, (5, 3, 6)), weights)
            expected = fused @ kernel
            if not subset:
                expected = expected + ops.convert_to_numpy(layer.bias) @ kernel + bias
            np.testing.assert_allclose(
                found.terms[subset], expected, rtol=1e-4, atol=2e-5, err_msg=str(subset)
            )
    whole = answer(model, inputs)
    np.testing.assert_allclose(sum(found.terms.values()), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.logits, whole, rtol=1e-5, atol=1e-5)
    if presence is not None:
        assert not found.terms["voice", "face"][1].any()


def test_two_numbers_by_hand():
    voice, face = keras.Input((1,), name="voice"), keras.Input((1,), name="face")
    layer = LowRankFusion(1, rank=1)
    fused = layer({"voice": voice, "face": face})
    model = keras.Model({"voice": voice, "face": face}, keras.layers.Dense(1)(fused))
    factors = {"voice": np.array([[[2.0], [3.0]]]), "face": np.array([[[5.0], [7.0]]])}
    layer.set_factors(factors, rank_weights=np.ones(1), bias=np.array([11.0]))
    model.layers[-1].set_weights([np.array([[10.0]]), np.array([1.0])])
    found = klmf.explain(model, {"voice": np.array([[1.0]]), "face": np.array([[2.0]])})
    # 10 · ((2 + 3 · 1) (5 + 7 · 2) + 11) + 1
    terms = {(): 10 * (2 * 5 + 11) + 1, ("voice",): 10 * 15, ("face",): 10 * 28, ("voice", "face"): 10 * 42}
    assert {subset: term.item() for subset, term in found.terms.items()} == pytest.approx(terms)
    assert found.logits.item() == pytest.approx(1061)


def test_early_fusion_has_terms_of_single_modalities_alone():
    model, inputs = model_of(EarlyFusion(name="fusion")), rows()
    found = klmf.explain(model, inputs)
    kernel, _ = model.get_layer("emotion").get_weights()
    hidden = embeddings(model, inputs)
    for i, name in enumerate(WIDTHS):
        expected = hidden[name] @ kernel[5 * i : 5 * (i + 1)]
        np.testing.assert_allclose(found.terms[name,], expected, rtol=1e-4, atol=1e-5)
    for subset, term in found.terms.items():
        if len(subset) > 1:
            np.testing.assert_allclose(term, 0, atol=1e-5)


def test_tensor_fusion_has_the_terms_of_its_products():
    model, inputs = model_of(TensorFusion(name="fusion")), rows()
    found = klmf.explain(model, inputs)
    kernel = model.get_layer("emotion").get_weights()[0].reshape(6, 6, 6, 3)
    voice, face, words = embeddings(model, inputs).values()
    pair = np.einsum("ni,nk,iko->no", voice, words, kernel[1:, 0, 1:])
    every = np.einsum("ni,nj,nk,ijko->no", voice, face, words, kernel[1:, 1:, 1:])
    np.testing.assert_allclose(found.terms["voice", "words"], pair, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.terms["voice", "face", "words"], every, rtol=1e-4, atol=1e-4)


def test_behind_hidden_layers_the_fused_vector_comes_apart_and_the_rest_says_that_it_does_not():
    head = [keras.layers.Dense(7, activation="relu")]
    model, inputs = model_of(LowRankFusion(6, rank=3, name="fusion"), head=head), rows()
    found = klmf.explain(model, inputs)
    assert not found.linear
    interactions = model.get_layer("fusion").interactions(embeddings(model, inputs))
    for subset, term in interactions.items():
        if subset:
            np.testing.assert_allclose(found.fused[subset], ops.convert_to_numpy(term), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sum(found.terms.values()), answer(model, inputs), rtol=1e-5, atol=1e-5)


def steps_recipe(**fusion) -> klmf.Recipe:
    presence = fusion.pop("presence", None)
    return klmf.Recipe(
        name="steps",
        corpus={"name": "synthetic_steps"},
        target={"name": "emotion", "classes": ["apart", "together"]},
        inputs={
            name: {"shape": shape, "backbone": {"name": "average_pooling", "units": [4]}}
            for name, shape in (("audio", [8, 3]), ("video", [4, 3]))
        },
        fusion={"name": "step_by_step", "filters": [5], **fusion},
        presence=presence,
        training={"loss": "cross_entropy"},
    )


def sequences() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    inputs = {"audio": draw.normal(size=(3, 8, 3)), "video": draw.normal(size=(3, 4, 3))}
    inputs["audio"][0, 6:] = inputs["video"][1, 2:] = 0  # padding
    return {name: values.astype("float32") for name, values in inputs.items()}


@pytest.mark.parametrize("attention", ["none", pytest.param("to_modalities", id="exact"), "from_modalities"])
def test_steps_and_attention_over_time(attention):
    model, inputs = klmf.build(steps_recipe(attention=attention)), sequences()
    found = klmf.explain(model, inputs)
    np.testing.assert_allclose(found.logits, answer(model, inputs), rtol=1e-5, atol=1e-5)
    assert {term.shape[:2] for term in found.fused.values()} == {(3, 4)}
    # Where a modality's step is padding, all that it takes part in is 0 there, and there alone.
    assert not found.fused["audio",][0, 3].any()
    assert not found.fused["audio", "video"][1, 2:].any()
    assert found.fused["audio", "video"][0, :3].any()
    if attention == "none":
        np.testing.assert_allclose(sum(found.terms.values()), found.logits, rtol=1e-5, atol=1e-5)
        assert not found.attention
        return
    assert not found.terms  # attention sees the modalities past the fusion
    looking = {name: weights.shape[1:] for name, weights in found.attention.items()}
    lengths = {"to_modalities": [(4, 8), (4, 4)], "from_modalities": [(8, 4), (4, 4)]}[attention]
    assert looking == dict(zip(["fusion_audio_attention", "fusion_video_attention"], lengths))
    for weights in found.attention.values():
        np.testing.assert_allclose(weights.sum(axis=2), 1, rtol=1e-5)
    if attention == "to_modalities":
        assert not found.attention["fusion_audio_attention"][0, :, 6:].any()


def test_attention_with_presence_is_asked_by_inputs_of_zero():
    recipe = steps_recipe(attention="to_modalities", presence={"dropout": 0.2})
    model, inputs = klmf.build(recipe), sequences()
    found = klmf.explain(model, inputs)
    nothing = {name: np.zeros_like(values) for name, values in inputs.items()}
    audio, video = (answer(model, nothing | {name: inputs[name]}) for name in ("audio", "video"))
    both, none = answer(model, inputs), answer(model, nothing)
    np.testing.assert_allclose(found.terms["audio",], audio - none, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found.terms["audio", "video"], both - audio - video + none, rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", LONG_ON_OTHERS)
def test_on_other_backends(backend):
    passes_exactly(__file__, backend, 3)


def test_a_shared_layer_two_outputs_and_a_fusion_in_two_models():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    shared, fusion = keras.layers.Dense(4, activation="relu"), LowRankFusion(5, rank=2, seed=0)
    fused = fusion({"left": shared(left), "right": shared(right)})
    heads = {"valence": keras.layers.Dense(1), "emotion": keras.layers.Dense(3)}
    outputs = {name: head(fused) for name, head in heads.items()}
    model = keras.Model({"left": left, "right": right}, outputs)
    other = keras.Input((4,), name="other")
    keras.Model(other, fusion({"left": other, "right": other}))
    draw = np.random.default_rng(0)
    inputs = {name: draw.standard_normal((70, 3)).astype("float32") for name in ("left", "right")}
    for target, head in heads.items():
        found = klmf.explain(model, inputs, target=target)
        kernel, _ = head.get_weights()
        parts = fusion.interactions({name: shared(values) for name, values in inputs.items()})
        for subset in (("left",), ("right",), ("left", "right")):
            expected = ops.convert_to_numpy(parts[subset]) @ kernel
            np.testing.assert_allclose(found.terms[subset], expected, rtol=1e-3, atol=1e-5)
        whole = ops.convert_to_numpy(model(inputs)[target])
        np.testing.assert_allclose(sum(found.terms.values()), whole, rtol=1e-5, atol=1e-5)
    with pytest.raises(LMFError, match="say which with target"):
        klmf.explain(model, inputs)


def test_a_path_past_the_fusion_layer_gives_no_terms():
    voice, face = keras.Input((2,), name="voice"), keras.Input((2,), name="face")
    fused = LowRankFusion(3)({"voice": voice, "face": face})
    joined = keras.layers.Concatenate()([fused, voice])
    model = keras.Model({"voice": voice, "face": face}, keras.layers.Dense(1)(joined))
    found = klmf.explain(model, {"voice": np.ones((1, 2)), "face": np.ones((1, 2))})
    assert found.terms == {}
    assert set(found.fused) == {(), ("voice",), ("face",), ("voice", "face")}


def test_what_cant_be_taken_apart_is_refused():
    lone = klmf.models.fusion_model({"voice": klmf.backbones.mlp((3,), units=[2])}, None, {"emotion": 2})
    with pytest.raises(LMFError, match="nothing to take apart"):
        klmf.explain(lone, {"voice": np.ones((1, 3))})
    with pytest.raises(LMFError, match="functional Keras model"):
        klmf.explain(keras.layers.Dense(1), {})
    model = model_of(EarlyFusion(name="fusion"))
    with pytest.raises(LMFError, match="'voice'"):
        klmf.explain(model, rows() | {"voise": np.ones((5, 3))})
    with pytest.raises(LMFError, match="lacks its input words"):
        klmf.explain(model, {name: values for name, values in rows().items() if name != "words"})
    with pytest.raises(LMFError, match="received"):
        klmf.explain(model, rows() | {"words": np.ones((5, 3))})
    with pytest.raises(LMFError, match="same number of rows"):
        klmf.explain(model, rows() | {"words": np.ones((4, 2))})
    with pytest.raises(LMFError, match="'emotion'"):
        klmf.explain(model, rows(), target="emotions")


def test_a_hybrid_is_taken_apart_by_its_inputs() -> None:
    """One of its parts sees all inputs, so that no part is an input."""
    inputs = {name: {"shape": [3], "backbone": {"name": "mlp", "units": [4]}} for name in ("audio", "video")}
    words = {
        "name": "hybrid",
        "corpus": {"name": "synthetic"},
        "target": {"name": "mood", "classes": ["calm", "happy"]},
        "inputs": inputs,
        "fusion": {"name": "hybrid"},
        "training": {"loss": "cross_entropy"},
    }
    rows = {name: np.random.default_rng(0).normal(size=(5, 3)).astype("float32") for name in inputs}
    model = klmf.build(klmf.Recipe(**words, presence={}))
    found = klmf.explain(model, rows)
    assert list(found.terms) == [(), ("audio",), ("video",), ("audio", "video")]
    hidden = rows | {"video": np.zeros((5, 3), "float32")}
    alone = keras.ops.convert_to_numpy(model(hidden)["mood"])
    np.testing.assert_allclose(found.terms[()] + found.terms["audio",], alone, atol=1e-5)
    assert not found.linear
    with pytest.raises(LMFError):
        klmf.explain(klmf.build(klmf.Recipe(**words)), rows)
