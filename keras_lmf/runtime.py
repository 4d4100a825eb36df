"""One way to run a trained model, whatever it was written as: Keras model, SavedModel folder, .tflite or .onnx file.

>>> runtime = open_artifact("out/model.tflite")        # doctest: +SKIP
>>> runtime.predict({"audio": audio, "video": video})  # doctest: +SKIP
{'emotion': array([[...]], dtype=float32)}
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_lmf.backend import BACKENDS, nested_layers
from keras_lmf.errors import LMFError, import_extra, unknown_name
from keras_lmf.lazy import Array, blocks
from keras_lmf.locate import EXPORTED, MEANINGS, locate
from keras_lmf.noise import held_back
from keras_lmf.saved_model import require_harmless
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import ModelSpec

if TYPE_CHECKING:
    import keras

ROWS_PER_BATCH = 256  # of Keras models and SavedModels; a .tflite file takes one row at a time
# What an input may hold, by what a model computes in: beyond, sums of squares aren't finite, and a ReLU makes 0 of NaN.
LARGEST = {"float32": 1e12, "float16": 65504.0}
_Arrays = dict[str, Array]


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
    _run: Callable[[_Arrays], _Arrays] = field(repr=False)
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
            raise LMFError(f"{self.name} failed while it ran: {_first_line(error)}") from error
        for name, values in outputs.items():
            if (row := _bad_row(values, sys.float_info.max)) is not None:
                raise LMFError(
                    f"{self.name} answers with NaN or infinity: output {name!r}, row {row}. It computes in "
                    f"{self.precision}."
                )
        return outputs

    def check(self, inputs: Mapping[str, Array]) -> _Arrays:
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


def open_artifact(artifact: keras.Model | str | Path) -> Runtime:
    """Open a model for prediction; only the framework that this artifact needs is imported.

    Args:
        artifact: a Keras model (dict in, dict out; any backend), the folder of a SavedModel (its signature
            `serving_default`; needs TensorFlow), a `.tflite` file (its signature `serving_default`, one
            row at a time; needs ai-edge-litert alone), or an `.onnx` file (needs onnxruntime alone).

    A `.tflite` file is data: TensorFlow Lite's builtin ops read it, and no code in it can run. So is an `.onnx` file,
    and one whose weights are in other files is refused. A SavedModel is a TensorFlow program: one with ops that could
    touch files, processes or Python is refused before it is loaded. Where the sidecar of a file or folder is beside it,
    its content must have the sha256 that stands there; without one, that which stands at the end of a `.tflite` or
    `.onnx` file.

    Raises:
        LMFError: no such file, an unreadable, changed or refused one, no `serving_default`, or a framework that is not
            installed.
    """
    if not isinstance(artifact, (str, Path)):
        return _open_keras(artifact)
    hint = "Or a Keras model (a .keras file: keras.saving.load_model first)."
    place = locate(Path(artifact), *EXPORTED, hint=hint)
    document = Document.of(place.path)
    try:
        opener = {"saved_model": _open_saved_model, "tflite": _open_tflite, "onnx": _open_onnx}[place.kind]
        runtime = opener(place.path)
    except LMFError:
        raise
    except Exception as error:  # each framework has its own kinds
        raise LMFError(
            f"Can't read {str(place.path)!r} as {MEANINGS[place.kind]}; it may be damaged or cut off: "
            f"{_first_line(error)}"
        ) from error
    if document is not None and not isinstance(document, Sidecar):
        _require_fit(runtime, document.spec)
    return runtime


def _require_fit(runtime: Runtime, spec: ModelSpec) -> None:
    """What a file says of its inputs is true: a tool may have changed the file since, and kept the words."""
    for name, info in runtime.inputs.items():
        if name not in spec.inputs or spec.inputs[name].shape not in (None, info.shape):
            raise LMFError(
                f"{runtime.name}: its input {name!r} has rows of shape {info.shape}, its metadata describes "
                f"{', '.join(f'{key} {part.shape}' for key, part in spec.inputs.items()) or 'none'}. Export the model "
                f"again."
            )


def prefers_tflite() -> bool:
    """Whether a `.tflite` file goes before its Keras model: LiteRT is installed, or nothing that runs Keras."""
    return find_spec("ai_edge_litert") is not None or not any(map(find_spec, BACKENDS))


def _open_keras(model: Any) -> Runtime:
    keras = import_extra("keras", "tf")
    if not isinstance(model, keras.Model):
        raise LMFError(
            f"Received an object of type {type(model).__name__!r}. "
            f"Give a keras.Model, the folder of a SavedModel, a .tflite or an .onnx file."
        )
    name = f"Keras model {model.name!r}"
    # A model that was not built, or is no functional model, has no `input`.
    ends = getattr(model, "input", None), getattr(model, "output", None)
    if not all(isinstance(end, dict) for end in ends):
        raise LMFError(
            f"{name} is not a functional model with a dict of inputs and a dict of outputs. "
            f"Build it as keras.Model({{'audio': audio, …}}, {{'emotion': logits}})."
        )
    inputs, outputs = (
        {key: TensorInfo(tuple(tensor.shape[1:]), np.dtype(tensor.dtype)) for key, tensor in end.items()}
        for end in ends
    )

    # The compiled step of `model.predict` without its loop over data, whose set-up takes tens of milliseconds a call.
    def run(arrays: _Arrays) -> _Arrays:
        return _joined([model.predict_on_batch(batch) for batch in _batches(arrays)])

    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in nested_layers(model))
    return Runtime(name, inputs, outputs, run, "float16" if half else "float32")


def _open_saved_model(path: Path) -> Runtime:
    tensorflow = import_extra("tensorflow", "tf")
    require_harmless(path)
    program = tensorflow.saved_model.load(str(path))
    if "serving_default" not in program.signatures:
        raise LMFError(
            f"The SavedModel {str(path)!r} has no signature 'serving_default', only: "
            f"{', '.join(program.signatures) or 'none'}."
        )
    signature = program.signatures["serving_default"]
    inputs, outputs = (
        {
            name: TensorInfo(tuple(tensor.shape.as_list()[1:]), np.dtype(tensor.dtype.as_numpy_dtype))
            for name, tensor in sorted(end.items())
        }
        for end in (signature.structured_input_signature[1], signature.structured_outputs)
    )

    # The default argument keeps `program`, which owns the variables, alive as long as the function.
    def run(arrays: _Arrays, program: Any = program) -> _Arrays:
        batches = [
            signature(**{name: tensorflow.constant(value) for name, value in batch.items()})
            for batch in _batches(arrays)
        ]
        return _joined([{name: value.numpy() for name, value in batch.items()} for batch in batches])

    return Runtime(str(path), inputs, outputs, run)


def _open_tflite(path: Path) -> Runtime:
    interpreter_module = import_extra("ai_edge_litert.interpreter", "litert")
    with held_back():
        interpreter = interpreter_module.Interpreter(model_content=path.read_bytes())
        interpreter.allocate_tensors()
    signatures = interpreter.get_signature_list()
    if "serving_default" not in signatures:
        raise LMFError(
            f"{str(path)!r} has no signature 'serving_default', only: {', '.join(signatures) or 'none'}. "
            f"Convert it with keras_lmf.export_model."
        )
    runner = interpreter.get_signature_runner("serving_default")
    details = runner.get_input_details()
    for name, detail in details.items():
        shape = detail["shape"].tolist()
        if shape[:1] != [1]:
            raise LMFError(
                f"{str(path)!r}, input {name!r}: the file has the fixed shape {shape}; "
                f"a file for one row at a time, [1, …], is needed."
            )
    inputs, outputs = (
        {name: tensor_info(detail) for name, detail in sorted(end.items())}
        for end in (details, runner.get_output_details())
    )

    def run(arrays: _Arrays) -> _Arrays:
        rows = [
            runner(**{name: inputs[name].to_file(value) for name, value in row.items()})
            for row in _batches(arrays, 1)
        ]
        return {name: outputs[name].from_file(value) for name, value in _joined(rows).items()}

    return Runtime(str(path), inputs, outputs, run)


def _open_onnx(path: Path) -> Runtime:
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    # From bytes, onnxruntime reads no weights out of other files, which a stranger's file could name.
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    ends = session.get_inputs(), session.get_outputs()
    inputs, outputs = (
        {tensor.name: _onnx_info(tensor) for tensor in sorted(end, key=lambda tensor: tensor.name)}
        for end in ends
    )
    for tensor in ends[0]:
        if not tensor.shape or (isinstance(tensor.shape[0], int) and tensor.shape[0] != 1):
            raise LMFError(
                f"{str(path)!r}, input {tensor.name!r}: the file has the fixed shape {tensor.shape}; a file for one "
                f"row at a time, [1, …], or for any number is needed."
            )
    rows = 1 if any(tensor.shape[0] == 1 for tensor in ends[0]) else ROWS_PER_BATCH
    names = list(outputs)

    def run(arrays: _Arrays) -> _Arrays:
        batches = [session.run(names, batch) for batch in _batches(arrays, rows)]
        return _joined([dict(zip(names, batch)) for batch in batches])

    return Runtime(str(path), inputs, outputs, run)


def _onnx_info(tensor: Any) -> TensorInfo:
    """An input or output of an .onnx file: an axis of any length has a name, or none."""
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    return TensorInfo(tuple(width if isinstance(width, int) else None for width in tensor.shape[1:]), dtype)


def tensor_info(detail: dict[str, Any]) -> TensorInfo:
    """A tensor of a .tflite file, as its interpreter describes it."""
    shape = tuple(None if width < 0 else int(width) for width in detail["shape_signature"][1:])
    dtype = np.dtype(detail["dtype"])
    scale, zero_point = detail["quantization"]
    if not scale:  # real numbers, or integers that mean themselves
        return TensorInfo(shape, dtype)
    return TensorInfo(shape, np.dtype("float32"), Quantization(dtype, float(scale), int(zero_point)))


def _batches(arrays: _Arrays, rows: int = ROWS_PER_BATCH) -> Iterator[dict[str, np.ndarray]]:
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


def _joined(batches: list[_Arrays]) -> _Arrays:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]
