"""A clip window by window: its sound and the face in its picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from keras_lmf import media
from keras_lmf.errors import LMFError
from keras_lmf.media import Clip
from keras_lmf.media.crops import face_tracker, followed_rate, joined
from keras_lmf.media.faces import Faces, FaceTracker
from keras_lmf.media.request import exact, nearest
from keras_lmf.media.sound import is_silent, voiced
from keras_lmf.media.speech import lacks_speech
from keras_lmf.media.suffixes import PICTURE_FILES
from keras_lmf.media.thumbnails import Strip
from keras_lmf.recognition.opened import Opened, SoundInput
from keras_lmf.recognition.settings import Settings

LEAST_SECONDS = 0.3  # of sound, for anything to be said of it
# Decibels below the sound's own level: what is quieter at its ends is cut. Chosen in `benchmarks/silence.py`.
QUIET = 30.0
BLOCK_SECONDS = 1

T = TypeVar("T")
Step = tuple[np.ndarray, Faces]  # the sound of one frame's time, and the face in that frame


class Window(NamedTuple):
    """A stretch of a clip.

    Attributes:
        start: seconds.
        end: seconds.
        waveform: (samples,) float32, no longer than the model takes; empty without sound.
        faces: in the frames that are followed; None without a picture.
        cut: of the first window: start and end in seconds of the silence that was cut before and after all windows.
    """

    start: float
    end: float
    waveform: np.ndarray
    faces: Faces | None = None
    cut: tuple[tuple[float, float], ...] = ()


def windows_of_file(
    path: Path, model: Opened, settings: Settings, strip: Strip, *, trim: bool
) -> Iterator[Window]:
    """The windows of a media file; a few frames of it are held at a time, a block of sound, and a window.

    Windows are those of `media.windows`, whose errors these are too. Where the model takes a face, a file with
    a picture needs the extra `face`, and `strip` gets its thumbnails. A photo is one window that takes no time. Of a
    file whose picture isn't judged, `trim` leaves out silence at the ends, as of `windows_of_sound`: it is then
    decoded twice.
    """
    if model.face is not None:
        rate = followed_rate(model.face)
        rates = {"frame_rate": float(rate), **({"sample_rate": model.sound.rate} if model.sound else {})}
        tracks = ("sound", "picture") if model.sound else ("picture",)
        clips = media.windows(path, 1 / rate, tracks=tracks, max_seconds=settings.max_seconds, **rates)
        first, second = next(clips), next(clips, None)
        if first.has_picture:
            photo = second is None and not first.has_sound
            # What is found in a single picture can't be confirmed.
            tracker = face_tracker(model.face, settings.face_detector, 1 if second is None else 2)
            steps = _followed(itertools.chain([first], [second] if second else [], clips), tracker, strip)
            length = max(1, round(model.seconds * rate))
            for start, held in cut(steps, length, settings.hop * rate):
                waveform = np.concatenate([sound for sound, _ in held])
                samples = model.sound.samples if model.sound else 0
                yield Window(
                    float(start / rate),
                    0.0 if photo else float((start + len(held)) / rate),
                    waveform[:samples],
                    joined([faces for _, faces in held]),
                )
            return
        clips.close()
    sound = model.sound
    if model.face is None and PICTURE_FILES.fullmatch(path.suffix):
        raise LMFError(
            f"{path}: a picture, and nothing but sound is taken here. Models of the face take pictures."
        )

    def blocks() -> Iterator[np.ndarray]:
        limits = {"tracks": ("sound",), "max_seconds": settings.max_seconds}
        for clip in media.windows(path, BLOCK_SECONDS, sample_rate=sound.rate, **limits):
            yield clip.waveform

    if trim and path.is_file():  # a pipe can be read once
        yield from windows_of_sound(blocks, sound, settings.hop)
    else:
        yield from windows_of_blocks(blocks(), sound, settings.hop)


def _followed(clips: Iterator[Clip], tracker: FaceTracker, strip: Strip) -> Iterator[Step]:
    """Of clips of one frame each."""
    for clip in clips:
        faces = tracker(clip.frames, clip.timestamps)
        strip.add(clip.start, clip.frames[0], faces.boxes[0], tracker.others)
        yield clip.waveform, faces


def cut(steps: Iterator[T], length: int, hop: float) -> Iterator[tuple[int, list[T]]]:
    """The number of the first step, and the steps, of windows of `length` steps, one every `hop` ≥ 1 of them.

    The last window may be shorter, and holds something that the one before doesn't.
    """
    held: list[T] = []
    begin = end = 0
    for index in itertools.count():
        start = round(index * hop)
        held += itertools.islice(steps, start + length - begin - len(held))
        if begin + len(held) <= max(start, end):
            return
        del held[: start - begin]
        begin, end = start, start + len(held)
        yield begin, list(held)


def windows_of_sound(
    blocks: Callable[[], Iterator[np.ndarray]], sound: SoundInput, hop: float
) -> Iterator[Window]:
    """The windows of a whole sound without the silence at its ends, in the sound's seconds.

    Args:
        blocks: gives the sound from its beginning in blocks (samples,), each time that it is called.
        sound: the model's input.
        hop: seconds.
    """
    rate = sound.rate
    first, last, length = voiced(blocks(), rate, QUIET)
    ends = tuple((start / rate, end / rate) for start, end in ((0, first), (last, length)) if start < end)
    for window in windows_of_blocks(_part(blocks(), first, last), sound, hop, first):
        yield window._replace(cut=ends)
        ends = ()


def _part(blocks: Iterator[np.ndarray], first: int, last: int) -> Iterator[np.ndarray]:
    """Samples `first` to `last`, the last one excluded."""
    at = 0
    for block in blocks:
        yield block[max(0, first - at) : last - at]
        at += len(block)
        if at >= last:
            return


def waveform_blocks(waveform: np.ndarray, rate: int) -> Iterator[np.ndarray]:
    """A waveform (samples,) in blocks, one after the other."""
    size = BLOCK_SECONDS * rate
    return (waveform[at : at + size] for at in range(0, len(waveform), size))


def windows_of_blocks(
    blocks: Iterator[np.ndarray], sound: SoundInput, hop: float, skipped: int = 0
) -> Iterator[Window]:
    """The windows of a waveform that arrives in blocks (samples,), each as soon as it is whole; placed as those of a
    file, so that the last one may be shorter. No more than a window and a block is held. Before the first block
    `skipped` samples were left out."""
    samples, rate, held = sound.samples, sound.rate, np.zeros(0, np.float32)
    begin = stop = 0
    for index in itertools.count():
        start = nearest(index * exact(hop), rate)
        while begin + len(held) < start + samples and (block := next(blocks, None)) is not None:
            held = np.concatenate([held, block])
        if begin + len(held) <= stop:
            return
        held, begin, stop = held[start - begin :], start, start + samples
        end = min(stop, start + len(held))
        yield Window((skipped + start) / rate, (skipped + end) / rate, held[:samples])


def least_samples(sound: SoundInput) -> int:
    """Of which something is said: `LEAST_SECONDS`, or half a window where that is shorter."""
    return min(round(LEAST_SECONDS * sound.rate), sound.samples // 2)


def has_sound(waveform: np.ndarray, sound: SoundInput) -> bool:
    """Whether a window's sound is long enough, and no silence."""
    return len(waveform) >= least_samples(sound) and not is_silent(waveform, sound.rate)


