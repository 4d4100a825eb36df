"""Corpora as features: MMSA's .pkl by the corpus's name, and CMU-MultimodalSDK's .csd, hostile ones too."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_lmf.data import load
from keras_lmf.data.corpora import published
from keras_lmf.data.corpora.published.checking import compare
from keras_lmf.errors import LMFError

# Of the SDK's standard folds of CMU-MOSI, one video of each.
TRAIN, VALID, TEST = "2iD-tVS8NPw", "WKA5OygbEKI", "tmZoasNr4rU"
LABELS, AUDIO = "CMU_MOSI_Opinion_Labels.csd", "CMU_MOSI_COVAREP.csd"
Entries = Mapping[str, tuple[np.ndarray, np.ndarray]]


def write_csd(path: Path, root: str, entries: Entries, **options: object) -> Path:
    """As the SDK writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group(root)
        data = group.create_group("data")
        for name, (features, intervals) in entries.items():
            entry = data.create_group(name)
            entry.create_dataset("features", data=features, **options)
            entry.create_dataset("intervals", data=intervals, **options)
        metadata = group.create_group("metadata")
        words = metadata.create_dataset("root name", (1,), dtype=h5py.special_dtype(vlen=str))
        words[0] = f'"{root}"'
    return path


def steps(width: int, values: list[float], each: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps of so many seconds from 0 on; of each its value in the first column, ten times that in the others."""
    rows = np.array(values)[:, None] * np.array([1.0] + [10.0] * (width - 1))
    starts = np.arange(len(values)) * each
    return rows, np.stack([starts, starts + each], axis=1)


def mosi(folder: Path) -> Path:
    segments = np.array([[0.0, 1.0], [1.0, 2.0]])
    write_csd(
        folder / LABELS,
        "Opinion Segment Labels",
        {
            TRAIN: (np.array([[2.4], [-1.0]]), segments),
            VALID: (np.array([[0.5]]), segments[:1]),
            TEST: (np.array([[-3.0], [3.2]]), segments),  # the last is out of its range
            "nobody": (np.array([[1.0]]), segments[:1]),  # in no fold
        },
    )
    write_csd(
        folder / AUDIO,
        "COVAREP",
        {
            TRAIN: steps(3, [1, 2, 3, 4, 5, -np.inf, 7, 8], 0.25),
            VALID: steps(3, [4, 4, 4, 4], 0.25),
            TEST: steps(3, [6] * 8, 0.25),
        },
        compression="gzip",
        shuffle=True,
    )
    return folder


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


# Each damages the file of features of an otherwise whole download.
def _external_link(file: h5py.File, folder: Path) -> None:
    write_csd(folder / "other.csd", "x", {"y": steps(3, [1] * 8, 0.25)})
    del file[f"COVAREP/data/{TRAIN}"]
    file[f"COVAREP/data/{TRAIN}"] = h5py.ExternalLink(str(folder / "other.csd"), "/x/data/y")


def _soft_link(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}/features"] = h5py.SoftLink(f"/COVAREP/data/{TEST}/features")


def _external_storage(file: h5py.File, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(bytes(8 * 24))
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_dataset(
        "features", (8, 3), "f8", external=[(str(folder / "secret.bin"), 0, 8 * 24)]
    )


def _virtual(file: h5py.File, folder: Path) -> None:
    write_csd(folder / "other.csd", "x", {"y": steps(3, [1] * 8, 0.25)})
    layout = h5py.VirtualLayout((8, 3), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.csd"), "/x/data/y/features", (8, 3))
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_virtual_dataset("features", layout)


def _huge(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_dataset("features", (2**40, 3), "f8", chunks=(1024, 3))


def _huge_chunk(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_dataset(
        "features", (8, 3), "f8", chunks=(2**27, 3), maxshape=(None, 3)
    )


def _objects(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_dataset("features", data=[["a"]] * 8, dtype=h5py.string_dtype())


def _filter(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}"].create_dataset("features", data=np.ones((8, 3)), compression="lzf")


def _one_axis(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}/features"] = np.ones(8)


def _too_few(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file[f"COVAREP/data/{TRAIN}/features"] = np.ones((7, 3))


def _another_width(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TEST}/features"]
    file[f"COVAREP/data/{TEST}/features"] = np.ones((8, 4))


def _no_data(file: h5py.File, folder: Path) -> None:
    del file["COVAREP/data"]


def _two_roots(file: h5py.File, folder: Path) -> None:
    file.create_group("another")


def _group_for_features(file: h5py.File, folder: Path) -> None:
    del file[f"COVAREP/data/{TRAIN}/features"]
    file.create_group(f"COVAREP/data/{TRAIN}/features")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_external_link, "is a link: refused"),
        (_soft_link, "is a link: refused"),
        (_external_storage, "lies in other files"),
        (_virtual, "lies in other files"),
        (_huge, "more numbers than the file can hold"),
        (_huge_chunk, "more numbers than the file can hold"),
        (_objects, "holds object, must be numbers"),
        (_filter, "packed as the SDK packs nothing"),
        (_one_axis, r"must be \(T, d\)"),
        (_too_few, r"features \(7, 3\) with intervals \(8, 2\)"),
        (_another_width, "has 4 features, the first entry 3"),
        (_no_data, "holds no 'data'"),
        (_two_roots, "2 groups, must be one"),
        (_group_for_features, "holds a group, must be numbers"),
    ],
)
def test_hostile_csd(damage: Callable[[h5py.File, Path], None], words: str, tmp_path: Path) -> None:
    folder = mosi(tmp_path / "cmu_mosi")
    with h5py.File(folder / AUDIO, "r+") as file:
        damage(file, tmp_path)
    with pytest.raises(LMFError, match=words) as told:
        load("cmu_mosi", tmp_path)
    assert str(folder / AUDIO) in str(told.value)


def test_damaged_csd(tmp_path: Path) -> None:
    folder = mosi(tmp_path / "cmu_mosi")
    whole = (folder / AUDIO).read_bytes()
    for content in (b"", b"no HDF5", whole[: len(whole) // 2]):
        (folder / AUDIO).write_bytes(content)
        with pytest.raises(LMFError, match=AUDIO):
            load("cmu_mosi", tmp_path)


def test_other_columns_of_labels(tmp_path: Path) -> None:
    folder = mosi(tmp_path / "cmu_mosi")
    write_csd(folder / LABELS, "labels", {TRAIN: (np.zeros((1, 7)), np.array([[0.0, 1.0]]))})
    with pytest.raises(LMFError, match="7 columns of labels, must be 1: sentiment"):
        load("cmu_mosi", tmp_path)
