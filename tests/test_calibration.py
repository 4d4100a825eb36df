"""Calibration against closed forms, numbers worked out by hand, and SciPy's minimiser."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax
from zoo_entry import make_entry

from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import (
    expected_calibration_error,
    expected_calibration_error_quantile,
    fit_subset_temperatures,
    fit_temperature,
    negative_log_likelihood,
    softmax,
    subset_logits,
    temperatures_of_subsets,
)
from keras_lmf.files import sha256
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.runs import FittedTemperature
from keras_lmf.recognition.judgement import probabilities
from keras_lmf.sidecar import Sidecar
from keras_lmf.spec import InputSpec, ModelSpec
from keras_lmf.target import Target
from keras_lmf.training import train
from keras_lmf.zoo import Calibration, Entry


def calibrated(factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `factor` times those whose probabilities are exactly the labels' shares."""
    counts = np.array([[7, 2, 1], [1, 5, 4], [3, 3, 4]])
    labels = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    return factor * np.repeat(np.log(counts / 10), 10, axis=0), labels


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.0, 3.0, 12.0])
def test_the_factor_of_scaled_logits_is_recovered(factor: float) -> None:
    assert fit_temperature(*calibrated(factor)) == pytest.approx(factor, rel=1e-9)


def test_the_temperature_is_where_another_minimiser_finds_it() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, 300)
    logits = 4 * generator.standard_normal((300, 5)) + 3 * np.eye(5)[labels]

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(300), labels].mean()

    best = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(np.exp(best.x), rel=1e-5)
    assert negative_log_likelihood(logits, labels, found) == pytest.approx(best.fun, abs=1e-12)
    assert negative_log_likelihood(logits, labels) == pytest.approx(loss(0.0), abs=1e-12)


def test_logits_that_are_always_right_or_wrong_end_at_the_limits() -> None:
    logits = np.eye(3) * 5
    always_right, never_right = (fit_temperature(logits, np.array(y)) for y in ([0, 1, 2], [1, 2, 0]))
    assert (always_right, never_right) == pytest.approx((0.05, 20))
    target = Target(name="emotion", classes=("a", "b", "c"))
    for temperature in (always_right, never_right):  # the files' description takes what is fitted
        assert ModelSpec(target=target, temperature=temperature).temperature == temperature


def test_a_likelihood_of_large_logits_is_finite() -> None:
    logits = np.array([[1e5, 0.0]])
    assert negative_log_likelihood(logits, np.array([1])) == pytest.approx(1e5)
    assert softmax(logits).tolist() == [[1.0, 0.0]]


def test_ece_by_hand() -> None:
    confidence = np.array([0.95, 0.9, 0.75, 0.7, 0.55])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 1, 0, 0, 1])
    # Five bins: (.8, 1] holds .95 and .9, one of two right; (.6, .8] .75 and .7, both right; (.4, .6] .55, wrong.
    expected = (2 * abs(0.5 - 0.925) + 2 * abs(1 - 0.725) + 1 * abs(0 - 0.55)) / 5
    assert expected_calibration_error(probabilities, labels, bins=5) == pytest.approx(expected)
    # One bin: three of five right.
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(
        abs(0.6 - confidence.mean())
    )


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    probabilities = np.array([[0.75, 0.25], [0.7, 0.3]])
    # Four bins (.5, .75]: together, one right: |.5 − .725|. Apart it would be (.25 + .7) / 2.
    assert expected_calibration_error(probabilities, np.array([0, 1]), bins=4) == pytest.approx(0.225)


def test_the_lowest_bins_of_many_classes_stay_apart() -> None:
    probabilities = np.array([[0.24, 0.19, 0.19, 0.19, 0.19], [0.4, 0.15, 0.15, 0.15, 0.15]])
    # Four bins, (0, .25] and (.25, .5]: the first is wrong, the second right. Together it would be |.5 − .32|.
    found = expected_calibration_error(probabilities, np.array([1, 0]), bins=4)
    assert found == pytest.approx((0.24 + 0.6) / 2)


def test_there_are_fifteen_bins_where_nothing_else_is_said() -> None:
    """Of 14 or 16 bins one would hold both."""
    probabilities = np.array([[0.93, 0.07], [0.936, 0.064]])  # 14 / 15 lies between
    assert expected_calibration_error(probabilities, np.array([0, 1])) == pytest.approx((0.07 + 0.936) / 2)


