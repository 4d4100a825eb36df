"""Corpora as features: MMSA's .pkl by the corpus's name, and CMU-MultimodalSDK's .csd."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from csd_files import LABELS, TEST, TRAIN, VALID, mosi, steps, write_csd

from keras_lmf.data import load
from keras_lmf.data.corpora import published
from keras_lmf.data.corpora.published.checking import compare
from keras_lmf.errors import LMFError


def test_csd_gives_the_mean_over_each_segment(tmp_path: Path) -> None:
    mosi(tmp_path / "cmu_mosi")
    with pytest.warns(UserWarning, match=r"2 segments are left out \(nobody\[0\], tmZ"):
        data = load("cmu_mosi", tmp_path)
    assert data.ids.tolist() == [f"{TRAIN}[0]", f"{TRAIN}[1]", f"{VALID}[0]", f"{TEST}[0]"]
    assert data.splits.tolist() == ["train", "train", "valid", "test"]
    assert data.groups.tolist() == [TRAIN, TRAIN, VALID, TEST]
    np.testing.assert_allclose(data.labels, [2.4, -1, 0.5, -3])
    # What isn't finite counts as 0, as MMSA and MulT have it: (5 + 0 + 7 + 8) / 4.
    means = np.array([2.5, 5.0, 4.0, 6.0])
    np.testing.assert_allclose(data.inputs["audio"], means[:, None] * [1, 10, 10])
    assert list(data.inputs) == ["audio"]
    assert (data.target.name, data.target.range) == ("sentiment", (-3, 3))


def test_csd_as_steps(tmp_path: Path) -> None:
    folder = mosi(tmp_path / "cmu_mosi")
    words = {TRAIN: (np.array([[9.0], [3.0]]), np.array([[0.0, 0.4], [0.9, 1.5]]))}
    write_csd(folder / "CMU_MOSI_TimestampedWordVectors.csd", "words", words)
    with pytest.warns(UserWarning, match="left out"):
        data = load("cmu_mosi", tmp_path, steps=2)
    np.testing.assert_allclose(data.inputs["audio"][:, :, 0], [[1.5, 3.5], [2.5, 7.5], [4, 4], [6, 6]])
    assert data.masks["audio"].all()
    # The second word's middle, 1.2, lies in the first half of the second segment; the other videos have no words.
    np.testing.assert_allclose(data.inputs["text"][:, :, 0], [[9, 0], [3, 0], [0, 0], [0, 0]])
    assert data.masks["text"].tolist() == [[True, False], [True, False], [False, False], [False, False]]


def test_the_emotions_of_cmu_mosei(tmp_path: Path) -> None:
    folds = published.read("cmu_mosei").splits
    videos = [folds[split][0] for split in ("train", "valid", "test")]
    label = np.array([[-1.0, 0, 0.5, 1, 1.5, 2, 3]])
    folder, whole = tmp_path / "cmu_mosei", np.array([[0.0, 1.0]])
    write_csd(folder / "CMU_MOSEI_Labels.csd", "All Labels", dict.fromkeys(videos, (label, whole)))
    write_csd(
        folder / "CMU_MOSEI_VisualFacet42.csd", "FACET", {video: steps(2, [1, 3], 0.5) for video in videos}
    )
    data = load("cmu_mosei", tmp_path, label="emotions")
    assert data.target.dimensions == ("happy", "sad", "angry", "surprised", "disgust", "fearful")
    np.testing.assert_allclose(data.labels, np.repeat([[0, 0.5, 1, 1.5, 2, 3]], 3, axis=0))
    np.testing.assert_allclose(load("cmu_mosei", tmp_path).labels, [-1, -1, -1])
    np.testing.assert_allclose(data.inputs["video"], [[2, 20]] * 3)


def test_pom_takes_seventeen_of_eighteen_ratings_in_the_papers_order(tmp_path: Path) -> None:
    corpus = published.read("pom")
    what = corpus.features["sdk"]
    videos = [corpus.splits[split][0] for split in ("train", "valid", "test")]
    label = 1 + np.arange(18)[None] / 3
    write_csd(
        tmp_path / "pom" / "POM_Labels.csd",
        "labels",
        {video: (label, np.array([[0.0, 90.0]])) for video in videos},
    )
    write_csd(
        tmp_path / "pom" / "POM_COVAREP.csd", "COVAREP", {video: steps(2, [1, 3], 45) for video in videos}
    )
    data = load("pom", tmp_path)
    rating = dict(zip(data.target.dimensions, data.labels[0]))
    # The maintainer's order: sentiment, confident, … trusting, lazy, relaxed, … nervous, humorous, persuasion.
    assert rating["sentiment"] == 1
    assert rating["confident"] == pytest.approx(1 + 1 / 3)
    assert rating["relaxed"] == pytest.approx(1 + 12 / 3)
    assert rating["persuasive"] == pytest.approx(1 + 17 / 3)
    assert set(what.columns) - set(data.target.dimensions) == {"lazy"}


def test_folds_are_whole() -> None:
    sizes = {
        name: [len(published.read(name).splits[split]) for split in ("train", "valid", "test")]
        for name in ("cmu_mosi", "cmu_mosei", "pom")
    }
    assert sizes == {"cmu_mosi": [52, 10, 31], "cmu_mosei": [2249, 300, 678], "pom": [600, 100, 203]}


@pytest.mark.parametrize("name", ["cmu_mosi", "cmu_mosei"])
def test_mmsas_pickles_by_the_corpus_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name / "Processed"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for layout, length in (("aligned", 4), ("unaligned", 9)):
        content = {
            split: {
                "audio": draw.normal(size=(2, length, 3)),
                "vision": draw.normal(size=(2, 4, 2)),
                "id": [f"{split}$_$1", f"{split}$_$2"],
                "regression_labels": np.array([-3.0, 1.5]),
                "classification_labels": np.array([0, 2]),
            }
            for split in ("train", "valid", "test")
        }
        content["train"]["audio"][0, 0, 0] = -np.inf
        (folder / f"{layout}_50.pkl").write_bytes(pickle.dumps(content, 4))
    data = load(name, tmp_path)
    assert data.name == name
    assert data.inputs["audio"].shape == (6, 4, 3)
    assert data.inputs["audio"][0, 0, 0] == 0
    assert data.groups.tolist() == ["train"] * 2 + ["valid"] * 2 + ["test"] * 2
    assert load(name, tmp_path, layout="unaligned").inputs["audio"].shape == (6, 9, 3)
    with pytest.raises(LMFError, match="takes no option 'steps'"):
        load(name, tmp_path, steps=3)
    told = compare(name, tmp_path, {})
    assert (told.recordings, told.layout, told.splits) == (
        6,
        "aligned",
        {"train": 2, "valid": 2, "test": 2},
    )
    assert told.lacking == {"cmu_mosi": 2199, "cmu_mosei": 16326 + 1871 + 4659}[name] - 6


def test_features_fill_no_recorded_input(tmp_path: Path) -> None:
    from keras_lmf.sources import RecordedInput, Sound

    mosi(tmp_path / "cmu_mosi")
    wanted = {"voice": RecordedInput(shape=(1600,), rate=16000, source=Sound())}
    with pytest.raises(LMFError, match=r"holds features \(sdk\).*voice"):
        load("cmu_mosi", tmp_path, wanted)
    with pytest.warns(UserWarning, match="left out"):
        assert list(load("cmu_mosi", tmp_path, {}).inputs) == ["audio"]


def test_arrays_of_ours_come_first_unless_a_layout_is_named(tmp_path: Path) -> None:
    folder, video = mosi(tmp_path / "cmu_mosi"), np.array([TRAIN, VALID, TEST])
    arrays = {"audio": np.ones((3, 73)), "video": np.ones((3, 100)), "text": np.ones((3, 100))}
    split = np.array(["train", "valid", "test"])
    np.savez(
        folder / "mosi_utterance.npz", **arrays, label=np.zeros(3), video_id=video, ids=video, split=split
    )
    assert list(load("cmu_mosi", tmp_path).inputs) == ["audio", "video", "text"]
    with pytest.warns(UserWarning, match="left out"):
        assert load("cmu_mosi", tmp_path, layout="sdk").inputs["audio"].shape == (4, 3)


def test_other_columns_of_labels(tmp_path: Path) -> None:
    folder = mosi(tmp_path / "cmu_mosi")
    write_csd(folder / LABELS, "labels", {TRAIN: (np.zeros((1, 7)), np.array([[0.0, 1.0]]))})
    with pytest.raises(LMFError, match="7 columns of labels, must be 1: sentiment"):
        load("cmu_mosi", tmp_path)
