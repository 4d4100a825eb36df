"""What a path or a Keras model is, and what opens it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.backend import BACKENDS
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content
from keras_lmf.locate import EXPORTED, MEANINGS, locate
from keras_lmf.runtime.keras_model import open_keras
from keras_lmf.runtime.onnx import open_onnx
from keras_lmf.runtime.runtime import Runtime, first_line
from keras_lmf.runtime.saved_model import open_saved_model
from keras_lmf.runtime.tflite import open_tflite
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import ModelSpec

if TYPE_CHECKING:
    import keras


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
        return open_keras(artifact)
    hint = "Or a Keras model (a .keras file: keras.saving.load_model first)."
    place = locate(Path(artifact), *EXPORTED, hint=hint)
    if place.path.is_file():
        require_content(place.path)
    document = Document.of(place.path)
    try:
        opener = {"saved_model": open_saved_model, "tflite": open_tflite, "onnx": open_onnx}[place.kind]
        runtime = opener(place.path)
    except LMFError:
        raise
    except Exception as error:  # each framework has its own kinds
        raise LMFError(
            f"Can't read {str(place.path)!r} as {MEANINGS[place.kind]}; it may be damaged or cut off: "
            f"{first_line(error)}"
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