def test_perfectly_calibrated_rows_have_no_error_and_scaled_ones_have_some() -> None:
    logits, labels = calibrated(1.0)
    assert expected_calibration_error(softmax(logits), labels) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(softmax(3 * logits), labels) > 0.1
    assert expected_calibration_error(softmax(3 * logits, 3.0), labels) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_calibration_error([[2.0, 1.0]], [0]), r"take softmax\(logits\)"),
        (lambda: expected_calibration_error([[1.5, -0.5]], [0]), "must be at least 0"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [0], bins=0), "'bins'"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [2]), "integers 0 … 1"),
        (lambda: fit_temperature([[0.5, 0.5]], [0.0]), "integers 0 … 1"),
        (lambda: fit_temperature(np.zeros((0, 2)), np.zeros(0, int)), r"one row or more; received \(0, 2\)"),
        (lambda: fit_temperature([[np.nan, 0.5]], [0]), "finite"),
        (lambda: negative_log_likelihood([[0.5, 0.5]], [0, 1]), r"received \(1, 2\) and \(2,\)"),
        (lambda: negative_log_likelihood([[0.5, 0.5]], [0], 0), "above 0, received 0"),
        (lambda: softmax([[0.5, 0.5]], float("nan")), "above 0, received nan"),
    ],
)
def test_refusals(call, message: str) -> None:
    with pytest.raises(LMFError, match=message):
        call()


def test_each_subset_gets_the_factor_of_its_own_logits() -> None:
    logits, labels = calibrated(1.0)
    factors = {("audio",): 3.0, ("video",): 0.5, ("audio", "video"): 1.0}

    def answers(inputs: dict[str, np.ndarray]) -> np.ndarray:
        there = tuple(name for name, values in inputs.items() if values.any())
        return factors[there] * logits[-len(inputs["audio"]) :]

    rows = np.ones((len(labels), 2))
    found = fit_subset_temperatures(answers, {"audio": rows, "video": rows}, labels, least_rows=30)
    assert found == pytest.approx({"audio": 3.0, "video": 0.5})
    rows = np.where(np.arange(len(labels))[:, None] < 10, 0.0, rows)  # too few have it
    assert fit_subset_temperatures(answers, {"audio": rows, "video": rows}, labels, least_rows=30) is None


def test_logits_of_a_subset_are_of_its_rows_with_the_others_absent() -> None:
    inputs = {"audio": np.array([[1.0], [2.0], [0.0]]), "video": np.array([[0.0], [10.0], [20.0]])}
    found = subset_logits(lambda given: np.hstack([given["audio"], given["video"]]), inputs)
    assert found.keys() == {"audio", "video"}
    np.testing.assert_array_equal(found["audio"], [[1, 0], [2, 0], [np.nan, np.nan]])
    np.testing.assert_array_equal(found["video"], [[np.nan, np.nan], [0, 10], [0, 20]])


def test_a_subset_of_three_needs_all_that_is_in_it_and_one_that_nobody_has_is_not_asked() -> None:
    there = {"voice": [1, 1, 0], "face": [1, 0, 1], "words": [0, 0, 0]}
    inputs = {name: np.reshape(rows, (3, 1)).astype(float) for name, rows in there.items()}
    asked = []

    def answers(given: dict[str, np.ndarray]) -> np.ndarray:
        asked.append(len(given["voice"]))
        return np.hstack(list(given.values()))

    found = subset_logits(answers, inputs)
    assert found.keys() == {"voice", "face", "face + voice"}
    np.testing.assert_array_equal(found["face + voice"], [[1, 1, 0], [np.nan] * 3, [np.nan] * 3])
    assert asked == [2, 2, 1]


@pytest.mark.parametrize(("rows", "fitted"), [(49, False), (50, True)])
def test_fifty_rows_are_enough_for_a_temperature(rows: int, fitted: bool) -> None:
    logits, labels = (np.concatenate([part, part]) for part in calibrated(2.0))
    logits[rows:] = np.nan
    assert (temperatures_of_subsets({"face": logits}, labels) is not None) == fitted


def test_a_spec_says_the_temperature_of_what_is_there() -> None:
    inputs = {name: InputSpec() for name in ("voice", "face", "words")}
    spec = ModelSpec(inputs=inputs, temperature=1.5, subset_temperatures={"face + voice": 2.0, "words": 4.0})
    assert spec.temperature_of(["voice", "face"]) == spec.temperature_of(["face", "voice"]) == 2.0
    assert spec.temperature_of(["words"]) == 4.0
    assert spec.temperature_of(["face"]) == spec.temperature_of(list(inputs)) == 1.5
    assert spec.model_copy(update={"subset_temperatures": None}).temperature_of(["words"]) == 1.5
    assert ModelSpec(inputs=inputs).temperature_of(["words"]) == 1.0


