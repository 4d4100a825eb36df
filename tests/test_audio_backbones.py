"""Audio backbones: padding, rows alone, receptive field, sizes, and a TFLite file of each."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from drawn_weights import drawn
from exporting import exported_here
from networks import answer

from keras_lmf import backbones
from keras_lmf.backbones import audio
from keras_lmf.export import export_model
from keras_lmf.runtime import open_artifact

SAMPLES, CLIP = 4000, 2600
SMALL = {"filters": (4, 6), "units": 8}
MAKERS = {
    "log_mel_cnn": (lambda shape: audio.log_mel_cnn(shape, bands=21, **SMALL), 8),
    "crnn": (lambda shape: audio.crnn(shape, bands=21, **SMALL), 32),
    "mfcc_lstm": (lambda shape: audio.mfcc_lstm(shape, coefficients=7, units=8), 8),
    "mfcc_bilstm": (lambda shape: audio.mfcc_bilstm(shape, coefficients=7, units=8), 32),
    "ge2e": (lambda shape: audio.ge2e(shape, layers=(1, 4), units=(8,)), 8),
}
NAMES = list(MAKERS)


def clips(samples: int = SAMPLES, rows: int = 3) -> np.ndarray:
    """Harmonics in noise, each of its own pitch and loudness."""
    random = np.random.default_rng(2)
    phase = 2 * np.pi * np.arange(samples) / 16000 * random.uniform(100, 400, (rows, 1))
    voice = sum(np.sin(k * phase) / k for k in range(1, 12)) + 0.1 * random.standard_normal((rows, samples))
    return (voice * random.uniform(0.02, 0.3, (rows, 1))).astype("float32")


def trained(model: keras.Model) -> keras.Model:
    """Weights as after training, features standardised."""
    for weight in drawn(model).weights:
        if "lstm_1/" in weight.path and weight.path.endswith("/kernel"):
            weight.assign(20 * weight)  # powers at -30 dB are small
    features = answer(model.layers[1], clips())
    features = features.reshape(-1, features.shape[-1])
    for layer in model.layers[2].layers:
        if layer.name == "standardization":
            layer.adapt_mean.assign(features.mean(axis=0))
            layer.adapt_variance.assign(features.var(axis=0) + 1e-6)
            layer.finalize_state()
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, keras.Model]:
    keras.utils.set_random_seed(1)
    return {name: trained(make((SAMPLES,))) for name, (make, _) in MAKERS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_shape_and_rows_by_themselves(models, name):
    rows = clips()
    together = answer(models[name], rows)
    assert models[name].output_shape == (None, MAKERS[name][1])
    assert together.shape == (3, MAKERS[name][1])
    assert np.ptp(together, axis=0).max() > 1e-3, "the clips must differ for this to say something"
    for row in range(3):
        np.testing.assert_allclose(answer(models[name], rows[row : row + 1])[0], together[row], atol=1e-5)
    rows[1:] *= 100
    np.testing.assert_allclose(answer(models[name], rows)[0], together[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_zeros_after_a_clip_change_nothing(models, name):
    """Just enough of them for the clip's last windows, or many more."""
    rows = clips(CLIP)
    expected = answer(models[name], np.pad(rows, ((0, 0), (0, SAMPLES - CLIP))))
    # Windows reach 200 samples, frames 256 beyond their middle.
    for samples in (CLIP + 256, SAMPLES + 1700):
        other = MAKERS[name][0]((samples,))
        other.set_weights(models[name].get_weights())
        for layer in other._flatten_layers():
            if layer.name == "standardization":
                layer.finalize_state()
        found = answer(other, np.pad(rows, ((0, 0), (0, samples - CLIP))))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_silence_is_finite(models, name):
    assert np.isfinite(answer(models[name], np.zeros((1, SAMPLES), "float32"))).all()


@pytest.fixture(scope="module")
def lite(models, tmp_path_factory) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All of them in one model, so that one conversion serves them all: what the file answers, and Keras."""
    voice = keras.Input((SAMPLES,), name="voice")
    answers = {name: keras.layers.Dense(2, name=f"{name}_answer")(models[name](voice)) for name in NAMES}
    model = keras.Model({"voice": voice}, answers, name="voices")
    with exported_here():
        (file,) = export_model(model, tmp_path_factory.mktemp("lite"), ["tflite"], tolerance=1e-4)
    rows = clips()
    rows[1, CLIP:] = 0
    rows[2] = 0
    found = open_artifact(file.path).predict({"voice": rows})
    return found, {name: keras.ops.convert_to_numpy(each) for name, each in model({"voice": rows}).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_tflite_file_of_builtin_ops_agrees(lite, name):
    found, expected = (answers[name] for answers in lite)
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_tells_the_parameters(name):
    function = getattr(audio, name)
    assert f" {function().count_params():,} parameters" in " ".join(function.__doc__.split())


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_receptive_field_of_the_convolutions(blocks):
    """One number changes before the pooling exactly what lies within 3 · 2^n − 2 steps and bands."""
    model = backbones.spectrogram_cnn((48, 48), filters=(3,) * blocks, units=2, seed=1)
    hidden = keras.Model(model.inputs, model.get_layer(f"pool_{blocks - 1}").output)
    for layer in model.layers:  # positive weights and shifts: ReLU and maximum hide nothing
        if "convolution" in layer.name:
            layer.set_weights([np.full(layer.kernel.shape, 0.1)])
        elif "norm" in layer.name:
            layer.beta.assign(np.ones(layer.beta.shape))
    field = 3 * 2**blocks - 2
    base = np.ones((1, 48, 48), "float32")
    rows = np.repeat(base, 48, axis=0)
    rows[np.arange(48), np.arange(48), 24] += 1
    by_step = (answer(hidden, [rows]) != answer(hidden, [base])).any(axis=(2, 3))
    rows = np.repeat(base, 48, axis=0)
    rows[np.arange(48), 24, np.arange(48)] += 1
    by_band = (answer(hidden, [rows]) != answer(hidden, [base])).any(axis=(1, 3))
    for seen in (by_step, by_band):
        middle = seen[:, seen.shape[1] // 2]  # which inputs this output sees
        assert middle.sum() == field
        assert np.ptp(np.flatnonzero(middle)) == field - 1


def test_masks_of_spec_augment_only_in_training():
    model = backbones.spectrogram_cnn((30, 20), band_width=8, step_width=8, dropout=0.3, seed=2)
    rows = np.random.default_rng(0).standard_normal((4, 30, 20)).astype("float32")
    np.testing.assert_array_equal(answer(model, rows), answer(model, rows))
    assert np.abs(keras.ops.convert_to_numpy(model(rows, training=True)) - answer(model, rows)).max() > 1e-3
