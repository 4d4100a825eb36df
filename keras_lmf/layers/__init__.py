"""Keras layers that users compose. Importing this package registers them with Keras's serialisation."""

# ruff: noqa: E402
from keras_lmf.backend import require_backend

require_backend()

from keras_lmf.layers.early_fusion import EarlyFusion
from keras_lmf.layers.face_landmark_normalization import FaceLandmarkNormalization
from keras_lmf.layers.level_normalization import LevelNormalization
from keras_lmf.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_lmf.layers.low_rank_fusion import LowRankFusion
from keras_lmf.layers.mel_spectrogram import MelSpectrogram
from keras_lmf.layers.mfcc import MFCC
from keras_lmf.layers.mirror_average import MirrorAverage
from keras_lmf.layers.modality_presence import ModalityPresence
from keras_lmf.layers.random_affine import RandomAffine
from keras_lmf.layers.spec_augment import SpecAugment
from keras_lmf.layers.statistics_pooling import StatisticsPooling
from keras_lmf.layers.temporal_convolution import TemporalConvolution
from keras_lmf.layers.tensor_fusion import TensorFusion

__all__ = [
    "MFCC",
    "EarlyFusion",
    "FaceLandmarkNormalization",
    "LevelNormalization",
    "LogMelSpectrogram",
    "LowRankFusion",
    "MelSpectrogram",
    "MirrorAverage",
    "ModalityPresence",
    "RandomAffine",
    "SpecAugment",
    "StatisticsPooling",
    "TemporalConvolution",
    "TensorFusion",
]