def test_files_of_before_are_read_and_new_ones_keep_the_subsets(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text('{"temperature": 1.25, "split": "valid", "rows": 20}')
    assert FittedTemperature.read(tmp_path).subset_temperatures is None
    fitted = FittedTemperature(temperature=1.25, subset_temperatures={"face": 3.0})
    fitted.write(tmp_path)
    assert FittedTemperature.read(tmp_path) == fitted
    file = tmp_path / "model.tflite"
    file.write_bytes(b"model")
    written = Sidecar(sha256=sha256(file), inputs={}, temperature=1.25, subset_temperatures={"face": 3.0})
    written.write(file)
    assert Sidecar.read(file).spec.subset_temperatures == {"face": 3.0}


def test_a_row_is_divided_by_the_temperature_of_what_it_has() -> None:
    inputs = {"voice": InputSpec(), "face": InputSpec()}
    model = SimpleNamespace(spec=ModelSpec(inputs=inputs, temperature=2.0, subset_temperatures={"face": 4.0}))
    there = {"voice": np.array([True, False]), "face": np.array([True, True])}
    logits = np.array([[1.0, 3.0], [1.0, 3.0]])
    expected = [scipy_softmax(logits[0] / 2), scipy_softmax(logits[1] / 4)]
    np.testing.assert_allclose(probabilities(model, there, logits), expected)


@pytest.mark.slow
def test_training_fits_a_temperature_for_each_modality_alone(tmp_path: Path) -> None:
    data = synthetic.load(samples=600)
    names = ("audio", "video")
    recipe = Recipe(
        name="subsets",
        corpus={"name": "synthetic", "options": {"samples": 600}},
        target=data.target.model_dump(exclude_none=True),
        inputs={name: {"shape": [8], "backbone": {"name": "mlp", "units": [8]}} for name in names},
        fusion={"name": "low_rank", "units": 8, "rank": 2},
        presence={"dropout": 0.3},
        training={"loss": "cross_entropy", "epochs": 2},
    )
    run = train(recipe, data, tmp_path / "run")
    valid = data["valid"]
    voice_alone = {"audio": valid.inputs["audio"], "video": np.zeros_like(valid.inputs["video"])}
    expected = fit_temperature(run.model.predict(voice_alone, verbose=0)["emotion"], valid.labels)
    assert run.spec.subset_temperatures.keys() == set(names)
    assert run.spec.temperature_of(["audio"]) == pytest.approx(expected, rel=1e-4)
    whole = train(recipe.replace(name="whole", presence=None), data, tmp_path / "whole")
    assert whole.spec.temperature is not None
    assert whole.spec.subset_temperatures is None


def test_an_entry_keeps_the_subsets_and_one_of_before_has_none(tmp_path: Path) -> None:
    numbers = {"ece_before": 0.1, "ece_after": 0.05, "nll_before": 0.7, "nll_after": 0.6, "rows": 60}
    before = Calibration(temperature=1.5, split="valid", **numbers)
    after = before.model_copy(update={"subset_temperatures": {"audio": 3.0}})
    entry = make_entry(tmp_path / "entry")
    for calibration, expected in ((before, 1.5), (after, 3.0)):
        entry.model_copy(update={"calibration": calibration}).write(tmp_path)
        assert Entry.read(tmp_path).spec.temperature_of(["audio"]) == expected
        assert ("subset_temperatures" in (tmp_path / "entry.json").read_text()) == (calibration is after)


def test_the_error_of_a_perfectly_calibrated_model_by_an_exact_count() -> None:
    """Three rows that are right with 0.7 each, in one bin: k of them are right with the binomial probability, and the
    error is |k / 3 − 0.7|: 1 − 0.7 with 0.343, 2 / 3 − 0.7 with 0.441, 1 / 3 − 0.7 with 0.189, 0 − 0.7 with 0.027."""
    rows = np.tile([0.7, 0.3], (3, 1))
    found = [
        expected_calibration_error_quantile(rows, quantile, draws=4000) for quantile in (0.3, 0.6, 0.9, 0.99)
    ]
    assert found == pytest.approx([abs(2 / 3 - 0.7), 0.3, 0.7 - 1 / 3, 0.7], abs=1e-9)


def test_the_error_of_a_perfectly_calibrated_model_is_that_of_scipys_multinomial() -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(4), 200)
    random = np.random.default_rng(2)
    drawn = [
        expected_calibration_error(
            probabilities, np.array([random.choice(4, p=row) for row in probabilities])
        )
        for _ in range(300)
    ]
    assert expected_calibration_error_quantile(probabilities) == pytest.approx(
        np.quantile(drawn, 0.95), abs=0.015
    )
