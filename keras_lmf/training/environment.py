"""What a run ran on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import keras

PACKAGES = ("keras-lmf", "keras", "numpy", "tensorflow", "tensorflow-cpu", "jax", "torch")


def environment() -> dict[str, Any]:
    """Versions, backend, precision and kind of machine, as plain values."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "backend": keras.backend.backend(),
        "dtype_policy": keras.config.dtype_policy().name,
        "packages": {name: found for name in PACKAGES if (found := _installed(name))},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
