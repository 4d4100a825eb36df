"""One description of what a model takes and gives: from recipe, run, entry and exported file."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from zoo_entry import NAME, recipe

import keras_lmf as klmf
from keras_lmf import spec
from keras_lmf.recipe import run_spec
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import InputSpec, ModelSpec, attach, attached
from keras_lmf.zoo import Entry

BOUNDS = (0.01, 100)  # Guo et al.'s temperatures are of the order of 1; far beyond lies a mistake


def model() -> keras.Model:
    inputs = keras.Input((3,), name="x")
    return keras.Model({"x": inputs}, {"emotion": keras.layers.Dense(2, name="emotion")(inputs)})


def with_temperature(where: str, temperature: float, tmp_path, entry_folder) -> float | None:
    """What the file says that holds this temperature, once it is read again."""
    if where == "sidecar":
        klmf.export_model(model(), tmp_path, ["saved_model"], temperature=temperature, resamples=0)
        return Sidecar.read(tmp_path / "saved_model").spec.temperature
    if where == "run":
        recipe().write(tmp_path / "recipe.toml")
        fitted = {"temperature": temperature, "split": "valid", "rows": 3}
        (tmp_path / "calibration.json").write_text(json.dumps(fitted))
        return run_spec(tmp_path).temperature
    fields = json.loads((entry_folder / "entry.json").read_text())
    errors = dict.fromkeys(("ece_before", "ece_after", "nll_before", "nll_after"), 0.5)
    fields["calibration"] = {"temperature": temperature, "split": "valid", "rows": 3, **errors}
    (entry_folder / "entry.json").write_text(json.dumps(fields))
    return Entry.read(entry_folder).spec.temperature


@pytest.mark.slow
@pytest.mark.parametrize("where", ["sidecar", "run", "entry"])
def test_a_temperature_has_the_same_bounds_everywhere(where, tmp_path, entry_folder, exported_in_process):
    for temperature in BOUNDS:
        assert with_temperature(where, temperature, tmp_path, entry_folder) == temperature
    for temperature in (BOUNDS[0] / 1.01, BOUNDS[1] * 1.01):
        with pytest.raises(klmf.LMFError, match="temperature"):
            with_temperature(where, temperature, tmp_path, entry_folder)


def test_the_spec_of_an_entry_is_that_of_its_recipe(entry_folder):
    of_entry, of_recipe = Entry.read(entry_folder).spec, recipe().spec
    assert of_entry.recipe == of_recipe.recipe
    assert (of_entry.target, of_entry.presence) == (of_recipe.target, of_recipe.presence)
    assert {name: part.shape for name, part in of_entry.inputs.items()} == {"audio": (8,), "video": (8,)}


def test_a_loaded_model_carries_what_its_entry_says(home, entry_folder):
    loaded = klmf.load(entry_folder)
    carried, examples = attached(loaded)
    assert carried == Entry.read(entry_folder).spec
    vectors, _ = klmf.zoo.read_testvectors(entry_folder / "testvectors.npz")
    for name, rows in vectors.items():
        np.testing.assert_array_equal(examples[name], rows)


@pytest.mark.slow
def test_an_export_says_what_the_model_carries_and_the_call_comes_first(
    home, entry_folder, tmp_path, exported_in_process
):
    loaded = klmf.load(entry_folder)
    (written,) = klmf.export_model(
        loaded, tmp_path, ["saved_model"], temperature=2.5, licence={"code": "MIT"}
    )
    said, entry = Sidecar.read(written.path).spec, Entry.read(entry_folder).spec
    assert said.inputs == entry.inputs
    assert (said.target, said.recipe.name, said.presence) == (entry.target, NAME, "assumed")
    assert (said.temperature, said.licence) == (2.5, {"code": "MIT"})


@pytest.mark.slow
def test_a_new_medium_is_one_word(monkeypatch, tmp_path, exported_in_process):
    """A sensor's signal: known to inputs, tolerance and sidecar once it is in the table."""
    with pytest.raises(ValueError, match="Unknown media 'signal'"):
        InputSpec(media="signal", rate=4)
    signal = spec.Medium("conductance of the skin", "µS", "Hz", (1, 2), (0.1, 1000))
    monkeypatch.setitem(spec.MEDIA, "signal", signal)
    carried = ModelSpec(inputs={"x": InputSpec(media="signal", rate=4)})
    assert carried.tolerance == 1e-4
    klmf.export_model(attach(model(), carried), tmp_path, ["saved_model"])
    assert Sidecar.read(tmp_path / "saved_model").spec.inputs["x"] == InputSpec(
        shape=(3,), media="signal", rate=4
    )


def test_several_inputs_of_one_medium_are_described():
    inputs = {name: InputSpec(media="waveform", rate=16000) for name in ("near", "far")}
    assert list(ModelSpec(inputs=inputs).media) == ["near", "far"]


def test_the_spec_survives_neither_a_typo_nor_a_foreign_input(tmp_path):
    with pytest.raises(klmf.LMFError, match=r"Unknown modality in the spec: 'y'.*Allowed: x"):
        klmf.export_model(model(), tmp_path, ["saved_model"], spec=ModelSpec(inputs={"y": InputSpec()}))
    with pytest.raises(klmf.LMFError, match="precense"):
        ModelSpec().replace(precense="derived")
