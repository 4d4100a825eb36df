"""[training.distillation]: what is told before any corpus is read, and clips that no teacher can answer."""

from __future__ import annotations

from pathlib import Path

import media_files
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from resume_worker import CLASSES, sequences

from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.training import train
from keras_lmf.training.distillation import teachers_of, with_unlabelled

FEATURES = {
    "audio": {"shape": (5, 4), "backbone": {"name": "average_pooling", "units": (4,)}},
    "video": {"shape": (3,), "backbone": {"name": "mlp", "units": (4,)}},
}
CLIPS = {
    "voice": {
        "shape": [1600],
        "front_end": {"name": "log_mel", "bands": 4},
        "backbone": {"name": "average_pooling"},
    },
    "face": {
        "shape": [16, 16, 1],
        "backbone": {"name": "image_cnn", "filters": [2]},
        "source": {"name": "face", "detector": "none"},
    },
}


def recipe(inputs: dict, section: dict | None = None, **sections: object) -> Recipe:
    given = {
        "name": "tiny",
        "corpus": {"name": "clips"},
        "target": {"name": "emotion", "classes": CLASSES},
        "inputs": inputs,
        "fusion": {"name": "early"},
        "training": {"epochs": 1, **({"distillation": section} if section else {})},
    }
    return Recipe(**given | sections)


def test_a_teacher_without_a_vector_is_told_by_the_command(tmp_path: Path) -> None:
    """It joins answers. The folder of the corpus holds none, which is not yet found."""
    recipe(FEATURES, fusion={"name": "decision"}).write(tmp_path / "teacher" / "recipe.toml")
    (tmp_path / "teacher" / "model.weights.h5").write_bytes(b"not read either")
    words = recipe(FEATURES, {"teacher": str(tmp_path / "teacher"), "features": 1.0})
    words.write(tmp_path / "recipe.toml")
    told = CliRunner().invoke(main, ["train", str(tmp_path / "recipe.toml"), "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert "training.distillation.features" in told.output
    assert "'decision'" in told.output
    assert teachers_of(words.replace(training={"distillation": {"features": 0.0}}))


def test_train_looks_for_the_clips_before_the_data(tmp_path: Path) -> None:
    """Which don't fit the recipe either."""
    words = recipe(CLIPS, {"teacher": "whisper-voice", "unlabelled": str(tmp_path / "away")})
    with pytest.raises(LMFError, match="is no folder"):
        train(words, sequences(), tmp_path / "run")


def test_clips_that_no_teacher_can_answer_are_told(tmp_path: Path) -> None:
    """One that is heard and one that is seen, for a teacher that needs both of each clip."""
    folder = tmp_path / "clips"
    folder.mkdir()
    sound = np.random.default_rng(6).uniform(-0.5, 0.5, 2000)
    soundfile.write(folder / "sound.wav", sound, 16000)
    media_files.write(folder / "film.mp4", frames=[media_files.numbered(number) for number in range(5)])
    both = recipe(CLIPS)
    both.write(tmp_path / "recipe.toml")
    build(both).save_weights(tmp_path / "model.weights.h5")
    words = recipe(CLIPS, {"teacher": str(tmp_path), "unlabelled": str(folder)}, presence={})
    with pytest.raises(LMFError, match=f"no teacher can answer a clip in {folder}"):
        with_unlabelled(sequences(), words, teachers_of(words))
