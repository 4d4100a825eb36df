"""Kill a run, resume it in another process: the numbers must be those of a run that was left alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from other_backend import LONG_ON_OTHERS, environment
from run_weights import weights

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("resume_worker.py")
BACKENDS = ["tensorflow", *LONG_ON_OTHERS]


def start(backend: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, arguments)],
        env=environment(backend),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, expected: int = 0) -> str:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == expected, errors
    return output


def wait_for(process: subprocess.Popen, line: str) -> None:
    for received in process.stdout:
        if received.strip() == line:
            return
    raise AssertionError(process.stderr.read())


def optimizer(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "state.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name.startswith("optimizer/")}


def assert_identical(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype, name
        assert value.tobytes() == theirs[name].tobytes(), name


def partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(".partial-*"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_resumes_to_identical_weights(backend: str, tmp_path: Path) -> None:
    chance = random.Random(f"kills on {backend}")
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    process = start(backend, killed)  # somewhere in the imports, or in the first steps
    time.sleep(chance.uniform(1.0, 5.0))
    process.kill()
    finish(process, -signal.SIGKILL)

    process = start(backend, killed)  # somewhere in an epoch, or between two
    wait_for(process, f"epoch {chance.randint(1, 4)}")
    time.sleep(chance.uniform(0.0, 0.2))
    process.kill()
    finish(process, -signal.SIGKILL)

    # In the middle of a save: the recipe is a process's first write, then state and history take turns.
    finish(start(backend, killed, "--die-at-write", chance.randint(2, 5)), -signal.SIGKILL)
    assert partial_files(killed), "the kill did not come in the middle of a save"

    # Then the one that is left alone, in the same process: starting it takes longest.
    epochs = finish(start(backend, killed, alone)).split("\n")
    assert len([line for line in epochs if line.startswith("epoch")]) < 10 + 10, "nothing was resumed"
    assert_identical(weights(killed), weights(alone))
    assert_identical(optimizer(killed), optimizer(alone))
    assert (killed / "history.csv").read_bytes() == (alone / "history.csv").read_bytes()
    assert len((alone / "history.csv").read_text().splitlines()) == 1 + 10
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in alone.iterdir())
    assert not partial_files(killed)


@pytest.mark.long
def test_ctrl_c_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("tensorflow", folder)
    wait_for(process, "epoch 2")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode in (1, 130, -signal.SIGINT)
    assert "KeyboardInterrupt" in errors
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "environment.json", "history.csv", "recipe.toml", "state.npz",
    ]  # fmt: skip
    done = len((folder / "history.csv").read_text().splitlines()) - 1
    assert 2 <= done < 10
    process = start("tensorflow", folder)
    lines = finish(process).split("\n")
    assert lines[0] == f"epoch {done + 1}"
    assert lines[9 - done] == "epoch 10"


@pytest.mark.long
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_overflows_stops_the_run_and_keeps_the_best_weights(backend: str, tmp_path: Path) -> None:
    output = finish(start(backend, tmp_path / "run", "--diverge"))
    assert "epoch 2\n" in output
    assert "epoch 3\n" not in output
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(history) == 1 + 2
    assert "at epoch 3, step " in output
    assert "The weights of epoch 2 are kept" in output
    assert str(tmp_path / "run" / "model.weights.h5") in output
    kept = weights(tmp_path / "run")
    assert all(np.isfinite(value).all() for value in kept.values())
    # The worker opened the folder, loaded the weights and computed the validation loss again.
    row = dict(zip(history[0].split(","), history[2].split(",")))
    assert float(output.rsplit("reopened: ", 1)[1]) == pytest.approx(float(row["val_loss"]), rel=1e-5)
