"""From a recipe to a zoo entry."""

from keras_lmf.publishing.making import publish

__all__ = ["publish"]
