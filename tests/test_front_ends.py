"""Front ends: the GE2E encoder against NumPy and librosa, its taps, and what is no sound."""

from __future__ import annotations

import keras
import librosa
import numpy as np
import pytest
from networks import answer
from numpy_networks import lstm, relu

from keras_lmf.backbones import front_ends
from keras_lmf.errors import LMFError

RATE, SAMPLES, UNITS = 16000, 8000, 256
WIDTHS = {1: 768, 2: 768, 3: 768, 4: 256}


class Reference:
    """The published network in double precision, with random weights that let every gate move."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)

        def drawn(*shape: int, scale: float = 1.0) -> np.ndarray:
            return scale * random.uniform(-1, 1, shape) / np.sqrt(UNITS)

        # Powers at -30 dB are small, so the lowest kernel is large.
        self.lstms = [
            (drawn(4 * UNITS, width, scale=scale), drawn(4 * UNITS, UNITS), drawn(4 * UNITS, scale=4.0))
            for width, scale in ((40, 20.0), (UNITS, 1.0), (UNITS, 1.0))
        ]
        self.kernel, self.bias = drawn(UNITS, UNITS), drawn(UNITS)

    def taps(self, mel: np.ndarray) -> dict[int, np.ndarray]:
        found, states = {}, mel
        for layer, weights in enumerate(self.lstms, 1):
            states = lstm(states, *weights)
            changes = np.abs(np.diff(states, axis=0)).mean(0)
            found[layer] = np.concatenate([states.mean(0), states.std(0), changes])
        speaker = relu(states[-1] @ self.kernel + self.bias)
        found[4] = speaker / np.linalg.norm(speaker)
        return found

    def give(self, front_end: keras.Model) -> keras.Model:
        """The same weights in Keras, which has the gates in the same order."""
        for layer in front_end.layers:
            if layer.name.startswith("lstm_"):
                kernel, recurrent, bias = self.lstms[int(layer.name[-1]) - 1]
                layer.set_weights([kernel.T, recurrent.T, bias])
            elif layer.name == "linear":
                layer.set_weights([self.kernel, self.bias])
        return front_end


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def all_taps(reference) -> keras.Model:
    return reference.give(front_ends.ge2e((SAMPLES,), layers=(1, 2, 3, 4)))


def clips(samples: int = SAMPLES) -> np.ndarray:
    """A voice-like glide, quiet noise and loud noise."""
    random = np.random.default_rng(1)
    pitch = np.cumsum(np.linspace(110, 240, samples)) / RATE
    glide = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20)) * 0.1
    noise = random.standard_normal((2, samples)) * [[1e-3], [0.3]]
    return np.stack([glide, *noise]).astype("float32")


def mel_of(clip: np.ndarray) -> np.ndarray:
    """(frames, 40) mel powers of the clip brought to -30 dB, as Resemblyzer asks librosa for them."""
    clip = clip.astype("float64")
    clip = clip * 10 ** (-30 / 20) / np.sqrt(np.mean(clip[clip != 0] ** 2))
    return librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=400, hop_length=160, n_mels=40).T


@pytest.mark.long
def test_every_tap_is_the_networks_written_by_hand(reference, all_taps):
    found = answer(all_taps, clips())
    expected = [np.concatenate(list(reference.taps(mel_of(clip)).values())) for clip in clips()]
    assert np.ptp(expected, axis=0).max() > 0.1, "the clips must differ for this to say something"
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("layers", [(1,), (2,), (3,), (4,), (4, 2), (3, 1)])
def test_taps_come_in_the_order_asked_for_and_nothing_is_built_above_them(reference, all_taps, layers):
    starts = dict(zip(WIDTHS, np.cumsum([0, *WIDTHS.values()])))
    every = answer(all_taps, clips())
    expected = np.concatenate([every[:, starts[i] : starts[i] + WIDTHS[i]] for i in layers], axis=1)
    model = reference.give(front_ends.ge2e((SAMPLES,), layers=layers))
    assert model.output_shape == (None, sum(WIDTHS[i] for i in layers))
    np.testing.assert_allclose(answer(model, clips()), expected, atol=1e-6)
    deepest = min(max(layers), 3)
    lstms = sum(4 * UNITS * (width + UNITS + 1) for width in [40, UNITS, UNITS][:deepest])
    assert model.count_params() == lstms + (UNITS * (UNITS + 1) if 4 in layers else 0)
    assert not model.trainable_weights


@pytest.mark.long
def test_more_padding_changes_nothing(reference, all_taps):
    clip = clips(5000)[:1]
    padded = np.pad(clip, ((0, 0), (0, SAMPLES - 5000)))
    longer = reference.give(front_ends.ge2e((SAMPLES + 3333,), layers=(1, 2, 3, 4)))
    found = answer(all_taps, padded)
    np.testing.assert_allclose(answer(longer, np.pad(padded, ((0, 0), (0, 3333)))), found, atol=1e-5)
    # Frame i holds the samples 160 i - 200 … 160 i + 199: the clip's last one is in frame 32.
    expected = reference.taps(mel_of(padded[0])[:33])
    np.testing.assert_allclose(found[0], np.concatenate(list(expected.values())), atol=1e-4)


def test_loudness_changes_nothing(all_taps):
    quiet = clips()[:1]
    np.testing.assert_allclose(answer(all_taps, 8 * quiet), answer(all_taps, quiet), atol=1e-5)


def test_a_silent_clip_is_zeros_and_its_neighbours_stay(all_taps):
    rows = clips()
    expected = answer(all_taps, rows[2:])
    rows[1] = 0
    found = answer(all_taps, rows)
    assert (found[1] == 0).all()
    np.testing.assert_allclose(found[2:], expected, atol=1e-6)


def test_a_clip_of_one_frame_has_no_deviation_and_no_changes():
    found = answer(front_ends.ge2e((100,), layers=(1,)), np.full((1, 100), 0.1, "float32"))
    assert (np.abs(found[0, :UNITS]) > 0).any()
    np.testing.assert_allclose(found[0, UNITS:], 0, atol=1e-5)


@pytest.mark.parametrize("layers", [(), (0,), (5,), (2, 2)])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(LMFError, match=r"layers of ge2e.*1, 2, 3, 4"):
        front_ends.ge2e((SAMPLES,), layers=layers)


@pytest.mark.parametrize("make", [front_ends.log_mel, front_ends.mfcc, front_ends.ge2e])
def test_features_in_place_of_a_waveform_are_refused(make):
    with pytest.raises(LMFError, match=r"\(samples,\) without the batch axis, received \(50, 64\)"):
        make((50, 64))


def test_windows_are_25_ms_each_10_ms_at_any_rate():
    for rate in (8000, 16000, 44100):
        spectrum = front_ends.log_mel((rate,), sample_rate=rate).get_layer(front_ends.SPECTRUM)
        assert spectrum.window_length / rate == pytest.approx(0.025, rel=0.005)
        assert spectrum.hop / rate == pytest.approx(0.010, rel=0.005)
        assert spectrum.fft_length >= spectrum.window_length


@pytest.mark.parametrize(
    "settings", [{"sample_rate": 16000, "bands": 30}, {"sample_rate": 8000, "bands": 24}]
)
def test_log_mel_and_mfcc_are_librosas(settings):
    rate = settings["sample_rate"]
    rows, window, hop = clips(), round(0.025 * rate), round(0.010 * rate)
    decibels = answer(front_ends.log_mel((SAMPLES,), **settings), rows)
    cepstra = answer(front_ends.mfcc((SAMPLES,), **settings, coefficients=13), rows)
    for clip, ours, cepstrum in zip(rows, decibels, cepstra):
        power = librosa.feature.melspectrogram(
            y=clip.astype("float64"),
            sr=rate,
            n_fft=2 ** int(np.ceil(np.log2(window))),
            win_length=window,
            hop_length=hop,
            n_mels=settings["bands"],
        )
        expected = librosa.power_to_db(power)
        np.testing.assert_allclose(ours, expected.T, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(
            cepstrum, librosa.feature.mfcc(S=expected, n_mfcc=13).T, rtol=1e-4, atol=1e-3
        )
