"""Matching the vectors of teachers: linear centred kernel alignment against singular values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from resume_worker import sequences
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss
from teachers import answers, student, two

from keras_lmf.models import embedding_model
from keras_lmf.training import train
from keras_lmf.training.matching import alignment


def linear_alignment(own: np.ndarray, other: np.ndarray) -> float:
    """As Kornblith et al. 2019 write it, by singular values and not by Gram matrices."""
    own, other = own - own.mean(axis=0), other - other.mean(axis=0)

    def nuclear(matrix: np.ndarray) -> float:
        return float((np.linalg.svd(matrix, compute_uv=False) ** 2).sum())

    def fourth(matrix: np.ndarray) -> float:
        return float(np.sqrt((np.linalg.svd(matrix, compute_uv=False) ** 4).sum()))

    return nuclear(other.T @ own) / (fourth(own) * fourth(other))


@pytest.fixture
def teachers(tmp_path: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    return two(tmp_path)


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


@pytest.mark.usefixtures("few_steps")
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
