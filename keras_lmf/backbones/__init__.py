"""Prebuilt backbones: one modality in, one embedding out, each a functional `keras.Model`."""

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.backbones import frames, front_ends, landmarks
from keras_lmf.backbones.audio import crnn, ge2e, log_mel_cnn, mfcc_bilstm, mfcc_lstm
from keras_lmf.backbones.i3d import i3d, load_i3d_variables
from keras_lmf.backbones.image import image_cnn
from keras_lmf.backbones.landmarks import (
    landmark_bilstm,
    landmark_convolution,
    landmark_gru,
    landmark_lstm,
    landmark_mlp,
)
from keras_lmf.backbones.published import published_feature_network, published_text_network
from keras_lmf.backbones.sequence import average_pooling, bilstm, gru, lstm, mlp, temporal_convolution
from keras_lmf.backbones.spectrogram import spectrogram_cnn, spectrogram_crnn
from keras_lmf.backbones.video import cnn_2plus1d, cnn_gru, cnn_lstm

__all__ = [
    "average_pooling",
    "bilstm",
    "cnn_2plus1d",
    "cnn_gru",
    "cnn_lstm",
    "crnn",
    "frames",
    "front_ends",
    "ge2e",
    "gru",
    "i3d",
    "image_cnn",
    "landmark_bilstm",
    "landmark_convolution",
    "landmark_gru",
    "landmark_lstm",
    "landmark_mlp",
    "landmarks",
    "load_i3d_variables",
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
