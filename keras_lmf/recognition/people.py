"""Every face of a clip judged by itself, without the voice, which nothing here attributes to one of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_lmf import media
from keras_lmf.errors import LMFError
from keras_lmf.media import Clip
from keras_lmf.media.crops import faces_tracker, followed_rate, joined
from keras_lmf.media.faces import Faces, MultiFaceTracker
from keras_lmf.media.thumbnails import Strip
from keras_lmf.recognition.inputs import inputs_of, windows_at_once
from keras_lmf.recognition.judgement import judge
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.prediction import Prediction
from keras_lmf.recognition.settings import Settings
from keras_lmf.recognition.summary import NO_FACE, Summary
from keras_lmf.recognition.windows import Window, cut

SILENCE = np.zeros(0, np.float32)


def predictions(model: Opened, path: Path, settings: Settings) -> list[Prediction]:
    """One for each face, by number; of the windows in which it is seen.

    Raises:
        LMFError: the file can't be read, has no picture, or shows no face.
    """
    summaries: dict[int, Summary] = {}
    windows = windows_of_faces(path, model, settings)
    while batch := list(itertools.islice(windows, windows_at_once(model))):
        numbers = np.array([number for number, _ in batch])
        judged = judge(model, str(path), inputs_of(model, [window for _, window in batch], {}))
        for number in np.unique(numbers).tolist():
            rows = np.flatnonzero(numbers == number)
            summary = summaries.setdefault(
                number, Summary(model, str(path), path, Strip(), settings.smoothing)
            )
            summary.add([batch[row][1] for row in rows], judged.take(rows))
    if not summaries:
        raise LMFError(f"{path}: nothing to judge by: no {model.face.name} ({NO_FACE}).")
    return [
        dataclasses.replace(summaries[number].prediction(), face=number + 1) for number in sorted(summaries)
    ]


def windows_of_faces(path: Path, model: Opened, settings: Settings) -> Iterator[tuple[int, Window]]:
    """The numbers of the faces that are seen in each window of a file, each with the window as it shows this face.

    Windows are those of `windows.windows_of_file`; the file is decoded once, without its sound.
    """
    rate = followed_rate(model.face)
    limits = {"tracks": ("picture",), "frame_rate": float(rate), "max_seconds": settings.max_seconds}
    clips = media.windows(path, 1 / rate, **limits)
    first, second = next(clips), next(clips, None)
    photo = second is None
    tracker = faces_tracker(model.face, settings.face_detector, 1 if photo else 2)
    steps = _followed(itertools.chain([first], [second] if second else [], clips), tracker)
    for start, held in cut(steps, max(1, round(model.seconds * rate)), settings.hop * rate):
        bounds = float(start / rate), 0.0 if photo else float((start + len(held)) / rate)
        for number in range(len(held[-1]) - 1):
            faces = joined([_of(number, step) for step in held])
            if faces.present.any():
                yield number, Window(*bounds, SILENCE, faces)


def _followed(clips: Iterator[Clip], tracker: MultiFaceTracker) -> Iterator[tuple[Faces, ...]]:
    """Of clips of one frame each, the faces by number, and behind them nothing in that frame, for who comes later."""
    for clip in clips:
        yield (*tracker(clip.frames, clip.timestamps), tracker.stacked([None], clip.timestamps))


def _of(number: int, step: tuple[Faces, ...]) -> Faces:
    return step[min(number, len(step) - 1)]
