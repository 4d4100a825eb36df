"""eNTERFACE's landmarks against its files and its table, and tables as OpenFace writes them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from real_corpora import ROOT, needs_data

from keras_lmf.data import load
from keras_lmf.data.corpora import enterface05_landmarks
from keras_lmf.data.openface import ACTION_UNITS, read_openface
from keras_lmf.errors import LMFError

NAME = "enterface05_landmarks"
WORDS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}


@needs_data
def test_enterface_is_its_table_and_its_files():
    data = load(NAME)
    folder = Path(ROOT) / NAME
    with (folder / "labels.csv").open(encoding="utf-8") as stream:
        table = {Path(row["file"]).stem: row for row in csv.DictReader(stream)}
    assert sorted(table) == data.ids.tolist()
    assert data.inputs["landmarks"].shape == (146, 156, 68, 2)
    for row, name in enumerate(data.ids):
        told = table[name]
        assert data.target.classes[data.labels[row]] == WORDS[told["emotion"]]
        assert data.groups[row] == told["subject"].replace("subject", "subject_")
        assert data.masks["landmarks"][row].sum() == int(told["n_frames"])
    for name in ("s1_an_1", "s5_su_5"):
        clip = np.load(folder / "landmarks" / f"{name}.npy")
        found = data.inputs["landmarks"][data.ids.tolist().index(name)]
        np.testing.assert_array_equal(found[: len(clip)], clip)
        assert not found[len(clip) :].any()
    assert list(data.inputs) == list(enterface05_landmarks.DESCRIPTION.inputs)


@needs_data
def test_enterface_leaves_one_subject_out():
    tested = []
    for fold in range(5):
        data = load(NAME, fold=fold)
        train, valid, test = (set(data[name].groups) for name in ("train", "valid", "test"))
        assert (len(train), len(valid), len(test), len(train | valid | test)) == (3, 1, 1, 5)
        tested += test
    assert tested == [f"subject_{number}" for number in range(1, 6)]


def test_enterface_with_a_wrong_file(tmp_path, monkeypatch):
    monkeypatch.setattr(enterface05_landmarks, "CLIPS", 3)
    folder = tmp_path / NAME / "landmarks"
    folder.mkdir(parents=True)
    for subject in (1, 2, 3):
        np.save(folder / f"s{subject}_ha_1.npy", np.full((4, 68, 2), subject, "int16"))
    assert load(NAME, tmp_path).inputs["landmarks"].sum(axis=(1, 2, 3)).tolist() == [544, 1088, 1632]
    np.save(folder / "s1_ha_1.npy", np.zeros((4, 68, 3)))
    with pytest.raises(
        LMFError, match=r"s1_ha_1\.npy: float64 of shape \(4, 68, 3\), must be numbers of shape"
    ):
        load(NAME, tmp_path)
    np.save(folder / "s1_ha_1.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(LMFError, match=r"s1_ha_1\.npy: no \.npy file of numbers, or a damaged one"):
        load(NAME, tmp_path)
    (folder / "s1_ha_1.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(LMFError, match=r"s1_ha_1\.npy: no \.npy file of numbers, or a damaged one"):
        load(NAME, tmp_path)
    (folder / "s1_ha_1.npy").unlink()
    with pytest.raises(LMFError, match=r"2 files \(\.npy\), enterface05_landmarks has 3"):
        load(NAME, tmp_path)
    (folder / "s9_ha_1.npy").write_bytes(b"")
    with pytest.raises(LMFError, match=r"s9_ha_1\.npy: no file of enterface05_landmarks has this name"):
        load(NAME, tmp_path)


# -- OpenFace ----------------------------------------------------------------------------------------------------

# As FeatureExtraction 2.2.0 heads them, gaze and pose left out but for one of each.
UNITS = ["01", "02", "04", "05", "06", "07", "09", "10", "12", "14", "15", "17", "20", "23", "25", "26", "45"]
HEADER = [
    *["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx"],
    *(f"x_{point}" for point in range(68)),
    *(f"y_{point}" for point in range(68)),
    *(f"AU{unit}_r" for unit in UNITS),
    *(f"AU{unit}_c" for unit in [*UNITS[:-1], "28", "45"]),
]


def rows(frames: int = 4) -> list[dict[str, str]]:
    """Point p of frame t is at (100 t + p, 1000 + 100 t + p); unit number k of ACTION_UNITS is k / 100."""
    table = []
    for t in range(frames):
        row = dict.fromkeys(HEADER, "7.0")
        row |= {"frame": f"{t + 1}", "face_id": "0", "timestamp": f"{t * 0.04:.3f}"}
        row |= {"confidence": "0.98", "success": "1"}
        row |= {f"x_{p}": f"{100 * t + p:.1f}" for p in range(68)}
        row |= {f"y_{p}": f"{1000 + 100 * t + p:.1f}" for p in range(68)}
        row |= {name: f"{k / 100}" for k, name in enumerate(HEADER[-35:])}
        table.append(row)
    return table


def written(path: Path, table: list[dict[str, str]], header: list[str] = HEADER, comma: str = ", ") -> Path:
    lines = [comma.join(header), *(comma.join(row[name] for name in header) for row in table)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("comma", [", ", ","])
@pytest.mark.parametrize("header", [HEADER, HEADER[::-1]])
def test_openface_table(tmp_path, comma, header):
    table = rows()
    table[1] |= {"success": "0", "x_5": "nan", "AU01_r": "-nan(ind)"}
    table[2]["confidence"] = "0.6"
    found = read_openface(written(tmp_path / "clip.csv", table, header, comma))
    assert found.success.tolist() == [True, False, False, True]
    np.testing.assert_allclose(found.timestamps, [0, 0.04, 0.08, 0.12])
    assert found.landmarks.shape == (4, 68, 2)
    for t in (0, 3):
        np.testing.assert_array_equal(found.landmarks[t, :, 0], 100 * t + np.arange(68))
        np.testing.assert_array_equal(found.landmarks[t, :, 1], 1000 + 100 * t + np.arange(68))
        np.testing.assert_allclose(found.action_units[t], np.arange(35) / 100, rtol=1e-6)
    assert not found.landmarks[1:3].any()
    assert not found.action_units[1:3].any()
    assert list(ACTION_UNITS) == HEADER[-35:]
    eager = read_openface(tmp_path / "clip.csv", least_confidence=0.5)
    assert eager.success.tolist() == [True, False, True, True]


def test_openface_errors(tmp_path):
    path = tmp_path / "clip.csv"
    with pytest.raises(LMFError, match=r"clip\.csv: no such file"):
        read_openface(path)
    written(path, rows(), [name for name in HEADER if name != "y_67"])
    with pytest.raises(LMFError, match=r"clip\.csv: the column 'y_67' is missing.*-2Dfp -aus"):
        read_openface(path)
    written(path, [])
    with pytest.raises(LMFError, match=r"clip\.csv: no frames, only a header"):
        read_openface(path)
    for junk in (b"", b"\x89PNG\r\n\x1a\n\x00\xff\xfe", b"<html>no table</html>\n"):
        path.write_bytes(junk)
        with pytest.raises(
            LMFError, match=r"clip\.csv: (not a table of|the column 'frame' is missing|the file is empty)"
        ):
            read_openface(path)
    for column, junk in (("x_5", "nan"), ("y_0", "1e39"), ("AU04_r", "much"), ("success", "")):
        table = rows()
        table[2][column] = junk
        with pytest.raises(
            LMFError, match=rf"clip\.csv, line 4: {column} must be a finite number, received '{junk}'"
        ):
            read_openface(written(path, table))
    path.write_text(written(path, rows()).read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(LMFError, match=r"clip\.csv, line 5: \d+ values, must be 178"):
        read_openface(path)
    table = [row for pair in zip(rows(), rows()) for row in pair]
    with pytest.raises(LMFError, match=r"frame 1 follows frame 1\. .* one face_id"):
        read_openface(written(path, table))
    with pytest.raises(LMFError, match="least_confidence must be 0 to 1, received 2"):
        read_openface(path, least_confidence=2)
