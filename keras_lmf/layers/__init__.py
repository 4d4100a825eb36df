"""Keras layers that users compose. Importing this package registers them with Keras's serialisation."""

# ruff: noqa: E402
from keras_lmf.backend import require_backend

require_backend()

from keras_lmf.layers.face_landmark_normalization import (
    FaceLandmarkNormalization as FaceLandmarkNormalization,
)
from keras_lmf.layers.fusion import EarlyFusion as EarlyFusion
from keras_lmf.layers.fusion import ModalityPresence as ModalityPresence
from keras_lmf.layers.fusion import TensorFusion as TensorFusion
from keras_lmf.layers.low_rank_fusion import LowRankFusion as LowRankFusion
from keras_lmf.layers.pictures import MirrorAverage as MirrorAverage
from keras_lmf.layers.pictures import RandomAffine as RandomAffine
from keras_lmf.layers.sequences import SpecAugment as SpecAugment
from keras_lmf.layers.sequences import StatisticsPooling as StatisticsPooling
from keras_lmf.layers.sequences import TemporalConvolution as TemporalConvolution
from keras_lmf.layers.sound import MFCC as MFCC
from keras_lmf.layers.sound import LevelNormalization as LevelNormalization
from keras_lmf.layers.sound import LogMelSpectrogram as LogMelSpectrogram
from keras_lmf.layers.sound import MelSpectrogram as MelSpectrogram

__all__ = sorted(name for name in globals() if name[0].isupper())  # the layers above
