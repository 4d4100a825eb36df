"""Waveform augmentation against what is measured in the augmented waveforms: pitch, power, spectrum, delay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from keras_lmf.data import Augmentation
from keras_lmf.data.augmentation import _resampled
from keras_lmf.errors import LMFError

RATE = 16000
NOTHING = {"gain_db": (0, 0), "noise_db": None, "shift_seconds": (0, 0), "speed": (1, 1)}


def tone(frequency: float, samples: int = RATE, total: int = 3 * RATE, amplitude: float = 0.1) -> np.ndarray:
    """A sine that ends after `samples`, then zeros. Its first sample is not zero."""
    row = np.zeros(total, np.float32)
    row[:samples] = amplitude * np.sin(2 * np.pi * frequency * np.arange(samples) / RATE + 1)
    return row


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def apply(waveform: np.ndarray, seed: int = 0, **changes) -> np.ndarray:
    return Augmentation(**(NOTHING | changes)).apply(waveform, random(seed))


def pitch(waveform: np.ndarray) -> float:
    """The strongest frequency, to less than 1 Hz."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 8 * len(waveform)))
    return np.argmax(spectrum) * RATE / (8 * len(waveform))


def test_nothing_asked_nothing_changed():
    waveform = tone(440)
    np.testing.assert_array_equal(apply(waveform), waveform)


