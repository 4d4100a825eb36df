"""The published network's files beside PyTorch: the programs compute the same. No time is asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.runtime import open_artifact

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import published_network
from speed.published import TARGET, example


@pytest.fixture(scope="module")
def network():
    return published_network.published()


def test_the_part_behind_the_lstm_answers_as_the_whole(network):
    inputs, _ = example(4)
    inner = network.get_layer("low_rank_fusion_network").get_layer("text_backbone")
    states = keras.Model(inner.input, inner.get_layer("rnn").output).predict(inputs["text"], verbose=0)
    rest = published_network.without_lstm().predict(inputs | {"text": states}, verbose=0)
    np.testing.assert_allclose(rest[TARGET], network.predict(inputs, verbose=0)[TARGET], atol=1e-6)


def test_a_float32_file_that_answers_otherwise_is_not_measured(network, monkeypatch):
    runtime = open_artifact(network)
    monkeypatch.setattr(published_network, "open_artifact", lambda path: runtime)
    expected = runtime.predict(example(published_network.ROWS)[0])[TARGET][:, 0]
    assert published_network.difference(Path("model.tflite"), expected) == 0
    other = expected + np.float32(1e-3)
    with pytest.raises(LMFError, match=r"float32 file differs from PyTorch by 0\.001"):
        published_network.difference(Path("model.tflite"), other)
    assert published_network.difference(Path("model-dynamic.tflite"), other) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.long
@pytest.mark.backends("torch")
def test_files_and_pytorch_answer_the_same():
    table = published_network.measure(repeats=1, seconds=0).set_index("program")
    assert (table["cpu_ms"] > 0).all()
    told = table["difference"].dropna()
    assert told[table["weights"] == "float32"].max() <= 1e-5
    assert set(table.index[table["difference"].isna()]) == {
        published_network.LSTM_ALONE,
        published_network.REST,
    }
    assert "torch" not in sys.modules
