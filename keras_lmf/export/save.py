"""Keras model to SavedModel. Where Keras has another backend, this is a script that runs in a process of its own.

`source.py` then starts it through `process.py` as `python -P save.py MODEL REQUEST OUTPUT FAILURE`. MODEL is a .keras
file that this package wrote, REQUEST the JSON of `shapes` and `waveforms` (of `write_saved_model`), `modules` (to
import, as they register layers) and `path` (where they may be). OUTPUT is the folder; FAILURE is that of `failures`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lmf import failures
from keras_lmf.backend import nested_layers, run_watched

if TYPE_CHECKING:
    import keras

SOUND, FEATURES = "waveform", "features"  # signatures beside `serving_default`


def write_saved_model(
    model: keras.Model,
    path: Path,
    shapes: Mapping[str, Sequence[int | None]],
    waveforms: Collection[str],
) -> None:
    """Write a SavedModel folder. Keras is on the TensorFlow backend.

    Its signatures give the targets. `serving_default` takes the modalities. Where a front end reads sound there are
    two more: `waveform` takes the same, and `features` takes what the front ends give instead of what they read.

    Args:
        model: functional, dict in and dict out.
        path: of the folder.
        shapes: by modality, of the input with the rows first; None within it: any.
        waveforms: modalities that take sound; none: no more signatures than `serving_default`.
    """
    import keras

    from keras_lmf.export.loops import in_blocks
    from keras_lmf.models.factory import front_ends_of

    ends = front_ends_of(model)
    inputs = {
        name: keras.InputSpec(shape=tuple(shapes[name]), dtype=tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }
    # Where a GPU is visible, recurrent layers would trace cuDNN ops, which neither a machine without one
    # nor TensorFlow Lite can run.
    recurrent = [layer for layer in nested_layers(model) if hasattr(layer, "use_cudnn")]
    with contextlib.ExitStack() as stack:
        for layer in recurrent:
            stack.callback(setattr, layer, "use_cudnn", layer.use_cudnn)
            layer.use_cudnn = False
        stack.enter_context(in_blocks(recurrent))
        archive = keras.export.ExportArchive()
        # As `model.export` does, but layer by layer: a tracked model, and each within it, is traced anew.
        for layer in _layers(model):
            archive.track(layer)
        serve = archive.add_endpoint("serve", model.__call__, [inputs])
        if any(name in ends for name in waveforms):
            archive.add_endpoint(SOUND, serve)
            given = {
                name: keras.InputSpec(shape=end.output.shape, dtype=end.output.dtype, name=name)
                for name, end in ends.items()
            }
            archive.add_endpoint(FEATURES, _behind(model, ends), [inputs | given])
        archive.write_out(str(path), verbose=False)


def _behind(model: keras.Model, ends: Mapping[str, keras.Model]) -> Callable[[dict[str, Any]], Any]:
    """The model's answers to what its front ends `ends` give."""
    import keras

    def answer(inputs: dict[str, Any]) -> Any:
        rows = keras.ops.shape(next(iter(inputs.values())))[0]
        # The graph wants something in the place of what a front end reads; nothing is computed of it.
        unread = {
            name: keras.ops.zeros((rows, *(width or 1 for width in model.input[name].shape[1:])))
            for name in ends
        }
        given = {id(end): inputs[name] for name, end in ends.items()}
        return run_watched(
            model,
            inputs | unread,
            lambda part: (lambda *_, **__: given[id(part)]) if id(part) in given else part,
        )

    return answer


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Those of a model, and of the models within it, that are no models."""
    import keras

    if not isinstance(layer, keras.Model):
        yield layer
        return
    for part in layer.layers:
        yield from _layers(part)


def _loaded(path: str) -> keras.Model:
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras's own, and those of a layer's `from_config`
        reason = str(error).partition("\n")[0].partition(" Full object config")[0]
        raise ValueError(
            f"the process with TensorFlow can't rebuild the model. {reason} Or start again with "
            "KERAS_BACKEND=tensorflow."
        ) from error


def main(model: str, request: str, output: str, failure: str) -> int:
    told = json.loads(request)
    sys.path += told["path"]  # at the end: nothing there may hide what is installed
    try:
        import keras_lmf.models  # noqa: F401  registers the layers

        for module in told["modules"]:
            importlib.import_module(module)
        write_saved_model(_loaded(model), Path(output), told["shapes"], told["waveforms"])
    except Exception as error:
        return failures.tell(failure, error)
    return 0


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.modules["jax"] = None  # TensorFlow would import it
    sys.exit(main(*sys.argv[1:]))
