"""Trained models to files: SavedModel and TensorFlow Lite, each judged by running the written file."""

import keras_lmf.models  # noqa: F401  says what to install without a backend
from keras_lmf.export.artifact import Artifact, Latency, report, summary
from keras_lmf.export.exporter import FORMATS, export_model
from keras_lmf.spec import InputSpec as InputDescription  # its name before there was one spec

__all__ = ["FORMATS", "Artifact", "InputDescription", "Latency", "export_model", "report", "summary"]
