"""FER2013, and voices beside faces of other people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from real_corpora import ROOT, needs_data

from keras_lmf.data import load
from keras_lmf.data.corpora import describe, fer2013, voices_and_faces
from keras_lmf.data.corpora.fer2013 import enlarged
from keras_lmf.errors import LMFError


@pytest.mark.slow
@needs_data
def test_fer2013_is_its_files():
    data = load("fer2013")
    assert list(data.inputs) == list(describe("fer2013", Path(), ()).inputs)
    names = np.array(fer2013.CLASSES)[data.labels]
    at = 0
    for file in ("train", "validation"):
        arrays = np.load(Path(ROOT) / "fer2013" / f"{file}.npz")
        rows = slice(at, at + len(arrays["labels"]))
        np.testing.assert_array_equal(np.round(data.inputs["face"][rows, ..., 0] * 255), arrays["images"])
        originals = arrays["classes"][arrays["labels"]]
        assert {(ours[:4], theirs[:4]) for ours, theirs in zip(names[rows], originals)} == {
            (name[:4], name[:4]) for name in fer2013.CLASSES
        }
        at = rows.stop
    assert at == len(data)
    assert (data.splits[:15310] != "test").all()
    assert (data.splits[15310:] == "test").all()
    assert (data.splits[:15310] == "valid").mean() == pytest.approx(0.1, abs=0.01)


def write_fer(folder: Path, classes: list[str]) -> None:
    (folder / "fer2013").mkdir()
    random = np.random.default_rng(0)
    for file in fer2013.FILES:
        images = random.integers(0, 256, (40, 48, 48), np.uint8)
        np.savez(folder / "fer2013" / file, images=images, labels=np.arange(40) % 7, classes=classes)


def test_fer2013_of_other_classes_is_refused(tmp_path):
    write_fer(tmp_path, ["angry", "disgust", "fear", "happy", "neutral", "sad", "bored"])
    with pytest.raises(LMFError, match=r"train\.npz: the classes are angry, .*, bored; FER2013 has"):
        load("fer2013", tmp_path)


@pytest.mark.parametrize("images", [np.zeros((40, 48, 47)), np.zeros((39, 48, 48)), np.zeros(40)])
def test_fer2013_of_another_layout_is_refused(tmp_path, images):
    write_fer(tmp_path, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    arrays = dict(np.load(tmp_path / "fer2013" / "train.npz"))
    np.savez(tmp_path / "fer2013" / "train.npz", **arrays | {"images": images})
    with pytest.raises(LMFError, match=r"train\.npz: 'images' .* with 'labels' \(40,\); they must be"):
        load("fer2013", tmp_path)


def test_an_images_split_is_its_own(tmp_path):
    """Images that come or go move no other between training and validation."""
    write_fer(tmp_path, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    before = load("fer2013", tmp_path)
    path = tmp_path / "fer2013" / "train.npz"
    arrays = dict(np.load(path))
    np.savez(path, images=arrays["images"][3:], labels=arrays["labels"][3:], classes=arrays["classes"])
    np.testing.assert_array_equal(load("fer2013", tmp_path).splits, before.splits[3:])
    assert {"train", "valid", "test"} == set(before.splits)


def test_fer2013_enlarged(tmp_path):
    write_fer(tmp_path, ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
    small, large = (load("fer2013", tmp_path, side=side).inputs["face"][..., 0] for side in (48, 64))
    np.testing.assert_array_equal(enlarged(small, 64), large)


@pytest.mark.long
@needs_data
def test_pairs_agree_in_their_label_alone():
    data = load("voices_and_faces", seconds=0.05, frames=2, faces=2)
    assert list(data.inputs) == list(voices_and_faces.DESCRIPTION.inputs)
    pictures, voices = load("ferplus"), load(["ravdess", "emodb", "nemo"], seconds=0.05)
    rows = {name: row for row, name in enumerate(pictures.ids)}
    spoken = {name: row for row, name in enumerate(voices.ids)}
    used: dict[str, set[str]] = {}
    for i, name in enumerate(data.ids):
        voice, picture, _ = name.rsplit("_", 2)
        image, row = rows[picture], spoken[voice]
        assert voices.labels[row] == data.labels[i]
        assert pictures.target.classes[pictures.labels[image]] == data.target.classes[data.labels[i]]
        assert pictures.soft_labels[image].max() > 0.5
        assert voices.splits[row] == pictures.splits[image] == data.splits[i]
        assert voices.corpora[row] == data.corpora[i]
        np.testing.assert_array_equal(data.inputs["voice"][i], voices.inputs["voice"][row])
        np.testing.assert_array_equal(data.inputs["face"][i, 0], pictures.inputs["face"][image])
        used.setdefault(picture, set()).add(data.splits[i])
    assert all(len(splits) == 1 for splits in used.values())
    assert not data.inputs["face"][:, 1:].any()
    counts = {name: len(data[name]) / (voices.splits == name).sum() for name in data.split_names}
    assert counts == {"train": 2, "valid": 1, "test": 1}


@pytest.mark.parametrize(("size", "side"), [(48, 64), (3, 7), (5, 5)])
def test_enlarged_is_opencvs(size, side):
    images = np.random.default_rng(0).uniform(size=(2, size, size)).astype("float32")
    expected = [cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR) for image in images]
    np.testing.assert_allclose(enlarged(images, side), expected, atol=1e-5)


@pytest.mark.parametrize("option", [{"frames": 0}, {"faces": 1.5}, {"faces": True}])
def test_pairs_refuse(option):
    (name,) = option
    with pytest.raises(LMFError, match=f"{name}(:| must be a whole number)"):
        load("voices_and_faces", **option)
