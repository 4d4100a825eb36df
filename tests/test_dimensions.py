"""Targets of several dimensions, from the label to the report, against numpy, scikit-learn and hand-worked numbers."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
from labelled import RATING, split
from pydantic import ValidationError
from tiny import columns

import keras_lmf as klmf
from keras_lmf.data import Batches, Dataset
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate, plots
from keras_lmf.metrics import ConcordanceCorrelation, PearsonCorrelation
from keras_lmf.target import Target

MOOD = Target(name="mood", range=(-1, 1), dimensions=("arousal", "valence", "power"))
RANDOM = np.random.default_rng(2)
LABELS = RANDOM.uniform(-1, 1, (6, 3)).astype("float32")


def dataset(**changes) -> Dataset:
    return Dataset(**columns(target=MOOD, labels=LABELS) | changes)


def test_size_and_shape_of_a_label() -> None:
    assert (MOOD.size, MOOD.label_shape) == (3, (3,))
    assert (RATING.size, RATING.label_shape) == (1, ())
    assert (Target(name="e", classes=("a", "b")).size, Target(name="e", classes=("a", "b")).label_shape) == (
        2,
        (),
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"classes": ("a", "b"), "dimensions": ("a", "b")}, "give them with 'range'"),
        ({"range": (0, 1), "dimensions": ("a",)}, "'dimensions' needs two or more different names"),
        ({"range": (0, 1), "dimensions": ("a", "a")}, "'dimensions' needs two or more different names"),
        ({"range": (0, 1), "dimensions": ("a", "")}, "dimensions"),
    ],
)
def test_dimensions_that_make_no_sense(fields: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Target(name="t", **fields)


def test_targets_without_dimensions_are_written_as_before() -> None:
    assert RATING.model_dump_json() == '{"name":"rating","classes":null,"range":[1.0,7.0]}'
    assert "dimensions" not in RATING.model_dump(exclude_none=True)
    assert Target.model_validate_json(MOOD.model_dump_json()) == MOOD


def test_dataset_keeps_saves_and_fingerprints_the_columns(tmp_path) -> None:
    data = dataset()
    assert data.labels.shape == (6, 3)
    assert data.labels.dtype == np.float32
    np.testing.assert_array_equal(data["train"].labels, LABELS[:4])
    again = Dataset.load(data.save(tmp_path / "mood.npz"))
    assert again.target == MOOD
    np.testing.assert_array_equal(again.labels, LABELS)
    assert again.fingerprint == data.fingerprint
    assert dataset(labels=LABELS[:, ::-1]).fingerprint != data.fingerprint
    assert "range [-1, 1], 3 dimensions" in data.summary()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS[:, 0], r"label: shape \(6,\), must be \(N, 3\)"),
        (LABELS[:, :2], r"label: shape \(6, 2\), must be \(N, 3\)"),
        (LABELS[:5], "label: 5 rows, must be 6"),
        (
            np.where(np.arange(18).reshape(6, 3) == 7, 2, LABELS),
            r"row 2 \(id 'clip2'\), dimension 'valence': received 2\.0",
        ),
        (
            np.where(np.arange(18).reshape(6, 3) == 17, np.nan, LABELS),
            r"row 5 .*, dimension 'power': received nan",
        ),
    ],
)
def test_labels_that_do_not_fit(labels: np.ndarray, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        dataset(labels=labels)


def test_batches_hold_a_row_of_values_per_sample() -> None:
    _, labels = Batches(dataset()["train"], 3)[1]
    np.testing.assert_array_equal(labels["mood"], LABELS[3:4])


def judged(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    y = RANDOM.uniform(-1, 1, (rows, 3))
    return y, 0.5 * y + RANDOM.normal(scale=0.3, size=(rows, 3))


def concordance(y: np.ndarray, p: np.ndarray) -> float:
    covariance = np.cov(y, p, bias=True)
    return 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (y.mean() - p.mean()) ** 2)


def test_protocols_are_means_over_the_dimensions() -> None:
    y, p = judged()
    r = [np.corrcoef(y[:, k], p[:, k])[0, 1] for k in range(3)]
    expected = {
        "mae": sk.mean_absolute_error(y, p),
        "rmse": np.mean(sk.root_mean_squared_error(y, p, multioutput="raw_values")),
        "pearson": np.mean(r),
        "concordance": np.mean([concordance(y[:, k], p[:, k]) for k in range(3)]),
        "pearson_arousal": r[0],
        "pearson_valence": r[1],
        "pearson_power": r[2],
    }
    got = evaluate({"mood": p}, split(y, MOOD), resamples=0).metrics
    assert got == pytest.approx(expected)
    assert list(got) == list(expected)


def test_each_dimension_is_what_it_is_alone() -> None:
    y, p = judged()
    whole = evaluate(p, split(y, MOOD), resamples=0).metrics
    one = Target(name="mood", range=(0, 9))
    alone = [evaluate(p[:, k], split(y[:, k], one), resamples=0).metrics for k in range(3)]
    for name in ("mae", "rmse", "pearson", "concordance"):
        assert whole[name] == pytest.approx(np.mean([metrics[name] for metrics in alone]), abs=1e-12)


def test_a_constant_dimension_counts_as_zero_by_hand() -> None:
    y = np.array([[1.0, 0.1, 0.0], [-1.0, 0.1, 1.0], [0.0, 0.1, -1.0]])
    got = evaluate(y * [1, 1, -1], split(y, MOOD), resamples=0).metrics
    assert [got[f"pearson_{name}"] for name in MOOD.dimensions] == pytest.approx([1, 0, -1])
    assert got["pearson"] == pytest.approx(0, abs=1e-12)
    assert got["mae"] == pytest.approx((0 + 0 + (0 + 2 + 2) / 3) / 3)


def test_floor_is_the_train_mean_of_each_dimension() -> None:
    y, p = judged()
    train = RANDOM.uniform(-1, 1, (20, 3)) + np.array([0.5, 0, -0.5])
    floor = evaluate(p, split(y, MOOD), train_labels=train, resamples=0).table["floor"]
    assert floor["mae"] == pytest.approx(np.abs(y - train.mean(axis=0)).mean())
    assert floor["rmse"] == pytest.approx(np.mean(np.sqrt(np.square(y - train.mean(axis=0)).mean(axis=0))))
    assert (floor.filter(like="pearson") == 0).all()
    assert floor["concordance"] == 0


def test_interval_draws_whole_rows() -> None:
    # With one error repeated in all dimensions the mean is as uncertain as one dimension; with errors of their own it
    # would be √3 times as certain.
    error = RANDOM.normal(size=(400, 1))
    y = RANDOM.uniform(-1, 1, (400, 3))
    row = evaluate(y + error, split(y, MOOD), resamples=400).table.loc["mae"]
    half = 1.96 * np.abs(error).std() / np.sqrt(400)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.2)


@pytest.mark.parametrize(
    ("predictions", "options", "words"),
    [
        (np.zeros((4, 2)), {}, r"must have shape \(4, 3\).*a value per dimension.*\(4, 2\)"),
        (np.zeros(4), {}, r"must have shape \(4, 3\)"),
        (np.zeros((3, 3)), {}, r"must have shape \(4, 3\)"),
        (np.diag([0, np.nan, 0, 0])[:, :3], {}, r"row 1 \(id 'clip1'\).*not finite"),
        (np.zeros((4, 3)), {"train_labels": np.zeros(5)}, r"train_labels must be .* 3 dimensions' values"),
        (
            np.zeros((4, 3)),
            {"train_labels": np.full((2, 3), np.inf)},
            "finite numbers, received inf in row 0",
        ),
    ],
)
def test_predictions_that_do_not_fit(predictions: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        evaluate(predictions, split(np.zeros((4, 3)), MOOD), **options)


def test_report_says_what_is_averaged_and_draws_a_panel_each(tmp_path) -> None:
    y, p = judged()
    report = evaluate(p, split(y, MOOD), resamples=10)
    assert "in [-1.0, 1.0], means over 3 dimensions) on `test`, 50 rows" in str(report)
    figure = report.figure()
    assert len(figure.axes) == 3
    for k, axes in enumerate(figure.axes):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([y[:, k], p[:, k]], axis=1))
        r = np.corrcoef(y[:, k], p[:, k])[0, 1]
        mae = np.abs(y - p)[:, k].mean()
        assert axes.get_title() == f"{MOOD.dimensions[k]}\nr = {r:.3f}, MAE = {mae:.3f}"
    assert len({axes.get_xlim() for axes in figure.axes} | {axes.get_ylim() for axes in figure.axes}) == 1
    report.save(tmp_path)
    assert (tmp_path / "report.png").is_file()
    with pytest.raises(LMFError, match=r"arrays of one shape \(N, 2\)"):
        plots.predicted_against_true(y, p, (-1, 1), "title", ["a", "b"])


@pytest.mark.parametrize("metric", [PearsonCorrelation, ConcordanceCorrelation])
def test_streaming_metrics_give_the_mean_of_the_dimensions(metric: type[keras.metrics.Metric]) -> None:
    y, p = (values.astype("float32") + np.float32([0, 100, 0]) for values in judged())
    oracle = concordance if metric is ConcordanceCorrelation else lambda a, b: np.corrcoef(a, b)[0, 1]
    expected = np.mean([oracle(np.float64(y[:, k]), np.float64(p[:, k])) for k in range(3)])
    whole = metric(dimensions=3)
    for start in range(0, 50, 7):
        whole.update_state(y[start : start + 7], p[start : start + 7])
    assert float(whole.result()) == pytest.approx(expected, abs=1e-5)
    copy = metric.from_config(whole.get_config())
    copy.update_state(y, p, sample_weight=np.arange(50.0) < 20)
    expected = np.mean([oracle(np.float64(y[:20, k]), np.float64(p[:20, k])) for k in range(3)])
    assert float(copy.result()) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"must have shape \(N, 3\)"):
        whole.update_state(y[:, :2], p[:, :2])
    with pytest.raises(ValueError, match="1 or more"):
        metric(dimensions=0)


@pytest.mark.long
@pytest.mark.parametrize("loss", ["huber", "mae", "mse"])
def test_training_learns_every_dimension(loss: str, tmp_path) -> None:
    rows = 240
    x = RANDOM.normal(size=(rows, 3)).astype("float32")
    names = np.array([f"clip{row}" for row in range(rows)])
    splits = np.repeat(["train", "valid", "test"], [160, 40, 40])
    labels = np.tanh(x @ np.float32([[1, 0, 1], [0, 1, -1], [0, 0, 0]]))
    data = Dataset("mood", MOOD, {"audio": x, "video": x}, labels, names, names, splits)
    modality = {"shape": [3], "backbone": {"name": "mlp", "units": [16]}}
    recipe = klmf.Recipe(
        name="mood",
        corpus={"name": "mood"},
        target=MOOD.model_dump(exclude_none=True),
        inputs={"audio": modality, "video": modality},
        fusion={"name": "low_rank", "units": 16, "rank": 2},
        training={"loss": loss, "epochs": 25, "learning_rate": 0.01},
    )
    assert klmf.Recipe.read(recipe.write(tmp_path / "recipe.toml")).target == MOOD
    run = klmf.train(recipe, data, tmp_path / "run")
    assert run.model.output["mood"].shape == (None, 3)
    report = run.evaluate("test", resamples=0)
    assert min(report.metrics[f"pearson_{name}"] for name in MOOD.dimensions) > 0.8
    history, best = run.history, run.best_epoch
    valid = run.model.predict(data["valid"].inputs, verbose=0)["mood"]
    assert history.loc[best, "val_pearson"] == pytest.approx(
        np.mean([np.corrcoef(valid[:, k], data["valid"].labels[:, k])[0, 1] for k in range(3)]), abs=1e-4
    )
