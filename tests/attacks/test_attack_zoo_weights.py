"""Hostile .weights.h5 files: no other file is read, nothing is unpickled, no memory is taken, all are refused."""

from __future__ import annotations

import pickle
import resource
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from bombs import Bomb
from zoo_entry import Mirror, recipe

from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.zoo import Entry, file_records, load

TARGET = "layers/dense/vars"  # of the output layer: kernel "0" (4, 2), bias "1" (2,)


@pytest.fixture
def weights(entry_folder: Path, home: Path) -> Path:
    path = entry_folder / "model.weights.h5"
    with h5py.File(path) as file:
        groups: list[str] = []
        file.visit(groups.append)
    assert TARGET in groups, groups
    return path


def external_link(file: h5py.File, secret: Path) -> None:
    del file[TARGET]
    file[TARGET] = h5py.ExternalLink(str(secret), "vars")


def external_link_to_array(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[f"{TARGET}/0"] = h5py.ExternalLink(str(secret), "vars/0")


def soft_link(file: h5py.File, secret: Path) -> None:
    file["elsewhere"] = file[f"{TARGET}/0"][()]
    del file[f"{TARGET}/0"]
    file[f"{TARGET}/0"] = h5py.SoftLink("/elsewhere")


def external_storage(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[TARGET].create_dataset("0", (4, 2), "float32", external=[(str(secret), 0, 32)])


def virtual(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    layout = h5py.VirtualLayout((4, 2), "float32")
    layout[:] = h5py.VirtualSource(str(secret), "vars/0", shape=(4, 2))
    file[TARGET].create_virtual_dataset("0", layout)


def shape_bomb(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]  # below Keras's own limit of 4 GiB
    file[TARGET].create_dataset("0", (900_000_000,), "float32", chunks=(1_000_000,), compression="gzip")


def wide_numbers(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]  # one number of a gigabyte
    file[TARGET].create_dataset("0", (1,), "V1000000000")


def large_chunk(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]  # what is asked for is small, what is read is not
    file[TARGET].create_dataset(
        "0", (4, 2), "float32", maxshape=(None, None), chunks=(8_000, 8_000), compression="gzip"
    )
    file[f"{TARGET}/0"][0, 0] = 1


def compressed(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    dataset = file[TARGET].create_dataset("0", (4, 2), "float32", chunks=(4, 2), compression="gzip")
    # A chunk of 32 bytes that unpacks to 64 MiB.
    dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**26), 9))


def other_shape(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[f"{TARGET}/0"] = np.zeros((2, 4), "float32")


def no_array(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]


def group_for_array(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file.create_group(f"{TARGET}/0")


def strings(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[TARGET].create_dataset("0", (4, 2), h5py.string_dtype())


def references(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[TARGET].create_dataset("0", (4, 2), h5py.ref_dtype)


def compound(file: h5py.File, secret: Path) -> None:
    del file[f"{TARGET}/0"]
    file[TARGET].create_dataset("0", (4, 2), np.dtype([("a", "f4"), ("b", "f4")]))


ATTACKS = [
    external_link,
    external_link_to_array,
    soft_link,
    external_storage,
    virtual,
    shape_bomb,
    wide_numbers,
    large_chunk,
    compressed,
    other_shape,
    no_array,
    group_for_array,
    strings,
    references,
    compound,
]


def secret_file(folder: Path) -> Path:
    """What a link could lead to: another model's weights, of the right shape."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["vars/0"], file["vars/1"] = np.full((4, 2), 42, "float32"), np.full(2, 42, "float32")
    return path


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_refused_as_ones_own_weights_and_as_an_entrys(
    weights: Path, tmp_path: Path, attack: Callable[[h5py.File, Path], None]
) -> None:
    with h5py.File(weights, "r+") as file:
        attack(file, secret_file(tmp_path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LMFError, match=r"model\.weights\.h5"):
        load(weights.parent, weights=weights)
    # The hash says who wrote a file, not that it is harmless.
    entry = Entry.read(weights.parent)
    records = file_records(weights.parent, {key: file.name for key, file in entry.files.items()})
    entry.model_copy(update={"files": records}).write(weights.parent)
    with pytest.raises(LMFError, match=r"model\.weights\.h5"):
        load(weights.parent)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_pickles_in_attributes_and_strangers_in_the_file_are_not_read(weights: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    pickled = np.void(pickle.dumps(Bomb(mark)))
    expected = load(weights.parent).get_weights()
    with h5py.File(weights, "r+") as file:
        for place in ("/", TARGET, f"{TARGET}/0"):
            for name in ("metadata", "layer_names", "weight_names", "keras_version", "backend"):
                file[place].attrs[name] = pickled
        file.create_group("custom_objects").attrs["module"] = "os"
    for loaded, weight in zip(load(weights.parent, weights=weights).get_weights(), expected):
        np.testing.assert_array_equal(loaded, weight)
    with h5py.File(weights, "r+") as file:
        file[f"{TARGET}/0"].attrs["dtype"] = pickled  # the one attribute that Keras looks at
    with pytest.raises(LMFError, match="does not hold the weights"):
        load(weights.parent, weights=weights)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x89HDF\r\n\x1a\n", pickle.dumps({}), b"PK\x03\x04" + bytes(100)]
)
def test_what_is_no_hdf5(weights: Path, content: bytes) -> None:
    weights.write_bytes(content)
    with pytest.raises(LMFError, match=r"no readable HDF5 file|is empty"):
        load(weights.parent, weights=weights)


def test_cut_off_or_with_bytes_changed_it_is_an_error_or_loads(weights: Path, tmp_path: Path) -> None:
    """Without a recorded hash a changed number can't be noticed; but nothing ever ends in another error."""
    content = weights.read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.weights.h5"
    refused = 0
    for trial in range(12):
        damaged = bytearray(content[: len(content) // (trial + 1)] if trial % 2 else content)
        for at in generator.integers(len(damaged), size=50):
            damaged[at] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            load(weights.parent, weights=path)
        except LMFError:
            refused += 1
    assert refused >= 6


def test_an_entry_on_a_mirror_with_the_wrong_weights_never_reaches_the_reader(
    mirror: Mirror, home: Path, entry_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(recipe(seed=5)).save_weights(entry_folder / "model.weights.h5")
    opened: list[object] = []
    real = h5py.File
    monkeypatch.setattr(
        h5py, "File", lambda *arguments, **options: opened.append(arguments) or real(*arguments)
    )
    with pytest.raises(LMFError, match=r"is not the file that entry\.json describes"):
        load(entry_folder.name)
    assert opened == []
    assert list(home.rglob("*.h5")) == []
