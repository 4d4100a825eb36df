"""MirrorAverage: the mean of two answers, but in training, when the network trains on the picture as it is."""

from __future__ import annotations

import keras
import numpy as np

from keras_lmf.layers import MirrorAverage

PICTURES = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype("float32")


def test_outside_of_training_it_is_the_mean_of_both_and_in_training_the_pictures_own() -> None:
    picture = keras.Input((4, 5, 2))
    hidden = keras.layers.BatchNormalization()(picture)
    network = keras.Model(picture, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))
    layer = MirrorAverage(network)
    both = [network(pictures, training=False) for pictures in (PICTURES, PICTURES[:, :, ::-1])]
    for options in ({}, {"training": False}):
        found = keras.ops.convert_to_numpy(layer(PICTURES, **options))
        np.testing.assert_allclose(found, np.mean(both, axis=0), rtol=1e-5, atol=1e-6)
    found = keras.ops.convert_to_numpy(layer(PICTURES, training=True))
    # In training the batch's own mean and deviation standardise.
    standard = (PICTURES - PICTURES.mean(axis=(0, 1, 2))) / np.sqrt(PICTURES.var(axis=(0, 1, 2)) + 1e-3)
    kernel, bias = network.layers[-1].get_weights()
    np.testing.assert_allclose(found, standard.reshape(3, -1) @ kernel + bias, rtol=1e-4, atol=1e-4)
