""".csd files that lie: links, storage elsewhere, sizes without content, damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from csd_files import AUDIO, TEST, TRAIN, mosi, steps, write_csd

from keras_lmf.data import load
from keras_lmf.errors import LMFError


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
