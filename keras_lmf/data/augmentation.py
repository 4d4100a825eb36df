"""Waveform augmentation: speed, room, gain, noise, band and shift, drawn anew for every copy of a training clip."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass

import numpy as np

from keras_lmf.data.dataset import Split
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.lazy import Array, LazyArray, hash_of

# Zeros before a clip is resampled: what rings at its edges must not come round to the other end.
_MARGIN = 512


@dataclass(frozen=True)
class Augmentation:
    """What a copy of a clip may differ in. Each range is (lowest, highest); a value in it is drawn uniformly.

    Args:
        copies: rows that one row becomes, itself included, ≥ 1.
        gain_db: in dB; (0, 0) changes no loudness.
        noise_db: signal-to-noise ratio in dB, the clip's mean power over the noise's. The noise is white or pink
            (power ∝ 1 / frequency), as a fair coin decides. None adds none.
        shift_seconds: how far the clip moves; a positive number delays it. (0, 0) moves nothing.
        speed: factor of playing speed, as of a tape: the pitch goes with it. (1, 1) changes nothing.
        reverberation_seconds: the time in which the sound in a room falls by 60 dB. Half of the copies, as a fair coin
            decides, are heard in a room, where its echoes are as strong as the voice itself. The echoes are white
            noise that decays exponentially (Moorer, "About this reverberation business", Computer Music Journal 3,
            1979). (0, 0): no copy is.
        bands_hz: pass bands (lowest, highest) in Hz, as (300, 3400) of a telephone. Half of the copies, as another coin
            decides, go through one of them, clip and noise alike: Butterworth filters of order 4, without their delay.
            (): no copy does.
        sample_rate: of the waveforms, in Hz.

    Raises:
        LMFError: a range that is none, or values out of their range.
    """

    copies: int = 2
    gain_db: tuple[float, float] = (-6.0, 6.0)
    noise_db: tuple[float, float] | None = (15.0, 40.0)
    shift_seconds: tuple[float, float] = (-0.1, 0.1)
    speed: tuple[float, float] = (0.9, 1.1)
    sample_rate: int = 16000
    reverberation_seconds: tuple[float, float] = (0.0, 0.0)
    bands_hz: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        whole_number("Augmentation: copies", self.copies, 1)
        whole_number("Augmentation: sample_rate", self.sample_rate, 1)
        bounds = {
            "gain_db": (-60, 60),
            "noise_db": (-60, 120),
            "shift_seconds": (-60, 60),
            "speed": (0.5, 2),
            "reverberation_seconds": (0, 10),
        }
        for name, (low, high) in bounds.items():
            if name == "noise_db" and self.noise_db is None:
                continue
            object.__setattr__(self, name, _range(name, getattr(self, name), low, high))
        bands = tuple(_range("bands_hz", band, 1, self.sample_rate / 2) for band in self.bands_hz)
        if any(low == high for low, high in bands):
            raise LMFError(f"Augmentation: bands_hz must have a width, received {self.bands_hz!r}.")
        object.__setattr__(self, "bands_hz", bands)

    def apply(self, waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """One augmented copy.

        Speed comes first, then the room, gain, noise, the band and shift; so noise lies on the clip and its echoes
        alone, up to the last non-zero sample, and the zeros after it and those that a shift brings in stay zeros. What
        moves or grows beyond the ends of the row is cut off. A clip of zeros stays one.

        Args:
            waveform: (samples,) in [-1, 1], zeros after the clip's end. It is not changed.
            generator: where the values are drawn from.

        Returns:
            (samples,) float32 in [-1, 1].
        """
        # All is drawn whatever is used, so that one setting doesn't change the draws of another.
        speed, gain, shift = (
            generator.uniform(*span) for span in (self.speed, self.gain_db, self.shift_seconds)
        )
        noise_db = generator.uniform(*(self.noise_db or (0, 0)))
        pink = generator.random() < 0.5
        (rooms,) = generator.spawn(1)
        in_room, in_band = rooms.random(2) < 0.5
        decay = rooms.uniform(*self.reverberation_seconds)
        samples = len(waveform)
        clip = _resampled(np.trim_zeros(np.asarray(waveform, np.float64), "b"), speed)[:samples]
        if in_room and decay:
            clip = _reverberated(clip, decay * self.sample_rate, rooms)[:samples]
        clip = clip * 10 ** (gain / 20)
        if self.noise_db is not None:
            clip = clip + _noise(clip, noise_db, pink, generator)
        if in_band and self.bands_hz:
            low, high = self.bands_hz[rooms.integers(len(self.bands_hz))]
            clip = _through_band(clip, low / self.sample_rate, high / self.sample_rate)
        later = round(shift * self.sample_rate)
        before, gone = max(0, later), max(0, -later)
        placed = np.pad(clip, (before, samples + gone))[gone : gone + samples]
        return np.clip(placed.astype(np.float32), -1, 1)


def augmented(split: Split, augmentation: Augmentation, *, seed: int = 0, modality: str = "voice") -> Split:
    """The split with `augmentation.copies` rows for each of its N: first all N as they are, then their copies.

    A copy is a function of `seed`, the row's id and the number of the copy alone, so it stays the same when other
    rows come or go. All else that a row has is repeated; copy k of "clip" has the id "clip+k". Where corpora are
    joined, the copies of "emodb" are the corpus "emodb, changed": they sound of other rooms and microphones.

    Args:
        split: usually the training split; augmented validation or test rows would measure something else.
        augmentation: what may differ.
        seed: ≥ 0; another seed gives other copies.
        modality: of `split`, with the waveforms: (N, samples).

    Raises:
        LMFError: an unknown modality, one that holds no waveforms, or a wrong seed.
    """
    if modality not in split.inputs:
        raise unknown_name("modality", modality, split.inputs)
    waveforms, copies = split.inputs[modality], augmentation.copies
    if waveforms.ndim != 2 or modality in split.masks:
        raise LMFError(
            f"input/{modality}: shape {waveforms.shape}; only waveforms (N, samples) can be augmented."
        )
    whole_number("augmented: seed", seed, 0)
    rows = len(split)
    ids = split.ids.tolist()
    changed = _Copies(waveforms, ids, augmentation, seed)
    if isinstance(waveforms, LazyArray):
        changed = LazyArray([changed], hash_of(waveforms.digest, *ids, repr(augmentation), str(seed)))
    else:
        changed = changed[np.arange(copies * rows)]
    others = {name: values for name, values in split.inputs.items() if name != modality}
    repeated = dataclasses.replace(split, inputs=others).take(np.tile(np.arange(rows), copies))
    return dataclasses.replace(
        repeated,
        corpora=with_copies(split.corpora, copies),
        inputs={name: changed if name == modality else repeated.inputs[name] for name in split.inputs},
        ids=np.array(ids + [f"{name}+{copy}" for copy in range(1, copies) for name in ids]),
    )


def with_copies(corpora: np.ndarray | None, copies: int) -> np.ndarray | None:
    """The corpora (N,) of N rows → those of `augmented` (copies · N,); None of None."""
    if corpora is None:
        return None
    return np.concatenate([corpora, *(copies - 1) * [np.char.add(corpora, ", changed")]])


class _Copies:
    """All rows and their copies, (copies · N, samples), made when they are asked for; a part of a `LazyArray`."""

    def __init__(self, waveforms: Array, ids: list[str], augmentation: Augmentation, seed: int) -> None:
        self.shape = (augmentation.copies * len(ids), waveforms.shape[1])
        self._waveforms, self._ids = waveforms, ids
        self._augmentation, self._seed = augmentation, seed

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        changed = self._waveforms[rows % len(self._ids)]
        for place, (copy, row) in enumerate(zip(*np.divmod(rows, len(self._ids)))):
            if copy:
                random = _generator(self._seed, self._ids[row], int(copy))
                changed[place] = self._augmentation.apply(changed[place], random)
        return changed


def _range(name: str, value: object, low: float, high: float) -> tuple[float, float]:
    numbers = value if isinstance(value, list | tuple) else ()
    fits = len(numbers) == 2 and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in numbers
    )
    if not (fits and low <= numbers[0] <= numbers[1] <= high):
        raise LMFError(
            f"Augmentation: {name} must be (lowest, highest) within {low:g} … {high:g}, received {value!r}."
        )
    return float(numbers[0]), float(numbers[1])


def _generator(seed: int, name: str, copy: int) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:16], "big"), copy))


def _resampled(clip: np.ndarray, speed: float) -> np.ndarray:
    """The clip in 1 / speed of its samples, through its spectrum: exact below the lower Nyquist frequency, and no
    frequency above it is left to alias, as linear interpolation would let it."""
    samples = round(len(clip) / speed)
    if samples == len(clip) or not samples:
        return clip
    before = len(clip) + _MARGIN
    # Odd lengths have no bin at the Nyquist frequency, whose phase would be lost.
    before, after = before | 1, round(before / speed) | 1
    return np.fft.irfft(np.fft.rfft(clip, before), after)[:samples] * (after / before)


def _reverberated(clip: np.ndarray, decay: float, generator: np.random.Generator) -> np.ndarray:
    """The clip and its echoes, which last `decay` samples longer and have the clip's energy together; both together
    are as loud as the clip was."""
    if not len(clip):
        return clip
    echoes = generator.standard_normal(round(decay)) * 10 ** (-3 * np.arange(1, round(decay) + 1) / decay)
    echoes /= max(np.sqrt(np.sum(echoes**2)), 1e-12)
    response = np.concatenate([[1.0], echoes]) / np.sqrt(2)
    total = len(clip) + len(echoes)
    return np.fft.irfft(np.fft.rfft(clip, total) * np.fft.rfft(response, total), total)


def _through_band(clip: np.ndarray, low: float, high: float) -> np.ndarray:
    """The clip through Butterworth's gain of order 4 at both edges, in cycles a sample, and no change of phase."""
    padded = len(clip) + _MARGIN
    frequencies = np.fft.rfftfreq(padded)
    frequencies[0] = frequencies[1]
    gain = 1 / np.sqrt((1 + (frequencies / high) ** 8) * (1 + (low / frequencies) ** 8))
    gain[0] = 0
    return np.fft.irfft(np.fft.rfft(clip, padded) * gain, padded)[: len(clip)]


def _noise(clip: np.ndarray, noise_db: float, pink: bool, generator: np.random.Generator) -> np.ndarray:
    """Noise for the clip, scaled to exactly that signal-to-noise ratio."""
    if len(clip) < 2:
        return np.zeros(len(clip))
    noise = generator.standard_normal(len(clip))
    if pink:
        spectrum = np.fft.rfft(noise)
        spectrum[0] = 0
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        noise = np.fft.irfft(spectrum, len(clip))
    return noise * np.sqrt(np.mean(clip**2) / np.mean(noise**2) / 10 ** (noise_db / 10))
