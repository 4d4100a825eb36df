"""A float32 .tflite file in float16, int8 or int16: bytes in, bytes out, without TensorFlow and Keras."""

from keras_lmf.quantization.half import float16
from keras_lmf.quantization.integers import dynamic, int8, int16
from keras_lmf.quantization.spectra import Spectral

__all__ = ["Spectral", "dynamic", "float16", "int8", "int16"]
