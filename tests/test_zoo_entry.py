"""Entry: read and written, canonical; what the helpers record against hashlib and numpy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from zoo_entry import NAME, recipe, sections

from keras_lmf.data import Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.zoo import (
    Entry,
    Metric,
    Spread,
    cards,
    file_records,
    metric_block,
    read_testvectors,
    show,
    write_testvectors,
)

FIT = {
    "temperature": 1.25,
    "ece_before": 0.2,
    "ece_after": 0.1,
    "nll_before": 0.9,
    "nll_after": 0.8,
    "split": "valid",
    "rows": 40,
}


def test_written_is_what_is_read_and_always_the_same_text(entry_folder: Path) -> None:
    entry = Entry.read(entry_folder)
    text = (entry_folder / "entry.json").read_text(encoding="utf-8")
    path = entry.write(entry_folder)
    assert path == entry_folder / "entry.json"
    assert path.read_text(encoding="utf-8") == text == entry.to_json()
    fields = json.loads(text)
    assert list(fields)[:3] == ["schema_version", "name", "summary"]
    assert list(fields["inputs"]) == fields["modalities"] == ["audio", "video"]
    assert "range" not in fields["target"]
    assert fields["weights"][0][1] == [8]
    assert re.search(r'"fusion/kernel_audio",\n\s*\[ 4, 8 \]\n', text)
    assert [path.name for path in entry_folder.glob(".partial-*")] == []


def test_file_records_say_what_hashlib_says(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    records = file_records(tmp_path, {"tflite": "a.bin"})
    # FIPS 180-4's example
    assert records["tflite"].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert records["tflite"].bytes == 3
    with pytest.raises(LMFError, match=r"no file .*b.bin for 'weights'"):
        file_records(tmp_path, {"weights": "b.bin"})


def test_the_weights_are_listed_in_order_with_their_numbers(entry_folder: Path) -> None:
    entry = Entry.read(entry_folder)
    arrays = build(recipe()).get_weights()
    assert [shape for _, shape in entry.weights] == [array.shape for array in arrays]
    assert entry.parameters == sum(array.size for array in arrays)
    assert entry.weights[-1] == ("emotion/bias", (2,))
    assert entry.recipe_sha256 == Recipe.read(entry_folder / "recipe.toml").fingerprint


def test_metrics_come_from_an_evaluation_and_nan_is_left_out() -> None:
    target = Target(name="emotion", classes=("calm", "very excited"))
    rows = np.array([f"clip{row}" for row in range(4)])
    split = Split("test", {}, {}, np.array([0, 1, 1, 1]), rows, rows, target)
    logits = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], "float32")
    block = metric_block(evaluate(logits, split, resamples=0).table)
    assert block["war"] == Metric(value=0.75)
    assert block["f1_very excited"] == Metric(value=0.8)  # 2·2 / (2·2 + 0 + 1)
    table = pd.DataFrame({"value": [1.0], "low": [0.5], "high": [2.0], "floor": [np.nan]}, index=["mae"])
    assert metric_block(table) == {"mae": Metric(value=1.0, low=0.5, high=2.0)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"modalities": ["video", "audio"]}, "differ"),
        ({"modalities": ["audio"]}, "differ"),
        ({"parameters": 5}, "'parameters' is 5, the shapes in 'weights' hold"),
        ({"licences": {"code": "Apache-2.0", "weights": " ", "data": "x"}}, "licences.weights"),
        ({"licences": {"code": "Apache-2.0", "weights": "MIT"}}, "licences.data' is missing"),
        ({"summry": "x"}, "Did you mean 'summary'"),
        ({"schema_version": 2}, "schema version 2; this keras-lmf reads 1"),
        ({"weights": []}, "weights"),
        ({"fusion": "lmf"}, "Unknown fusion 'lmf'.*Allowed: none, early, tensor, low_rank"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_field(entry_folder: Path, change: dict, reason: str) -> None:
    fields = json.loads((entry_folder / "entry.json").read_text()) | change
    (entry_folder / "entry.json").write_text(json.dumps(fields))
    with pytest.raises(LMFError, match=reason) as caught:
        Entry.read(entry_folder)
    assert str(entry_folder / "entry.json") in str(caught.value)


@pytest.mark.parametrize("key", ["weights", "testvectors"])
def test_weights_and_test_vectors_are_never_lacking(entry_folder: Path, key: str) -> None:
    fields = json.loads((entry_folder / "entry.json").read_text())
    del fields["files"][key], fields["metrics"]
    (entry_folder / "entry.json").write_text(json.dumps(fields))
    with pytest.raises(LMFError, match=f"'files' lacks '{key}'"):
        Entry.read(entry_folder)


def test_every_field_but_results_is_required(entry_folder: Path) -> None:
    whole = json.loads((entry_folder / "entry.json").read_text())
    optional = {"schema_version", "metrics", "costs", "seeds", "cross_validation", "protocol", "citations"}
    for field in whole.keys() - optional:
        less = {key: value for key, value in whole.items() if key != field}
        (entry_folder / "entry.json").write_text(json.dumps(less))
        with pytest.raises(LMFError, match=f"the field '{field}' is missing"):
            Entry.read(entry_folder)


def test_an_entry_that_could_not_be_read_back_is_not_written(entry_folder: Path) -> None:
    model = build(recipe())
    large = Entry(**sections(entry_folder, model, environment={"log": ["x" * 2**20]}))
    before = (entry_folder / "entry.json").read_bytes()
    with pytest.raises(LMFError, match="larger than 1048576 bytes"):
        large.write(entry_folder)
    assert (entry_folder / "entry.json").read_bytes() == before


def test_a_folder_without_entry(tmp_path: Path) -> None:
    with pytest.raises(LMFError, match="is no zoo entry"):
        Entry.read(tmp_path / NAME)


def test_test_vectors_come_back(tmp_path: Path) -> None:
    inputs = {"audio": np.arange(6, dtype="float32").reshape(2, 3), "text": np.zeros((2, 4, 5), "float32")}
    outputs = {"mood": np.array([[1.5], [-2.0]], "float32")}
    path = write_testvectors(tmp_path / "testvectors.npz", inputs, outputs)
    with np.load(path) as archive:
        assert set(archive.files) == {"input/audio", "input/text", "output/mood"}
    read_inputs, read_outputs = read_testvectors(path)
    for written, read in ((inputs, read_inputs), (outputs, read_outputs)):
        assert list(written) == list(read)
        for key in written:
            np.testing.assert_array_equal(written[key], read[key])


def test_what_an_entry_of_media_adds_is_written_read_and_told(entry_folder: Path) -> None:
    plain = json.loads((entry_folder / "entry.json").read_text())
    assert not {"presence", "calibration"} & set(plain)
    assert set(plain["inputs"]["audio"]) == {"shape", "unit", "description"}
    fields = json.loads(json.dumps(plain))
    fields["inputs"]["audio"] |= {"media": "waveform", "rate": 16000.0}
    fields |= {"presence": "derived", "calibration": FIT}
    entry = Entry.parse(json.dumps(fields).encode(), "here")
    entry.write(entry_folder)
    assert json.loads((entry_folder / "entry.json").read_text()) == fields
    of_weights = entry.model_copy(update={"metrics": {"weights": entry.metrics["weights"]}})
    of_weights = of_weights.model_copy(
        update={
            "seeds": {"weights": dict.fromkeys(of_weights.metrics["weights"], Spread(mean=0, sd=0, runs=5))}
        }
    )
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n")
    for text in (cards.card(entry_folder, of_weights), show(entry_folder)):
        assert re.search(r"`audio` with mono sound in \[-1, 1\] at 16000 Hz", text)
        assert re.search(r"temperature 1\.250 .*40 rows of valid", text)
        assert "from 0.200 to 0.100" in text
        assert "from 0.900 to 0.800" in text
        assert "zeros is an absent modality" in text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"presence": "guessed"}, "presence"),
        ({"calibration": FIT | {"temperature": 0}}, "calibration.temperature"),
        ({"calibration": FIT | {"ece_after": 1.5}}, "calibration.ece_after"),
    ],
)
def test_facts_out_of_their_range(entry_folder: Path, changes: dict, field: str) -> None:
    fields = json.loads((entry_folder / "entry.json").read_text()) | changes
    with pytest.raises(LMFError, match=field):
        Entry.parse(json.dumps(fields).encode(), "here")
