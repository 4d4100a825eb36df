"""The field's .pkl as a Dataset: the layouts of MMSA and MulT, and files that break the rules."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from keras_lmf.data import Dataset, load
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

SENTIMENT = Target(name="sentiment", range=(-3, 3))
SIZES = {"train": 4, "valid": 2, "test": 3}


def mmsa(**changes) -> dict[str, dict]:
    """What MMSA's files hold, made small; `changes` are the train split's, None drops the key."""
    draw, splits = np.random.default_rng(0), {}
    for name, rows in SIZES.items():
        lengths = {"audio": draw.integers(1, 6, rows), "vision": draw.integers(1, 4, rows)}
        sequences = {key: draw.normal(size=(rows, 5, 2)).astype("float32") for key in lengths}
        for key, values in sequences.items():
            values[np.arange(5) >= lengths[key][:, None]] = 0
        splits[name] = {
            **sequences,
            "raw_text": np.array(["some words"] * rows),
            "text": draw.normal(size=(rows, 3, 4)).astype("float32"),
            "text_bert": draw.integers(0, 9, (rows, 3, 3)),
            "id": [f"{name}{row // 2}$_${row}" for row in range(rows)],
            "regression_labels": draw.uniform(-3, 3, rows).astype("float32"),
            "classification_labels": draw.integers(0, 3, rows).astype("float64"),
            "annotations": np.array(["Positive"] * rows, object),
            "audio_lengths": lengths["audio"].tolist(),
            "vision_lengths": lengths["vision"],
        }
    splits["train"] = {key: value for key, value in (splits["train"] | changes).items() if value is not None}
    return splits


def mult(target: str = "mosi") -> dict[str, dict]:
    """What MulT's files hold, made small: padding in front, labels (N, 1, 1), ids of three parts, -inf in the audio."""
    draw, splits = np.random.default_rng(1), {}
    for name, rows in SIZES.items():
        values = {key: draw.normal(size=(rows, 4, 2)) for key in ("vision", "audio", "text")}
        for sequence in values.values():
            sequence[:, :2] = 0
        values["audio"][1, 3, 1] = -np.inf
        ids = [[f"{name}_{row}", str(row), str(row + 1.5)] for row in range(rows)]
        splits[name] = values | {"labels": draw.uniform(-3, 3, (rows, 1, 1)), "id": np.array(ids, object)}
        if target == "mosi":
            splits[name]["id"] = np.array(ids).astype("S")
    return splits


