"""A clip's windows, judged one after the other, as one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from keras_lmf import decisions
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.evaluation.terms import Subset, title
from keras_lmf.media.sound import SILENCE, VOICE_HERTZ, VOICE_SECONDS, step_samples, steps_rms
from keras_lmf.media.thumbnails import Strip
from keras_lmf.recognition.judgement import Judgement
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.prediction import Prediction
from keras_lmf.recognition.windows import Window, has_sound, least_samples

FACE = ("time", "x", "y", "width", "height", "confidence")
LOWEST = 1e-7  # probability of which a logarithm is taken
NO_FACE = "none is found in the picture; of one that is a face alone: --face-detector none"


class Seen:
    """What a clip's windows held: when they were, and which modalities were there. `name` is the clip's in errors."""

    def __init__(self, model: Opened, name: str) -> None:
        self._model, self._name = model, name
        self._heard, self._picture = 0, False  # the most samples of a window; a picture, even without a face
        self._unspoken: list[tuple[float, float]] = []  # start and end of windows with sound, but no voice
        self._bounds: list[tuple[float, float]] = []
        self._there: list[Mapping[str, np.ndarray]] = []

    def add(self, windows: Sequence[Window], there: Mapping[str, np.ndarray]) -> None:
        """The next windows, and by modality in which of them it was."""
        self._there.append(there)
        self._bounds += [(window.start, window.end) for window in windows]
        self._heard = max(self._heard, *(len(window.waveform) for window in windows))
        self._picture |= any(window.faces is not None for window in windows)
        if sound := self._model.sound:
            mute = [window for window, heard in zip(windows, there[sound.name]) if not heard]
            self._unspoken += [
                (window.start, window.end) for window in mute if has_sound(window.waveform, sound)
            ]

    @property
    def bounds(self) -> np.ndarray:
        """(N, 2) float64: start and end of each window, in seconds."""
        return np.array(self._bounds)

    @property
    def unspoken(self) -> tuple[tuple[float, float], ...]:
        """Start and end in seconds of the windows whose sound is no speech; those that touch are one."""
        joined: list[tuple[float, float]] = []
        for start, end in self._unspoken:
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], end
            else:
                joined.append((start, end))
        return tuple(joined)

    @property
    def weights(self) -> np.ndarray:
        """(N,) float64: the seconds of each window; 1 of a photo, which takes no time."""
        seconds = np.diff(self.bounds, axis=1)[:, 0]
        return seconds if seconds.any() else np.ones_like(seconds)

    @property
    def presence(self) -> dict[str, bool]:
        """Modality → whether any window has it."""
        return {key: bool(rows.any()) for key, rows in _joined(self._there).items()}

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Over the windows that say something, those that are no NaN, weighted by their seconds.

        Raises:
            LMFError: no window has what the model needs: what is absent, and why.
        """
        found = _weighted_mean(rows, self.weights)
        if found is None:
            raise self._nothing_to_judge_by()
        return found

    def _nothing_to_judge_by(self) -> LMFError:
        reasons = {}
        if self._model.sound:
            rate, least = self._model.sound.rate, least_samples(self._model.sound)
            if not self._heard:
                reason = "there is no sound"
            elif self._heard < least:
                reason = f"its sound lasts {self._heard / rate:.2f} s, the least is {least / rate:g} s"
            elif self._unspoken:
                start, end = self._bounds[0][0], self._bounds[-1][1]
                reason = f"no speech in {end - start:.1f} s of sound, but music or noise"
            else:
                reason = (
                    f"silent from beginning to end: above {VOICE_HERTZ:.0f} Hz below −{-SILENCE:.0f} dB, or shorter "
                    f"than {VOICE_SECONDS:g} s"
                )
            reasons[self._model.sound.name] = f" ({reason})"
        if self._model.face:
            reasons[self._model.face.name] = f" ({NO_FACE})" if self._picture else " (there is no picture)"
        absent = [f"no {key}{reasons.get(key, '')}" for key, present in self.presence.items() if not present]
        return LMFError(
            f"{self._name}: nothing to judge by: "
            f"{', '.join(absent) or 'what the model needs is never there at the same time'}."
        )


