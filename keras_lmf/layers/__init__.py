"""Keras layers that users compose. Importing this package registers them with Keras's serialisation."""

# ruff: noqa: E402
from keras_lmf.backend import require_backend

require_backend()

from keras_lmf.layers.attention_pooling import AttentionPooling as AttentionPooling
from keras_lmf.layers.cross_modal_attention import CrossModalAttention as CrossModalAttention
from keras_lmf.layers.decision_fusion import DecisionFusion as DecisionFusion
from keras_lmf.layers.early_fusion import EarlyFusion as EarlyFusion
from keras_lmf.layers.estimate_fusion import EstimateFusion as EstimateFusion
from keras_lmf.layers.face_landmark_normalization import (
    FaceLandmarkNormalization as FaceLandmarkNormalization,
)
from keras_lmf.layers.last_step import LastStep as LastStep
from keras_lmf.layers.level_normalization import LevelNormalization as LevelNormalization
from keras_lmf.layers.log_mel_spectrogram import LogMelSpectrogram as LogMelSpectrogram
from keras_lmf.layers.low_rank_fusion import LowRankFusion as LowRankFusion
from keras_lmf.layers.mel_spectrogram import MelSpectrogram as MelSpectrogram
from keras_lmf.layers.mfcc import MFCC as MFCC
from keras_lmf.layers.mirror_average import MirrorAverage as MirrorAverage
from keras_lmf.layers.modality_presence import ModalityPresence as ModalityPresence
from keras_lmf.layers.positions import Positions as Positions
from keras_lmf.layers.present_steps import PresentSteps as PresentSteps
from keras_lmf.layers.random_affine import RandomAffine as RandomAffine
from keras_lmf.layers.spec_augment import SpecAugment as SpecAugment
from keras_lmf.layers.stacking import Stacking as Stacking
from keras_lmf.layers.statistics_pooling import StatisticsPooling as StatisticsPooling
from keras_lmf.layers.temporal_convolution import TemporalConvolution as TemporalConvolution
from keras_lmf.layers.tensor_fusion import TensorFusion as TensorFusion
from keras_lmf.layers.time_alignment import TimeAlignment as TimeAlignment

__all__ = sorted(name for name in globals() if name[0].isupper())  # the layers above
