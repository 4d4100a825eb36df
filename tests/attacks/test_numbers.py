"""NaN, infinity and numbers that overflow: every way to run a model refuses them, and no model answers with them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from exporting import exported_here, save_function
from loud_model import export, loud_model, square_wave
from small_model import small_model

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.export import export_model
from keras_lmf.runtime import Runtime, open_artifact

ZOO = Path(__file__).parents[2] / "zoo"
BAD = [np.nan, np.inf, -np.inf, 1e19, -3e38, 2e12]
ROWS = 300  # more than a batch


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Runtime]:
    """A model whose ReLU makes 0 of NaN, as many a ReLU does, in every form."""
    model = small_model(keras.layers.Dense(64, activation="relu"))
    folder = tmp_path_factory.mktemp("forms")
    formats = ("saved_model", "tflite", "tflite-float16", "tflite-dynamic")
    with exported_here():
        files = export_model(model, folder, formats)
    return {"keras": open_artifact(model)} | {file.format: open_artifact(file.path) for file in files}


@pytest.mark.parametrize("form", ["keras", "saved_model", "tflite", "tflite-float16", "tflite-dynamic"])
@pytest.mark.parametrize("bad", BAD)
def test_an_input_is_refused_with_its_row(runtimes: dict[str, Runtime], form: str, bad: float) -> None:
    rows = {name: np.random.default_rng(0).standard_normal((ROWS, 3)).astype("f4") for name in ("x", "w")}
    runtimes[form].predict(rows)
    rows["w"][[257, 299], 1] = bad
    with pytest.raises(
        LMFError, match=r"input 'w', row 257: received NaN, infinity or a number beyond ±1e\+12"
    ):
        runtimes[form].predict(rows)


@pytest.mark.parametrize("form", ["keras", "saved_model", "tflite"])
def test_large_numbers_are_answered_as_they_should_be(runtimes: dict[str, Runtime], form: str) -> None:
    """Far beyond any feature, and not yet where float32 ends: without biases the answer grows as its inputs."""
    x = {name: np.random.default_rng(0).standard_normal((4, 3)).astype("f4") for name in ("x", "w")}
    x["x"] /= np.abs(x["x"]).max()
    grown = runtimes[form].predict({**x, "x": x["x"] * np.float32(1e12)})["y"]
    np.testing.assert_allclose(grown, 1e12 * runtimes[form].predict(x)["y"], rtol=1e-4)


@pytest.mark.parametrize("file", sorted(path.relative_to(ZOO).as_posix() for path in ZOO.glob("*/*.tflite")))
def test_every_file_of_the_zoo_refuses_each_input(file: str) -> None:
    runtime = open_artifact(ZOO / file)
    for name in runtime.inputs:
        for bad in (np.nan, np.inf, 1e19):
            rows = {key: np.zeros((3, *info.shape), info.dtype) for key, info in runtime.inputs.items()}
            rows[name][2].reshape(-1)[-1] = bad
            with pytest.raises(LMFError, match=rf"input '{name}', row 2"):
                runtime.predict(rows)


@pytest.mark.parametrize("name", ["landmarks-enterface05", "tfn-mosi-avt"])
def test_entries_refuse_each_input(name: str) -> None:
    runtime = open_artifact(klmf.load(name))
    for key in runtime.inputs:
        for bad in (np.nan, -np.inf, 1e19):
            rows = {key: np.zeros((2, *info.shape), info.dtype) for key, info in runtime.inputs.items()}
            rows[key][1].reshape(-1)[0] = bad
            with pytest.raises(LMFError, match=f"input '{key}', row 1"):
                runtime.predict(rows)


def test_an_answer_with_nan_is_refused_in_every_form(tmp_path: Path) -> None:
    model = small_model()
    model.layers[-1].set_weights([np.full((3, 2), np.inf, "f4"), np.zeros(2, "f4")])
    ends = {name: np.ones((5, 3), "f4") for name in ("x", "w")}
    ends["x"][3] = [1, 0, 1]  # 0 × ∞
    with pytest.raises(LMFError, match="Keras model 'small' answers with NaN or infinity: output 'y', row 0"):
        open_artifact(model).predict(ends)
    folder = save_function(lambda x: 1 / x, tmp_path / "saved", rows=None)
    assert np.isfinite(open_artifact(folder).predict({"x": np.ones((4, 3), "f4")})["y"]).all()
    rows = np.ones((4, 3), "f4")
    rows[2, 1] = 0
    with pytest.raises(LMFError, match="saved answers with NaN or infinity: output 'y', row 2"):
        open_artifact(folder).predict({"x": rows})


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_what_float16_cannot_hold_is_said(policy: str) -> None:
    middle = keras.layers.Dense(4, dtype=policy, kernel_initializer="ones", name="middle")
    model = small_model(middle)
    rows = {"x": np.ones((2, 3), "f4"), "w": np.ones((2, 3), "f4")}
    open_artifact(model).predict(rows)
    with pytest.raises(LMFError, match=r"input 'x', row 1: .*±65504\. It computes in float16"):
        open_artifact(model).predict({**rows, "x": np.array([[1, 1, 1], [7e4, 1, 1]], "f4")})
    with pytest.raises(
        LMFError, match=r"answers with NaN or infinity: output 'y', row 0\. It computes in float16"
    ):
        open_artifact(model).predict({name: 6e4 * array for name, array in rows.items()})


def test_weights_that_float16_cannot_hold_stay_float32(tmp_path: Path) -> None:
    middle = keras.layers.Dense(64, name="middle")
    model = small_model(middle)
    kernel, bias = middle.get_weights()
    kernel[0, 0] = 1e6
    middle.set_weights([kernel, bias])
    with exported_here():
        (file,) = export_model(model, tmp_path, ["tflite-float16"])
    rows = {name: np.ones((1, 3), "f4") for name in ("x", "w")}
    np.testing.assert_allclose(open_artifact(file.path).predict(rows)["y"], model(rows)["y"], rtol=1e-2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_recognizer_refuses_them_by_name(tmp_path: Path, bad: float) -> None:
    folder = export(loud_model(with_words=True), tmp_path, ("tflite",), presence="derived")
    recognizer = klmf.Recognizer(folder / "model.tflite")
    wave, words = square_wave((0.5, 1.0)), np.ones(3, "f4")
    recognizer({"voice": wave, "words": words})
    with pytest.raises(LMFError, match="input 'words', row 0"):
        recognizer({"voice": wave, "words": np.array([1, bad, 1], "f4")})
    wave[7] = bad
    for clip in (wave, {"voice": wave, "words": words}):
        with pytest.raises(LMFError, match=r"input 'voice'.*NaN"):
            recognizer(clip)
