"""Backbones: masks, standardisation, seeds, and shapes they refuse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from keras_lmf import backbones
from keras_lmf.errors import LMFError

WIDTH = 3
SEQUENCE = {
    "average_pooling": (backbones.average_pooling, {"units": (8, 4)}, 4),
    "lstm": (backbones.lstm, {"units": 4}, 4),
    "gru": (backbones.gru, {"units": 4}, 4),
    "bilstm": (backbones.bilstm, {"units": 4}, 16),
    "temporal_convolution": (
        backbones.temporal_convolution,
        {"filters": (5, 4), "kernel_size": 3, "units": 6},
        6,
    ),
}
VECTOR = {
    "mlp": (backbones.mlp, {"units": (8, 4)}, 4),
    "published_feature": (backbones.published_feature_network, {"units": 4}, 4),
}
PUBLISHED_TEXT = {"published_text": (backbones.published_text_network, {"hidden_units": 5, "units": 4}, 4)}
ALL = SEQUENCE | VECTOR | PUBLISHED_TEXT


def make(name, steps=None, **changes) -> keras.Model:
    function, options, _ = ALL[name]
    shape = (WIDTH,) if name in VECTOR else (steps, WIDTH)
    return function(shape, **{**options, "seed": 3, **changes})


def sequences(steps=6, seed=0):
    """Features far from standard, zero after each sequence's end."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((5, steps, WIDTH)) * [3, 0.1, 20] + [5, -1, 100]
    mask = np.arange(steps) < np.array([steps, 1, 3, 4, 2])[:, None]
    return np.where(mask[..., None], features, 0).astype("float32"), mask


@pytest.mark.parametrize("name", ALL)
def test_one_input_one_embedding_of_the_documented_width(name):
    model = make(name)
    shape = (4, WIDTH) if name in VECTOR else (4, 7, WIDTH)
    output = model(np.random.default_rng(0).standard_normal(shape).astype("float32"))
    assert output.shape == (4, ALL[name][2]) == (4, model.output_shape[-1])
    assert np.ptp(output) > 0


@pytest.mark.parametrize("name", SEQUENCE)
def test_padding_does_not_matter(name):
    """A sequence gives the same embedding alone and unpadded, as in a batch padded for others."""
    model = make(name)
    features, mask = sequences()
    statistics = features[mask].mean(0), features[mask].var(0)
    layer = model.get_layer("standardization")
    layer.adapt_mean.assign(statistics[0])
    layer.adapt_variance.assign(statistics[1])
    layer.finalize_state()
    together = np.asarray(model(features))
    for row, length in enumerate(mask.sum(1)):
        alone = np.asarray(model(features[row : row + 1, :length]))
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE)
def test_padding_in_front_gives_the_same_embedding(name):
    model = make(name)
    features, mask = sequences()
    in_front = np.zeros_like(features)
    for row, length in enumerate(mask.sum(1)):
        in_front[row, -length:] = features[row, :length]
    np.testing.assert_allclose(np.asarray(model(in_front)), np.asarray(model(features)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE)
def test_a_sequence_of_padding_alone_is_finite_and_leaves_the_others(name):
    model = make(name)
    features, _ = sequences()
    expected = np.asarray(model(features))
    features[2] = 0
    output = np.asarray(model(features))
    assert np.isfinite(output).all()
    np.testing.assert_allclose(np.delete(output, 2, 0), np.delete(expected, 2, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SEQUENCE)
def test_gradients_are_finite_with_padding_alone_in_the_batch(name):
    model = make(name)
    features, _ = sequences()
    features[2] = 0
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(features, np.ones((5, model.output_shape[-1])), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_average_pooling_is_mlp_of_the_mean():
    features, mask = sequences()
    model = make("average_pooling", 6)
    means = np.stack([row[steps].mean(axis=0) for row, steps in zip(features, mask)])
    vectors = make("mlp", units=(8, 4))
    vectors.set_weights(model.get_weights())
    np.testing.assert_allclose(model(features), vectors(means), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*SEQUENCE, "mlp"])
def test_standardisation_is_that_of_scikit_learn(name):
    """Raw features with statistics set = features standardised by scikit-learn without them."""
    if name == "mlp":
        features = sequences()[0][:, 0]
        scaler = StandardScaler().fit(features)
        scaled = scaler.transform(features)
    else:
        features, mask = sequences()
        scaler = StandardScaler().fit(features[mask])
        scaled = np.zeros_like(features)
        scaled[mask] = scaler.transform(features[mask])
    raw, plain = make(name), make(name)
    layer = raw.get_layer("standardization")
    layer.adapt_mean.assign(scaler.mean_)
    layer.adapt_variance.assign(scaler.var_)
    layer.finalize_state()
    np.testing.assert_allclose(
        np.asarray(raw(features)), np.asarray(plain(scaled.astype("float32"))), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", ALL)
def test_the_seed_decides_weights_and_dropout(name):
    def run(seed):
        dropouts = {"dropout": 0.5} if "published" in name else {"input_dropout": 0.3, "input_noise": 0.1}
        model = make(name, steps=6, **{"dropout": 0.5, **dropouts, "seed": seed})
        features = sequences()[0][:, 0] if name in VECTOR else sequences()[0]
        outputs = [np.asarray(model(features, training=True)) for _ in range(2)]
        return model.get_weights(), outputs

    (weights, outputs), (same, same_outputs), (other, _) = run(1), run(1), run(2)
    for first, second in zip(weights + outputs, same + same_outputs, strict=True):
        np.testing.assert_array_equal(first, second)
    assert any((first != second).any() for first, second in zip(weights, other))
    assert (outputs[0] != outputs[1]).any()


@pytest.mark.parametrize("name", ["bilstm", "temporal_convolution", "mlp"])
def test_layers_of_one_backbone_have_seeds_of_their_own(name):
    """Equal shapes, different weights: the two directions, and the last two layers."""
    options = {"bilstm": {}, "temporal_convolution": {"filters": (4, 4, 4)}, "mlp": {"units": (4, 4, 4)}}[
        name
    ]
    weights = [weight for weight in make(name, **options).get_weights() if weight.ndim > 1]
    for i, first in enumerate(weights):
        for second in weights[i + 1 :]:
            assert first.shape != second.shape or (first != second).all()


@pytest.mark.parametrize("name", ALL)
def test_a_shape_of_the_wrong_rank_is_refused(name):
    function, options, _ = ALL[name]
    for shape in ((4, 4, 4), (4, 4) if name in VECTOR else (4,)):
        with pytest.raises(LMFError, match=r"takes features of shape \((width|steps)"):
            function(shape, **options)