@pytest.mark.parametrize("speed", [0.5, 0.8, 0.93, 1.1, 1.37, 2.0])
def test_speed_moves_pitch_and_length(speed):
    changed = apply(tone(440), speed=(speed, speed))
    last = np.flatnonzero(changed)[-1] + 1
    assert abs(last - RATE / speed) <= 1
    assert pitch(changed[:last]) == pytest.approx(440 * speed, abs=1)
    # The same sine drawn at the other pitch, away from the edges; the factor may be off by a sample in the whole clip.
    numbers = np.arange(last)[last // 4 : 3 * last // 4]
    errors = [
        np.abs(changed[numbers] - 0.1 * np.sin(2 * np.pi * 440 * numbers / RATE * factor + 1)).max()
        for factor in speed * (1 + np.linspace(-1, 1, 201) / last)
    ]
    assert min(errors) < 5e-4


def test_speed_leaves_no_alias():
    """A tone of 5 kHz would be at 10 kHz, which 16 kHz can't hold: it must vanish, not turn up at 6 kHz."""
    clip = tone(5000).astype(float)[:RATE] * np.hanning(RATE)
    changed = _resampled(clip, 2.0)
    assert np.sqrt(np.mean(changed**2)) < 1e-4 * np.sqrt(np.mean(clip**2))


def test_a_slower_clip_is_cut_at_the_end_of_its_row():
    full = tone(440, samples=RATE, total=RATE)
    changed = apply(full, speed=(0.5, 0.5))
    assert changed.shape == full.shape
    assert pitch(changed) == pytest.approx(220, abs=1)


@pytest.mark.parametrize("gain", [-20, 6])
def test_gain_in_decibels(gain):
    waveform = tone(440)
    changed = apply(waveform, gain_db=(gain, gain))
    assert 10 * np.log10(np.sum(changed**2) / np.sum(waveform**2)) == pytest.approx(gain, abs=1e-4)


def test_loud_is_clipped():
    changed = apply(tone(440, amplitude=0.9), gain_db=(20, 20))
    assert (changed.min(), changed.max()) == (-1, 1)


@pytest.mark.parametrize("ratio", [0, 10, 30])
@pytest.mark.parametrize("seed", range(4))
def test_noise_has_the_ratio_and_leaves_the_padding(ratio, seed):
    waveform = tone(440, amplitude=0.1)
    added = apply(waveform, seed, noise_db=(ratio, ratio)) - waveform
    assert not added[RATE:].any()
    power = np.mean(waveform[:RATE].astype(float) ** 2) / np.mean(added[:RATE].astype(float) ** 2)
    assert 10 * np.log10(power) == pytest.approx(ratio, abs=0.01)


def test_noise_is_white_or_pink():
    """Power in equal bands: equal for white; for pink as log(high / low)."""
    waveform = tone(440)
    kinds = []
    for seed in range(20):
        added = (apply(waveform, seed, noise_db=(20, 20)) - waveform)[:RATE]
        power = np.abs(np.fft.rfft(added)) ** 2
        kinds.append(power[1000:2000].sum() / power[4000:5000].sum())
    pink = np.log(2) / np.log(5 / 4)
    is_pink = np.array(kinds) > 2
    assert 4 < is_pink.sum() < 16
    np.testing.assert_allclose(np.array(kinds)[is_pink], pink, rtol=0.25)
    np.testing.assert_allclose(np.array(kinds)[~is_pink], 1, rtol=0.25)


def found(seeds: int, waveform: np.ndarray, **changes) -> list[np.ndarray]:
    return [apply(waveform, seed, **changes).astype(float) for seed in range(seeds)]


@pytest.mark.parametrize("seconds", [0.2, 0.8])
def test_the_echoes_of_a_click_fall_by_60_dB_in_their_time(seconds):
    """Of a click the copy is the room's response: as much energy as the click, half of it in echoes."""
    click = np.zeros(3 * RATE, np.float32)
    click[0] = 0.5
    copies = found(24, click, reverberation_seconds=(seconds, seconds))
    rooms = [copy for copy in copies if copy[1:].any()]
    assert 4 < len(rooms) < 20
    power = np.mean([copy**2 for copy in rooms], axis=0) / 0.25
    assert power[0] == pytest.approx(0.5, rel=1e-4)
    assert power[1:].sum() == pytest.approx(0.5, rel=1e-4)
    steps = np.arange(1, round(seconds * RATE))
    slope, _ = np.polyfit(steps / RATE, 10 * np.log10(power[steps] + 1e-30), 1)
    assert slope == pytest.approx(-60 / seconds, rel=0.03)
    assert not power[round(seconds * RATE) + 1 :].max() > 1e-12


@pytest.mark.parametrize(("low", "high"), [(300, 3400), (100, 7000)])
def test_a_band_is_scipys_butterworth(low, high):
    """Without its delay: the magnitude alone. Noise shows all frequencies."""
    rate, order = RATE, 4
    noise = np.random.default_rng(5).normal(0, 0.05, RATE).astype(np.float32)
    changed = next(
        copy for copy in found(9, noise, bands_hz=((low, high),)) if np.abs(copy - noise).max() > 1e-3
    )
    frequencies = np.fft.rfftfreq(RATE, 1 / rate)
    expected = np.ones(len(frequencies))
    for edge, kind in ((low, "high"), (high, "low")):
        _, response = signal.freqs(
            *signal.butter(order, 2 * np.pi * edge, kind, analog=True), 2 * np.pi * frequencies
        )
        expected *= np.abs(response)
    by_hand = np.fft.irfft(np.fft.rfft(noise) * expected, RATE)
    np.testing.assert_allclose(changed[512:-512], by_hand[512:-512], atol=2e-4)


def test_rooms_and_bands_are_drawn_apart_from_the_rest():
    """A recipe that names none of them has the copies that it always had."""
    waveform = tone(440)
    plain = Augmentation().apply(waveform, random(3))
    assert any(
        np.array_equal(
            Augmentation(reverberation_seconds=(0.3, 0.3)).apply(waveform, random(seed)),
            Augmentation().apply(waveform, random(seed)),
        )
        for seed in range(9)
    )  # those whose coin said no
    np.testing.assert_array_equal(plain, Augmentation().apply(waveform, random(3)))


@pytest.mark.parametrize("bands", [((300, 9000),), ((3400, 300),), (300, 3400)])
def test_a_band_lies_below_the_nyquist_frequency(bands):
    with pytest.raises(LMFError, match="bands_hz must be"):
        Augmentation(bands_hz=bands)


@pytest.mark.parametrize("shift", [-0.25, 0.25])
def test_shift_brings_zeros(shift):
    waveform, moved = tone(440, total=RATE), round(abs(shift) * RATE)
    changed = apply(waveform, shift_seconds=(shift, shift), noise_db=(100, 100))
    kept, source, zeros = (
        (changed[moved:], waveform[:-moved], changed[:moved])
        if shift > 0
        else (changed[:-moved], waveform[moved:], changed[-moved:])
    )
    assert not zeros.any(), "no noise where there is no clip"
    np.testing.assert_allclose(kept, source, atol=1e-4)


def test_a_shift_beyond_the_row_leaves_nothing():
    for shift in (-4, 4):
        assert not apply(tone(440), shift_seconds=(shift, shift)).any()


@pytest.mark.parametrize("waveform", [np.zeros(100, np.float32), np.eye(1, 100, dtype=np.float32)[0]])
def test_silence_and_a_single_sample(waveform):
    changed = Augmentation().apply(waveform, random())
    assert changed.shape == (100,)
    assert np.isfinite(changed).all()
    if not waveform.any():
        assert not changed.any()


def test_every_option_is_drawn_from_its_whole_range():
    waveform = tone(440, amplitude=0.01)
    power = np.sum(waveform.astype(float) ** 2)
    gains = [
        10 * np.log10(np.sum(apply(waveform, seed, gain_db=(-6, 12)).astype(float) ** 2) / power)
        for seed in range(200)
    ]
    assert -6 <= min(gains) < -5
    assert 11 < max(gains) <= 12.001
    assert np.mean(gains) == pytest.approx(3, abs=4 * 18 / np.sqrt(12 * 200))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"copies": 0}, "copies must be a whole number ≥ 1"),
        ({"copies": True}, "copies must be"),
        ({"gain_db": 6}, "gain_db must be"),
        ({"gain_db": (6, -6)}, "gain_db must be"),
        ({"gain_db": (0, float("nan"))}, "gain_db must be"),
        ({"noise_db": ("a", "b")}, "noise_db must be"),
        ({"speed": (0.0, 1.0)}, r"speed must be \(lowest, highest\) within 0.5 … 2"),
        ({"shift_seconds": None}, "shift_seconds must be"),
        ({"sample_rate": 0}, "sample_rate must be"),
    ],
)
def test_settings_out_of_their_range(option, words):
    with pytest.raises(LMFError, match=words):
        Augmentation(**option)


def test_lists_as_from_toml():
    assert Augmentation(gain_db=[-3, 3]) == Augmentation(gain_db=(-3.0, 3.0))
