"""Teachers that hear: clips without labels, and changed copies before the front end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from resume_worker import sequences
from scipy.special import softmax
from teachers import recipe

from keras_lmf.cli import main
from keras_lmf.data import Dataset
from keras_lmf.data.augmentation import Augmentation, augmented
from keras_lmf.data.corpora import unlabelled
from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.models.pretrained import front_ends
from keras_lmf.recipe import Recipe
from keras_lmf.sources import resolved
from keras_lmf.training import features, train
from keras_lmf.training.distillation import teachers_of, with_unlabelled

pytestmark = pytest.mark.usefixtures("few_steps")


def voices() -> Dataset:
    """Noise of 0.1 s, as soft as the label is low."""
    rows = np.repeat(["train", "valid"], [6, 4])
    labels = np.arange(10) % 3
    voice = np.random.default_rng(2).normal(size=(10, 1600)) * 0.02 * (1 + labels[:, None])
    target = sequences().target
    ids = np.array([f"clip{row}" for row in range(10)])
    return Dataset("voices", target, {"voice": voice}, labels, rows, ids, rows)


def heard(bands: int, **training: object) -> Recipe:
    front_end = {"name": "log_mel", "bands": bands}
    backbone = {"name": "average_pooling", "units": [2]}
    voice = {"shape": [1600], "front_end": front_end, "backbone": backbone}
    return recipe({"voice": voice}, training)


def test_clips_without_labels_get_the_answers_alone(tmp_path: Path) -> None:
    teacher, folder = tmp_path / "teacher", tmp_path / "clips"
    (folder / "below").mkdir(parents=True)
    sounds = np.random.default_rng(3).uniform(-0.5, 0.5, size=(2, 2000)).astype(np.float32)
    for name, sound in zip(("one.wav", "below/two.wav"), sounds):
        soundfile.write(folder / name, sound, 16000, subtype="FLOAT")
    (folder / "notes.txt").write_text("no clip")
    earlier, data = build(heard(8)), voices()
    teacher.mkdir()
    heard(8).write(teacher / "recipe.toml")
    earlier.save_weights(teacher / "model.weights.h5")
    words = heard(4, epochs=1, distillation={"teacher": str(teacher), "unlabelled": str(folder)})
    both = with_unlabelled(data, words, teachers_of(words))
    answered = softmax(earlier.predict({"voice": sounds[::-1, :1600]}, verbose=0)["emotion"] / 2, axis=1)
    np.testing.assert_allclose(both.soft_labels[10:], answered, atol=1e-3)
    np.testing.assert_array_equal(both.labels[10:], answered.argmax(axis=1))
    np.testing.assert_array_equal(both.soft_labels[:10], np.eye(3)[data.labels])
    np.testing.assert_allclose(both.inputs["voice"][10:], sounds[::-1, :1600], atol=2**-15)
    assert both.splits.tolist() == [*data.splits.tolist(), "train", "train"]
    run = train(words, data, tmp_path / "run")
    assert len(run.dataset()["train"]) == 6
    assert train(words, data, tmp_path / "run").history.equals(run.history)
    (folder / "below" / "two.wav").unlink()
    with pytest.raises(LMFError, match="another"):
        train(words, data, tmp_path / "run")


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no clip")
    for folder, words in ((tmp_path, "no sound or video file"), (tmp_path / "away", "no folder")):
        with pytest.raises(LMFError, match=words):
            unlabelled.load(folder, resolved(heard(4).recorded))


@pytest.mark.parametrize(("folder", "says"), [("away", "is no folder"), ("empty", "holds no sound or video")])
def test_where_no_clips_are_is_told_before_the_corpus_is_read(tmp_path: Path, folder: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    section = {"teacher": "whisper-voice", "unlabelled": str(tmp_path / folder)}
    words = heard(4, distillation=section).replace(corpus={"name": "clips"})
    words.write(tmp_path / "recipe.toml")
    # The folder of the corpus holds none.
    told = CliRunner().invoke(main, ["train", str(tmp_path / "recipe.toml"), "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert f"{tmp_path / folder} {says}" in " ".join(told.output.split())


@pytest.mark.parametrize(
    ("teacher", "target", "says"),
    [
        ("whisper-voic", None, "Did you mean 'whisper-voice'"),
        ("whisper-voice", {"name": "emotion", "classes": ["calm", "loud"]}, "it must answer the classes"),
        ("whisper-voice", None, "its shape is"),
    ],
)
def test_a_teacher_that_does_not_fit_is_told_before_the_corpus_is_read(
    tmp_path: Path, teacher: str, target: dict | None, says: str
) -> None:
    words = heard(4, distillation={"teacher": teacher}).replace(corpus={"name": "clips"}, target=target)
    words.write(tmp_path / "recipe.toml")
    # The folder of the corpus holds none.
    told = CliRunner().invoke(main, ["train", str(tmp_path / "recipe.toml"), "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert says in " ".join(told.output.split())


def test_teachers_hear_the_changed_copies_before_the_front_end(tmp_path: Path) -> None:
    earlier, data = build(heard(8)), voices()
    heard(8).write(tmp_path / "recipe.toml")
    earlier.save_weights(tmp_path / "model.weights.h5")
    changes = {"copies": 3, "gain_db": [-20.0, 10.0], "speed": [0.8, 1.2]}
    words = heard(4, augmentation=changes, distillation={"teacher": str(tmp_path), "weight": 1.0})
    made = features.features(words, data, front_ends(words), tmp_path, teachers_of(words))
    copies = augmented(data["train"], Augmentation(**changes, noise_db=(15.0, 40.0)))
    logits = earlier.predict(copies.inputs, verbose=0)["emotion"]
    np.testing.assert_allclose(made["train"].soft_labels, softmax(logits / 2, axis=1), atol=1e-5)
    assert made["train"].ids.tolist() == copies.ids.tolist()
    assert made["train"].inputs["voice"].shape[-1] == 4
    # The features that are kept for the next seed are not those of a training without a teacher.
    plain = words.replace(training={"distillation": None})
    assert features.features(plain, data, front_ends(plain), tmp_path).soft_labels is None
