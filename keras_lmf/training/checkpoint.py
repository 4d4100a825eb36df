"""The state of a run in one file, so that a killed run resumes to bit-identical weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically


@dataclass
class Progress:
    """Where a run stands after its last whole epoch.

    Attributes:
        fingerprint: of recipe, data and backend; a state resumes only the run that wrote it.
        epoch: epochs done.
        best_epoch: number of the epoch (from 1) with the best value on "valid"; 0 before the first.
        best_value: that value, smaller is better.
        history: one row per epoch: every logged value by name.
        finished: the epochs are used up or early stopping ended the run.
    """

    fingerprint: str
    epoch: int = 0
    best_epoch: int = 0
    best_value: float = float("inf")
    history: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False


class State:
    """Every number that training changes, and the weights of the best epoch.

    `model.variables` includes the states of the seed generators (dropout, noise), which `model.weights` and so
    Keras's own backups leave out.
    """

    def __init__(self, model: keras.Model, progress: Progress) -> None:
        self.model = model
        self.progress = progress
        self.best_weights = self.weights()

    def weights(self) -> list[np.ndarray]:
        """The model's weights now, as copies."""
        return [np.array(weight) for weight in self.model.get_weights()]

    def _variables(self) -> dict[str, list[Any]]:
        return {"model": self.model.variables, "optimizer": self.model.optimizer.variables}

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            f"{group}/{i}": keras.ops.convert_to_numpy(variable.value)
            for group, variables in self._variables().items()
            for i, variable in enumerate(variables)
        }
        return arrays | {f"best/{i}": weight for i, weight in enumerate(self.best_weights)}

    def save(self, path: Path) -> None:
        """Writes the state atomically."""
        arrays = {"progress": np.array(json.dumps(asdict(self.progress))), **self._arrays()}
        write_atomically(path, lambda temporary: _save_npz(temporary, arrays))

    def load(self, path: Path) -> None:
        """Restores a state that `save` wrote; the optimizer must be built.

        Raises:
            LMFError: the file is damaged or belongs to another run.
        """
        arrays, progress = _read(path)
        if progress.fingerprint != self.progress.fingerprint:
            raise LMFError(
                f"{path.parent} holds a run of another recipe, other data or another backend. Name another folder, "
                "or delete this one."
            )
        for name, array in self._arrays().items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise _damaged(path, f"{name!r} is missing or has another shape.")
        for group, variables in self._variables().items():
            for i, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{i}"])
        self.best_weights = [arrays[f"best/{i}"] for i in range(len(self.best_weights))]
        self.progress = progress


def read_progress(path: Path) -> Progress:
    """How far the run is whose state `path` holds; an LMFError where the file is damaged."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, np.ndarray], Progress]:
    try:
        arrays = read_npz(path)
        return arrays, Progress(**json.loads(str(arrays["progress"])))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{error}") from None


def _damaged(path: Path, problem: str) -> LMFError:
    return LMFError(
        f"{path} is damaged: {problem} Delete the run's folder to start again, or name another folder."
    )


def _save_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, **arrays)
