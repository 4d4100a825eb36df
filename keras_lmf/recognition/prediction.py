"""What a Recognizer answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Prediction:
    """The emotion of one clip. `print(prediction)` shows it in a line.

    Attributes:
        emotion: the most probable label.
        probabilities: label → probability, calibrated where the model has a temperature; they add up to 1.
        timeline: one row per window: `start`, `end` in seconds, and one column per label with its probability; NaN
            where the window holds nothing to judge by (silence).
        presence: modality → whether the clip has it. Digital silence is no voice.
        file: the media file; None for arrays.
        sound: the sound in steps of 20 ms: `start` in seconds, `peak` and `rms` in [0, 1]; for the picture.
    """

    emotion: str
    probabilities: dict[str, float]
    timeline: pd.DataFrame = field(repr=False)
    presence: dict[str, bool]
    file: Path | None
    sound: pd.DataFrame = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """All but `sound`, in JSON's terms; the `timeline` is a list of windows, `probabilities` null where NaN."""
        rows = self.timeline.to_dict("records")
        return {
            "file": None if self.file is None else str(self.file),
            "emotion": self.emotion,
            "probabilities": dict(self.probabilities),
            "presence": dict(self.presence),
            "timeline": [
                {
                    "start": row["start"],
                    "end": row["end"],
                    "probabilities": None
                    if pd.isna(row[self.emotion])
                    else {label: row[label] for label in self.probabilities},
                }
                for row in rows
            ],
        }

    def figure(self) -> Figure:
        """Waveform, energy and probabilities over time."""
        from keras_lmf.evaluation.timeline import emotion_timeline

        name = "" if self.file is None else f"{self.file.name}: "
        title = f"{name}{self.emotion} ({self.probabilities[self.emotion]:.0%})"
        return emotion_timeline(self.timeline, self.sound, title)

    def __str__(self) -> str:
        ranked = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        others = ", ".join(f"{label} {share:.2f}" for label, share in ranked[1:])
        name = "" if self.file is None else f"{self.file}: "
        absent = [modality for modality, there in self.presence.items() if not there]
        without = f"; without {', '.join(absent)}" if absent else ""
        return f"{name}{self.emotion} {ranked[0][1]:.2f} ({others}){without}"
