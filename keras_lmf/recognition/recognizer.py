"""Recognizer: a clip in, its emotion out, by any model that takes sound."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.recognition.enrolment import enrol
from keras_lmf.recognition.opening import open_model
from keras_lmf.recognition.prediction import Prediction
from keras_lmf.recognition.sound import (
    Envelope,
    Window,
    checked_waveform,
    windows_of_array,
    windows_of_file,
)

WINDOWS_AT_ONCE = 32
SHORTEST_HOP = 0.04

Clip = str | Path | np.ndarray | Mapping[str, np.ndarray]


class Recognizer:
    """A model that names the emotion of a clip.

    >>> recognizer = Recognizer("model.tflite")     # doctest: +SKIP
    >>> print(recognizer("clip.mp4"))               # doctest: +SKIP
    clip.mp4: happy 0.83 (neutral 0.12, sad 0.05)

    The clip is cut into windows of the length that the model takes, one every `hop`; what is left at its end is padded
    with zeros. A clip's probabilities are the mean over its windows, weighted by the seconds that each one holds.
    Memory is bounded by the window, not by the file.

    Args:
        artifact: the name or folder of a zoo entry, the folder of a run, the folder of a SavedModel, or a `.tflite`
            file; the last two with their sidecar beside them. A `.tflite` needs neither TensorFlow nor Keras.
        hop: seconds from one window's start to the next, at most a window; None: half a window.
        enrolment: clips (files or waveforms) of the one speaker who will be asked about, best ten or more of several
            emotions, without labels. The voice's features are then standardised by this speaker's own mean and
            variance instead of the training speakers'. That is transductive: where such figures are given for an
            entry, they stand in a row of their own ("enrolled"). Zoo entries and runs with a front end only.
        cache_dir: see `zoo.fetch`.

    Attributes:
        labels: the emotions, in the model's order.
        modalities: the model's inputs.
        rate: samples a second of the sound that the model takes.
        seconds: length of a window.
        hop: seconds from one window to the next.
        temperature: by which the logits are divided; 1 where the model was not calibrated.
        presence: "derived" when the model can do without a modality, "assumed" when it needs them all.

    Raises:
        LMFError: no such model, one that takes features only (with the entries that fit), one that names no classes,
            a hop out of its range, or one clip instead of a list to enrol.
    """

    def __init__(
        self,
        artifact: str | Path,
        *,
        hop: float | None = None,
        enrolment: Sequence[str | Path | np.ndarray] = (),
        cache_dir: str | Path | None = None,
    ) -> None:
        self._model = model = open_model(artifact, cache_dir)
        self.labels: tuple[str, ...] = model.facts.target.classes
        self.modalities = tuple(model.facts.inputs)
        self.rate = model.rate
        self.seconds = model.samples / model.rate
        self.hop = self.seconds / 2 if hop is None else hop
        self.temperature = model.facts.temperature
        self.presence = model.facts.presence
        if not isinstance(self.hop, int | float) or not SHORTEST_HOP <= self.hop <= self.seconds:
            raise LMFError(
                f"'hop' takes {SHORTEST_HOP:g} to {self.seconds:g} seconds, the window of {model.name}; received "
                f"{self.hop!r}."
            )
        if isinstance(enrolment, str | Path | np.ndarray):
            raise LMFError("'enrolment' takes a list of clips, received one clip: enrolment=[…].")
        if enrolment:
            enrol(model, itertools.chain.from_iterable(map(self._windows, enrolment)))

    def _windows(self, clip: str | Path | np.ndarray) -> Iterator[Window]:
        """Of a file or a waveform."""
        if isinstance(clip, str | Path):
            return windows_of_file(Path(clip), self._model.samples, self.hop, self.rate)
        waveform = checked_waveform(f"input {self._model.sound!r}", clip, self.rate)
        return windows_of_array(waveform, self._model.samples, self.hop, self.rate)

    def __repr__(self) -> str:
        return (
            f"Recognizer({self._model.name!r}: {', '.join(self.modalities)} → {', '.join(self.labels)}; windows of "
            f"{self.seconds:g} s every {self.hop:g} s, {self.rate} Hz, temperature {self.temperature:g})"
        )

    def __call__(self, clip: Clip) -> Prediction:
        """The emotion of one clip.

        Args:
            clip: a media file (any container that FFmpeg reads; of it, the sound); a waveform (samples,), float, mono
                at `rate` in [-1, 1]; or a dict of arrays by modality, each of one clip: the waveform, and features in
                the shape that the model takes.

        A modality is absent where the file has no sound, where all of it is zeros, and where the dict lacks it. A model
        whose presence is "derived" answers from the others, and `Prediction.presence` says so.

        Raises:
            LMFError: a file that can't be read, an array that doesn't fit, nothing to judge by, or a modality absent
                that the model needs.
        """
        file = Path(clip) if isinstance(clip, str | Path) else None
        name = "the clip" if file is None else str(file)
        waveform, features = (file, {}) if file is not None else self._arrays(clip)
        windows = self._windows(waveform)
        self._require_features(name, features)
        with contextlib.closing(windows):
            return self._predict(name, file, windows, features)

    def _arrays(
        self, clip: np.ndarray | Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The waveform, one window of zeros where there is none, and the features."""
        sound = self._model.sound
        arrays = dict(clip) if isinstance(clip, Mapping) else {sound: clip}
        for name in arrays:
            if name not in self.modalities:
                raise unknown_name(f"input of {self._model.name}:", name, self.modalities)
        waveform = arrays.pop(sound) if sound in arrays else np.zeros(self._model.samples, np.float32)
        return waveform, arrays

    def _require_features(self, name: str, features: Mapping[str, np.ndarray]) -> None:
        missing = [key for key in self.modalities if key not in features and key != self._model.sound]
        if missing and self.presence == "assumed":
            raise LMFError(
                f"{name}: {self._model.name} needs {', '.join(missing)} too, features that no media file gives. "
                f"Give a dict of arrays: {', '.join(self.modalities)}."
            )

    def _predict(
        self, name: str, file: Path | None, windows: Iterator[Window], features: Mapping[str, np.ndarray]
    ) -> Prediction:
        envelope, bounds, probabilities, presence = Envelope(self.rate), [], [], []
        shown = iter(tqdm(windows, desc=name, unit="window", delay=2, leave=False, disable=None))
        while batch := list(itertools.islice(shown, WINDOWS_AT_ONCE)):
            for window in batch:
                envelope.add(window)
                bounds.append((window.start / self.rate, (window.start + len(window.waveform)) / self.rate))
            inputs = self._inputs(batch, features)
            there = {key: values.reshape(len(batch), -1).any(axis=1) for key, values in inputs.items()}
            presence.append(there)
            probabilities.append(self._probabilities(name, inputs, there))
        present = {key: any(there[key].any() for there in presence) for key in self.modalities}
        seconds = np.array(bounds)
        shares = np.concatenate(probabilities)
        judged = ~np.isnan(shares[:, 0])
        if not judged.any():
            absent = ", ".join(key for key, there in present.items() if not there)
            raise LMFError(f"{name}: nothing to judge by: no {absent} (silent from beginning to end).")
        mean = np.average(shares[judged], axis=0, weights=np.diff(seconds[judged], axis=1)[:, 0])
        timeline = pd.DataFrame(seconds, columns=["start", "end"])
        timeline[list(self.labels)] = shares
        return Prediction(
            emotion=self.labels[int(mean.argmax())],
            probabilities=dict(zip(self.labels, mean.tolist())),
            timeline=timeline,
            presence=present,
            file=file,
            sound=envelope.table(),
        )

    def _inputs(self, batch: list[Window], features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the model takes, a row per window; zeros where a window ends early and for absent features."""
        inputs = {}
        for key, info in self._model.runtime.inputs.items():
            rows = np.zeros((len(batch), *info.shape), info.dtype)
            if key == self._model.sound:
                for row, window in zip(rows, batch):
                    row[: len(window.waveform)] = window.waveform
            elif key in features:
                value = np.asarray(features[key])
                if value.shape != info.shape or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
                    raise LMFError(
                        f"input {key!r}: received {value.dtype} of shape {value.shape}; {self._model.name} takes "
                        f"finite numbers of shape {info.shape}."
                    )
                rows[:] = value
            inputs[key] = rows
        return inputs

    def _probabilities(
        self, name: str, inputs: dict[str, np.ndarray], there: dict[str, np.ndarray]
    ) -> np.ndarray:
        """(windows, labels); NaN for windows that lack what the model needs."""
        needed = np.stack(list(there.values()))
        judged = needed.any(axis=0) if self.presence == "derived" else there[self._model.sound]
        shares = np.full((len(judged), len(self.labels)), np.nan)
        if judged.any():
            outputs = self._model.runtime.predict({key: values[judged] for key, values in inputs.items()})
            logits = outputs[self._model.facts.target.name]
            if not np.isfinite(logits).all():
                raise LMFError(f"{name}: {self._model.name} answers with NaN or infinity.")
            shares[judged] = softmax(logits, self.temperature)
        return shares
