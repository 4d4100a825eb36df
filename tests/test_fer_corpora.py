"""FER2013 as it is downloaded, and FER+'s votes; the real arrays against another decoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from real_corpora import ROOT, needs_data

from keras_lmf.data import load
from keras_lmf.data.corpora.published.checking import compare
from keras_lmf.errors import LMFError

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
Row = tuple[int, np.ndarray, str]


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)


def write_table(path: Path, rows: Sequence[Row], header: str = "emotion,pixels,Usage") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{code},{' '.join(map(str, image.ravel()))},{usage}" for code, image, usage in rows]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def fer2013(folder: Path) -> np.ndarray:
    """One picture of each of the seven emotions, by their numbers; the last two are to validate and to test."""
    images = pictures(7)
    usages = ["Training"] * 5 + ["PublicTest", "PrivateTest"]
    write_table(folder / "fer2013.csv", list(zip(range(7), images, usages)))
    return images


def test_fer2013_csv(tmp_path: Path) -> None:
    images = fer2013(tmp_path / "fer2013")
    data = load("fer2013", tmp_path)
    np.testing.assert_array_equal(np.round(data.inputs["face"][..., 0] * 255), images)
    words = [data.target.classes[label] for label in data.labels]
    assert words == ["angry", "disgust", "fearful", "happy", "sad", "surprised", "neutral"]
    assert data.splits.tolist() == ["train"] * 5 + ["valid", "test"]
    assert data.ids[6] == "row_00006"
    assert load("fer2013", tmp_path / "fer2013", side=64).inputs["face"].shape == (7, 64, 64, 1)
    told = compare("fer2013", tmp_path, {})
    assert (told.layout, told.recordings, told.published) == ("csv", 7, 35887)
    assert told.classes["disgust"] == (1, 547)
    assert told.problems


def test_the_challenges_own_table_has_blanks_in_its_header(tmp_path: Path) -> None:
    folder, (image,) = tmp_path / "fer2013", pictures(1)
    folder.mkdir()
    text = f"emotion, Usage, pixels\n3,Training,{' '.join(map(str, image.ravel()))}\n"
    (folder / "icml_face_data.csv").write_text(text)
    data = load("fer2013", tmp_path)
    assert data.target.classes[data.labels[0]] == "happy"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("3,", "7,", r"fer2013\.csv, line 5: the emotion '7' is no number from 0 to 6"),
        ("PublicTest", "Public", r"line 7: Unknown Usage 'Public'. Did you mean 'PublicTest'"),
        ("emotion,", "feeling,", r"the column 'emotion' is missing"),
        ("\n1,", "\n1,9 ", r"line 3: 2305 pixels, must be 2304"),
        ("\n1,", "\n1,9999", r"line 3: pixels are whole numbers from 0 to 255"),
        ("\n1,", "\n1,x ", r"line 3: pixels are whole numbers from 0 to 255"),
        ("\n2,", "\n2,1,", r"line 4: 4 values, must be 3"),
    ],
)
def test_a_damaged_table_of_pixels(old: str, new: str, words: str, tmp_path: Path) -> None:
    fer2013(tmp_path / "fer2013")
    path = tmp_path / "fer2013" / "fer2013.csv"
    text = path.read_text()
    changed = text.replace(f"\n{old}", f"\n{new}", 1) if old == "3," else text.replace(old, new, 1)
    path.write_text(changed)
    with pytest.raises(LMFError, match=words):
        load("fer2013", tmp_path)


def folders(root: Path) -> dict[str, np.ndarray]:
    """Forty pictures to train, seven to test, PNG and JPEG."""
    images, places = pictures(47), {}
    names = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    for number, image in enumerate(images):
        part, name = ("train" if number < 40 else "test"), names[number % 7]
        path = root / part / name / f"im{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
        places[f"{part}_{name}_im{number}"] = image
    return places


def test_fer2013_in_folders(tmp_path: Path) -> None:
    places = folders(tmp_path / "fer2013")
    data = load("fer2013", tmp_path)
    assert set(data.ids) == set(places)
    for name, image, label, split in zip(data.ids, data.inputs["face"], data.labels, data.splits):
        np.testing.assert_array_equal(np.round(image[..., 0] * 255), places[name])
        part, word, _ = name.split("_")
        assert data.target.classes[label][:4] == word[:4]
        assert (split == "test") == (part == "test")
    assert 0 < (data.splits == "valid").sum() < 15


def test_other_files_in_the_folders(tmp_path: Path) -> None:
    folder = tmp_path / "fer2013"
    folders(folder)
    cv2.imwrite(str(folder / "train" / "angry" / "large.png"), np.zeros((48, 50), np.uint8))
    with pytest.raises(LMFError, match=r"large\.png: 50 × 48 pixels"):
        load("fer2013", tmp_path)
    (folder / "train" / "angry" / "large.png").write_bytes(b"no picture")
    with pytest.raises(LMFError, match=r"large\.png: no picture"):
        load("fer2013", tmp_path)
    (folder / "train" / "angry" / "large.png").write_bytes(bytes(2**17))
    with pytest.raises(LMFError, match=r"large\.png: larger than"):
        load("fer2013", tmp_path)
    (folder / "train" / "angry" / "large.png").unlink()
    (folder / "train" / "bored").mkdir()
    with pytest.raises(LMFError, match=r"Unknown emotion 'bored'"):
        load("fer2013", tmp_path)


def ferplus(folder: Path, repeat: int = 30) -> np.ndarray:
    """Four kinds of votes, `repeat` times in Training, once in the two others; one picture is in two parts."""
    votes = ["6,2,0,0,0,0,0,2,0,0", "0,0,0,0,5,5,0,0,0,0", "0,0,0,0,0,0,0,9,1,0", "0,0,0,1,0,0,0,0,0,9"]
    count = 4 * repeat
    images = pictures(count + 8)
    images[0] = images[count]
    usages = ["Training"] * count + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    write_table(folder / "fer2013.csv", [(0, image, usage) for image, usage in zip(images, usages)])
    lines = [f"{usage},fer{row:07d}.png,{votes[row % 4]}" for row, usage in enumerate(usages)]
    (folder / "fer2013new.csv").write_text(VOTES + "\n".join(lines) + "\n")
    return images


def test_votes_are_soft_labels(tmp_path: Path) -> None:
    images = ferplus(tmp_path / "ferplus")
    data = load("ferplus", tmp_path)
    test = data["test"]
    assert data.target.classes == ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    # Contempt alone is no vote for the seven; unknown and no face don't count.
    assert test.ids.tolist() == ["fer0000120", "fer0000121", "fer0000123"]
    np.testing.assert_allclose(
        test.soft_labels,
        [[0, 0, 0, 0.25, 0.75, 0, 0], [0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0]],
    )
    # Of equal votes the first in FER+'s order: anger before disgust.
    assert [data.target.classes[label] for label in test.labels] == ["neutral", "angry", "sad"]
    np.testing.assert_array_equal(np.round(test.inputs["face"][0, ..., 0] * 255), images[120])
    # Row 0 is a copy of row 120.
    assert "fer0000000" not in data.ids
    assert "fer0000004" in data.ids
    counts = {name: int((data.splits == name).sum()) for name in ("train", "valid", "test")}
    assert counts["train"] + counts["valid"] == 3 * 30 - 1
    assert 1 <= counts["valid"] <= 20


def test_options_of_ferplus(tmp_path: Path) -> None:
    ferplus(tmp_path / "fer2013")  # beside fer2013.csv, in its folder
    eight = load("ferplus", tmp_path, classes="eight", least=5)
    assert eight.target.size == 8
    test = eight["test"]
    assert [eight.target.classes[label] for label in test.labels] == ["neutral", "angry", "contempt"]
    np.testing.assert_allclose(test.soft_labels[0], [0, 0.2, 0, 0, 0.2, 0.6, 0, 0])
    challenge = load("ferplus", tmp_path, test="PrivateTest")
    assert challenge["test"].ids.tolist() == ["fer0000124", "fer0000125", "fer0000127"]
    assert challenge["valid"].ids.tolist() == ["fer0000120", "fer0000121", "fer0000123"]
    with pytest.raises(LMFError, match=r"Unknown ferplus classes 'nine'"):
        load("ferplus", tmp_path, classes="nine")
    with pytest.raises(LMFError, match="least must be a whole number 1 … 10"):
        load("ferplus", tmp_path, least=11)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nTraining", "\nPublicTest", r"fer2013new\.csv, line 2: 'PublicTest', but the same row"),
        ("6,2,0", "6,x,0", r"fer2013new\.csv, line 2: votes are whole numbers"),
        ("6,2,0", "6,2", r"fer2013new\.csv, line 2: 11 values, must be 12"),
        ("anger", "rage", r"the column 'anger' is missing"),
    ],
)
def test_damaged_votes(old: str, new: str, words: str, tmp_path: Path) -> None:
    ferplus(tmp_path / "ferplus", repeat=1)
    path = tmp_path / "ferplus" / "fer2013new.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(LMFError, match=words):
        load("ferplus", tmp_path)


def test_tables_of_other_lengths(tmp_path: Path) -> None:
    ferplus(tmp_path / "ferplus", repeat=1)
    path = tmp_path / "ferplus" / "fer2013new.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(LMFError, match=r"11 rows, but fer2013\.csv has 12"):
        load("ferplus", tmp_path)


@pytest.mark.slow
@needs_data
def test_ferplus_is_its_arrays() -> None:
    """Decoded by FFmpeg; votes and parts as its README counts them."""
    import av

    data = load("ferplus")
    folder = Path(ROOT) / "ferplus"
    arrays = np.load(folder / "ferplus.npz")
    seven = arrays["votes"][:, :7].sum(axis=1)
    assert len(data) == (seven > 0).sum() == 29706 - 4
    row_of = {f"fer{number:07d}": row for row, number in enumerate(arrays["number"])}
    rows = np.array([row_of[name] for name in data.ids])
    assert set(arrays["usage"][rows][data.splits == "test"]) == {"PublicTest"}
    assert set(arrays["usage"][rows][data.splits != "test"]) == {"Training"}
    order = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    votes = arrays["votes"][rows][:, [arrays["vote_names"].tolist().index(name) for name in order]]
    np.testing.assert_allclose(data.soft_labels, votes / votes.sum(axis=1, keepdims=True), rtol=1e-6)
    for number in (0, 87):
        with av.open(folder / "pictures" / f"{number:03d}.webp") as strip:
            (frame,) = strip.decode(video=0)
        grey = frame.to_ndarray(format="rgb24")[..., 0].reshape(-1, 48, 48)
        for name, image in zip(data.ids, data.inputs["face"]):
            if row_of[name] // 341 == number:
                np.testing.assert_array_equal(np.round(image[..., 0] * 255), grey[row_of[name] % 341])
