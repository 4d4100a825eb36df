"""[training.distillation]: the labels that teachers make, against NumPy, and which teachers are refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from resume_worker import CLASSES, sequences
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from keras_lmf.cli import main
from keras_lmf.data import Dataset
from keras_lmf.data.augmentation import Augmentation, augmented
from keras_lmf.data.corpora import unlabelled
from keras_lmf.errors import LMFError
from keras_lmf.models import build, embedding_model, set_standardization
from keras_lmf.models.pretrained import front_ends
from keras_lmf.recipe import Recipe
from keras_lmf.sources import resolved
from keras_lmf.training import features, train
from keras_lmf.training.distillation import taught, teachers_of, with_unlabelled
from keras_lmf.training.matching import alignment

ORDER = ("sad", "calm", "happy")
PLACES = [ORDER.index(name) for name in CLASSES]
MEAN, VARIANCE = np.array([0.5, -1.0, 2.0]), np.array([4.0, 0.25, 1.0])


def recipe(inputs: dict, training: dict, **sections: object) -> Recipe:
    given = {
        "name": "tiny",
        "corpus": {"name": "synthetic"},
        "target": {"name": "emotion", "classes": CLASSES},
        "inputs": inputs,
        "fusion": {"name": "early"} if len(inputs) > 1 else {"name": "none"},
        "training": {"loss": "cross_entropy", **training},
    }
    return Recipe(**given | sections)


def linear(folder: Path, seed: int) -> tuple[str, np.ndarray, np.ndarray]:
    """A run whose logits are (video - MEAN) / sqrt(VARIANCE) @ kernel + bias, in the order of ORDER."""
    video = {"shape": (3,), "backbone": {"name": "mlp", "units": ()}}
    words = recipe({"video": video}, {}, target={"name": "emotion", "classes": ORDER})
    model = build(words)
    set_standardization(model, {"video": (MEAN, VARIANCE)})
    kernel = np.random.default_rng(seed).normal(size=(3, 3)).astype(np.float32)
    bias = np.arange(3, dtype=np.float32)
    model.get_layer("emotion").set_weights([kernel, bias])
    words.write(folder / "recipe.toml")
    model.save_weights(folder / "model.weights.h5")
    return str(folder), kernel, bias


def answers(video: np.ndarray, kernel: np.ndarray, bias: np.ndarray, temperature: float) -> np.ndarray:
    """In the order of CLASSES."""
    logits = (video - MEAN) / np.sqrt(VARIANCE) @ kernel + bias
    return softmax(logits[:, PLACES] / temperature, axis=1)


INPUTS = {
    "audio": {"shape": (5, 4), "backbone": {"name": "average_pooling", "units": (4,)}},
    "video": {"shape": (3,), "backbone": {"name": "mlp", "units": (4,)}},
}


def student(*teachers: str, **section: float) -> Recipe:
    """Of one step, which learns nothing: the logged losses are those of the kept weights."""
    training = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-12}
    return recipe(INPUTS, training | {"distillation": {"teacher": teachers, **section}})


@pytest.fixture
def teachers(tmp_path: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return [linear(tmp_path / f"teacher-{seed}", seed) for seed in (0, 1)]


def test_labels_are_mixed_with_the_mean_of_the_answers(teachers) -> None:
    words = student(*(place for place, *_ in teachers), weight=0.3, temperature=2.5)
    data = sequences()
    splits = {name: data[name] for name in ("train", "valid")}
    found = taught(splits, words, teachers_of(words))
    train_split = data["train"]
    mean = np.mean([answers(train_split.inputs["video"], *layer, 2.5) for _, *layer in teachers], axis=0)
    expected = 0.7 * np.eye(3)[train_split.labels] + 0.3 * mean
    np.testing.assert_allclose(found["train"].soft_labels, expected, atol=1e-6)
    np.testing.assert_array_equal(found["valid"].soft_labels, np.eye(3)[data["valid"].labels])


def test_votes_stay_the_other_share(teachers) -> None:
    """Of data that have soft labels already."""
    place, *layer = teachers[0]
    data = sequences()
    votes = np.random.default_rng(1).dirichlet(np.ones(3), len(data)).astype(np.float32)
    split = dataclasses.replace(data, soft_labels=votes)["train"]
    words = student(place)
    found = taught({"train": split}, words, teachers_of(words))["train"].soft_labels
    expected = (split.soft_labels + answers(split.inputs["video"], *layer, 2.0)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_teacher_says_nothing_of_what_it_cannot_see(teachers) -> None:
    place, *layer = teachers[0]
    data = sequences()
    video = data.inputs["video"].copy()
    video[:4] = 0
    split = dataclasses.replace(data, inputs={**data.inputs, "video": video})["train"]
    words = student(place, weight=1.0)
    found = taught({"train": split}, words, teachers_of(words))["train"].soft_labels
    np.testing.assert_array_equal(found[:4], np.eye(3)[split.labels[:4]])
    np.testing.assert_allclose(found[4:], answers(video[4:30], *layer, 2.0), atol=1e-6)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_where_a_teacher_sees_no_row_the_labels_stay(teachers, features: float) -> None:
    place, *_ = teachers[0]
    data = sequences()
    blind = dataclasses.replace(data, inputs={**data.inputs, "video": np.zeros_like(data.inputs["video"])})
    words = student(place, features=features)
    found = taught({"train": blind["train"]}, words, teachers_of(words))["train"]
    np.testing.assert_array_equal(found.soft_labels, np.eye(3)[blind["train"].labels])
    assert found.embeddings is None if not features else not found.embeddings.any()


def test_training_learns_the_mixed_labels_and_validates_on_the_labels(teachers, tmp_path: Path) -> None:
    place, *layer = teachers[0]
    data, words = sequences(), student(place, weight=0.6)
    run = train(words, data, tmp_path / "run")
    logits = {
        name: run.model.predict(data[name].inputs, verbose=0)["emotion"].astype(np.float64)
        for name in ("train", "valid")
    }
    split = data["train"]
    soft = 0.4 * np.eye(3)[split.labels] + 0.6 * answers(split.inputs["video"], *layer, 2.0)
    expected = -(soft * log_softmax(logits["train"], axis=1)).sum(axis=1).mean()
    assert run.history["loss"].item() == pytest.approx(expected, rel=1e-5)
    plain = log_loss(data["valid"].labels, softmax(logits["valid"], axis=1))
    assert run.history["val_loss"].item() == pytest.approx(plain, rel=1e-5)


def test_a_run_knows_its_teachers_by_their_weights(teachers, tmp_path: Path) -> None:
    place, kernel, bias = teachers[0]
    run = train(student(place), sequences(), tmp_path / "run")
    (told,) = run.environment["teachers"]
    assert told["from"] == place
    model = build(Recipe.read(Path(place) / "recipe.toml"))
    model.get_layer("emotion").set_weights([kernel + 1, bias])
    model.save_weights(Path(place) / "model.weights.h5")
    with pytest.raises(LMFError, match="another"):
        train(student(place), sequences(), tmp_path / "run")


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": {"name": "emotion", "classes": ("calm", "happy", "angry")}}, "must answer the classes"),
        ({"inputs": {**INPUTS, "video": INPUTS["video"] | {"shape": (4,)}}}, r"its shape is \(3,\), that of"),
        ({"inputs": {"audio": INPUTS["audio"]}, "fusion": {"name": "none"}}, "no input of.*may take audio"),
        ({"target": {"name": "valence", "range": (-1, 1)}}, "needs a target with classes"),
        ({"fusion": {"name": "decision"}}, "trains its parts by themselves"),
    ],
)
def test_teachers_that_do_not_fit_are_refused(teachers, changes: dict, words: str) -> None:
    place, *_ = teachers[0]
    training = {"loss": None, "distillation": {"teacher": place}}
    with pytest.raises(LMFError, match=words):
        teachers_of(recipe(**{"inputs": INPUTS, "training": training} | changes))


def test_a_missing_teacher_is_told_by_its_key() -> None:
    with pytest.raises(LMFError, match="no/such/run"):
        teachers_of(student("no/such/run"))
    with pytest.raises(LMFError, match=r"training\.distillation\.teacher names a trained model"):
        teachers_of(student(__file__))


def test_the_command_names_teachers(tmp_path: Path) -> None:
    audio = {"shape": [8], "backbone": {"name": "mlp", "units": [2]}}
    target = {"name": "emotion", "classes": ["calm", "excited"]}
    words = recipe({"audio": audio}, {"epochs": 1}, target=target)
    words.write(tmp_path / "small.toml")
    words.write(tmp_path / "earlier" / "recipe.toml")
    build(words).save_weights(tmp_path / "earlier" / "model.weights.h5")
    with contextlib.chdir(tmp_path):
        command = ["train", "small.toml", "--teacher", "earlier", "--folder", "run", "--json"]
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.stderr
    assert Recipe.read(tmp_path / "run" / "recipe.toml").training.distillation.teacher == ("earlier",)
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["teachers"][0]["from"] == "earlier"


def linear_alignment(own: np.ndarray, other: np.ndarray) -> float:
    """As Kornblith et al. 2019 write it, by singular values and not by Gram matrices."""
    own, other = own - own.mean(axis=0), other - other.mean(axis=0)

    def nuclear(matrix: np.ndarray) -> float:
        return float((np.linalg.svd(matrix, compute_uv=False) ** 2).sum())

    def fourth(matrix: np.ndarray) -> float:
        return float(np.sqrt((np.linalg.svd(matrix, compute_uv=False) ** 4).sum()))

    return nuclear(other.T @ own) / (fourth(own) * fourth(other))


def test_alignment_leaves_out_rows_without_a_teacher() -> None:
    random = np.random.default_rng(4)
    own, other = random.normal(size=(9, 4)), random.normal(size=(9, 6))
    expected = linear_alignment(own, other)
    assert float(alignment(own, other)) == pytest.approx(expected, rel=1e-5)
    turned, _ = np.linalg.qr(random.normal(size=(4, 4)))
    assert float(alignment(own, 3 * own @ turned + 2)) == pytest.approx(1, abs=1e-5)
    more, absent = random.normal(size=(3, 4)), np.zeros((3, 6))
    assert float(alignment(np.vstack([own, more]), np.vstack([other, absent]))) == pytest.approx(
        expected, rel=1e-5
    )
    assert float(alignment(np.ones((9, 4)), other)) == pytest.approx(0, abs=1e-6)


def test_training_matches_the_vectors_of_its_teachers(teachers, tmp_path: Path) -> None:
    """Two teachers, whose vector is the standardised video."""
    data = sequences()
    words = student(*(place for place, *_ in teachers), weight=0.6, features=0.7)
    run = train(words, data, tmp_path / "run")
    split = data["train"]
    embedding = embedding_model(run.model, "emotion").predict(split.inputs, verbose=0)["embedding"]
    video = split.inputs["video"]
    standardized = (video - video.mean(axis=0)) / video.std(axis=0)
    aligned = linear_alignment(embedding.astype(np.float64), np.hstack([standardized, standardized]))
    logits = run.model.predict(split.inputs, verbose=0)["emotion"].astype(np.float64)
    mean = np.mean([answers(video, *layer, 2.0) for _, *layer in teachers], axis=0)
    soft = 0.4 * np.eye(3)[split.labels] + 0.6 * mean
    plain = -(soft * log_softmax(logits, axis=1)).sum(axis=1).mean()
    assert run.history["loss"].item() == pytest.approx(plain + 0.7 * (1 - aligned), rel=1e-5)
    valid = data["valid"]
    checked = softmax(run.model.predict(valid.inputs, verbose=0)["emotion"].astype(np.float64), axis=1)
    assert run.history["val_loss"].item() == pytest.approx(log_loss(valid.labels, checked), rel=1e-5)


def test_matching_moves_the_vectors_towards_the_teachers(teachers, tmp_path: Path) -> None:
    data, aligned = sequences(), {}
    for weight in (0.0, 5.0):
        words = student(teachers[0][0], features=weight)
        words = words.replace(training={"epochs": 30, "learning_rate": 1e-2})
        run = train(words, data, tmp_path / f"run-{weight}")
        split = data["train"]
        embedding = embedding_model(run.model, "emotion").predict(split.inputs, verbose=0)["embedding"]
        aligned[weight] = linear_alignment(embedding.astype(np.float64), split.inputs["video"])
    assert aligned[5.0] > aligned[0.0] + 0.05