def has_voice(waveform: np.ndarray, sound: SoundInput) -> bool:
    """Whether a window has sound, and speech in it as far as that is known."""
    return has_sound(waveform, sound) and not lacks_speech(waveform, sound.rate)


def is_whole(window: Window, model: Opened) -> bool:
    """Whether it isn't the shorter one at the end, but for a sample or frame that rounding takes."""
    step = 1 / followed_rate(model.face) if window.faces is not None else 2 / exact(model.sound.rate)
    return window.end - window.start > model.seconds - 0.75 * step


def checked_waveform(name: str, waveform: np.ndarray, rate: int) -> np.ndarray:
    """(samples,) float32 in [-1, 1], at least one sample.

    Raises:
        LMFError: another shape, integers, or numbers that are not finite or out of range.
    """
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1 or not len(waveform):
        received = waveform.shape if isinstance(waveform, np.ndarray) else type(waveform).__name__
        raise LMFError(
            f"{name}: received {received}; a waveform is a numpy array (samples,), mono at {rate} Hz. "
            f"Of channels, take the mean."
        )
    if waveform.dtype.kind != "f":
        raise LMFError(
            f"{name}: received dtype {waveform.dtype}; a waveform is float32 in [-1, 1]. "
            f"Divide integers by their full scale, 32768 for int16."
        )
    if not np.abs(waveform).max() <= 1:  # NaN neither
        raise LMFError(
            f"{name}: the waveform holds numbers outside [-1, 1], or NaN. Divide it by its full scale."
        )
    return waveform.astype(np.float32)
