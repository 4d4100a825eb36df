"""From a recipe to a zoo entry, and from published weights to a backbone of the zoo."""

from keras_lmf.publishing.backbones import publish_backbone
from keras_lmf.publishing.calibrations import calibrate
from keras_lmf.publishing.entries import publish
from keras_lmf.publishing.metadata import write_metadata
from keras_lmf.publishing.renewals import renew
from keras_lmf.publishing.shipping import about_a_file

__all__ = ["about_a_file", "calibrate", "publish", "publish_backbone", "renew", "write_metadata"]
