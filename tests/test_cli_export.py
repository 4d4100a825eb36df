"""keras-lmf export where the corpus is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner, Result
from exporting import exported_here

import keras_lmf.export
from keras_lmf.cli import main, tables
from keras_lmf.errors import LMFError
from keras_lmf.export import Artifact, Latency

ENTRY = "lmf-mosi-av"  # its corpus is not part of the package
VECTORS = Path(__file__).parents[1] / "zoo" / ENTRY / "testvectors.npz"


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and no corpora."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KERAS_LMF_DATA", raising=False)
    return tmp_path


def command(*words: str) -> Result:
    with exported_here():
        return CliRunner().invoke(main, ["export", ENTRY, *words])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What export_model is asked for; nothing is written."""
    calls: list[dict] = []

    def export_model(model: keras.Model, folder: Path, formats: list[str], **options: object) -> list:
        calls.append({"model": model, "folder": folder, "formats": formats, **options})
        return []

    monkeypatch.setattr(keras_lmf.export, "export_model", export_model)
    return calls


def test_the_file_answers_the_test_vectors(work: Path) -> None:
    result = command("--formats", "tflite", "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert "no metrics" in line
    assert "KERAS_LMF_DATA" in line
    (row,) = json.loads(result.stdout)
    assert "mae" not in row

    vectors = np.load(VECTORS)
    inputs = {key[6:]: values for key, values in vectors.items() if key.startswith("input/")}
    file = work / "runs" / ENTRY / "exported" / "model.tflite"
    runner = Interpreter(model_path=str(file)).get_signature_runner()
    expected = vectors["output/sentiment"]
    found = [
        runner(**{name: np.float32(values[i : i + 1]) for name, values in inputs.items()})["sentiment"]
        for i in range(len(expected))
    ]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-5, atol=1e-5)
    assert row["difference_max"] == pytest.approx(np.abs(np.concatenate(found) - expected).max(), abs=1e-6)


def test_by_default_the_formats_that_need_no_corpus_are_written(asked: list[dict]) -> None:
    result = command()
    assert result.exit_code == 0, result.stderr
    (call,) = asked
    assert call.keys() == {"model", "folder", "formats"}
    assert call["formats"] == ["saved_model", "tflite", "tflite-float16", "tflite-dynamic"]
    (line,) = result.stderr.splitlines()
    assert "no metrics and no tflite-int8 file. Corpus 'cmu_mosi'" in line


@pytest.mark.parametrize("formats", ["tflite-int8", "tflite,tflite-int8-integer"])
def test_an_int8_format_asked_by_name_is_an_error(asked: list[dict], formats: str) -> None:
    result = command("--formats", formats)
    assert result.exit_code == 1
    assert "'tflite-int8" in result.stderr
    assert "--data" in result.stderr
    assert "--formats tflite-dynamic" in result.stderr
    assert asked == []


def test_data_that_is_not_there_is_an_error(asked: list[dict], work: Path) -> None:
    result = command("--data", str(work / "nowhere"))
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert asked == []


@pytest.mark.parametrize(
    ("part", "takes", "gives"),
    [("front-end", (156, 68, 2), "landmarks"), ("body", (105,), "emotion")],
)
def test_a_part_has_a_folder_of_its_own(asked: list[dict], part: str, takes: tuple, gives: str) -> None:
    words = ("export", "landmarks-enterface05", "--part", part, "--formats", "tflite")
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    (call,) = asked
    assert call["model"].input["landmarks"].shape == (None, *takes)
    assert list(call["model"].output) == [gives]
    assert call["folder"].name == part


def test_a_model_of_features_has_no_parts(work: Path) -> None:
    result = command("--part", "body", "--formats", "tflite")
    assert result.exit_code == 1
    assert "has no front end" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--chunks", "audio=x"), 2, "NAME=NUMBER"),
        (("--formats", ","), 2, "--formats takes names"),
        (("--budget-kb", "100", "--split", "valid"), 2, "the split 'valid' chooses"),
        (("--formats", "tflite,tflit"), 1, "Did you mean 'tflite'?"),
    ],
)
def test_a_wrong_word_is_told_before_a_model_is_looked_for(
    words: tuple[str, ...], code: int, said: str
) -> None:
    result = CliRunner().invoke(main, ["export", "no-such-entry", *words])
    assert result.exit_code == code
    assert said in result.stderr


def test_a_format_that_fails_leaves_the_others(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(source: object, path: Path) -> None:
        raise LMFError("not today")

    formats = keras_lmf.export.FORMATS
    monkeypatch.setitem(formats, "tflite-float16", formats["tflite-float16"]._replace(write=fails))
    result = command("--formats", "tflite-float16,tflite", "--json")
    assert result.exit_code == 1
    assert "No tflite-float16 file: not today" in result.stderr
    (row,) = json.loads(result.stdout)
    assert row["file"] == "model.tflite"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """export_model gives files of the longest name, judged, without writing any."""
    table = pd.DataFrame(
        {"value": [0.98, 0.97], "low": [0.968, np.nan], "high": [0.99, np.nan], "floor": [0.522, 0.5]},
        index=["war", "uar"],
    )
    file = Artifact(
        path=Path("model-int8-integer.tflite"),
        format="tflite-int8-integer",
        bytes=12_345_678,
        compressed_bytes=1,
        metrics={"war": 0.98, "uar": 0.97},
        table=table,
        difference_max=0.25,
        difference_mean=0.1,
        agreement=0.875,
        latency=Latency(0.00113, 1.0),
        operators=pd.DataFrame(),
        notes=(),
    )
    monkeypatch.setattr(keras_lmf.export, "export_model", lambda *_, **__: [file, file])


@pytest.mark.parametrize("width", [80, 200])
def test_the_files_fit_the_terminal(judged: None, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "room", lambda: width)
    lines = command("--formats", "tflite").stdout.splitlines()
    assert max(map(len, lines)) <= width
    for line in lines[1:3]:
        start = "model-int8-integer.tflite 12,345,678 0.980 [0.968, 0.990] 0.00113 2.5e-01"
        assert " ".join(line.split()).startswith(start)
    assert ("87.5%" in lines[1]) == (width > 80)
    assert "accuracy 0.522" in " ".join(lines)


def test_a_front_end_without_scales_needs_no_corpus(asked: list[dict]) -> None:
    words = ("export", "landmarks-enterface05", "--part", "front-end", "--formats", "tflite")
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
