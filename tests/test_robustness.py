"""Robustness against closed forms: accuracy under Gaussian noise, areas by SciPy, shares of rows."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.integrate import trapezoid
from scipy.stats import norm

from keras_lmf.cli import main
from keras_lmf.data.dataset import Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.damage import deviation, real_numbers, with_missing, with_noise
from keras_lmf.evaluation.robustness import (
    MISSING,
    NOISE,
    against,
    effective_robustness,
    measure_robustness,
    relative_robustness,
)
from keras_lmf.spec import InputSpec, ModelSpec
from keras_lmf.target import Target

TARGET = Target(name="sign", classes=("below", "above"))
ROWS = 8000


def signs(name: str, shares: float = 0.5) -> Split:
    """Audio and video are the label's sign: ±1, with a standard deviation of 1 where the classes are balanced."""
    labels = (np.arange(ROWS) < shares * ROWS).astype(int)
    sign = (2.0 * labels - 1)[:, None].astype("float32")
    ids = np.array([f"row{i}" for i in range(ROWS)])
    return Split(name, {"audio": sign, "video": sign.copy()}, {}, labels, ids, ids, TARGET)


def spec(**temperatures) -> ModelSpec:
    inputs = {"audio": InputSpec(shape=(1,)), "video": InputSpec(shape=(1,))}
    return ModelSpec(inputs=inputs, target=TARGET, presence="derived", **temperatures)


def by_audio(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Right wherever the audio has the label's sign; "below" without audio."""
    return {"sign": np.concatenate([np.zeros_like(inputs["audio"]), inputs["audio"]], axis=1)}


@pytest.fixture(scope="module")
def found():
    return measure_robustness(by_audio, spec(), signs("test"), signs("train"), draws=2)


def test_accuracy_under_noise_is_the_normal_distributions(found) -> None:
    curve = found.curves["mean"]["noise"]
    expected = [1.0] + [norm.cdf(1 / level) for level in NOISE[1:]]
    np.testing.assert_allclose(curve["audio"], expected, atol=0.012)
    np.testing.assert_allclose(curve["all"], expected, atol=0.012)
    assert (curve["video"] == 1).all()
    assert found.summary.loc[("noise", "audio"), "relative"] == pytest.approx(
        trapezoid(curve["audio"], NOISE), abs=1e-12
    )


def test_a_missing_row_is_answered_by_the_constant_class(found) -> None:
    curve = found.curves["mean"]["missing"]
    assert found.floor == 0.5
    # Half of the rows are "below", which an absent audio gives.
    np.testing.assert_allclose(curve["audio"], 1 - np.array(MISSING) / 2, atol=0.012)
    assert curve["audio"].iloc[-1] == 0.5
    assert (curve["video"] == 1).all()


def test_subsets_have_the_floor_and_the_error_of_each_temperature() -> None:
    fitted = spec(temperature=2.0, subset_temperatures={"video": 4.0})
    table = measure_robustness(by_audio, fitted, signs("test"), signs("train", 0.7), draws=1).subsets
    assert table["value"].to_dict() == {"audio": 1.0, "video": 0.5, "audio + video": 1.0}
    assert (table["floor"] == 0.5).all()  # the majority of train is half of the test rows
    confidence = 1 / (1 + np.exp(-1 / np.array([1.0, 2.0])))  # logits 0 and 1, always right
    assert table.loc["audio", "ece"] == pytest.approx(1 - confidence[0], abs=1e-6)
    assert table.loc["audio", "ece_one_temperature"] == pytest.approx(1 - confidence[1], abs=1e-6)
    assert (table["ece_own_temperature"] == table["ece_one_temperature"]).all()  # of logits of 0, too


def test_areas_and_what_is_kept_beyond_late_fusion(found) -> None:
    levels, late = [0, 0.1, 0.3], [0.8, 0.7, 0.5]
    assert relative_robustness(levels, late) == pytest.approx(0.075 + 0.12)
    assert effective_robustness(late, late) == 0
    assert effective_robustness(np.add(late, 0.1), late) == pytest.approx(
        0
    )  # better from the start, not more robust
    assert effective_robustness([0.8, 0.75, 0.6], late) == pytest.approx(0.15)
    assert (against(found, found).summary["effective"] == 0).all()
    assert list(against(found, found).curves) == ["mean", "sd", "baseline"]


def test_damage_grows_with_its_level_and_spares_what_is_not_there() -> None:
    rows = np.ones((10, 4, 3), "float32")
    rows[:, 2:] = 0
    rows[0] = 0
    inputs, deviations = {"audio": rows}, {"audio": np.array([1.0, 2.0, 0.0])}
    one, two = (
        with_noise(inputs, ["audio"], level, deviations, {}, 7)["audio"] - rows for level in (0.2, 0.4)
    )
    np.testing.assert_allclose(two, 2 * one, atol=1e-6)
    assert not one[0].any()
    assert not one[:, 2:].any()
    assert not one[..., 2].any()
    assert one[1:, :2, :2].all()
    lacking = [
        ~with_missing(inputs, ["audio"], rate, 7)["audio"].any(axis=(1, 2)) for rate in (0.3, 0.6, 1.0)
    ]
    assert all((more >= less).all() for less, more in itertools.pairwise(lacking))
    assert lacking[-1].all()


def test_real_numbers_and_their_deviation() -> None:
    wave = np.array([[0.5, 0, -0.5, 0, 0], [0, 0, 0, 0, 0]], "float32")
    assert real_numbers(wave, "waveform").tolist() == [[True, True, True, False, False], [False] * 5]
    assert deviation(wave, "waveform") == pytest.approx(np.std([0.5, 0, -0.5]))
    frames = np.zeros((2, 3, 2, 2, 1), "float32")
    frames[0, 1, 0, 0] = 1
    assert real_numbers(frames, "frames").ravel().tolist() == [False, True, False, False, False, False]
    picture = np.zeros((2, 2, 2, 1), "float32")
    picture[0, 1, 0] = 1
    assert real_numbers(picture, "frames").ravel().tolist() == [True, False]
    steps = np.array([[[1.0, 5], [3, 5], [0, 0]]], "float32")
    np.testing.assert_allclose(deviation(steps), [1, 0])


def test_refusals(found) -> None:
    with pytest.raises(LMFError, match="'war'"):
        measure_robustness(by_audio, spec(), signs("test"), signs("train"), metric="wer")
    with pytest.raises(LMFError, match="'draws'"):
        measure_robustness(by_audio, spec(), signs("test"), signs("train"), draws=0)
    other = measure_robustness(by_audio, spec(), signs("test"), signs("train"), draws=1, metric="uar")
    with pytest.raises(LMFError, match="metric and modalities"):
        against(found, other)


@pytest.mark.slow
def test_the_command_writes_tables_and_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["robustness", "lmf-synthetic-av", "--draws", "1", "--baseline", "lmf-synthetic-av", "--json"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert {row["effective"] for row in told["summary"]} == {0}
    assert [row["there"] for row in told["subsets"]] == ["audio", "video", "audio + video"]
    folder = tmp_path / "runs" / "lmf-synthetic-av" / "robustness-test"
    assert sorted(path.name for path in folder.iterdir()) == [
        "robustness.csv",
        "robustness.md",
        "robustness.png",
        "subsets.csv",
    ]
