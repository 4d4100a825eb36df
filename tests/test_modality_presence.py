"""Presence: what an absent modality leaves of the fusion, in closed form; what training takes away."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.layers import ModalityPresence
from keras_lmf.models import build
from keras_lmf.recipe import Recipe

FUSIONS = {
    "tensor": {"name": "tensor"},
    "low_rank": {"name": "low_rank", "units": 5, "rank": 3},
    "early": {"name": "early"},
}


def recipe(fusion: dict, **words) -> Recipe:
    return Recipe(
        name="presence",
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={
            "voice": {
                "shape": [1600],
                "front_end": {"name": "log_mel", "bands": 6},
                "backbone": {"name": "temporal_convolution", "filters": [3], "kernel_size": 3, "units": 4},
            },
            "face": {"shape": [3], "backbone": {"name": "mlp", "units": [4]}},
        },
        fusion=fusion,
        training={"loss": "cross_entropy"},
        **words,
    )


def made(fusion: dict, **words) -> keras.Model:
    """Weights none of which is 0, so that an absent modality's embedding would not be zero by itself."""
    model = build(recipe(fusion, **words))
    random = np.random.default_rng(1)
    for weight in model.weights:
        if "standardization" not in weight.path:
            weight.assign(random.normal(0, 0.5, weight.shape))
    return model


def rows(count: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {
        "voice": (0.1 * random.standard_normal((count, 1600))).astype("float32"),
        "face": random.standard_normal((count, 3)).astype("float32"),
    }


def answer(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs)["emotion"])


def closed_form(model: keras.Model, kind: str, voice: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Logits of embeddings (N, 4), by the papers' equations in double precision."""
    one = np.ones((len(voice), 1))
    z_voice, z_face = (np.concatenate([one, h], axis=1) for h in (voice, face))
    if kind == "tensor":
        fused = np.einsum("ni,nj->nij", z_voice, z_face).reshape(len(voice), -1)
    elif kind == "early":
        fused = np.concatenate([voice, face], axis=1)
    else:
        layer = model.get_layer("fusion")
        factors = [np.asarray(keras.ops.convert_to_numpy(layer.factor(name))) for name in ("voice", "face")]
        terms = [np.einsum("ni,rio->nro", z, factor) for z, factor in zip((z_voice, z_face), factors)]
        weights, bias = np.asarray(layer.rank_weights), np.asarray(layer.bias)
        fused = np.einsum("r,nro,nro->no", weights, *terms) + bias
    kernel, bias = model.get_layer("emotion").get_weights()
    return fused @ kernel + bias


def embeddings(model: keras.Model, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    features = model.get_layer("voice_front_end")(inputs["voice"])
    voice = model.get_layer("voice_backbone")(features)
    face = model.get_layer("face_backbone")(inputs["face"])
    return keras.ops.convert_to_numpy(voice), keras.ops.convert_to_numpy(face)


@pytest.mark.parametrize("kind", FUSIONS)
def test_an_input_of_zeros_is_a_zero_embedding(kind):
    model, inputs = made(FUSIONS[kind], presence={}), rows()
    voice, face = embeddings(model, inputs)
    zero = np.zeros_like(voice)
    assert np.abs(embeddings(model, {name: 0 * value for name, value in inputs.items()})).max() > 0.01
    there = answer(model, inputs)
    np.testing.assert_allclose(there, closed_form(model, kind, voice, face), rtol=1e-4, atol=1e-5)
    for absent, parts in (("voice", (zero, face)), ("face", (voice, zero))):
        found = answer(model, {**inputs, absent: np.zeros_like(inputs[absent])})
        np.testing.assert_allclose(found, closed_form(model, kind, *parts), rtol=1e-4, atol=1e-5)
        assert np.abs(found - there).max() > 0.01
    one_silent = {**inputs, "voice": inputs["voice"] * [[1], [0], [1], [1]]}
    np.testing.assert_allclose(answer(model, one_silent)[[0, 2, 3]], there[[0, 2, 3]], rtol=1e-5, atol=1e-6)


def test_without_the_section_every_modality_is_there():
    model, inputs = made(FUSIONS["tensor"]), rows()
    silent = {**inputs, "voice": np.zeros_like(inputs["voice"])}
    expected = closed_form(model, "tensor", *embeddings(model, silent))
    np.testing.assert_allclose(answer(model, silent), expected, rtol=1e-4, atol=1e-5)


def flags(dropout: float, presence: np.ndarray, training: bool) -> np.ndarray:
    layer = ModalityPresence(dropout, seed=3)
    inputs = [presence[:, m : m + 1] * np.ones((1, 2), "float32") for m in range(presence.shape[1])]
    return keras.ops.convert_to_numpy(layer(inputs, training=training))


@pytest.mark.parametrize("dropout", [0.3, 0.99])
def test_dropout_takes_away_at_its_rate_and_never_all(dropout):
    count = 20000
    presence = np.ones((count, 2), "float32")
    found = flags(dropout, presence, training=True)
    assert set(np.unique(found)) == {0, 1}
    assert found.any(axis=1).all()
    # Alone stays one with p (1 - p); both stay with (1 - p)², and with p², where none would.
    for row, chance in (((1, 0), dropout * (1 - dropout)), ((0, 1), dropout * (1 - dropout))):
        share = (found == row).all(axis=1).mean()
        assert abs(share - chance) < 5 * np.sqrt(chance / count)
    np.testing.assert_array_equal(flags(dropout, presence, training=False), presence)
    not_asked = ModalityPresence(dropout, seed=3)([presence[:, :1], presence[:, 1:]])
    np.testing.assert_array_equal(not_asked, presence)


def test_dropout_brings_nothing_back_and_leaves_a_modality_alone():
    presence = np.tile(np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0]], "float32"), (500, 1))
    found = flags(0.6, presence, training=True)
    assert (found <= presence).all()
    np.testing.assert_array_equal(found[0::3], presence[0::3])
    assert (found[2::3, :2].sum(axis=1) == 1).any()


@pytest.mark.parametrize("dropout", [-0.1, 1, float("nan")])
def test_a_rate_that_is_none_is_refused(dropout):
    with pytest.raises(LMFError, match=r"dropout must be 0 to below 1, received"):
        ModalityPresence(dropout)


def test_the_layers_name_is_taken_where_it_is_used():
    sections = recipe(FUSIONS["early"]).model_dump(exclude_none=True)
    sections["inputs"]["presence"] = sections["inputs"].pop("face")
    build(Recipe(**sections))
    with pytest.raises(LMFError, match="none of them 'fusion' or 'presence'"):
        Recipe(**{**sections, "presence": {}})
