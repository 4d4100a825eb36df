"""What answers: an opened model, what it takes and gives, and the checks of every row that goes in or comes out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.lazy import Array, blocks

ROWS_PER_BATCH = 256  # of Keras models and SavedModels; a .tflite file takes one row at a time
# What an input may hold, by what a model computes in: beyond, sums of squares aren't finite, and a ReLU makes 0 of NaN.
LARGEST = {"float32": 1e12, "float16": 65504.0}
Arrays = dict[str, Array]


class Quantization(NamedTuple):
    """How a file stores real numbers as integers: real = scale · (integer − zero_point)."""

    dtype: np.dtype
    scale: float
    zero_point: int


class TensorInfo(NamedTuple):
    """What an artifact takes or gives under one name.

    Attributes:
        shape: of one row (None = any length).
        dtype: of the arrays in `Runtime.predict`; float32 where the file itself has integers.
        quantization: of an integer input or output of the file, by which `predict` converts.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype
    quantization: Quantization | None = None

    def to_file(self, values: np.ndarray) -> np.ndarray:
        """Numbers as the file holds them: the nearest integers within its dtype's range, where it has any."""
        if self.quantization is None:
            return values
        dtype, scale, zero_point = self.quantization
        limits = np.iinfo(dtype)
        return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(dtype)

    def from_file(self, values: np.ndarray) -> np.ndarray:
        """What the file's numbers mean."""
        if self.quantization is None:
            return values
        _, scale, zero_point = self.quantization
        return (values.astype(self.dtype) - zero_point) * scale


@dataclass(frozen=True)
class Runtime:
    """An opened artifact.

    Attributes:
        name: the file, or the Keras model, as error messages call it.
        inputs: by modality, the shape of one row and the dtype. Files keep no order: theirs is alphabetical.
        outputs: by target likewise.
        precision: what it computes in, a key of `LARGEST`.
    """

    name: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    _run: Callable[[Arrays], Arrays] = field(repr=False)
    precision: str = "float32"

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, np.ndarray]:
        """The model's outputs for N rows.

        Args:
            inputs: by modality an array (N, …), in memory or lazy; exactly the names, row shapes and dtypes of
                `self.inputs`.

        Returns:
            By target an array (N, size): logits for classes, the value for a regression.

        Raises:
            LMFError: a missing or extra name, a wrong shape or dtype, unequal numbers of rows, no rows, NaN, infinity
                or a number beyond `LARGEST` in an input; a file whose content fails when it runs; or an answer
                with NaN or infinity.
        """
        checked = self.check(inputs)
        try:
            outputs = self._run(checked)
        except Exception as error:  # each framework has its own kinds
            raise LMFError(f"{self.name} failed while it ran: {first_line(error)}") from error
        for name, values in outputs.items():
            if (row := _bad_row(values, sys.float_info.max)) is not None:
                raise LMFError(
                    f"{self.name} answers with NaN or infinity: output {name!r}, row {row}. It computes in "
                    f"{self.precision}."
                )
        return outputs

    def check(self, inputs: Mapping[str, Array]) -> Arrays:
        """The inputs in the order of `self.inputs`; an LMFError, as of `predict`, for those it refuses."""
        for name in inputs:
            if name not in self.inputs:
                raise unknown_name(f"input of {self.name}:", name, self.inputs)
        if missing := [name for name in self.inputs if name not in inputs]:
            raise LMFError(
                f"{self.name} lacks its input {', '.join(map(repr, missing))}. Received: "
                f"{', '.join(inputs) or 'none'}. It takes: {', '.join(self.inputs)}."
            )
        rows = {}
        for name, expected in self.inputs.items():
            value = inputs[name]
            where = f"{self.name}, input {name!r}"
            if not isinstance(value, Array):
                raise LMFError(f"{where}: received a {type(value).__name__}, it takes a numpy array.")
            if value.dtype != expected.dtype:
                raise LMFError(
                    f"{where}: received dtype {value.dtype}, it takes {expected.dtype}. "
                    f'Convert it with .astype("{expected.dtype}").'
                )
            shape = ("N", *("any" if width is None else width for width in expected.shape))
            if value.ndim != len(shape) or any(
                (not width and not received) or width not in (None, received)
                for width, received in zip(expected.shape, value.shape[1:])
            ):
                raise LMFError(
                    f"{where}: received shape {value.shape}, it takes ({', '.join(map(str, shape))}), "
                    f"where N is the number of rows."
                )
            largest = LARGEST[self.precision]
            if (row := _bad_row(value, largest)) is not None:
                raise LMFError(
                    f"{where}, row {row}: received NaN, infinity or a number beyond ±{largest:g}. It computes in "
                    f"{self.precision}."
                )
            rows[name] = len(value)
        if len(set(rows.values())) != 1 or 0 in rows.values():
            counts = ", ".join(f"{name} {count}" for name, count in rows.items())
            raise LMFError(f"{self.name}: every input needs the same number of rows, 1 or more: {counts}.")
        return {name: inputs[name] for name in self.inputs}


def batches(arrays: Arrays, rows: int) -> Iterator[dict[str, np.ndarray]]:
    """The arrays, so many rows at a time, in memory."""
    for start in range(0, len(next(iter(arrays.values()))), rows):
        yield {name: np.ascontiguousarray(value[start : start + rows]) for name, value in arrays.items()}


def _bad_row(array: Array, largest: float) -> int | None:
    """The first row with NaN, infinity or a number beyond ±largest; None without one."""
    if array.dtype.kind != "f" or 0 in array.shape:
        return None
    for rows, block in blocks(array):
        if (row := _bad_row_of(block, largest)) is not None:
            return rows.start + row
    return None


def _bad_row_of(values: np.ndarray, largest: float) -> int | None:
    if -largest <= float(values.min()) and float(values.max()) <= largest:  # without a copy of all numbers
        return None
    return int(np.argmin((np.abs(values) <= np.float64(largest)).reshape(len(values), -1).all(axis=1)))


def joined(batches: list[Arrays]) -> Arrays:
    """The arrays of all batches, one below another."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def first_line(error: BaseException) -> str:
    """What a framework says, without its traceback."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
