"""From a recipe to a zoo entry."""

from keras_lmf.publishing.publish import publish

__all__ = ["publish"]
