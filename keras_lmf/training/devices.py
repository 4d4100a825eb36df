"""Where a training runs: on one device, or divided among several, in one process or more, on the JAX backend.

Each batch is divided among the devices, and all of them hold all weights (`keras.distribution.DataParallel`). What is
computed is the same as on one device, but for the order of sums.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_lmf.backend import nested_layers
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError

# How long a process waits, in seconds: for the others to come, for a sign of life from them, and for them to end.
COME, ALIVE, END = 300, 60, 30
_LOST = re.compile(
    r"gloo|nccl|coordination|heartbeat|unavailable|deadline_exceeded|connection", re.IGNORECASE
)


class OneDevice:
    """A training by itself.

    Attributes:
        process: the number of this process, from 0.
        lead: whether it writes the run's folder.
    """

    process = 0
    lead = True
    model_class: type[keras.Model] | None = None

    def told(self, say: Callable[[], Any]) -> Any:
        """What the leading process says, as JSON holds it; it alone calls `say`, and all fail where that fails."""
        return say()

    def given(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """The leading process's arrays; the others give some of the same names and shapes."""
        return arrays

    def scope(self) -> contextlib.AbstractContextManager[object]:
        """Within it models are made and trained for these devices."""
        return contextlib.nullcontext()

    def part(self, rows: np.ndarray, batch_size: int) -> np.ndarray:
        """Of the rows of a batch, those that this process reads."""
        return rows

    def prepare(self, model: keras.Model, train: tuple[int, int], valid: tuple[int, int]) -> None:
        """Makes a model of this `scope` ready for a `fit`; each pair is a split's rows and its batch size."""


