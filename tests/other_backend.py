"""The tests named "exact" of a file, in a process of another backend."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest


def passes_exactly(file: str, backend: str, count: int) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (the extra 'backends')")
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", "exact"]
    # XLA's optimising takes longer than what it optimises.
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    command = [sys.executable, "-m", "pytest", *options, file]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{count} passed" in result.stdout
