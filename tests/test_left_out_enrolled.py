"""Leave one corpus out, with clips of the speaker enrolled."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from left_out_runs import CLASSES, FakeRun, recall, recipe
from sklearn.metrics import accuracy_score

from keras_lmf.backend import nested_layers
from keras_lmf.data import Dataset
from keras_lmf.data.corpora.joined import join
from keras_lmf.models import build, fitted_layers, set_standardization
from keras_lmf.publishing.retrainings import left_out
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target
from keras_lmf.training import LeaveOneCorpusOut, leave_one_corpus_out
from keras_lmf.training import left_out as left_out_module

SPEAKERS, EACH, SAMPLES = ("a", "b", "few"), {"a": 16, "b": 18, "few": 14}, 1600


def voices(name: str, level: float) -> Dataset:
    """Noise, louder for the second class, and by an own factor for each of three speakers a split."""
    random = np.random.default_rng(int(level))
    groups, splits = [], []
    for split in ("train", "valid", "test"):
        for speaker in SPEAKERS:
            groups += [f"{name}-{split}-{speaker}"] * EACH[speaker]
            splits += [split] * EACH[speaker]
    labels = random.integers(0, 2, len(groups))
    own = {group: random.uniform(0.5, 2) for group in dict.fromkeys(groups)}
    loud = level * 0.01 * (1 + labels) * np.array([own[group] for group in groups])
    voice = loud[:, None] * random.standard_normal((len(groups), SAMPLES)).clip(-3, 3)
    return Dataset(
        name=name,
        target=Target(name="emotion", classes=CLASSES[:2]),
        inputs={"voice": voice},
        labels=labels,
        groups=np.array(groups),
        ids=np.array([f"{name}{row}" for row in range(len(groups))]),
        splits=np.array(splits),
    )


def heard() -> Recipe:
    voice = {
        "shape": [SAMPLES],
        "front_end": {"name": "log_mel", "bands": 6, "sample_rate": 8000},
        "backbone": {"name": "average_pooling", "units": [4]},
    }
    return recipe(
        corpus={"name": ["one.npz", "two.npz"]},
        target={"name": "emotion", "classes": CLASSES[:2]},
        inputs={"voice": voice},
    )


class Untrained(FakeRun):
    """A run with random weights, and a standardisation of its own."""

    def __init__(self, recipe: Recipe, data: Dataset, folder: Path) -> None:
        super().__init__(recipe, data, folder)
        self._built = build(recipe)
        set_standardization(self._built, {"voice": (np.linspace(-9, 0, 6), np.linspace(0.5, 2, 6))})

    @property
    def model(self) -> keras.Model:
        return self._built


@pytest.mark.slow
def test_clips_of_the_speaker_move_the_centre(tmp_path, monkeypatch):
    """Accuracy and balanced accuracy as NumPy finds them; front ends are asked once for each corpus."""
    joined = join({"one": voices("one", 1), "two": voices("two", 9)})
    monkeypatch.setattr(left_out_module, "train", Untrained)
    run = Untrained(heard(), joined, tmp_path)
    asked = []
    made = left_out_module.split_features

    def counted(*arguments):
        asked.append(arguments)
        return made(*arguments)

    monkeypatch.setattr(left_out_module, "split_features", counted)
    found = leave_one_corpus_out(run)
    assert len(asked) == 2
    table = found.table.set_index(["corpus", "metric", "seed"])
    test = joined.take(joined.corpora == "one")["test"]
    model = run.model
    features = keras.ops.convert_to_numpy(model.get_layer("voice_front_end")(test.inputs["voice"]))
    (layer,) = fitted_layers(model, "voice", "standardization")
    centre = keras.ops.convert_to_numpy(layer.adapt_mean)
    spread = np.sqrt(keras.ops.convert_to_numpy(layer.adapt_variance))
    dense = next(layer for layer in nested_layers(model) if layer.name == "dense_0").get_weights()
    last = model.get_layer("emotion").get_weights()

    def answers(centres: np.ndarray) -> np.ndarray:
        pooled = ((features - centres[:, None]) / spread).mean(axis=1)
        return (np.maximum(pooled @ dense[0] + dense[1], 0) @ last[0] + last[1]).argmax(axis=1)

    row = table.loc[("one", "uar", 4)]
    assert row["all"] == pytest.approx(recall(test.labels, answers(np.tile(centre, (len(test), 1)))))
    kept = np.array([not group.endswith("few") for group in test.groups])
    assert (row["rows"], row["enrolled_rows"], row["speakers_left_out"]) == (48, 34, 1)
    for clips in (3, 10):
        draws = []
        for draw in range(10):
            random, centres = np.random.default_rng(draw), np.tile(centre, (len(test), 1))
            for speaker in sorted(set(test.groups[kept])):
                rows = np.flatnonzero(test.groups == speaker)
                order = random.random((len(rows), len(rows)))
                for i, place in enumerate(rows):
                    others = [rows[j] for j in np.argsort(order[i]) if j != i][:clips]
                    mean = np.mean([features[j].mean(axis=0) for j in others], axis=0)
                    centres[place] = centre + clips / (clips + 3) * (mean - centre)
            draws.append(answers(centres)[kept])
        for metric, oracle in (("war", accuracy_score), ("uar", recall)):
            expected = np.mean([oracle(test.labels[kept], one) for one in draws])
            assert table.loc[("one", metric, 4), f"all_enrolled_{clips}"] == pytest.approx(expected)
    assert table["all_enrolled_10"].nunique() > 1
    found.save(tmp_path)
    block = left_out(tmp_path)["one"]["uar"]
    told = found.table.query("corpus == 'one' and metric == 'uar'")
    assert [one.clips for one in block.enrolled] == [3, 10]
    assert block.enrolled[1].others.mean == pytest.approx(told["others_enrolled_10"].mean())
    assert (block.enrolled_rows, block.speakers_left_out) == (34, 1)
    assert f"{told['others_enrolled_3'].mean():.3f}" in found.to_markdown()


def test_without_a_speaker_of_many_clips_there_is_no_such_figure(tmp_path):
    nobody = {f"{who}_enrolled_{clips}": [np.nan] for who in ("others", "all") for clips in (3, 10)}
    raw = {"corpus": "one", "metric": "uar", "seed": 0, "others": 0.5, "all": 0.75, "floor": 0.25, "rows": 9}
    counts = {"enrolled_rows": 0, "speakers_left_out": 2, "without": ""}
    found = LeaveOneCorpusOut("title", pd.DataFrame(raw | nobody | counts))
    found.save(tmp_path)
    assert left_out(tmp_path)["one"]["uar"].enrolled is None
    assert "2 speakers" in found.to_markdown()
