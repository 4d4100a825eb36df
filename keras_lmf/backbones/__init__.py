"""Prebuilt backbones: one modality in, one embedding out, each a functional `keras.Model`.

`front_ends` make features of raw inputs; backbones make an embedding of features, or hold a front end themselves.
"""

from types import FunctionType

import keras_lmf.layers  # noqa: F401  registers them, and says what to install without a backend
from keras_lmf.backbones import front_ends as front_ends
from keras_lmf.backbones import landmarks as landmarks
from keras_lmf.backbones.audio import crnn as crnn
from keras_lmf.backbones.audio import ge2e as ge2e
from keras_lmf.backbones.audio import log_mel_cnn as log_mel_cnn
from keras_lmf.backbones.audio import mfcc_bilstm as mfcc_bilstm
from keras_lmf.backbones.audio import mfcc_lstm as mfcc_lstm
from keras_lmf.backbones.front_ends import frames as frames
from keras_lmf.backbones.i3d import i3d as i3d
from keras_lmf.backbones.i3d import load_i3d_variables as load_i3d_variables
from keras_lmf.backbones.landmarks import landmark_bilstm as landmark_bilstm
from keras_lmf.backbones.landmarks import landmark_convolution as landmark_convolution
from keras_lmf.backbones.landmarks import landmark_gru as landmark_gru
from keras_lmf.backbones.landmarks import landmark_lstm as landmark_lstm
from keras_lmf.backbones.landmarks import landmark_mlp as landmark_mlp
from keras_lmf.backbones.picture_augmentation import picture_augmentation as picture_augmentation
from keras_lmf.backbones.pictures import cnn_2plus1d as cnn_2plus1d
from keras_lmf.backbones.pictures import cnn_gru as cnn_gru
from keras_lmf.backbones.pictures import cnn_lstm as cnn_lstm
from keras_lmf.backbones.pictures import image_cnn as image_cnn
from keras_lmf.backbones.projections import principal_components as principal_components
from keras_lmf.backbones.projections import truncated_svd as truncated_svd
from keras_lmf.backbones.sequence import average_pooling as average_pooling
from keras_lmf.backbones.sequence import bilstm as bilstm
from keras_lmf.backbones.sequence import gru as gru
from keras_lmf.backbones.sequence import lstm as lstm
from keras_lmf.backbones.sequence import mlp as mlp
from keras_lmf.backbones.sequence import published_feature_network as published_feature_network
from keras_lmf.backbones.sequence import published_text_network as published_text_network
from keras_lmf.backbones.sequence import temporal_convolution as temporal_convolution
from keras_lmf.backbones.spectrogram import spectrogram_cnn as spectrogram_cnn
from keras_lmf.backbones.spectrogram import spectrogram_crnn as spectrogram_crnn
from keras_lmf.backbones.steps import average_pooling_steps as average_pooling_steps
from keras_lmf.backbones.steps import bilstm_steps as bilstm_steps
from keras_lmf.backbones.steps import gru_steps as gru_steps
from keras_lmf.backbones.steps import lstm_steps as lstm_steps
from keras_lmf.backbones.steps import principal_components_steps as principal_components_steps
from keras_lmf.backbones.steps import temporal_convolution_steps as temporal_convolution_steps
from keras_lmf.backbones.steps import truncated_svd_steps as truncated_svd_steps

_functions = [name for name, value in globals().items() if isinstance(value, FunctionType)]
__all__ = ["frames", "front_ends", "landmarks", *sorted(_functions)]


def __dir__() -> list[str]:
    return __all__
