"""Prebuilt backbones: one modality in, one embedding out, each a functional `keras.Model`."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.backbones.published import published_feature_network, published_text_network
from keras_lmf.backbones.sequence import bilstm, gru, lstm, mlp, temporal_convolution

__all__ = [
    "bilstm",
    "gru",
    "lstm",
    "mlp",
    "published_feature_network",
    "published_text_network",
    "temporal_convolution",
]
