"""The streaming metrics against scikit-learn, numpy in float64 and hand-worked numbers."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from other_backend import LONG_ON_OTHERS, passes_exactly
from sklearn.metrics import cohen_kappa_score, multilabel_confusion_matrix

from keras_lmf.metrics import CohenKappa, ConcordanceCorrelation, PearsonCorrelation, Specificity

ROWS = 30
RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(4, size=ROWS)
SCORES = (RANDOM.normal(size=(ROWS, 4)) + 1.5 * np.eye(4)[LABELS]).astype("float32")
VALUES = RANDOM.normal(size=ROWS).astype("float32")
ESTIMATES = (0.6 * VALUES + RANDOM.normal(size=ROWS) * 0.5 + 0.3).astype("float32")
WEIGHTS = RANDOM.uniform(0.1, 2, size=ROWS).astype("float32")
WEIGHTS[:3] = 0  # the very first rows count for nothing


def pearson(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    c = np.cov(np.float64(y), np.float64(p), aweights=w, bias=True)
    return c[0, 1] / math.sqrt(c[0, 0] * c[1, 1])


def concordance(y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    c = np.cov(np.float64(y), np.float64(p), aweights=w, bias=True)
    between = np.average(np.float64(y), weights=w) - np.average(np.float64(p), weights=w)
    return 2 * c[0, 1] / (c[0, 0] + c[1, 1] + between**2)


def specificity(y: np.ndarray, scores: np.ndarray, w: np.ndarray | None) -> float:
    counts = multilabel_confusion_matrix(y, scores.argmax(1), labels=range(4), sample_weight=w)
    return float(np.mean(counts[:, 0, 0] / counts[:, 0].sum(1)))


def kappa(weighting: str | None):
    return lambda y, scores, w: cohen_kappa_score(y, scores.argmax(1), weights=weighting, sample_weight=w)


TABLE = {
    "kappa": (lambda: CohenKappa(4), LABELS, SCORES, kappa(None)),
    "linear kappa": (lambda: CohenKappa(4, weighting="linear"), LABELS, SCORES, kappa("linear")),
    "quadratic kappa": (lambda: CohenKappa(4, weighting="quadratic"), LABELS, SCORES, kappa("quadratic")),
    "specificity": (lambda: Specificity(4), LABELS, SCORES, specificity),
    "pearson": (PearsonCorrelation, VALUES, ESTIMATES, pearson),
    "concordance": (ConcordanceCorrelation, VALUES, ESTIMATES, concordance),
}


def stream(metric: keras.metrics.Metric, y, p, w=None, batch: int = ROWS) -> float:
    for start in range(0, len(y), batch):
        rows = slice(start, start + batch)
        metric.update_state(y[rows], p[rows], sample_weight=None if w is None else w[rows])
    return float(keras.ops.convert_to_numpy(metric.result()))


@pytest.mark.parametrize("name", TABLE)
def test_exact_over_the_epoch_whatever_the_batch_size(name: str) -> None:
    make, y, p, oracle = TABLE[name]
    for weights in (None, WEIGHTS):
        for batch in (1, 7, ROWS):
            metric = make()
            assert stream(metric, y, p, weights, batch) == pytest.approx(oracle(y, p, weights), abs=2e-6)
            metric.reset_state()
            assert float(keras.ops.convert_to_numpy(metric.result())) == 0.0
    # Columns (N, 1) give the same as rows (N,), in every combination.
    for column in (y[:, None], y):
        estimate = p[:, None] if p.ndim == 1 else p
        assert stream(make(), column, estimate, WEIGHTS[:, None]) == pytest.approx(
            oracle(y, p, WEIGHTS), abs=2e-6
        )


def test_exact_in_fit_and_evaluate_of_a_compiled_model() -> None:
    inputs = keras.Input((4,), name="scores")
    outputs = {
        "emotion": keras.layers.Dense(4, name="emotion")(inputs),
        "value": keras.layers.Dense(1, name="value")(inputs),
    }
    model = keras.Model({"scores": inputs}, outputs)
    model.compile(
        optimizer=keras.optimizers.SGD(0.0),  # frozen, so that the epoch's value can be computed afterwards
        loss={
            "emotion": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "value": "mean_absolute_error",
        },
        metrics={
            "emotion": [CohenKappa(4), Specificity(4)],
            "value": [PearsonCorrelation(), ConcordanceCorrelation()],
        },
    )
    y = {"emotion": LABELS, "value": VALUES}
    history = model.fit({"scores": SCORES}, y, batch_size=7, epochs=2, verbose=0, shuffle=True).history
    results = model.evaluate({"scores": SCORES}, y, batch_size=4, verbose=0, return_dict=True)
    predicted = {name: keras.ops.convert_to_numpy(p) for name, p in model({"scores": SCORES}).items()}
    for metric, output, oracle in (
        ("cohen_kappa", "emotion", kappa(None)),
        ("specificity", "emotion", specificity),
        ("pearson_correlation", "value", pearson),
        ("concordance_correlation", "value", concordance),
    ):
        p = predicted[output] if output == "emotion" else predicted[output][:, 0]
        expected = pytest.approx(oracle(y[output], p, None), abs=1e-5)
        assert history[f"{output}_{metric}"] == [expected, expected]
        assert results[f"{output}_{metric}"] == expected


@pytest.mark.slow
@pytest.mark.parametrize("backend", LONG_ON_OTHERS)
def test_the_same_table_on_another_backend(backend: str) -> None:
    passes_exactly(__file__, backend, len(TABLE) + 1)


def test_kappa_and_specificity_by_hand() -> None:
    # true 0 0 0 1 1 2, predicted 0 0 1 1 1 0: observed 4/6; rows 3 2 1, columns 3 3 0: chance 15/36.
    y, p = np.array([0, 0, 0, 1, 1, 2]), np.eye(3, dtype="float32")[[0, 0, 1, 1, 1, 0]]
    assert stream(CohenKappa(3), y, p) == pytest.approx((4 / 6 - 15 / 36) / (1 - 15 / 36))
    # TN / negatives: class 0 2/3, class 1 3/4, class 2 5/5.
    assert stream(Specificity(3), y, p) == pytest.approx((2 / 3 + 3 / 4 + 1) / 3)


def test_two_classes_give_the_specificity_of_class_1() -> None:
    y, p = np.array([0, 0, 0, 0, 1, 1]), np.eye(2, dtype="float32")[[0, 0, 0, 1, 0, 0]]
    assert stream(Specificity(2), y, p) == pytest.approx(3 / 4)
    assert stream(Specificity(2), np.ones(5, int), np.eye(2, dtype="float32")[[0] * 5]) == 0.0  # no negatives


def test_concordance_by_hand() -> None:
    # y 1 2 3 (mean 2, variance 2/3), p 2 2 5 (mean 3, variance 2), covariance (0·… −1·−1 + 0 + 1·2)/3 = 1.
    y, p = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0])
    assert stream(ConcordanceCorrelation(), y, p) == pytest.approx(2 * 1 / (2 / 3 + 2 + 1))
    assert stream(PearsonCorrelation(), y, p) == pytest.approx(1 / math.sqrt(2 / 3 * 2))


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_a_large_mean_costs_no_precision(batch: int) -> None:
    random = np.random.default_rng(1)
    y = (1000 + random.normal(size=100)).astype("float32")
    p = (1000.1 + 0.5 * (y - 1000) + 0.5 * random.normal(size=100)).astype("float32")
    assert stream(PearsonCorrelation(), y, p, batch=batch) == pytest.approx(pearson(y, p, None), abs=2e-6)
    assert stream(ConcordanceCorrelation(), y, p, batch=batch) == pytest.approx(
        concordance(y, p, None), abs=2e-6
    )


@pytest.mark.parametrize("batch", [1, 7, ROWS])
def test_constants_give_zero_not_nan(batch: int) -> None:
    # 0.1 has no exact mean in float32: a rounding residue must not be taken for a spread.
    constant = np.full(ROWS, 0.1, "float32")
    for metric in (PearsonCorrelation, ConcordanceCorrelation):
        for y, p in ((VALUES, constant), (constant, VALUES), (constant, constant)):
            assert stream(metric(), y, p, batch=batch) == pytest.approx(0.0, abs=1e-7)
    assert stream(PearsonCorrelation(), VALUES, constant, WEIGHTS, batch) == 0.0


def test_one_class_throughout_is_kappa_zero() -> None:
    y, p = np.zeros(5, int), np.eye(3, dtype="float32")[[0] * 5]
    assert stream(CohenKappa(3), y, p) == 0.0
    assert stream(CohenKappa(3), y, np.eye(3, dtype="float32")[[1] * 5]) == 0.0


def test_nan_and_unknown_labels_are_not_hidden() -> None:
    broken = np.where(np.arange(ROWS) == 4, np.float32("nan"), ESTIMATES)
    assert math.isnan(stream(PearsonCorrelation(), VALUES, broken, batch=7))
    assert math.isnan(stream(ConcordanceCorrelation(), VALUES, broken, batch=7))
    for unknown in (-1, 4):
        labels = np.where(np.arange(ROWS) == 0, unknown, LABELS)
        assert math.isnan(stream(CohenKappa(4), labels, SCORES))
        assert math.isnan(stream(Specificity(4), labels, SCORES))
        # WEIGHTS[0] is 0: a padding row may carry any label.
        assert stream(CohenKappa(4), labels, SCORES, WEIGHTS) == pytest.approx(
            kappa(None)(LABELS, SCORES, WEIGHTS)
        )


def test_half_precision_predictions_do_not_stop_the_counts() -> None:
    y, scores = np.tile([0, 1], 3000), np.tile(np.eye(2, dtype="float16"), (3000, 1))
    metric = CohenKappa(2)
    assert stream(metric, y, scores, batch=1000) == 1.0
    assert float(keras.ops.convert_to_numpy(metric.confusion)[0, 0]) == 3000  # float16 ends at 2048


@pytest.mark.parametrize("name", TABLE)
def test_config_round_trip(name: str) -> None:
    make, y, p, _ = TABLE[name]
    metric = make()
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == f"keras_lmf>{type(metric).__name__}"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == metric.get_config()
    assert stream(copy, y, p) == stream(metric, y, p)


def test_early_stopping_knows_that_more_is_better() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(4)(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss, metrics=[CohenKappa(4)])
    stopping = keras.callbacks.EarlyStopping(monitor="val_cohen_kappa", mode="auto", patience=0)
    model.fit(SCORES, LABELS, validation_data=(SCORES, LABELS), verbose=0, callbacks=[stopping])
    assert stopping.monitor_op is keras.ops.greater


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CohenKappa(1), "num_classes must be 2 or more"),
        (lambda: CohenKappa(3, weighting="cubic"), "'linear' or 'quadratic'"),
        (lambda: CohenKappa(3).update_state(LABELS, SCORES), r"y_pred must be \(N, 3\), received \(30, 4\)"),
        (lambda: Specificity(4).update_state(np.eye(4)[LABELS], SCORES), "class integers, not one-hot"),
        (
            lambda: PearsonCorrelation().update_state(np.ones((5, 2)), np.ones((5, 2))),
            r"y_true must have shape",
        ),
    ],
)
def test_wrong_use_says_what_is_wrong(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
