"""Spectral layers against librosa, and what makes them fit a model: rows alone, padding, masks."""

from __future__ import annotations

import keras
import librosa
import numpy as np
import pytest
from networks import answer

from keras_lmf.errors import LMFError
from keras_lmf.layers import MFCC, LogMelSpectrogram, MelSpectrogram, SpecAugment

RATE = 16000
SETTINGS = [
    {},
    {"fft_length": 400, "bands": 40},  # no power of two
    {"fft_length": 512, "window_length": 400},
    {"fft_length": 1024, "hop": 256, "lowest": 60.0, "highest": 7000.0},
    {"fft_length": 401, "hop": 133},  # a prime number: no factors
]


def waveforms() -> np.ndarray:
    """Noise, quiet noise, and a voice-like sweep of harmonics in noise, a second each."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((3, RATE)) * [[0.1], [1e-4], [0.01]]
    pitch = np.cumsum(np.linspace(90, 260, RATE)) / RATE
    noise[2] += sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20)) * 0.1
    return noise.astype("float32")


def power(waveform: np.ndarray, settings: dict) -> np.ndarray:
    """librosa's mel power spectrogram in double precision, (frames, bands)."""
    length = settings.get("fft_length", 512)
    return librosa.feature.melspectrogram(
        y=waveform.astype("float64"),
        sr=RATE,
        n_fft=length,
        hop_length=settings.get("hop", 160),
        n_mels=settings.get("bands", 64),
        win_length=settings.get("window_length", length),
        fmin=settings.get("lowest", 0.0),
        fmax=settings.get("highest"),
    ).T


@pytest.mark.parametrize("settings", SETTINGS)
def test_power_is_librosas(settings):
    clips = waveforms()
    for clip, ours in zip(clips, answer(MelSpectrogram(**settings), clips)):
        expected = power(clip, settings)
        np.testing.assert_allclose(ours, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("settings", SETTINGS)
def test_decibels_and_cepstrum_are_librosas(settings):
    clips = waveforms()
    log_mel = answer(LogMelSpectrogram(**settings), clips)
    cepstrum = answer(MFCC(**settings, coefficients=13), clips)
    for clip, decibels, coefficients in zip(clips, log_mel, cepstrum):
        expected = librosa.power_to_db(power(clip, settings).T)
        np.testing.assert_allclose(decibels, expected.T, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            coefficients, librosa.feature.mfcc(S=expected, n_mfcc=13).T, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("dynamic_range", [None, 20.0])
def test_dynamic_range_is_librosas_top_db(dynamic_range):
    clips = waveforms()
    ours = answer(LogMelSpectrogram(dynamic_range=dynamic_range), clips)
    for clip, decibels in zip(clips, ours):
        expected = librosa.power_to_db(power(clip, {}), top_db=dynamic_range)
        np.testing.assert_allclose(decibels, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [MelSpectrogram, LogMelSpectrogram, MFCC])
def test_a_quiet_clip_is_the_same_beside_a_loud_one(layer):
    quiet, loud = np.split(waveforms()[[1, 0]], 2)
    alone = answer(layer(), quiet)
    np.testing.assert_array_equal(answer(layer(), np.concatenate([quiet, 10 * loud]))[:1], alone)


@pytest.mark.parametrize("layer", [MelSpectrogram, LogMelSpectrogram, MFCC])
def test_padding_is_rows_of_zeros_and_nothing_else_changes(layer):
    clip = waveforms()[2:]
    clip[:, 8000:] = 0
    frames = answer(layer(), clip)[0]
    # Frame 51 is the last one whose samples, 160 · 51 − 256 … 160 · 51 + 255, reach before sample 8000.
    assert (frames[52:] == 0).all()
    assert (frames[:52] != 0).any(axis=-1).all()
    np.testing.assert_allclose(frames[:52], answer(layer(), clip[:, :10000])[0, :52], rtol=1e-5, atol=1e-6)


def test_silence_is_padding():
    assert (answer(LogMelSpectrogram(), np.zeros((1, RATE), "float32")) == 0).all()


@pytest.mark.parametrize(
    ("layer", "options", "says"),
    [
        (MelSpectrogram, {"bands": 0}, "bands must be a whole number ≥ 1, received 0"),
        (
            MelSpectrogram,
            {"window_length": 600},
            "window_length must be a whole number 1 … 512, received 600",
        ),
        (MelSpectrogram, {"lowest": 9000.0}, "lowest must be 0 to 8000, received 9000.0"),
        (LogMelSpectrogram, {"dynamic_range": 0}, "dynamic_range must be above 0 dB, received 0"),
        (MFCC, {"bands": 10}, "coefficients must be a whole number 1 … 10, received 20"),
        (SpecAugment, {"band_width": -1}, "band_width must be a whole number ≥ 0, received -1"),
    ],
)
def test_wrong_arguments(layer, options, says):
    with pytest.raises(LMFError, match=says.replace("(", r"\(")):
        layer(**options)


def test_waveforms_of_unknown_length_are_refused():
    with pytest.raises(LMFError, match=r"known samples, received the shape \(None, None\)"):
        MelSpectrogram()(keras.Input((None,)))


def test_spec_augment_blots_out_stretches_of_at_most_the_width_and_only_in_training():
    clips = np.ones((200, 50, 40), "float32")
    layer = SpecAugment(band_masks=1, band_width=8, step_masks=1, step_width=10, seed=1)
    np.testing.assert_array_equal(answer(layer, clips), clips)
    hidden = keras.ops.convert_to_numpy(layer(clips, training=True)) == 0
    steps, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, steps[:, :, None] | bands[:, None, :])
    for stretches, widest in ((steps, 10), (bands, 8)):
        widths = stretches.sum(axis=1)
        # One stretch: it begins at most once.
        assert (np.diff(stretches.astype(int), axis=1, prepend=0) == 1).sum(axis=1).max() == 1
        assert set(widths) == set(range(widest + 1)), "every width from 0 to the widest occurs"
    assert len({row.tobytes() for row in hidden}) > 150, "clips get masks of their own"


@pytest.mark.parametrize("masks", [0, 1, 2])
def test_spec_augment_hides_each_place_as_often_as_the_paper_says(masks):
    """A width uniform on 0 … W, and where it begins uniform on 0 … length − width; counted out for each place.

    Of several masks, each hides what lies under it.
    """
    length, widest, rows = 12, 5, 20000
    layer = SpecAugment(band_masks=masks, band_width=widest, step_masks=0, seed=2)
    hidden = (
        answer(lambda clips: layer(clips, training=True), np.ones((rows, 25, length), "float32"))[:, 0] == 0
    )
    under_one = np.zeros(length)
    for width in range(widest + 1):
        for start in range(length - width + 1):
            under_one[start : start + width] += 1 / (widest + 1) / (length - width + 1)
    chances = 1 - (1 - under_one) ** masks
    spread = np.sqrt(chances * (1 - chances) / rows)
    assert (np.abs(hidden.mean(axis=0) - chances) <= 5 * spread).all()
