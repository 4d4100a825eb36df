"""Sound alone, of any media file; and how loud it is in small steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.clips import decode

SAMPLE_RATE = 16000
MAX_SECONDS = 60.0
STEP_SECONDS = 0.02
SILENCE = -60.0  # decibels relative to full scale
VOICE_HERTZ = 200.0  # below lie an offset and the hum of mains, above it most of a voice
VOICE_SECONDS = 0.1
# A clip is as loud as its loudest tenth, of half a second at least: neither a thump nor a shout counts alone.
LOUDEST_SHARE, LOUDEST_SECONDS = 10, 0.5


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
    return decode(path, tracks=("sound",), sample_rate=SAMPLE_RATE, max_seconds=MAX_SECONDS).waveform


def read_waveforms(paths: Iterable[Path], samples: int) -> np.ndarray:
    """The sound of several files, (files, samples), as of `decode_sound` and `padded`."""
    return np.stack([padded(decode_sound(path), samples) for path in paths])


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
    """Whether a waveform (samples,) in [-1, 1] holds nothing that could be a voice.

    A voice is above −60 dB for 0.1 s on end, counted above 200 Hz: an offset, the hum of mains, a click and
    anything shorter are silence.

    >>> times = np.arange(16000) / 16000
    >>> is_silent(np.full(16000, 0.1), 16000), is_silent(0.1 * np.sin(2 * np.pi * 300 * times), 16000)
    (True, False)
    """
    step = step_samples(rate)
    loud = voice_levels(np.pad(waveform, (step, 2 * step)), rate) >= SILENCE
    count = round(VOICE_SECONDS / STEP_SECONDS)
    return not (np.convolve(loud, np.ones(count)) > count - 0.5).any()


def sounding(waveform: np.ndarray, rate: int, below: float) -> tuple[int, int]:
    """First and end sample of what is not silence at the ends: steps of 20 ms at most `below` dB under the loudest.

    >>> sounding(np.repeat([0.0, 0.5, 0.001, 0.5, 0.0], 320), 16000, 30)
    (320, 1280)
    """
    step = step_samples(rate)
    whole = np.pad(waveform, (0, -len(waveform) % step)).reshape(-1, step)
    level = decibels(steps_rms(whole))
    loud = np.flatnonzero(level >= level.max() - below)
    return int(loud[0] * step), min(int((loud[-1] + 1) * step), len(waveform))


def step_samples(rate: int) -> int:
    """Of a step of 20 ms."""
    return max(1, round(STEP_SECONDS * rate))


def voice_levels(waveform: np.ndarray, rate: int) -> np.ndarray:
    """(pieces,) decibels above 200 Hz of pieces of two steps, one every step, as far as they fit in the waveform.

    >>> times = np.arange(960) / 16000
    >>> voice_levels(np.sqrt(0.02) * np.sin(2 * np.pi * 1000 * times), 16000).round(1).tolist()
    [-20.0, -20.0]
    """
    size = 2 * step_samples(rate)
    if len(waveform) < size:
        return np.zeros(0)
    shape = np.blackman(size)  # its side lobes keep a loud hum out of the band
    pieces = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), size)[:: size // 2]
    power = np.square(np.abs(np.fft.rfft(pieces * shape)))
    power[:, -1] /= 2  # every other frequency stands for its negative too
    band = 2 * power[:, np.fft.rfftfreq(size, 1 / rate) >= VOICE_HERTZ].sum(axis=1)
    return decibels(np.sqrt(band / (size * np.square(shape).sum())))


class Stretch(NamedTuple):
    """Samples `first` to `last` of `length`, the last one excluded."""

    first: int
    last: int
    length: int


def voiced(blocks: Iterable[np.ndarray], rate: int, below: float) -> Stretch:
    """A sound without what is quiet at its ends: pieces of 40 ms more than `below` dB under the sound's own level.

    Both are counted above 200 Hz. The sound's level is what its loudest tenth reaches, of half a second at least: so
    about half a second is left, or all of a shorter sound.

    Args:
        blocks: of samples (samples,), one after the other, of any lengths; one is held at a time.
        rate: samples a second.
        below: decibels.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> voiced([np.zeros(8000), 0.1 * tone, np.zeros(8000)], 16000, 30)
    Stretch(first=8000, last=24000, length=32000)
    """
    step = step_samples(rate)
    rest, length, found = np.zeros(0, np.float32), 0, [np.zeros(0)]
    for block in blocks:
        length += len(block)
        rest = np.concatenate([rest, block])
        found.append(voice_levels(rest, rate))
        rest = rest[len(found[-1]) * step :]
    levels = np.concatenate(found)
    loudest = max(len(levels) // LOUDEST_SHARE, math.ceil(LOUDEST_SECONDS * rate / step))
    if len(levels) <= loudest:
        return Stretch(0, length, length)
    loud = np.flatnonzero(levels >= np.partition(levels, -loudest)[-loudest] - below)
    # From the middle of the first loud piece to that of the last one; the ends are no middle of a piece.
    first = (int(loud[0]) + 1) * step if loud[0] else 0
    last = (int(loud[-1]) + 1) * step if loud[-1] < len(levels) - 1 else length
    return Stretch(first, last, length)
