"""Trained models to files: SavedModel and TensorFlow Lite, each judged by running the written file."""

import keras_lmf.models  # noqa: F401  says what to install without a backend
from keras_lmf.export.artifact import Artifact, report
from keras_lmf.export.exporter import FORMATS, export_model

__all__ = ["FORMATS", "Artifact", "export_model", "report"]
