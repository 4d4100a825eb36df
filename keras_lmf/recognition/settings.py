"""How a recognizer cuts a clip and follows its face: what is asked for, or what fits the model, checked."""

from __future__ import annotations

from dataclasses import dataclass

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.media.faces import DETECTORS, Detector
from keras_lmf.recognition.opened import Opened
from keras_lmf.spec import DEFAULT_DETECTOR

LONGEST_HOP = 60.0  # of a model of single pictures, whose windows needn't touch
SMOOTHING = (0.1, 3600.0)  # seconds


@dataclass(frozen=True)
class Settings:
    """What holds for every clip.

    Attributes:
        hop: seconds from one window's start to the next.
        smoothing: seconds over which the timeline is smoothed; None: it is not.
        face_detector: what finds faces.
        max_seconds: the longest file.
    """

    hop: float
    smoothing: float | None
    face_detector: str | Detector
    max_seconds: float

    @classmethod
    def of(
        cls,
        model: Opened,
        hop: float | None,
        smoothing: float | None,
        face_detector: str | Detector | None,
        max_seconds: float,
    ) -> Settings:
        """What is asked for; where that is None, half a window as hop, and the detector that the model learnt with.

        Raises:
            LMFError: a hop or a smoothing out of its range, or an unknown detector.
        """
        hop = model.hop if hop is None else hop
        least, most = model.least_hop, LONGEST_HOP if model.single_picture else model.seconds
        if not isinstance(hop, int | float) or not least <= hop <= most:
            window = "" if model.single_picture else f", the window of {model.name}"
            raise LMFError(f"'hop' takes {least:g} to {most:g} seconds{window}; received {hop!r}.")
        least, most = SMOOTHING
        if smoothing is not None and not (isinstance(smoothing, int | float) and least <= smoothing <= most):
            raise LMFError(f"'smoothing' takes {least:g} to {most:g} seconds, received {smoothing!r}.")
        if face_detector is None:
            face_detector = (model.face and model.spec.inputs[model.face.name].detector) or DEFAULT_DETECTOR
        if not callable(face_detector) and face_detector not in DETECTORS:
            raise unknown_name("face detector", face_detector, DETECTORS)
        return cls(hop, smoothing, face_detector, max_seconds)
