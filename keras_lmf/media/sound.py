"""Sound alone: of any media file, and of files that hold 16 kHz mono; and how loud it is in small steps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.streams import check_end, opened, started
from keras_lmf.media.tracks import Sound

SAMPLE_RATE = 16000
MAX_SECONDS = 60.0
STEP_SECONDS = 0.02
SILENCE = -60.0  # decibels relative to full scale


def number_of_samples(seconds: object, what: str) -> int:
    """The samples of `seconds` at 16 kHz; `what` names the setting in the error.

    Raises:
        LMFError: not a number above 0 and up to 60, or less than one sample.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 1 / SAMPLE_RATE <= seconds <= MAX_SECONDS:
        raise LMFError(
            f"{what} must be a number above 0 and up to {MAX_SECONDS:g} seconds, received {seconds!r}."
        )
    return round(seconds * SAMPLE_RATE)


def padded(waveform: np.ndarray, samples: int) -> np.ndarray:
    """(samples,) float32: `waveform`, cut at the end, or with zeros there."""
    return np.pad(np.asarray(waveform[:samples], np.float32), (0, max(0, samples - len(waveform))))


def require_decoder() -> None:
    """Raise the LMFError that names the extra if PyAV isn't installed, before files are blamed one by one."""
    import_extra("av", "media")


def decode_sound(path: str | Path) -> np.ndarray:
    """The sound of a media file of up to 60 s, as `decode` gives it; no picture is decoded.

    It begins with the first sample, also where the file's picture begins before that.

    Args:
        path: a local file in any container that FFmpeg reads.

    Returns:
        (samples,) float32 in [-1, 1], 16 kHz mono, at least one sample.

    Raises:
        LMFError: a missing, truncated or damaged file, one without sound or of more than 60 s, or PyAV isn't
            installed.
    """
    path = Path(path)
    with opened(path) as container:
        sound = Sound(started(path, container, "audio") or iter(()), SAMPLE_RATE)
        sound.read(sound.first + int(MAX_SECONDS) + 1)
        samples = round((sound.end - sound.first) * SAMPLE_RATE)
        if samples > MAX_SECONDS * SAMPLE_RATE:
            raise LMFError(f"{path}: longer than {MAX_SECONDS:g} s. Cut it into clips.")
        if not samples:
            raise LMFError(f"{path}: it has no sound that can be decoded.")
        check_end(path, container, 1, sound.end)
        return sound.take(sound.first, 0, samples)


def read_waveforms(paths: Iterable[Path], samples: int) -> np.ndarray:
    """Sound files that hold 16 kHz mono, in any format that soundfile reads.

    Returns:
        (files, samples) float32 in [-1, 1], each cut or zero-padded at the end.

    Raises:
        LMFError: a file that is missing, damaged, or at another rate or with more channels; or soundfile isn't
            installed.
    """
    return np.stack([_read(path, samples) for path in paths])


def _read(path: Path, samples: int) -> np.ndarray:
    soundfile = import_extra("soundfile", "media")
    if not path.is_file():
        raise LMFError(f"{path}: no such file.")
    try:
        waveform, rate = soundfile.read(path, samples, dtype="float32", always_2d=True, fill_value=0)
    except soundfile.SoundFileError as error:
        raise LMFError(f"{path}: no sound file, or a damaged one ({error}). Copy it again.") from error
    channels = waveform.shape[1]
    if rate != SAMPLE_RATE or channels > 1:
        raise LMFError(
            f"{path}: {rate} Hz with {channels} channels, must be {SAMPLE_RATE} Hz with 1. "
            f"Convert it: ffmpeg -i {path.name} -ac 1 -ar {SAMPLE_RATE} converted{path.suffix}"
        )
    return np.clip(waveform[:, 0], -1, 1)


def steps_rms(steps: np.ndarray) -> np.ndarray:
    """Root mean square of each row of samples, (steps, samples) → (steps,)."""
    return np.sqrt(np.mean(np.square(steps), axis=1))


def decibels(rms: np.ndarray) -> np.ndarray:
    """Relative to full scale; −200 of zero.

    >>> decibels(np.array([1.0, 0.1])).round(6).tolist()
    [0.0, -20.0]
    """
    return 20 * np.log10(np.maximum(rms, 1e-10))


def is_silent(waveform: np.ndarray, rate: int) -> bool:
    """Whether a waveform (samples,) in [-1, 1] stays below −60 dB in every step of 20 ms; the last may be shorter.

    >>> is_silent(np.zeros(100), 16000), is_silent(np.full(100, 0.1), 16000)
    (True, False)
    """
    step = max(1, round(STEP_SECONDS * rate))
    whole = len(waveform) // step * step
    parts = [waveform[:whole].reshape(-1, step), waveform[None, whole:]]
    return all((decibels(steps_rms(part)) < SILENCE).all() for part in parts if part.size)