def read(path: Path, content: object, **options) -> Dataset:
    path.write_bytes(pickle.dumps(content, 4))
    return load(path, **{"target": SENTIMENT} | options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.pkl"


def test_mmsa(file: Path) -> None:
    content = mmsa()
    data = read(file, content)
    assert (data.name, data.target, list(data.inputs)) == ("mine", SENTIMENT, ["audio", "video", "text"])
    for name, rows in SIZES.items():
        split, source = data[name], content[name]
        assert len(split) == rows
        for ours, theirs in (("audio", "audio"), ("video", "vision"), ("text", "text")):
            np.testing.assert_array_equal(split.inputs[ours], source[theirs])
        np.testing.assert_array_equal(split.labels, source["regression_labels"])
        np.testing.assert_array_equal(split.masks["audio"].sum(axis=1), source["audio_lengths"])
        np.testing.assert_array_equal(split.masks["video"].sum(axis=1), source["vision_lengths"])
        assert split.masks["text"].all()
        assert split.ids.tolist() == source["id"]
        assert split.groups.tolist() == [name.split("$_$")[0] for name in source["id"]]


def test_lengths_count_real_steps_of_zeros(file: Path) -> None:
    content = mmsa()
    content["train"]["audio"][0] = 0
    content["train"]["audio"][0, 0] = 1
    content["train"]["audio_lengths"][0] = 3
    assert read(file, content)["train"].masks["audio"][0].tolist() == [True, True, True, False, False]
    del content["train"]["audio_lengths"]
    assert read(file, content)["train"].masks["audio"][0].tolist() == [True, False, False, False, False]
    for split in content.values():  # the same with the padding in front
        split["audio"] = split["audio"][:, ::-1].copy()
        split["vision"] = split["vision"][:, ::-1].copy()
    content["train"]["audio_lengths"] = [3, *(content["train"]["audio"][1:] != 0).any(axis=-1).sum(axis=1)]
    assert read(file, content)["train"].masks["audio"][0].tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("corpus", ["mosi", "mosei"])
def test_mult(file: Path, corpus: str) -> None:
    content = mult(corpus)
    data = read(file, content, fill=0)
    train = data["train"]
    assert train.ids[1] == "train_1_1_2.5"
    assert train.groups.tolist() == ["train_0", "train_1", "train_2", "train_3"]
    assert train.labels.shape == (4,)
    np.testing.assert_array_equal(train.labels, content["train"]["labels"].reshape(-1).astype("float32"))
    assert train.masks["audio"].tolist() == [[False, False, True, True]] * 4
    audio = content["train"]["audio"].astype("float32")
    audio[audio == -np.inf] = 0  # as MulT does
    np.testing.assert_array_equal(train.inputs["audio"], audio)


def test_what_is_not_finite_is_refused_with_its_place(file: Path) -> None:
    with pytest.raises(
        LMFError,
        match=r"input/audio, row 1 \(id 'train_1_1_2\.5', and 2 more rows\): value -inf at index \(3, 1\)",
    ):
        read(file, mult())
    with pytest.raises(LMFError, match="fill must be a finite number"):
        read(file, mult(), fill=np.nan)


def test_classes_by_index_and_one_hot(file: Path) -> None:
    target = {"name": "polarity", "classes": ["negative", "neutral", "positive"]}
    content = mmsa()
    index = content["train"]["classification_labels"].astype(int)
    np.testing.assert_array_equal(read(file, content, target=target)["train"].labels, index)
    content["train"]["classification_labels"] = np.eye(3)[index]
    np.testing.assert_array_equal(read(file, content, target=target)["train"].labels, index)
    # MulT's IEMOCAP: a (no, yes) pair for each class.
    content["train"]["classification_labels"] = np.eye(2)[np.eye(3, dtype=int)[index]]
    np.testing.assert_array_equal(read(file, content, target=target)["train"].labels, index)
    content["train"]["classification_labels"] = np.eye(3)[index] * [[1], [1], [0], [1]]
    with pytest.raises(
        LMFError, match=r"train/classification_labels, row 2: .* does not name one of 3 classes"
    ):
        read(file, content, target=target)


def test_several_dimensions_and_another_key(file: Path) -> None:
    content, target = mmsa(), Target(name="mood", range=(0, 1), dimensions=("joy", "fear"))
    for name, rows in SIZES.items():
        content[name]["moods"] = np.linspace(0, 1, rows * 2).reshape(rows, 1, 2)
    data = read(file, content, target=target, labels="moods")
    np.testing.assert_allclose(data["train"].labels, np.linspace(0, 1, 8).reshape(4, 2))


def test_lists_and_missing_splits_and_modalities(file: Path) -> None:
    content = {"train": {"audio": [[1, 2], [3, 4]], "labels": [0, 1.5], "id": ["a$_$1", "b$_$1"]}}
    data = read(file, content)
    assert data.split_names == ("train",)
    assert data.masks == {}
    np.testing.assert_array_equal(data.inputs["audio"], [[1, 2], [3, 4]])


def test_groups_by_pattern(file: Path) -> None:
    content = mmsa(id=[f"ann_{row}" for row in range(4)])
    with pytest.raises(LMFError, match=r"id 'ann_0' names no video\. Pass group_pattern"):
        read(file, content)
    assert set(read(file, content, group_pattern=r"([a-z]+\d?)")["train"].groups) == {"ann"}
    each = read(file, content, group_pattern="(.*)")
    assert each.groups.tolist() == each.ids.tolist()
    for pattern, words in (
        (r"x(.*)", "finds no group in the id 'ann_0'"),
        ("ann", "one pair"),
        ("(", "no regular"),
    ):
        with pytest.raises(LMFError, match=words):
            read(file, content, group_pattern=pattern)
    content = mmsa(id=None)
    with pytest.raises(LMFError, match="id 'train_0' names no video"):
        read(file, content)
    assert read(file, content, group_pattern="(.*)")["train"].ids.tolist() == [
        f"train_{row}" for row in range(4)
    ]


def test_a_video_in_two_splits_is_refused(file: Path) -> None:
    content = mmsa()
    content["test"]["id"] = ["train0$_$7", "x$_$1", "x$_$2"]
    with pytest.raises(LMFError, match=r"mine\.pkl: group: 'train0' is in two splits"):
        read(file, content)


MISTAKES = {
    "rows": ({"audio": np.zeros((3, 5, 2))}, "train/audio: 3 rows, but 4 labels"),
    "width": (
        {"audio": np.ones((4, 5, 7)), "audio_lengths": None},
        r"audio: rows of one shape in all splits, received \(5, 7\)",
    ),
    "missing modality": ({"vision": None}, r"vision: rows of one shape in all splits, received missing"),
    "words": ({"audio": np.array(["a"] * 4)}, "train/audio: dtype <U1"),
    "list of words": ({"audio": [["a"]] * 4}, "train/audio: not a rectangular array of numbers"),
    "ragged": ({"audio": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, "train/audio: not a rectangular array"),
    "objects": ({"audio": np.array([[1, "b"]] * 4, object)}, "train/audio: not a rectangular array"),
    "a number": ({"audio": 3}, r"train/audio: dtype float64, shape \(\)"),
    "nothing": ({"audio": np.zeros((4, 0))}, r"train/audio: .*shape \(4, 0\)"),
    "no labels": (
        {"regression_labels": None},
        "train: key 'regression_labels' is missing. Did you mean it by 'classification_labels'",
    ),
    "label out of range": (
        {"regression_labels": np.full(4, 9.0)},
        r"label, row 0 \(id 'train0\$_\$0', and 3 more",
    ),
    "label width": ({"regression_labels": np.zeros((4, 7))}, r"train/regression_labels: shape \(4, 7\)"),
    "ids too few": ({"id": ["a$_$1"]}, "train/id: must hold an id for each of the 4 labels"),
    "id too long": ({"id": ["a" * 999] * 4}, "train/id, row 0: an id of 999 characters"),
    "id empty": ({"id": ["a$_$1", "", "b$_$1", "b$_$2"]}, "train/id, row 1: an id of 0 characters"),
    "id twice": ({"id": ["a$_$1"] * 4}, "id: rows 0 and 1 are both"),
    "id a dict": ({"id": {"a": 1}}, "train/id: must hold an id"),
    "lengths": ({"audio_lengths": [1, 2]}, "train/audio_lengths: 2 rows"),
    "lengths negative": ({"audio_lengths": [-1, 2, 2, 2]}, "train/audio_lengths: must be a number of steps"),
    "lengths too short": (
        {"audio": np.ones((4, 5, 2)), "audio_lengths": [5, 2, 5, 5]},
        "train/audio_lengths, row 1: 2 real steps",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_name_file_field_and_row(file: Path, mistake: str) -> None:
    changes, words = MISTAKES[mistake]
    with pytest.raises(LMFError, match=rf"mine\.pkl: {words}") as caught:
        read(file, mmsa(**changes))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list, must be a dict of splits: train, valid, test"),
        ({}, "holds a dict"),
        ({"dev": {}}, "Unknown split 'dev'"),
        ({"train": [1]}, "train: a list, must be a dict of arrays"),
        ({"train": {"labels": [1.0]}}, "train: key 'audio' is missing.* None of audio, vision, text"),
        ({"train": {"au\ndio": 1}}, r"There are: au\\ndio"),
    ],
)
def test_other_content_is_refused(file: Path, content: object, words: str) -> None:
    with pytest.raises(LMFError, match=words) as caught:
        read(file, content)
    assert len(str(caught.value).splitlines()) == 1


def test_options_are_checked(file: Path, tmp_path: Path) -> None:
    for target in (None, {"name": "x"}, {"name": "x", "rnage": [0, 1]}):
        with pytest.raises(LMFError, match=r"pass target=Target\(name=…"):
            read(file, mmsa(), target=target)
    with pytest.raises(LMFError, match=r"Unknown \.pkl option 'traget'\. Did you mean 'target'"):
        load(file, traget=SENTIMENT)
    read(file, mmsa())
    assert len(load("mine.pkl", tmp_path, target=SENTIMENT)) == 9
    assert len(load("mine.pkl", tmp_path, target={"name": "sentiment", "range": [-3, 3]})) == 9