class Devices(OneDevice):
    """Several devices of the JAX backend, of one process or of more.

    >>> devices = Devices.of_this_process()                                         # doctest: +SKIP
    >>> devices = Devices.of_processes("node1:8476", processes=4, process=0)        # doctest: +SKIP
    >>> run = train(recipe, data, "runs/mine", devices=devices)                     # doctest: +SKIP

    All processes train the same recipe on the same data. Process 0 alone reads and writes the run's folder.

    Attributes:
        count: devices, those of all processes together.
        processes: how many.
        process: the number of this one, from 0.
    """

    def __init__(self) -> None:
        import jax

        self.processes, self.process = jax.process_count(), jax.process_index()
        self.lead = self.process == 0
        # In the order of the processes, as each gives the rows of its own devices.
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        self.count = len(devices)
        self.distribution = keras.distribution.DataParallel(
            devices=[f"{device.platform}:{device.id}" for device in devices], auto_shard_dataset=False
        )
        self.model_class = _Divided

    @classmethod
    def of_this_process(cls) -> Devices:
        """All devices that this process sees.

        Raises:
            LMFError: Keras is set to another backend than JAX.
        """
        _require_jax()
        return cls()

    @classmethod
    def of_processes(cls, address: str, processes: int, process: int) -> Devices:
        """The devices of all processes, once each of them has called this. Call it before anything else of JAX.

        A process that is lost ends the others within two minutes.

        Args:
            address: HOST:PORT of process 0, where it listens for the others.
            processes: how many there are.
            process: the number of this one, from 0.

        Raises:
            LMFError: Keras is set to another backend than JAX; no such address, or numbers that don't fit; the others
                don't come within five minutes.
        """
        _require_jax()
        if not re.fullmatch(r"\S+:\d{1,5}", address):
            raise LMFError(f"The address of process 0 is HOST:PORT, received {address!r}.")
        whole_number("Devices: processes", processes, 2)
        whole_number("Devices: process", process, 0, processes - 1)
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")  # where the devices are CPUs
        try:
            jax.distributed.initialize(
                address,
                processes,
                process,
                initialization_timeout=COME,
                heartbeat_timeout_seconds=ALIVE,
                shutdown_timeout_seconds=END,
            )
        except RuntimeError as error:
            raise LMFError(f"Process {process} can't join the others at {address}: {error}") from error
        return cls()

    def told(self, say: Callable[[], Any]) -> Any:
        said: dict[str, Any] = {}
        failed = None
        if self.lead:
            try:
                said = {"value": say()}
            except LMFError as error:
                said, failed = {"error": str(error)}, error
        if self.processes > 1:
            text = np.frombuffer(json.dumps(said).encode(), np.uint8)
            length = int(self.given({"length": np.array(len(text), np.int32)})["length"])
            text = self.given({"text": text if self.lead else np.zeros(length, np.uint8)})["text"]
            said = json.loads(text.tobytes())
        if failed is not None:
            raise failed
        if "error" in said:
            raise LMFError(f"Process 0: {said['error']}")
        return said["value"]

    def given(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        if self.processes == 1:
            return arrays
        from jax.experimental import multihost_utils

        with self._partners():
            found = multihost_utils.broadcast_one_to_all(dict(arrays))
        return {name: np.asarray(found[name], array.dtype) for name, array in arrays.items()}

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        with self._partners(), self.distribution.scope():
            yield

    @contextlib.contextmanager
    def _partners(self) -> Iterator[None]:
        """Tells a lost partner from other errors."""
        try:
            yield
        except LMFError:
            raise
        except Exception as error:  # JAX has no class of its own for it
            if self.processes == 1 or not _LOST.search(str(error)):
                raise
            raise LMFError(f"{lost(self.processes)} ({' '.join(str(error).split())[:200]})") from error

    def part(self, rows: np.ndarray, batch_size: int) -> np.ndarray:
        filled = np.concatenate([rows, np.repeat(rows[-1:], self._filled(len(rows), batch_size) - len(rows))])
        share = len(filled) // self.processes
        return filled[self.process * share : (self.process + 1) * share]

    def _filled(self, rows: int, batch_size: int) -> int:
        """Rows of a batch once it can be divided: the last row stands there again, and the model leaves it out."""
        whole = -(-batch_size // self.count) * self.count
        if rows == batch_size:
            return whole
        filled = -(-rows // self.count) * self.count
        return filled + self.count if filled == whole else filled  # so that its length tells which it is

    def prepare(self, model: keras.Model, train: tuple[int, int], valid: tuple[int, int]) -> None:
        model.true_rows = {
            name: {
                self._filled(size, batch_size): size
                for size in (batch_size, rows % batch_size)
                if 0 < size <= rows
            }
            for name, (rows, batch_size) in (("train", train), ("valid", valid))
        }
        # They are constants of the compiled step, which none of other processes' devices may be.
        for layer in nested_layers(model):
            if isinstance(layer, keras.layers.Normalization):
                layer.mean, layer.variance = (
                    keras.ops.convert_to_numpy(value) for value in (layer.mean, layer.variance)
                )


class _Divided(keras.Model):
    """A model whose batches come filled up, and are cut to their true rows before anything is computed.

    Attributes:
        true_rows: "train" and "valid" → rows of a batch as it comes → its true rows.
    """

    def train_step(self, state: Any, data: Any) -> Any:
        return super().train_step(state, self._true(data, "train"))

    def test_step(self, state: Any, data: Any) -> Any:
        return super().test_step(state, self._true(data, "valid"))

    def _true(self, data: Any, split: str) -> Any:
        def cut(array: Any) -> Any:
            return None if array is None else array[: self.true_rows[split][array.shape[0]]]

        return keras.tree.map_structure(cut, data)


def lost(processes: int) -> str:
    """What is said when a process ends because another one did."""
    return (
        f"This training of {processes} processes ended, as another of them was lost, failed or can't be reached. Its "
        "own messages may say why. The run's folder holds the last whole epoch: start all processes again, with the "
        "same commands, and the training goes on from there."
    )


def _require_jax() -> None:
    if (backend := keras.backend.backend()) != "jax":
        raise LMFError(
            f"Several devices train together on the JAX backend alone, and Keras is set to {backend!r}. Start again "
            "with\n  KERAS_BACKEND=jax keras-lmf train …"
        )
