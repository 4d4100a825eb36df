"""A voice: harmonics of a gliding pitch under the formants of vowels."""

from __future__ import annotations

import numpy as np

from keras_lmf.data.corpora.synthetic_clips.performance import Performance

_BANDWIDTH = 130.0  # Hz, of each formant
_HIGHEST = 4000.0  # Hz, above which there are no harmonics
_BREATH = -28.0  # dB of noise under the voice
_ROOM = -62.0  # dB of noise everywhere


def waveform(performance: Performance, samples: int, sample_rate: int) -> np.ndarray:
    """The clip's sound: (samples,) float32 in [-1, 1].

    Each harmonic's gain is the voice's spectral tilt times the sum of the formants' resonances at its frequency.
    Breath follows the loudness; a quiet room's noise is everywhere. The voice's RMS is that of the emotion.
    """
    times = np.arange(samples) / sample_rate
    pitch = performance.pitch(times)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = performance.articulation(times)[:3]
    highest = min(_HIGHEST, 0.45 * sample_rate)
    sound, power = np.zeros((2, samples))
    for harmonic in range(1, int(highest / pitch.min()) + 1):
        frequency = harmonic * pitch
        gain = np.sum(1 / (1 + ((frequency - formants) / _BANDWIDTH) ** 2), axis=0) + 0.05
        gain *= harmonic ** (-performance.voice.tilt / (20 * np.log10(2)))
        # A harmonic fades out below the limit: it must not click when the pitch glides across.
        gain *= np.clip((highest - frequency) / 200, 0, 1)
        sound += gain * np.sin(harmonic * phase)
        power += gain**2 / 2
    random = np.random.default_rng(performance.noise)
    noise = random.standard_normal((2, samples))
    # However the harmonics meet the formants, the loudness is the performance's.
    sound = sound / np.sqrt(power) + 10 ** (_BREATH / 20) * noise[0]
    sound *= performance.loudness(times)
    sound *= 10 ** (performance.voice.level / 20) / np.sqrt(np.mean(sound**2))
    sound += 10 ** (_ROOM / 20) * noise[1]
    return np.clip(sound, -1, 1).astype(np.float32)
