"""Prebuilt backbones: one modality in, one embedding out, each a functional `keras.Model`."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.backbones import front_ends, landmarks
from keras_lmf.backbones.audio import crnn, ge2e, log_mel_cnn, mfcc_bilstm, mfcc_lstm
from keras_lmf.backbones.landmarks import (
    landmark_bilstm,
    landmark_convolution,
    landmark_gru,
    landmark_lstm,
    landmark_mlp,
)
from keras_lmf.backbones.published import published_feature_network, published_text_network
from keras_lmf.backbones.sequence import bilstm, gru, lstm, mlp, temporal_convolution
from keras_lmf.backbones.spectrogram import spectrogram_cnn, spectrogram_crnn

__all__ = [
    "bilstm",
    "crnn",
    "front_ends",
    "ge2e",
    "gru",
    "landmark_bilstm",
    "landmark_convolution",
    "landmark_gru",
    "landmark_lstm",
    "landmark_mlp",
    "landmarks",
    "log_mel_cnn",
    "lstm",
    "mfcc_bilstm",
    "mfcc_lstm",
    "mlp",
    "published_feature_network",
    "published_text_network",
    "spectrogram_cnn",
    "spectrogram_crnn",
    "temporal_convolution",
]
