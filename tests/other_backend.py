"""Tests on another backend, in a process of its own: TensorFlow and PyTorch crash in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("pytorch_worker.py")
# As parameters of a test: conftest.py skips those that are not installed.
OTHER_BACKENDS = [pytest.param(name, marks=pytest.mark.backends(name)) for name in ("jax", "torch")]
LONG_ON_OTHERS = [pytest.param(*one.values, marks=[*one.marks, pytest.mark.long]) for one in OTHER_BACKENDS]


def environment(backend: str) -> dict[str, str]:
    # XLA's optimising takes longer than what it optimises.
    return os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }


def passes_exactly(file: str, backend: str, count: int) -> None:
    """The tests named "exact" of a file pass on a backend."""
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", "exact"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, file],
        env=environment(backend),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{count} passed" in result.stdout


def pytorch(task: str, folder: Path) -> dict[str, np.ndarray]:
    """What the function `task` of pytorch_worker.py finds; its files are in `folder`."""
    result = subprocess.run(
        [sys.executable, WORKER, task, folder],
        env=environment("torch"),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    with np.load(folder / f"{task}.npz") as arrays:
        return dict(arrays)
