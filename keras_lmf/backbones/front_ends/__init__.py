"""Front ends: raw input → features, inside the model and never trained. One function for each word of a recipe.

Each gives a functional `keras.Model` named "front_end". What is absent or padding (frames of silence, black pictures, a
missing face) comes out as rows of zeros, as the backbones for features expect it.
"""

from types import FunctionType

from keras_lmf.backbones.front_ends.expression_net import expression_net as expression_net
from keras_lmf.backbones.front_ends.faces import landmark_statistics as landmark_statistics
from keras_lmf.backbones.front_ends.faces import landmarks as landmarks
from keras_lmf.backbones.front_ends.frames import application as application
from keras_lmf.backbones.front_ends.frames import mini_xception as mini_xception
from keras_lmf.backbones.front_ends.sound import GE2E_LAYERS as GE2E_LAYERS
from keras_lmf.backbones.front_ends.sound import SPECTRUM as SPECTRUM
from keras_lmf.backbones.front_ends.sound import ge2e as ge2e
from keras_lmf.backbones.front_ends.sound import log_mel as log_mel
from keras_lmf.backbones.front_ends.sound import mfcc as mfcc
from keras_lmf.backbones.front_ends.whisper import whisper as whisper
from keras_lmf.backbones.front_ends.whisper import whisper_convolutions as whisper_convolutions
from keras_lmf.backbones.front_ends.whisper import whisper_statistics as whisper_statistics

__all__ = sorted(name for name, value in globals().items() if isinstance(value, FunctionType))
