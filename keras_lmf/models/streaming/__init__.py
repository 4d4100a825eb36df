"""The streaming variant of a model: a clip comes chunk by chunk."""

from keras_lmf.models.streaming.model import streaming_model as streaming_model
