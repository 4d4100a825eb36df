"""Two trainings in one folder, a folder or disk that can't be written, and what a training that failed leaves."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from other_backend import environment
from resume_worker import recipe, sequences

from keras_lmf import files
from keras_lmf.errors import LMFError
from keras_lmf.files import locked, require_writable, write_atomically, write_text
from keras_lmf.models import build
from keras_lmf.training import Run, train
from keras_lmf.zoo import load

HOLD = """
import sys, time
from pathlib import Path
from keras_lmf.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and rights of POSIX")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(recipe(training={"epochs": 1}), sequences(), tmp_path_factory.mktemp("trained") / "run")


def holder(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.slow
def test_the_second_training_says_who_holds_the_folder(tmp_path: Path) -> None:
    process = holder(tmp_path / "run")
    try:
        for _ in range(2):  # the first refusal leaves the holder's name as it is
            with pytest.raises(LMFError, match=rf"run is in use by process {process.pid} on "):
                train(recipe(training={"epochs": 1}), sequences(), tmp_path / "run")
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    finally:
        process.kill()  # as a crash does
        process.wait()
    assert (tmp_path / "run" / ".lock").read_text().startswith("process ")
    assert train(recipe(training={"epochs": 1}), sequences(), tmp_path / "run").best_epoch == 1


def test_a_lock_is_held_within_a_process_too(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(LMFError, match=f"in use by process {os.getpid()}"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass


@posix
def test_a_finished_run_in_a_folder_that_cant_be_written_is_returned(
    run: Run, tmp_path: Path, monkeypatch
) -> None:
    copy = Path(shutil.copytree(run.folder, tmp_path / "run"))
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in copy.iterdir()}

    def denied(path: object, flags: int, *more: object, **options: object) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *more, **options)

    real = os.open
    monkeypatch.setattr(os, "open", denied)  # root may write wherever it likes
    copy.chmod(0o555)
    found = train(run.recipe, sequences(), copy)
    assert found.best_epoch == run.best_epoch
    with pytest.raises(LMFError, match=r"\.lock can't be written: Permission denied"):
        train(run.recipe.replace(seed=5), sequences(), tmp_path / "other")
    copy.chmod(0o755)
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in copy.iterdir()} == before


@pytest.mark.slow
def test_a_run_that_lacks_a_result_gets_it(run: Run, tmp_path: Path) -> None:
    """As after a kill between the last epoch and the results."""
    for name in ("model.weights.h5", "calibration.json", "history.csv", "recipe.toml"):
        copy = Path(shutil.copytree(run.folder, tmp_path / name))
        whole = (copy / name).read_bytes()
        (copy / name).unlink()
        train(run.recipe, sequences(), copy)
        if name.endswith(".h5"):
            for ours, theirs in zip(Run.open(copy).model.get_weights(), run.model.get_weights()):
                np.testing.assert_array_equal(ours, theirs)
        else:
            assert (copy / name).read_bytes() == whole


FULL = """
import resource, signal, sys
from pathlib import Path
import keras, matplotlib.pyplot
import numpy as np
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically
writers = {
    "a.npz": lambda path: np.savez(path, big=np.zeros(10**6)),
    "a.weights.h5": keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)]).save_weights,
    "a.png": lambda path: matplotlib.pyplot.figure().savefig(path, dpi=300),
    "a.txt": lambda path: path.write_bytes(bytes(10**6)),
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for name, write in writers.items():
    try:
        write_atomically(Path(sys.argv[1], name), write)
    except LMFError as error:
        print(error)
"""


@posix
@pytest.mark.long
def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path: Path) -> None:
    """A process that may write no file of more than 4 kB gets the errors that a full disk gives."""
    names = ["a.npz", "a.weights.h5", "a.png", "a.txt"]
    for name in names:
        (tmp_path / name).write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, env=environment("tensorflow")
    )
    told = done.stdout.splitlines()
    assert [line.startswith(f"{tmp_path / name} can't be written: ") for line, name in zip(told, names)] == [
        True
    ] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}


def test_a_place_that_cant_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    for path in (tmp_path / "file" / "a.csv", tmp_path, Path("/proc/a.csv")):
        with pytest.raises(LMFError, match=f"{path} can't be written: "):
            require_writable(path)
    require_writable(tmp_path / "new" / "a.csv")
    assert list((tmp_path / "new").iterdir()) == []
    with pytest.raises(LMFError, match=r"a\.txt can't be written: "):
        write_text(tmp_path / "file" / "a.txt", "text")
    with pytest.raises(KeyError):  # what is no matter of the disk stays what it is
        write_atomically(tmp_path / "b", lambda temporary: {}["key"])
    assert not list(tmp_path.glob(f"{files.PARTIAL}*"))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_own_weights_that_are_no_numbers_are_refused(run: Run, tmp_path: Path, number: float) -> None:
    copy = Path(shutil.copytree(run.folder, tmp_path / "run"))
    with h5py.File(copy / "model.weights.h5", "r+") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: (
                names.append(name) if isinstance(item, h5py.Dataset) and item.size > 3 else None
            )
        )
        file[names[-1]][...] = number
    for use in (lambda: Run.open(copy).model, lambda: load(copy), lambda: load(copy / "model.weights.h5")):
        with pytest.raises(LMFError, match=r"model\.weights\.h5: .* holds NaN or infinity"):
            use()


def test_weights_that_are_declared_and_not_there_are_refused(tmp_path: Path) -> None:
    """A long file of few weights does not let a recipe build many."""
    small = recipe()
    build(small).save_weights(tmp_path / "model.weights.h5")
    with open(tmp_path / "model.weights.h5", "r+b") as stream:
        stream.truncate(2**42)
    wide = {"name": "mlp", "units": [30_000]}
    small.replace(inputs={"video": {"shape": [30_000], "backbone": wide}}).write(tmp_path / "recipe.toml")
    with pytest.raises(LMFError, match=r"holds \d+ numbers, the recipe of 'tiny-lmf' asks for 9\d{8}"):
        load(tmp_path)
    with h5py.File(tmp_path / "empty.weights.h5", "w") as file:
        file.create_dataset(
            "layers/dense/vars/0", (5, 4), "f4"
        )  # no number is written: 0 bytes are in the file
    small.write(tmp_path / "recipe.toml")
    with pytest.raises(LMFError, match=r"vars/0' is not stored in one piece"):
        load(tmp_path, weights=tmp_path / "empty.weights.h5")
