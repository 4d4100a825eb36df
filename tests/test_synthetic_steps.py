"""The corpus of steps against what its construction promises."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score

import keras_lmf as klmf
from keras_lmf.data import load
from keras_lmf.errors import LMFError

BACKBONE = {"name": "average_pooling", "units": [8]}


def chance(rows: int) -> float:
    """Three standard deviations of a fair coin's accuracy."""
    return 3 * 0.5 / rows**0.5


def test_without_noise_agreement_is_the_label_and_all_is_balanced():
    data = load("synthetic_steps", samples=2000, noise=0.0, width=1, steps=12, agreement=0.8)
    audio, video = (np.sign(data.inputs[name][:, :, 0]) for name in ("audio", "video"))
    assert (audio.sum(axis=1) == 0).all()
    assert (video.sum(axis=1) == 0).all()
    agreeing = (audio * video).mean(axis=1)
    np.testing.assert_allclose(np.abs(agreeing), 2 * (5 / 6) - 1)  # 5 of 6 is the nearest to .8
    sign = np.sign(agreeing[0]) * (1 if data.labels[0] else -1)  # hidden vectors may point either way
    np.testing.assert_array_equal(np.sign(agreeing) * sign > 0, data.labels == 1)


@pytest.mark.parametrize("modality", ["audio", "video"])
def test_a_modality_alone_is_chance(modality):
    data = load("synthetic_steps", samples=4000, steps=8)
    train, test = data["train"], data["test"]
    forest = RandomForestClassifier(100, random_state=0)
    forest.fit(train.inputs[modality].reshape(len(train), -1), train.labels)
    found = forest.predict(test.inputs[modality].reshape(len(test), -1))
    assert abs(accuracy_score(test.labels, found) - 0.5) < chance(len(test))


def test_both_sorted_by_time_alone_are_chance():
    """What knows no order sees the sorted steps: a forest on them is at chance, on the products it is not."""
    data = load("synthetic_steps", samples=4000, steps=8, width=1)

    def accuracy(features) -> float:
        forest = RandomForestClassifier(100, random_state=0)
        forest.fit(features(data["train"]), data["train"].labels)
        return accuracy_score(data["test"].labels, forest.predict(features(data["test"])))

    def unordered(split):
        return np.sort(
            np.concatenate([split.inputs["audio"], split.inputs["video"]], axis=2), axis=1
        ).reshape(len(split), -1)

    def products(split):
        return (split.inputs["audio"] * split.inputs["video"])[:, :, 0]

    assert abs(accuracy(unordered) - 0.5) < chance(len(data["test"]))
    assert accuracy(products) > 0.9


def test_audio_may_be_faster():
    data = load("synthetic_steps", samples=40, rate=3, noise=0.0)
    assert data.inputs["audio"].shape == (40, 48, 4)
    np.testing.assert_array_equal(data.inputs["audio"][:, 0::3], data.inputs["audio"][:, 2::3])


def test_a_distractor_is_balanced_and_agrees_with_nothing():
    data = load("synthetic_steps", samples=4000, noise=0.0, width=1, steps=8, distractors=2)
    assert list(data.inputs) == ["audio", "video", "distractor_1", "distractor_2"]
    signs = {name: np.sign(values[:, :, 0]) for name, values in data.inputs.items()}
    assert (signs["distractor_2"].sum(axis=1) == 0).all()
    assert abs((signs["distractor_1"] * signs["video"]).mean()) < 3 / 4000**0.5
    assert set(load("synthetic_steps", samples=40).inputs) == {"audio", "video"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("fusion", "learns"),
    [
        ({"name": "low_rank", "units": 8}, False),
        ({"name": "step_by_step", "attention": "none", "filters": [8]}, True),
        ({"name": "step_by_step", "attention": "to_modalities", "filters": [8]}, True),
    ],
    ids=["pooled", "steps", "attention"],
)
def test_fusion_at_each_step_learns_what_pooled_fusion_can_not(fusion, learns, tmp_path):
    data = load("synthetic_steps", rate=2)
    recipe = klmf.Recipe(
        name="steps",
        corpus={"name": "synthetic_steps"},
        target={"name": "emotion", "classes": data.target.classes},
        inputs={
            name: {"shape": data.inputs[name].shape[1:], "backbone": BACKBONE} for name in ("audio", "video")
        },
        fusion=fusion,
        training={"loss": "cross_entropy", "epochs": 12, "learning_rate": 0.01},
    )
    run = klmf.train(recipe, data, tmp_path / "run")
    accuracy = run.evaluate("test").metrics["war"]
    if learns:
        assert accuracy > 0.9
    else:
        assert abs(accuracy - 0.5) < chance(len(data["test"]))


@pytest.mark.parametrize("option", [{"steps": 7}, {"agreement": 0.5}, {"noise": -1.0}, {"rate": 0}], ids=str)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(LMFError, match="'synthetic_steps':"):
        load("synthetic_steps", **option)