class Summary:
    """What is kept of windows and judgements: numbers. `strip` has the thumbnails by the end.

    Args:
        smoothing: seconds over which the timeline is smoothed; None: it is not.
    """

    def __init__(
        self, model: Opened, name: str, file: Path | None, strip: Strip, smoothing: float | None
    ) -> None:
        self._labels, self._file, self._strip, self._smoothing = model.labels, file, strip, smoothing
        self._windows = Seen(model, name)
        self._envelope = Envelope(model.sound.rate if model.sound else 1)
        self._faces: list[np.ndarray] = []
        self._followed = -np.inf  # the last time of `_faces`
        self._judgements: list[Judgement] = []
        self._cut: tuple[tuple[float, float], ...] = ()

    def add(self, windows: Sequence[Window], judgement: Judgement) -> None:
        """The next windows."""
        self._judgements.append(judgement)
        self._windows.add(windows, judgement.there)
        for window in windows:
            self._cut += window.cut
            self._envelope.add(window.start, window.waveform)
            if window.faces is not None:
                faces = window.faces
                rows = np.column_stack([faces.timestamps, faces.boxes, faces.confidence])
                self._faces.append(rows[rows[:, 0] > self._followed])  # windows overlap
                self._followed = faces.timestamps[-1]

    def prediction(self) -> Prediction:
        """Of all windows, weighted by the seconds that each one holds.

        Raises:
            LMFError: no window has what the model needs.
        """
        labels, bounds, weights = self._labels, self._windows.bounds, self._windows.weights
        probabilities = np.concatenate([judgement.probabilities for judgement in self._judgements])
        mean = self._windows.mean(probabilities)
        timeline = pd.DataFrame(bounds, columns=["start", "end"])
        course = probabilities
        if self._smoothing is not None and len(bounds) > 1:
            course = _smoothed(probabilities, bounds.mean(axis=1), self._smoothing)
        timeline[list(labels)] = course
        timeline = timeline[timeline["end"] > timeline["start"]]
        alone = _joined([judgement.alone for judgement in self._judgements])
        by_modality = {key: _weighted_mean(rows, weights) for key, rows in alone.items()}
        contributions = _joined([judgement.contributions for judgement in self._judgements])
        return Prediction(
            emotion=labels[int(mean.argmax())],
            probabilities=dict(zip(labels, mean.tolist())),
            timeline=timeline,
            presence=self._windows.presence,
            by_modality={
                key: dict(zip(labels, shares.tolist()))
                for key, shares in by_modality.items()
                if shares is not None
            },
            shares=_shares(contributions, weights),
            contributions={
                title(subset): dict(zip(labels, _weighted_mean(rows, weights).tolist()))
                for subset, rows in contributions.items()
            },
            file=self._file,
            cut=self._cut,
            sound=self._envelope.table(),
            unspoken=self._windows.unspoken,
            faces=pd.DataFrame(np.concatenate([np.zeros((0, len(FACE))), *self._faces]), columns=list(FACE)),
            thumbnails=tuple(self._strip.thumbnails),
            others=tuple(self._strip.others),
        )


class Envelope:
    """Peak and energy of a sound that arrives in windows which may overlap, in steps of 20 ms."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._step = step_samples(rate)
        self._begin: int | None = None
        self._seen = 0
        self._rest = np.zeros(0, np.float32)
        self._rows: list[np.ndarray] = []

    def add(self, start: float, waveform: np.ndarray) -> None:
        """Take what is new in a window from `start` seconds on, which is no later than the end of the last one.

        The first step begins with the first window.
        """
        if self._begin is None:
            self._begin = self._seen = round(start * self._rate)
        fresh = waveform[max(0, self._seen - round(start * self._rate)) :]
        self._seen += len(fresh)
        pending = np.concatenate([self._rest, fresh])
        whole = len(pending) // self._step * self._step
        self._take(pending[:whole].reshape(-1, self._step))
        self._rest = pending[whole:]

    def table(self) -> pd.DataFrame:
        """Columns `start` (seconds), `peak` (largest |sample|), `rms`; the last step may be shorter."""
        if len(self._rest):
            self._take(self._rest[None])
            self._rest = self._rest[:0]
        numbers = np.concatenate(self._rows) if self._rows else np.zeros((0, 2))
        starts = ((self._begin or 0) + np.arange(len(numbers)) * self._step) / self._rate
        return pd.DataFrame({"start": starts, "peak": numbers[:, 0], "rms": numbers[:, 1]})

    def _take(self, steps: np.ndarray) -> None:
        peaks = np.abs(steps).max(axis=1)
        self._rows.append(np.stack([peaks, steps_rms(steps)], axis=1))


def _smoothed(probabilities: np.ndarray, times: np.ndarray, seconds: float) -> np.ndarray:
    """By a Kalman smoother of the logarithms, each class alone; windows of NaN are passed over, and stay so."""
    logs = np.log(np.maximum(probabilities, LOWEST))
    drift = decisions.drift_of(seconds, float(np.median(np.diff(times))))
    course, _ = decisions.smoothed(logs, times, drift, 1.0)
    return np.where(np.isnan(probabilities), np.nan, softmax(course))


def _joined(parts: Sequence[Mapping]) -> dict:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _weighted_mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Over the rows that are no NaN, weighted; None if there is none."""
    known = ~np.isnan(rows[:, 0])
    return np.average(rows[known], axis=0, weights=weights[known]) if known.any() else None


def _shares(contributions: Mapping[Subset, np.ndarray], weights: np.ndarray) -> dict[str, float]:
    """Each subset's share of the lengths of all contributions but the constant; they add up to 1. Empty where nothing
    contributes."""
    totals = {
        title(subset): float(np.nansum(np.linalg.norm(rows, axis=1) * weights))
        for subset, rows in contributions.items()
        if subset
    }
    whole = sum(totals.values())
    return {name: total / whole for name, total in totals.items()} if whole else {}
