"""What export refuses: formats without their data, descriptions of nothing, names that a file doesn't deserve."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_model import small_model

from keras_lmf.data import Split
from keras_lmf.errors import LMFError
from keras_lmf.export import InputDescription, NotAllWritten, export_model, exporter
from keras_lmf.target import Target


def calibration(**shapes: tuple[int, ...]) -> Split:
    inputs = {name: np.ones((20, *shape), "float32") for name, shape in shapes.items()}
    rows = np.arange(20).astype(str)
    return Split("train", inputs, {}, np.zeros(20), rows, rows, Target(name="y", range=(0, 1)))


@pytest.mark.parametrize("name", ["tflite-int8", "tflite-int8-integer", "tflite-int16"])
def test_int8_needs_calibration(tmp_path, name):
    with pytest.raises(LMFError, match=rf"'{name}' needs calibration=.*'tflite-dynamic'"):
        export_model(small_model(), tmp_path / "out", ["saved_model", name])
    assert not (tmp_path / "out").exists()


def test_calibration_that_does_not_fit(tmp_path):
    with pytest.raises(LMFError, match=r"modality of split 'train' 'w'"):
        export_model(small_model(), tmp_path, ["tflite-int8"], calibration=calibration(x=(3,)))
    with pytest.raises(LMFError, match=r"input 'w': received shape \(20, 4\)"):
        export_model(small_model(), tmp_path, ["tflite-int8"], calibration=calibration(x=(3,), w=(4,)))


def test_unknown_description(tmp_path):
    with pytest.raises(LMFError, match=r"'v'.*Allowed: x, w"):
        export_model(small_model(), tmp_path, ["tflite"], descriptions={"v": InputDescription()})


@pytest.mark.slow
@pytest.mark.usefixtures("exported_in_process")
def test_a_file_without_int8_products_is_not_called_int8(tmp_path):
    clip = keras.Input((3, 6, 6, 2), name="video")
    pooled = keras.layers.GlobalAveragePooling3D(name="emotion")(keras.layers.Conv3D(3, 3, name="only")(clip))
    model = keras.Model({"video": clip}, {"emotion": pooled}, name="three_d")
    with pytest.raises(LMFError, match=r"isn't called so.*CONV_3D in layer 'only' \(Conv3D\).*2-D layers"):
        export_model(model, tmp_path, ["tflite-int8"], calibration=calibration(video=(3, 6, 6, 2)))
    assert list(tmp_path.iterdir()) == []


def test_unknown_format_writes_nothing(tmp_path):
    with pytest.raises(LMFError, match=r"Unknown export format 'tflit'\. Did you mean 'tflite'\?"):
        export_model(small_model(), tmp_path / "out", ["saved_model", "tflit"])
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("exported_in_process")
def test_a_format_that_fails_leaves_the_others(tmp_path, monkeypatch):
    def fails(source, path):
        raise LMFError("not today")

    monkeypatch.setitem(
        exporter.FORMATS, "tflite-float16", exporter.FORMATS["tflite-float16"]._replace(write=fails)
    )
    with pytest.raises(NotAllWritten, match=r"No tflite-float16 file: not today") as told:
        export_model(small_model(), tmp_path, ["tflite-float16", "tflite"])
    assert told.value.problems == {"tflite-float16": "not today"}
    assert [artifact.format for artifact in told.value.artifacts] == ["tflite"]
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"model.tflite", "model.tflite.json", "report.csv", "report.json", "report.md"}


def test_what_has_the_name_of_a_file_is_told_before_any_is_written(tmp_path):
    (tmp_path / "model-float16.tflite").mkdir()
    with pytest.raises(LMFError, match=r"model-float16\.tflite can't be written: Is a directory"):
        export_model(small_model(), tmp_path, ["tflite", "tflite-float16"])
    assert [path.name for path in tmp_path.iterdir()] == ["model-float16.tflite"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"temperature": 0}, "temperature.* greater than or equal to 0.01, received 0"),
        ({"temperature": float("nan")}, "temperature.*received nan"),
        ({"presence": "derive"}, "Did you mean 'derived'"),
    ],
)
def test_facts_out_of_their_range(tmp_path, facts, message):
    with pytest.raises(LMFError, match=message):
        export_model(small_model(), tmp_path / "out", **facts)
    assert not (tmp_path / "out").exists()


def test_formats_as_one_word(tmp_path):
    with pytest.raises(LMFError, match=r"formats=\['tflite'\]"):
        export_model(small_model(), tmp_path, "tflite")


def test_free_length_needs_real_rows(tmp_path):
    steps = keras.Input((None, 2), name="text")
    model = keras.Model({"text": steps}, {"score": keras.layers.GlobalMaxPooling1D(name="score")(steps)})
    with pytest.raises(LMFError, match=r"input 'text'.*Give evaluation="):
        export_model(model, tmp_path)


def test_model_that_returns_nan_is_refused(tmp_path):
    model = small_model()
    model.set_weights([np.nan * weight for weight in model.get_weights()])
    with pytest.raises(LMFError, match="Keras model 'small' answers with NaN or infinity"):
        export_model(model, tmp_path, ["saved_model"])


def test_without_tensorflow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(exporter, "find_spec", lambda name: None)
    with pytest.raises(LMFError, match=r'pip install "keras-lmf\[tf\]"'):
        export_model(small_model(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
