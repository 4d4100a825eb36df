"""A recipe's fingerprint: what changes it, and what of later versions must not."""

from __future__ import annotations

import tomllib

import pytest
from toy_recipe import sections

from keras_lmf.recipe import Recipe, Training, run_recipe, run_spec
from keras_lmf.training import Run


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(**sections())


def test_the_fingerprint_tells_recipes_apart(recipe):
    assert recipe.fingerprint != recipe.replace(seed=4).fingerprint
    assert recipe.replace(seed=4).replace(seed=3).fingerprint == recipe.fingerprint
    assert recipe.select(["video", "audio"]).fingerprint != recipe.fingerprint


def of_faces(source: dict | None) -> Recipe:
    """A recipe whose first input is a film's face."""
    face = {
        "shape": [2, 16, 16, 1],
        "frame_rate": 2.0,
        "backbone": {"name": "cnn_2plus1d", "filters": [2], "units": 3},
        **({} if source is None else {"source": source}),
    }
    return Recipe(**sections() | {"inputs": {"face": face} | sections()["inputs"]})


@pytest.mark.parametrize(
    ("source", "digest"),
    [
        (
            {"name": "face", "detector": "haar"},
            "40201e605b8b0947b824dacf37331357ea7efdc748938eb3053c91a0cbf10b51",
        ),
        (
            {"name": "face", "detector": "yunet"},
            "b7ba789a603199926077a317b4c0f2eb5d25a5927bf524eed86476bb5e248ab5",
        ),
        (None, "7bcb2f8a7fef56aa886a1aa51a1bed1ad8eb014797a8d85306272da0359046bf"),
    ],
)
def test_the_fingerprint_of_a_detector_is_as_it_was_before_the_default_changed(source, digest):
    """Digests of the version whose default was "haar"; records of trained models hold such."""
    assert of_faces(source).fingerprint == digest


def test_a_stored_recipe_names_its_detector(tmp_path):
    path = of_faces({"name": "face"}).write(tmp_path / "recipe.toml")
    assert tomllib.loads(path.read_text())["inputs"]["face"]["source"] == {
        "name": "face",
        "detector": "yunet",
    }


@pytest.mark.parametrize(
    ("environment", "source", "detector"),
    [
        ("{}", None, "haar"),
        ('{"face_detector": "yunet"}', None, None),
        (None, None, None),
        ("{}", {"name": "face", "detector": "yunet"}, "yunet"),
        ("{}", {"name": "face", "detector": "haar"}, "haar"),
    ],
)
def test_a_run_keeps_the_detector_that_was_the_default(tmp_path, environment, source, detector):
    """A run that doesn't say which that was is of the time when it was "haar"."""
    stored = of_faces(source)
    stored.write(tmp_path / "recipe.toml")
    if environment:
        (tmp_path / "environment.json").write_text(environment)
    recorded, spec = run_recipe(tmp_path).recorded, run_spec(tmp_path)
    assert spec.inputs["face"].detector == detector
    assert (recorded["face"].source and recorded["face"].source.detector) == detector
    assert recorded["audio"].source is None
    assert spec.recipe.sha256 == stored.fingerprint
    (tmp_path / "model.weights.h5").touch()
    assert Run.open(tmp_path).recipe == stored, "so that it is the recipe of its folder"


def test_a_setting_that_a_later_version_adds_changes_no_fingerprint(recipe):
    class LaterTraining(Training):
        added: int = 3

    class LaterRecipe(Recipe):
        training: LaterTraining

    assert LaterRecipe(**sections()).fingerprint == recipe.fingerprint
    used = sections()
    used["training"]["added"] = 4
    assert LaterRecipe(**used).fingerprint != recipe.fingerprint
