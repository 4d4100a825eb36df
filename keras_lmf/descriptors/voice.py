"""Of the voice: pitch, energy, spectrum, speech rate and pauses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from keras_lmf.descriptors.table import COEFFICIENTS, STEP, WINDOW
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.media.sound import decibels

LOWEST, HIGHEST = 65.0, 600.0  # Hz: voices of adults and children
FRAME = 0.064  # seconds of a spectrum
BELOW = 25.0  # dB under the loud steps begins a pause
PAUSE = 0.25  # seconds; shorter ones belong to articulation (Goldman-Eisler 1968)
PROMINENCE = 2.0  # dB by which a syllable stands out


def voice_descriptors(waveform: np.ndarray, rate: int, *, window: float = WINDOW) -> dict[str, np.ndarray]:
    """Descriptor → (T,) float64, one number every `STEP` seconds, the first at 0 s.

    A number is of the sound around its time: energy of one step, spectra of 64 ms.

    Args:
        waveform: (samples,) in [-1, 1], mono.
        rate: samples a second, ≥ 4000.
        window: seconds around a step, of what is said of a stretch.

    Raises:
        LMFError: librosa isn't installed; a waveform of another shape, or too short for one spectrum.
    """
    librosa = import_extra("librosa", "descriptors")
    waveform = np.asarray(waveform, np.float32)
    frame = round(FRAME * rate)
    if waveform.ndim != 1 or rate < 4000 or len(waveform) < frame:
        raise LMFError(
            f"voice_descriptors takes (samples,) of {FRAME:g} s or more at 4000 Hz or more, received "
            f"{waveform.shape} at {rate} Hz."
        )
    count, hop = steps_of(len(waveform) / rate), round(STEP * rate)
    options = {"hop_length": hop, "center": True}
    energy = decibels(_rms(waveform.astype(np.float64), count, hop))
    f0, _, _ = librosa.pyin(waveform, fmin=LOWEST, fmax=HIGHEST, sr=rate, frame_length=frame, **options)
    centroid = librosa.feature.spectral_centroid(y=waveform, sr=rate, n_fft=frame, **options)[0]
    mfcc = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=COEFFICIENTS, n_fft=frame, **options)
    f0, centroid = _fitted(f0, count), _fitted(centroid, count)
    steps = round(window / STEP)
    semitones = pd.Series(12 * np.log2(f0))
    return {
        "f0": f0,
        "f0_variation": around(semitones, steps).std(ddof=0).to_numpy(),
        "energy": energy,
        "spectral_centroid": np.where(energy > -200, centroid, np.nan),
        **{f"mfcc_{i + 1}": _fitted(row, count) for i, row in enumerate(mfcc)},
        "speech_rate": around(pd.Series(_syllables(energy, f0)), steps).mean().to_numpy() / STEP,
        "pause_share": around(pd.Series(_pauses(energy)), steps).mean().to_numpy(),
    }


def steps_of(seconds: float) -> int:
    """How many steps a stretch has."""
    return max(1, round(seconds / STEP))


def around(series: pd.Series, steps: int) -> pd.core.window.Rolling:
    """The window of so many steps around each; fewer at the ends."""
    return series.rolling(steps, center=True, min_periods=min(3, steps))


def _rms(waveform: np.ndarray, count: int, hop: int) -> np.ndarray:
    """Of the samples that lie within half a hop of each step's time."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(waveform))])
    middles = hop * np.arange(count)
    starts, ends = (np.clip(middles + shift, 0, len(waveform)) for shift in (-(hop // 2), hop - hop // 2))
    return np.sqrt(np.maximum(sums[ends] - sums[starts], 0) / np.maximum(ends - starts, 1))


def _fitted(values: np.ndarray, count: int) -> np.ndarray:
    """`count` values: a frame too many is cut, one too few stands on."""
    values = np.asarray(values, np.float64)[:count]
    return np.pad(values, (0, count - len(values)), mode="edge")


def _pauses(energy: np.ndarray) -> np.ndarray:
    """(T,) 1 where a pause is, else 0."""
    quiet = energy < np.percentile(energy, 95) - BELOW
    quiet |= energy <= -200
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(int), [0]])))
    pauses = np.zeros(len(energy))
    for start, end in edges.reshape(-1, 2):
        if (end - start) * STEP >= PAUSE - 1e-9:
            pauses[start:end] = 1
    return pauses


def _syllables(energy: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """(T,) 1 where a syllable has its nucleus, else 0: a voiced peak of the energy that is no pause."""
    from scipy.signal import find_peaks

    # The ends are quiet, so that the first and last syllable are peaks too.
    framed = np.concatenate([[energy.min() - 10], energy, [energy.min() - 10]])
    peaks, _ = find_peaks(framed, height=np.percentile(energy, 95) - BELOW, prominence=PROMINENCE)
    nuclei = np.zeros(len(energy))
    nuclei[[peak - 1 for peak in peaks if not np.isnan(f0[peak - 1])]] = 1
    return nuclei
