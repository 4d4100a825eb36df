"""The format "tflite": one float32 file for one row at a time, in TensorFlow Lite's builtin ops."""

from __future__ import annotations

import tempfile
from pathlib import Path

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.export.flatbuffer import with_fills
from keras_lmf.export.process import run_script
from keras_lmf.export.source import Source
from keras_lmf.runtime import open_artifact


def write_tflite(source: Source, path: Path) -> None:
    """Write the float32 TFLite file `path`; inputs are named as the modalities, outputs as the targets.

    Raises:
        LMFError: as `float32_file`.
    """
    path.write_bytes(float32_file(source).read_bytes())


def float32_file(source: Source) -> Path:
    """The float32 TFLite file that all TFLite formats start from, converted once for each `source`.

    Raises:
        LMFError: the model needs ops that are no builtins (ops and Keras layers are named), the conversion
            fails, crashes or exceeds `source.timeout_seconds`, or the file lost its weights.
    """
    path = source.scratch / "float32" / "model.tflite"
    if path.is_file():
        return path
    # Asked first: the conversion takes seconds, and without the interpreter its result couldn't be judged.
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        saved_model, converted = Path(scratch, "saved_model"), Path(scratch, path.name)
        source.save(saved_model, batch=1)
        _convert(source, saved_model, converted)
        open_artifact(converted)  # a damaged file is told as such
        # A file that reads its weights from resource variables carries none: it runs, and returns NaN.
        if count := flatbuffer_utils.count_resource_variables(bytearray(converted.read_bytes())):
            raise LMFError(
                f"The TFLite file of model {source.model.name!r} came out without {count} of its weights. "
                f"Layers must create their weights with add_weight or as sublayers, so that Keras tracks them."
            )
        path.write_bytes(with_fills(converted.read_bytes()))
    return path


def _convert(source: Source, saved_model: Path, path: Path) -> None:
    run_script(
        "convert.py",
        [saved_model],
        path,
        what="The TFLite conversion",
        model=source.model,
        timeout_seconds=source.timeout_seconds,
    )
