"""The .npz layout, and files that are broken, wrong or hostile."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from bombs import Bomb
from tiny import EMOTION, columns

from keras_lmf.data import Dataset, load
from keras_lmf.errors import LMFError


def layout(**changes) -> dict[str, np.ndarray]:
    """The same samples as the keys of an .npz, written by hand; a change to None drops the key."""
    tiny = columns()
    arrays = {
        "input/audio": tiny["inputs"]["audio"],
        "input/video": tiny["inputs"]["video"],
        "mask/audio": tiny["masks"]["audio"],
        "label": tiny["labels"],
        "group": tiny["groups"],
        "id": tiny["ids"],
        "split": tiny["splits"],
        "target": np.array('{"name": "emotion", "classes": ["calm", "happy", "sad"]}'),
    }
    arrays.update({key.replace("__", "/"): value for key, value in changes.items()})
    return {key: value for key, value in arrays.items() if value is not None}


def test_save_writes_the_documented_keys(tmp_path):
    path = Dataset(**columns()).save(tmp_path / "tiny.npz")
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == sorted(layout())
        assert json.loads(file["target"].item())["classes"] == ["calm", "happy", "sad"]
        np.testing.assert_array_equal(file["input/audio"][1, 2:], 0)
        np.testing.assert_array_equal(file["label"], columns()["labels"])
    assert [found.name for found in tmp_path.iterdir()] == ["tiny.npz"]
    with pytest.raises(LMFError, match=r"saved as \.npz, received '\.pkl'"):
        Dataset(**columns()).save(tmp_path / "tiny.pkl")


def test_a_hand_written_file_loads(tmp_path):
    np.savez(tmp_path / "mine.npz", **layout())
    data, direct = load(tmp_path / "mine.npz"), Dataset(**columns())
    assert data.name == "mine"
    assert data.target == EMOTION
    assert data.fingerprint == direct.fingerprint
    for modality in ("audio", "video"):
        np.testing.assert_array_equal(data.inputs[modality], direct.inputs[modality])
    assert Dataset.load(data.save(tmp_path / "again.npz")).fingerprint == direct.fingerprint


def test_corpora_and_soft_labels_are_keys_where_there_are_any(tmp_path):
    soft = np.eye(3)[columns()["labels"]] * 0.75 + [0.25, 0, 0]
    direct = Dataset(**columns(corpora=["a", "b"] * 3, soft_labels=soft))
    np.savez(tmp_path / "mine.npz", **layout(corpus=np.array(["a", "b"] * 3), soft_label=soft))
    data = load(tmp_path / "mine.npz")
    assert data.corpora.tolist() == ["a", "b"] * 3
    np.testing.assert_array_equal(data.soft_labels, soft.astype(np.float32))
    assert data.fingerprint == direct.fingerprint
    with np.load(direct.save(tmp_path / "saved.npz"), allow_pickle=False) as file:
        assert set(file.files) == {*layout(), "corpus", "soft_label"}


FILE_MISTAKES = {
    "missing key": (
        {"label": None, "lable": np.zeros(6, int)},
        "key 'label' is missing. Did you mean it by 'lable'",
    ),
    "unknown key": (
        {"inputs__text": np.zeros((6, 2))},
        "Unknown key 'inputs/text'. Did you mean 'input/text'",
    ),
    "extra key": ({"speaker": np.zeros(6)}, "Unknown key 'speaker'"),
    "bad row": ({"label": np.array([0, 1, 9, 0, 1, 2])}, r"label, row 2 \(id 'clip2'\): received 9"),
    "target no json": ({"target": np.array("emotion")}, "target: Invalid JSON"),
    "target field": ({"target": np.array('{"name": "e", "clases": ["a", "b"]}')}, "target: .*clases"),
    "target two": ({"target": np.array(["a", "b"])}, r"target: dtype <U1, shape \(2,\); must be one string"),
    "pickled strings": ({"group": np.array(["a"] * 6, object)}, "'group' is an object array"),
}


@pytest.mark.parametrize("mistake", FILE_MISTAKES)
def test_file_mistakes_name_file_and_key(tmp_path, mistake):
    changes, message = FILE_MISTAKES[mistake]
    np.savez(tmp_path / "mine.npz", **layout(**changes))
    with pytest.raises(LMFError, match=rf"mine\.npz: .*{message}"):
        Dataset.load(tmp_path / "mine.npz")


def test_pickles_are_refused_and_never_run(tmp_path):
    fired = tmp_path / "fired"
    pickle.loads(pickle.dumps(Bomb(fired)))
    assert fired.exists(), "the bomb of this test must work"
    fired.unlink()
    bomb = np.empty(6, object)
    bomb[:] = [Bomb(fired)] * 6
    for key in ("input__video", "label", "id", "target", "extra"):
        np.savez(tmp_path / "attack.npz", **layout(**{key: bomb}))
        with pytest.raises(LMFError, match=r"attack\.npz: '.*' is an object array, that is a pickle"):
            Dataset.load(tmp_path / "attack.npz")
    (tmp_path / "attack.npz").write_bytes(pickle.dumps(Bomb(fired)))
    with pytest.raises(LMFError, match=r"attack\.npz: not an \.npz archive"):
        Dataset.load(tmp_path / "attack.npz")
    with zipfile.ZipFile(tmp_path / "attack.npz", "w") as archive:
        archive.writestr("label", pickle.dumps(Bomb(fired)))
    with pytest.raises(LMFError, match=r"attack\.npz: 'label' is not a numpy array"):
        Dataset.load(tmp_path / "attack.npz")
    assert not fired.exists()


def test_broken_files_are_clear_errors(tmp_path):
    path = Dataset(**columns()).save(tmp_path / "whole.npz")
    whole, broken = path.read_bytes(), tmp_path / "broken.npz"
    noise = np.random.default_rng(0).bytes(5000)
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    for content in (
        b"",
        noise,
        b"PK\x03\x04" + noise,
        whole[: len(whole) // 2],
        whole[:-1],
        plain.getvalue(),
    ):
        broken.write_bytes(content)
        with pytest.raises(LMFError, match=r"broken\.npz: "):
            Dataset.load(broken)
    with pytest.raises(LMFError, match=r"absent\.npz: no such file"):
        Dataset.load(tmp_path / "absent.npz")
    with pytest.raises(LMFError, match="a folder"):
        Dataset.load(tmp_path)
    broken.write_bytes(b"")
    with pytest.raises(LMFError, match=r"empty \(0 bytes\)") as caught:
        Dataset.load(broken)
    assert "truncated" not in str(caught.value)


def test_no_single_damaged_byte_is_anything_but_an_lmf_error_or_harmless(tmp_path):
    path = Dataset(**columns()).save(tmp_path / "whole.npz")
    whole, fingerprint, refused = path.read_bytes(), Dataset(**columns()).fingerprint, 0
    draw = np.random.default_rng(1)
    for place in draw.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(draw.integers(8))
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            assert Dataset.load(tmp_path / "damaged.npz").fingerprint == fingerprint
        except LMFError:
            refused += 1
    assert refused > 100
