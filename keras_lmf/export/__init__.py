"""Trained models to files: SavedModel and TensorFlow Lite, each judged by running the written file."""

from pydantic import ValidationError

import keras_lmf.models  # noqa: F401  says what to install without a backend
from keras_lmf.errors import invalid
from keras_lmf.export.artifact import Artifact, Latency, NotAllWritten, report, summary
from keras_lmf.export.exporter import FORMATS, export_model
from keras_lmf.export.source import behind
from keras_lmf.spec import InputSpec

__all__ = [
    "FORMATS",
    "Artifact",
    "InputDescription",
    "Latency",
    "NotAllWritten",
    "behind",
    "export_model",
    "report",
    "summary",
]


def InputDescription(
    rate: float | None = None,
    unit: str | None = None,
    description: str | None = None,
    range: tuple[float, float] | None = None,
    media: str | None = None,
) -> InputSpec:
    """An `InputSpec` without a shape, under the name and with the order of arguments that it had before.

    Raises:
        LMFError: a value out of its bounds.
    """
    try:
        return InputSpec(rate=rate, unit=unit, description=description, range=range, media=media)
    except ValidationError as error:
        raise invalid(error, InputSpec, "The description of an input") from None
