"""One place decides what a word means."""

from __future__ import annotations

from pathlib import Path

import pytest
from zoo_entry import NAME

from keras_lmf.errors import LMFError
from keras_lmf.locate import known_recipes, local_path, locate
from keras_lmf.zoo import fetching


@pytest.fixture
def places(tmp_path: Path, entry_folder: Path, home: Path) -> dict[str, Path]:
    """One of each kind that lies on the disk."""
    made = {"entry": entry_folder}
    for kind, file in (
        ("backbone", "backbone.json"),
        ("run", "recipe.toml"),
        ("saved_model", "saved_model.pb"),
    ):
        made[kind] = tmp_path / f"a-{kind}"
        made[kind].mkdir()
        (made[kind] / file).touch()
    for kind, name in (("recipe", "a.toml"), ("weights", "a.weights.h5"), ("tflite", "a.tflite")):
        made[kind] = tmp_path / name
        made[kind].touch()
    return made


def test_what_lies_there_says_what_it_is(places):
    for kind, path in places.items():
        assert locate(path) == (kind, str(path), path)
        assert locate(str(path), kind).path == path


def test_a_name_is_an_entry_wherever_it_is(places, monkeypatch):
    assert locate(NAME) == ("entry", NAME, None)
    monkeypatch.chdir(places["entry"].parent)
    assert locate(NAME) == ("entry", NAME, Path(NAME))  # nothing is bundled: the folder of that name
    assert locate("not-there") == ("entry", "not-there", None)  # a mirror may have it


def test_a_bundled_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "lmf-mosi-avt").mkdir()
    (tmp_path / "ge2e").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("lmf-mosi-avt") == ("entry", "lmf-mosi-avt", None)
    assert locate("ge2e") == ("backbone", "ge2e", None)
    assert local_path(Path("ge2e")) == Path("ge2e")


def test_another_kind_is_told_with_what_is_taken(places):
    with pytest.raises(LMFError, match=r"is a \.toml recipe. Give .*zoo entry, the folder of a training run"):
        locate(places["recipe"], "entry", "run")
    with pytest.raises(LMFError, match="is a backbone, no model by itself"):
        locate(places["backbone"], "entry")
    for name in known_recipes():
        with pytest.raises(LMFError, match=f"is a recipe.*train {name}"):
            fetching.fetch(name)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("folder", r"holds no saved_model\.pb"),
        ("notes.txt", "Can't tell what"),
        ("gone/model.tflite", "no file or folder"),
        ("https://example.org/x", "is an address"),
        ("", "no file or folder"),
        (3, "Received a int"),
    ],
)
def test_what_means_nothing_is_refused(word, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(LMFError, match=says):
        locate(word, "saved_model", "tflite")
