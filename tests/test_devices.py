"""Several devices: what they compute together is what one computes; a lost process ends the others, and all resume."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from devices_worker import EPOCHS
from other_backend import environment
from resume_worker import sequences
from run_weights import weights

from keras_lmf.cli import main
from keras_lmf.data import Batches
from keras_lmf.errors import LMFError
from keras_lmf.training import Devices

WORKER = Path(__file__).with_name("devices_worker.py")
TWO_DEVICES = "--xla_force_host_platform_device_count=2"


def assert_same(ours: Path, theirs: Path) -> None:
    one, other = weights(ours), weights(theirs)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=0, atol=1e-6, err_msg=name)
    tables = [pd.read_csv(folder / "history.csv") for folder in (ours, theirs)]
    np.testing.assert_allclose(*tables, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    settings = environment("jax")
    settings["XLA_FLAGS"] += f" {TWO_DEVICES}"
    done = subprocess.run([sys.executable, WORKER, folder], env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
@pytest.mark.backends("jax")
def test_two_devices_of_one_process_give_the_weights_of_one(place: Path) -> None:
    assert_same(place / "two", place / "one")


def start(place: Path, process: int, port: int) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "keras_lmf",
        "train",
        "words.toml",
        "--data",
        "mine.npz",
        "--folder",
        "both",
    ]
    command += ["--processes", "2", "--process", str(process), "--address", f"127.0.0.1:{port}"]
    settings = environment("jax") | {"PYTHONPATH": str(WORKER.parent.parent)}
    return subprocess.Popen(
        command, cwd=place, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def epochs(folder: Path) -> int:
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


@pytest.mark.long
@pytest.mark.backends("jax")
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_lost_process_ends_the_others_and_all_resume(place: Path) -> None:
    port = free_port()
    both = [start(place, process, port) for process in (0, 1)]
    while epochs(place / "both") < 3:
        assert both[1].poll() is None, both[1].communicate()
        time.sleep(0.01)
    # The one that writes, and that JAX's own service runs in.
    os.kill(int((place / "both" / ".lock").read_text().split()[1]), signal.SIGKILL)
    for process in both:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1, errors
        assert "start all processes again" in errors
    assert 3 <= epochs(place / "both") < EPOCHS
    port = free_port()
    both = [start(place, process, port) for process in (0, 1)]
    for process in both:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    assert_same(place / "both", place / "one")


class Two(Devices):
    """The second of two processes with two devices each, without JAX."""

    def __init__(self) -> None:
        self.processes, self.process, self.count, self.lead = 2, 1, 4, False


@pytest.mark.parametrize("size", [8, 7, 4, 1])
def test_the_parts_of_a_batch_are_the_batch_filled_up(size: int) -> None:
    split = sequences()["train"]  # 30 rows
    second = Two()
    first = Two()
    first.process = 0
    whole = Batches(split, size, seed=3)
    parts = [
        Batches(split, size, seed=3, part=lambda rows, one=one: one.part(rows, size))
        for one in (first, second)
    ]
    model = keras.Sequential()
    first.prepare(model, (30, size), (0, size))
    for index in range(len(whole)):
        expected = whole[index][1]["emotion"]
        halves = [part[index][1]["emotion"] for part in parts]
        assert len(halves[0]) == len(halves[1])
        together = np.concatenate(halves)
        assert len(together) % 4 == 0
        true = model.true_rows["train"][len(together)]
        np.testing.assert_array_equal(together[:true], expected)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="of the other backends")
def test_other_backends_are_refused() -> None:
    with pytest.raises(LMFError, match="KERAS_BACKEND=jax"):
        Devices.of_this_process()
    with pytest.raises(LMFError, match="KERAS_BACKEND=jax"):
        Devices.of_processes("127.0.0.1:1", processes=2, process=0)


def test_the_options_of_several_processes_go_together() -> None:
    result = CliRunner().invoke(main, ["train", "x.toml", "--processes", "2"])
    assert result.exit_code == 2
    assert "--address" in result.output
