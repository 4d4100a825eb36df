"""From a folder of clips to a run on the command line, and what is said where recipe and folder disagree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clips import make_clips, write_table
from command_line import command

from keras_lmf.data import load
from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.training.run import fitting


def recipe(classes: tuple[str, ...] = ("calm", "excited"), corpus: str = "clips") -> Recipe:
    return Recipe(
        name="tones",
        corpus={"name": corpus, "options": {"seconds": 0.05}},
        target={"name": "emotion", "classes": classes},
        inputs={"voice": {"shape": [800], "backbone": {"name": "mlp", "units": [8]}}},
        fusion={"name": "early"},
        training={"loss": "cross_entropy", "epochs": 2},
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_LMF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    make_clips(tmp_path / "my_clips", takes=4)
    recipe().write(tmp_path / "tones.toml")
    return tmp_path / "my_clips"


def test_train_and_evaluate_a_folder(folder: Path):
    result = command("train", "tones.toml", "--data", "my_clips/", "--folder", "run")
    assert result.exit_code == 0, result.output
    assert "my_clips: 40 samples, target 'emotion', 2 classes" in result.stderr
    assert "24 samples, 3 groups: calm 12, excited 12" in result.stderr
    assert result.stderr.count("8 samples, 1 groups: calm 4, excited 4") == 2
    result = command("evaluate", "run", "--data", "my_clips", "--resamples", "0", "--json")
    assert result.exit_code == 0, result.output
    assert "war" in json.dumps(json.loads(result.stdout))


def test_clips_that_are_left_out_are_told_in_plain_words(folder: Path):
    (folder / "anna" / "calm-0.wav").write_bytes(b"no sound")
    result = command("train", "tones.toml", "--data", "my_clips", "--folder", "run")
    assert result.exit_code == 0, result.output
    assert "Warning: my_clips: 1 of 40 clips can't be used:" in result.stderr
    assert "line 2, anna/calm-0.wav: no media file" in result.stderr
    assert "UserWarning" not in result.stderr
    assert "39 samples" in result.stderr


def test_a_recipe_of_another_corpus_is_told_what_the_folder_is(folder: Path):
    recipe(corpus="emodb").write(Path("other.toml"))
    result = command("train", "other.toml", "--data", "my_clips")
    assert result.exit_code == 1
    assert "It is a folder of clips (labels.csv), the corpus 'clips'." in result.stderr


def test_a_misspelt_label_is_told_with_the_nearest_class(folder: Path):
    lines = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]
    for file, label, speaker in [line for line in lines if line[0].endswith("calm-0.wav")]:
        lines[lines.index([file, label, speaker])][1] = "clam"
    write_table(folder, lines)
    result = command("train", "tones.toml", "--data", "my_clips")
    assert result.exit_code == 1
    assert "Unknown label in my_clips: 'clam'. Did you mean 'calm'?" in result.stderr
    assert "5 rows (id 'anna/calm-0.wav', …)" in result.stderr


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("angry", "calm", "excited"), "The recipe's class 'angry' is no label of my_clips"),
        (("excited", "calm"), "in another order than the corpus's"),
        (("calm", "exited"), r"'excited'\. Did you mean 'exited'\? .* 20 rows .*\['calm', 'excited'\]"),
    ],
)
def test_classes_of_recipe_and_folder(folder: Path, classes: tuple[str, ...], words: str):
    with pytest.raises(LMFError, match=words):
        fitting(recipe(classes), load(folder, seconds=0.05))


def test_a_target_of_another_kind_or_name(folder: Path):
    data = load(folder, seconds=0.05, target="mood")
    with pytest.raises(LMFError, match=r"target .*emotion.* is not the corpus's: .*mood"):
        fitting(recipe(), data)
