"""Whisper's encoder as a front end: against NumPy and librosa, against PyTorch, its ends, and the shipped weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import keras
import librosa
import numpy as np
import pytest
from loud_model import export
from networks import answer, filled
from numpy_networks import gelu, layer_norm, softmax
from other_backend import pytorch

from keras_lmf import zoo
from keras_lmf.backbones import front_ends
from keras_lmf.errors import LMFError
from keras_lmf.runtime import open_artifact
from keras_lmf.zoo import Backbone, read_testvectors

ZOO = Path(__file__).parents[1] / "zoo"
SHIPPED = ZOO / "whisper-tiny-en"
RATE, STEP, UNITS, HEADS = 16000, 320, 384, 6
RANKS = 64, 96
SAMPLES = 15 * STEP
FRONT_ENDS = [front_ends.whisper, front_ends.whisper_statistics]
POOLED = [front_ends.whisper_statistics, front_ends.whisper_convolutions]


class Reference:
    """The network in double precision, with random weights."""

    def __init__(self, blocks: int) -> None:
        self.random = np.random.default_rng(0)
        self.convolutions = [self.layer(3, width, UNITS) for width in (80, UNITS)]
        self.blocks = [self.block() for _ in range(blocks)]

    def layer(self, *shape: int) -> list[np.ndarray]:
        kernel = self.random.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
        return [kernel, self.random.normal(0, 0.3, shape[-1])]

    def norm(self) -> list[np.ndarray]:
        return [self.random.uniform(0.5, 2, UNITS), self.random.normal(0, 0.3, UNITS)]

    def block(self) -> dict[str, list[np.ndarray]]:
        block = {f"{word}_norm": self.norm() for word in ("attention", "hidden")}
        block |= {word: self.layer(UNITS, UNITS) for word in ("query", "key", "value", "output")}
        block["query"][0] *= 3  # so that attention chooses
        return block | {"hidden": self.layer(UNITS, 4 * UNITS), "answer": self.layer(4 * UNITS, UNITS)}

    def give(self, front_end: keras.Model) -> keras.Model:
        """The same weights in Keras. A bias of the keys is lost, and nothing is changed by it."""
        for layer in front_end.layers:
            if layer.name.startswith("convolution_"):
                layer.set_weights(self.convolutions[int(layer.name[-1]) - 1])
            elif layer.name.startswith("block_"):
                _, i, word = layer.name.split("_", 2)
                layer.set_weights(self.blocks[int(i) - 1][word][: len(layer.weights)])
        return front_end

    def stem(self, clip: np.ndarray) -> np.ndarray:
        """(steps and those of silence, 384) of a clip without zeros after it: what the blocks get."""
        steps = -(-len(clip) // STEP)
        padded = np.pad(clip.astype("float64"), (0, (steps + 10) * STEP - len(clip)))
        powers = np.square(padded).reshape(-1, STEP).mean(axis=1)
        active = powers > powers.max() * 10**-3.5
        padded *= 10 ** (-23 / 20) / np.sqrt(powers[active].mean())
        power = librosa.feature.melspectrogram(y=padded, sr=RATE, n_fft=400, hop_length=160, n_mels=80)
        mel = np.log10(np.maximum(power, 1e-10))[:, :-1].T
        hidden = (np.maximum(mel, mel.max() - 8) + 4) / 4
        for (kernel, bias), stride in zip(self.convolutions, (1, 2)):
            around = np.pad(hidden, ((1, 1), (0, 0)))
            windows = np.stack([around[i : i + len(hidden)] for i in range(3)], axis=1)[::stride]
            hidden = gelu(np.tensordot(windows, kernel, 2) + bias)
        return hidden

    def taps(self, clip: np.ndarray) -> np.ndarray:
        """(blocks, steps, 384) of a clip without zeros after it."""
        steps, hidden = -(-len(clip) // STEP), self.stem(clip)
        angles = np.arange(len(hidden))[:, None] * 1e-4 ** (np.arange(UNITS // 2) / (UNITS // 2 - 1))
        hidden = hidden + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        found = []
        for block in self.blocks:
            inputs = layer_norm(hidden, *block["attention_norm"], 1e-5)
            parts = (inputs @ kernel + bias for kernel, bias in map(block.get, ("query", "key", "value")))
            queries, keys, values = (np.stack(np.split(part, HEADS, axis=1)) for part in parts)
            weights = softmax(queries @ keys.transpose(0, 2, 1) / np.sqrt(UNITS / HEADS))
            seen = np.concatenate(list(weights @ values), axis=1)
            hidden = hidden + seen @ block["output"][0] + block["output"][1]
            wide = layer_norm(hidden, *block["hidden_norm"], 1e-5) @ block["hidden"][0] + block["hidden"][1]
            hidden = hidden + gelu(wide) @ block["answer"][0] + block["answer"][1]
            found.append(hidden[:steps])
        return np.array(found)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(2)


@pytest.fixture(scope="module")
def steps(reference) -> keras.Model:
    return reference.give(front_ends.whisper((SAMPLES,), layers=(2, 1)))


def clips(samples: int = SAMPLES) -> np.ndarray:
    """A voice-like glide, noise that swells, and loud noise."""
    random = np.random.default_rng(1)
    pitch = np.cumsum(np.linspace(110, 240, samples)) / RATE
    glide = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20)) * 0.1
    noise = random.standard_normal((2, samples)) * [np.linspace(0.05, 0.1, samples), np.full(samples, 0.3)]
    return np.stack([glide, *noise]).astype("float32")


@pytest.mark.slow
def test_taps_are_the_networks_written_by_hand(reference, steps):
    found = answer(steps, clips())
    expected = [np.concatenate(reference.taps(clip)[[1, 0]], axis=1) for clip in clips()]
    assert np.ptp(expected, axis=0).max() > 1, "the clips must differ for this to say something"
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_clip_is_heard_as_if_the_window_were_no_longer_than_it(reference, steps):
    """And .2 s of silence after it: attention and convolutions see nothing of what follows."""
    clip = clips(5 * STEP + 100)[0]
    expected = np.concatenate(reference.taps(clip)[[1, 0]], axis=1)
    found = answer(steps, np.pad(clip, (0, SAMPLES - len(clip)))[None])[0]
    np.testing.assert_allclose(found[:6], expected, rtol=1e-4, atol=1e-4)
    assert (found[6:] == 0).all()


def test_the_loudest_of_the_whole_window_sets_the_floor(reference):
    """What is 90 dB below a click, early or late, is as silent as silence; without the click it is heard."""
    model = reference.give(front_ends.whisper((SAMPLES,), layers=(1,), active_decibels=100))
    quiet = 1e-5 * clips()[2]
    silent, clicks = np.zeros_like(quiet), np.zeros_like(quiet)
    clicks[[100, -100]] = 1
    silent[::STEP] = 3e-5  # steps of zeros would be absent
    loud = answer(model, np.stack([quiet + clicks, silent + clicks]))[:, 2:-2]
    np.testing.assert_allclose(loud[0], loud[1], atol=0.02)
    alone = answer(model, np.stack([quiet, silent]))[:, 2:-2]
    assert np.abs(alone[0] - alone[1]).mean() > 0.2


def test_loudness_and_neighbours_change_nothing(steps):
    rows = clips()
    expected = answer(steps, rows)
    rows[0] *= 8
    rows[2] = 0
    found = answer(steps, rows)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-4, atol=1e-4)
    assert (found[2] == 0).all()


def test_steps_far_below_the_loudest_are_absent(reference, steps):
    clip = clips()[2:]
    clip[:, 4 * STEP : 8 * STEP] *= 10 ** (-40 / 20)
    clip[:, 8 * STEP : 10 * STEP] *= 10 ** (-30 / 20)
    there = (answer(steps, clip)[0] != 0).any(axis=1)
    assert there.tolist() == [True] * 4 + [False] * 4 + [True] * 7
    wider = reference.give(front_ends.whisper((SAMPLES,), layers=(2, 1), active_decibels=50))
    assert (answer(wider, clip) != 0).any(axis=-1).all()


@pytest.mark.parametrize("statistics", [("mean",), ("deviation", "mean")])
def test_statistics_are_those_of_the_active_steps(steps, statistics):
    model = filled(front_ends.whisper_statistics((SAMPLES,), layers=(2, 1), statistics=statistics), steps)
    rows = clips()
    rows[0, 7 * STEP :] = 0
    rows[1] = 0
    found = answer(model, rows).reshape(3, 2, len(statistics), UNITS)
    assert (found[1] == 0).all()
    for row in (0, 2):
        taps = answer(steps, rows)[row]
        taps = taps[(taps != 0).any(axis=1)].reshape(-1, 2, UNITS)
        by_word = {"mean": taps.mean(axis=0), "deviation": taps.std(axis=0)}
        for i, word in enumerate(statistics):
            np.testing.assert_allclose(found[row, :, i], by_word[word], rtol=1e-3, atol=1e-4)


def test_low_rank_convolutions_are_whole_ones_with_the_products_of_their_factors():
    reference, random = Reference(0), np.random.default_rng(2)
    model = front_ends.whisper_convolutions((SAMPLES,))
    for i, ((kernel, bias), rank) in enumerate(zip(reference.convolutions, RANKS)):
        first = random.normal(0, 1 / np.sqrt(kernel[..., 0].size), (*kernel.shape[:-1], rank))
        second = random.normal(0, 1 / np.sqrt(rank), (rank, UNITS))
        model.get_layer(f"convolution_{i + 1}_narrow").set_weights([first])
        model.get_layer(f"convolution_{i + 1}_wide").set_weights([second, bias])
        reference.convolutions[i][0] = first @ second
    rows = clips()
    length = 7 * STEP - 100
    rows[0, length:] = 0
    rows[1] = 0
    found = answer(model, rows)
    assert (found[1] == 0).all()
    for row, clip in ((0, rows[0, :length]), (2, rows[2])):
        steps = reference.stem(clip)[:-10]
        expected = np.concatenate([steps.mean(axis=0), steps.std(axis=0)])
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)
    assert not model.trainable_weights
    assert model.count_params() == RANKS[0] * (3 * 80 + UNITS) + RANKS[1] * (3 * UNITS + UNITS) + 2 * UNITS


@pytest.mark.parametrize("layers", [(1,), (3, 1)])
def test_nothing_is_built_above_the_highest_tap(layers):
    convolutions = 3 * (80 + UNITS) * UNITS + 2 * UNITS
    # Attention has 4 kernels, 3 biases; the dense layers 4 times as many columns, then rows; the norms 2 vectors each.
    block = (4 + 4 + 4) * UNITS**2 + (3 + 4 + 1 + 2 * 2) * UNITS
    model = front_ends.whisper((SAMPLES,), layers=layers)
    assert model.output_shape == (None, 15, UNITS * len(layers))
    assert model.count_params() == convolutions + max(layers) * block
    assert not model.trainable_weights


@pytest.mark.parametrize("make", FRONT_ENDS)
@pytest.mark.parametrize("layers", [(), (0,), (5,), (2, 2)])
def test_layers_that_are_not_there_are_refused(make, layers):
    with pytest.raises(LMFError, match=r"layers of whisper.*1, 2, 3, 4"):
        make((SAMPLES,), layers=layers)


@pytest.mark.parametrize("make", POOLED)
@pytest.mark.parametrize("statistics", [(), ("median",), ("mean", "mean")])
def test_statistics_that_are_not_there_are_refused(make, statistics):
    with pytest.raises(LMFError, match=f"statistics of {make.__name__}.*mean, deviation"):
        make((SAMPLES,), statistics=statistics)


@pytest.mark.parametrize("make", [*FRONT_ENDS, front_ends.whisper_convolutions])
def test_features_in_place_of_a_waveform_are_refused(make):
    with pytest.raises(LMFError, match=r"\(samples,\) without the batch axis, received \(50, 64\)"):
        make((50, 64))


@pytest.mark.slow
def test_a_tflite_file_of_builtin_ops_agrees(steps, tmp_path):
    front_end = filled(front_ends.whisper_statistics((SAMPLES,), layers=(1,)), steps)
    voice = keras.Input((SAMPLES,), name="voice")
    head = keras.layers.Dense(2, name="emotion", kernel_initializer=keras.initializers.GlorotUniform(3))
    model = keras.Model({"voice": voice}, {"emotion": head(front_end(voice))}, name="ears")
    folder = export(model, tmp_path, ("tflite",))
    rows = np.concatenate([clips(), clips()[:1]])
    rows[1, 2600:] = 0
    rows[2] = 0
    found = open_artifact(folder / "model.tflite").predict({"voice": rows})["emotion"]
    expected = keras.ops.convert_to_numpy(model({"voice": rows})["emotion"])
    assert np.abs(found - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


@pytest.mark.slow
def test_the_shipped_weights_load_and_answer_as_pytorch():
    model, record = zoo.load_backbone("whisper-tiny-en"), Backbone.read(SHIPPED)
    with h5py.File(SHIPPED / "model.weights.h5") as file:
        stored: list[np.ndarray] = []
        file.visititems(lambda _, item: stored.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    assert {array.dtype for array in stored} == {np.dtype("float16")}
    assert sum(array.size for array in stored) == model.count_params() == record.parameters
    inputs, expected = read_testvectors(SHIPPED / "testvectors.npz")  # PyTorch's answers
    found = answer(model, inputs["waveform"])
    assert found.shape == (2, 50, 4 * UNITS)
    np.testing.assert_allclose(found, expected["embedding"], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_shipped_convolutions_answer_nearly_as_those_that_they_are_cut_from():
    whole, low_rank = zoo.load_backbone("whisper-tiny-en"), zoo.load_backbone("whisper-convolutions")
    rows = clips(16000)[:1]  # voice-like, as the recordings that they are cut by
    steps = keras.Model(whole.input, whole.get_layer("positions").input)
    hidden = answer(steps, rows)[0, :-10]
    expected = np.concatenate([hidden.mean(axis=0), hidden.std(axis=0)])
    error = answer(low_rank, rows)[0] - expected
    assert np.square(error).mean() < 0.05 * expected.var()


@pytest.mark.long
@pytest.mark.backends("torch")
def test_weights_of_a_file_become_a_backbone_and_other_files_are_refused(tmp_path):
    theirs = pytorch("whisper", tmp_path)
    assert theirs["difference"] <= 1e-4
    assert hashlib.sha256((tmp_path / "random.bin").read_bytes()).hexdigest() in str(theirs["source"])
    assert len(theirs["files"]) == len(theirs["messages"])
    for file, message in zip(theirs["files"], theirs["messages"]):
        assert f"{file} does not hold the weights of Whisper tiny.en's encoder" in str(message)
    assert not (tmp_path / "made").exists()
