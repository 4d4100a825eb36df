"""What a Recognizer answers."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.media.thumbnails import Thumbnail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_lmf.media import Mark


@dataclass(frozen=True, eq=False)
class Prediction:
    """The emotion of one clip. `print(prediction)` shows it in a line.

    Attributes:
        emotion: the most probable label.
        probabilities: label → probability, calibrated where the model has a temperature; they add up to 1.
        timeline: one row per window: `start`, `end` in seconds, and one column per label with its probability; NaN
            where the window holds nothing to judge by (silence). Smoothed, where the recognizer smooths; nothing else
            here is. No rows of a photo, which takes no time.
        presence: modality → whether the clip has it. Silence is no voice.
        by_modality: modality → label → probability, with this modality alone; without those that the clip lacks, and
            empty for a model of one modality or one that needs them all.
        shares: how much of the answer comes from what: of each modality ("voice") and of those that go together
            ("voice × face"), the length of its contribution to the logits (`LowRankFusion.interactions`), on average
            over the windows; 0 of what is never there. They add up to 1. Empty for a model as there.
        contributions: of each of those, and of "constant" (what is answered to nothing), label → its contribution to
            the logit, less the mean over the labels; the mean over the windows, weighted by their seconds. Above 0
            speaks for the label. They add up to that mean of the logits. Empty for a model as there.
        file: the media file; None for arrays.
        cut: start and end in seconds of the silence that was cut before the first window and after the last.
        sound: the windows' sound in steps of 20 ms: `start` in seconds, `peak` and `rms` in [0, 1]; for the picture.
        unspoken: start and end in seconds of the windows whose sound is no speech, as far as that is known; for the
            picture.
        faces: the frames in which a face was followed: `time` in seconds; `x`, `y`, `width`, `height` of its box in
            pixels of the upright frame, NaN without a face; `confidence` of the detector in [0, 1], NaN where it has
            none.
        thumbnails: up to 24 small pictures of the face, evenly over the clip.
        others: from when on, in seconds, which other faces there are: (N, 4), boxes as in `faces`.
        face: of `Recognizer.faces`, the number of the face: 1, 2, …; None: one answer about the whole clip.
    """

    emotion: str
    probabilities: dict[str, float]
    timeline: pd.DataFrame = field(repr=False)
    presence: dict[str, bool]
    by_modality: dict[str, dict[str, float]]
    shares: dict[str, float]
    contributions: dict[str, dict[str, float]] = field(repr=False)
    file: Path | None
    cut: tuple[tuple[float, float], ...] = field(repr=False)
    sound: pd.DataFrame = field(repr=False)
    unspoken: tuple[tuple[float, float], ...] = field(repr=False)
    faces: pd.DataFrame = field(repr=False)
    thumbnails: tuple[Thumbnail, ...] = field(repr=False)
    others: tuple[tuple[float, np.ndarray], ...] = field(repr=False)
    face: int | None = None

    @property
    def seconds(self) -> float | None:
        """From the first window's start to the last one's end; None of a photo, which takes no time."""
        if self.timeline.empty:
            return None
        return float(self.timeline["end"].iloc[-1] - self.timeline["start"].iloc[0])

    def to_dict(self) -> dict[str, Any]:
        """All but `sound`, `unspoken`, `faces`, `thumbnails` and `others`, in JSON's terms.

        The `timeline` is a list of windows, `probabilities` null where NaN.
        """
        rows = self.timeline.to_dict("records")
        return {
            "file": None if self.file is None else str(self.file),
            **({} if self.face is None else {"face": self.face}),
            "emotion": self.emotion,
            "probabilities": dict(self.probabilities),
            "presence": dict(self.presence),
            "by_modality": {key: dict(shares) for key, shares in self.by_modality.items()},
            "shares": dict(self.shares),
            "contributions": {name: dict(each) for name, each in self.contributions.items()},
            "cut": [list(ends) for ends in self.cut],
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

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Prediction:
        """What `to_dict` told; without `sound`, `unspoken`, `faces`, `thumbnails` and `others`."""
        unknown = dict.fromkeys(told["probabilities"], np.nan)
        rows = [
            {"start": row["start"], "end": row["end"], **(row["probabilities"] or unknown)}
            for row in told["timeline"]
        ]
        names = ("emotion", "probabilities", "presence", "by_modality", "shares", "contributions")
        return cls(
            **{name: told[name] for name in names},
            timeline=pd.DataFrame(rows, columns=["start", "end", *unknown]),
            file=None if told["file"] is None else Path(told["file"]),
            cut=tuple((start, end) for start, end in told["cut"]),
            sound=pd.DataFrame(),
            unspoken=(),
            faces=pd.DataFrame(),
            thumbnails=(),
            others=(),
            face=told.get("face"),
        )

    def figure(self) -> Figure:
        """The faces, where there are any, the probabilities over time, the sound, and what is missing when.

        Raises:
            LMFError: of a photo.
        """
        from keras_lmf.evaluation.timeline import emotion_timeline

        if self.timeline.empty:
            raise LMFError(f"{self.file}: a photo takes no time, so there is no timeline to draw.")
        name = "" if self.file is None else f", {self.file.name}"
        title = f"{self.emotion} {self.probabilities[self.emotion]:.0%}{name}"
        absent = {"no face": self._faceless(), "no speech": self.unspoken}
        return emotion_timeline(self.timeline, self.sound, title, self.thumbnails, self.cut, absent)

    def _faceless(self) -> list[tuple[float, float]]:
        """Start and end in seconds of each time in which the followed frames show no face."""
        times, gone = self.faces["time"].to_numpy(), self.faces["x"].isna().to_numpy().astype(int)
        changes = np.flatnonzero(np.diff(np.concatenate([[0], gone, [0]]))).reshape(-1, 2)
        ends = np.append(times, float(self.timeline["end"].max()))
        return [(float(ends[first]), float(ends[stop])) for first, stop in changes]

    def annotate(self, target: str | Path) -> Path:
        """Write the video to the .mp4 file `target` with box and probabilities drawn on it, sound kept.

        At each time they are those of the window whose middle is nearest.

        Raises:
            LMFError: a prediction of arrays; or as of `keras_lmf.media.annotate`.
        """
        from keras_lmf.evaluation import style
        from keras_lmf.media import annotate

        if self.file is None:
            raise LMFError("Only a file's prediction can be drawn on its video; this one is of arrays.")
        read = {"sound": len(self.sound) > 0, "picture": len(self.faces) > 0}
        tracks = tuple(filter(read.get, read))
        colours = style.colours(self.probabilities)
        return annotate(self.file, target, self._marks(), colours=colours, tracks=tracks)

    def _marks(self) -> Iterator[Mark]:
        """What is drawn: at each frame that was followed; without such frames, at each change of window."""
        from keras_lmf.media import Mark

        labels = list(self.probabilities)
        middles = self.timeline[["start", "end"]].mean(axis=1).to_numpy()
        changes = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2])
        shares = self.timeline[labels].to_numpy() if len(middles) else [[*self.probabilities.values()]]
        followed = len(self.faces) > 0
        times = self.faces["time"].to_numpy() if followed else changes
        boxes = (
            self.faces[["x", "y", "width", "height"]].to_numpy().tolist() if followed else [None] * len(times)
        )
        windows = np.searchsorted(changes, times, side="right") - 1
        begins = [begin for begin, _ in self.others]
        for time, box, window in zip(times.tolist(), boxes, np.array(shares)[windows]):
            known = not np.isnan(window[0])
            others = self.others[max(0, bisect.bisect(begins, time) - 1)][1].tolist() if followed else ()
            yield Mark(time, box, dict(zip(labels, window.tolist())) if known else {}, others)

    def __str__(self) -> str:
        ranked = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        others = ", ".join(f"{label} {share:.2f}" for label, share in ranked[1:])
        named = [*filter(None, [self.file]), *([f"face {self.face}"] if self.face else [])]
        name = f"{', '.join(map(str, named))}: " if named else ""
        absent = [modality for modality, there in self.presence.items() if not there]
        without = f"; without {', '.join(absent)}" if absent else ""
        alone = "".join(f"; {modality} alone {best(shares)}" for modality, shares in self.by_modality.items())
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        told = f"{alone}; {shares}" if len(self.by_modality) > 1 else ""
        return f"{name}{self.emotion} {ranked[0][1]:.2f} ({others}){told}{without}"


def best(shares: Mapping[str, float]) -> str:
    """The most probable label with its probability: "happy 0.83"."""
    label = max(shares, key=shares.__getitem__)
    return f"{label} {shares[label]:.2f}"
