"""Scripts that run in a process of their own, which never outlives the call, with errors that name layers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np

from keras_lmf import failures
from keras_lmf.backend import nested_layers
from keras_lmf.errors import LMFError
from keras_lmf.export.artifact import Latency

FOLDER = Path(__file__).parent


def run_script(
    script: str,
    arguments: Iterable[object],
    output: Path,
    *,
    what: str,
    model: keras.Model | None,
    timeout_seconds: float | None,
) -> None:
    """Run `python -P SCRIPT arguments… OUTPUT FAILURE`, which writes `output` or says why not in FAILURE.

    `script` is the name of a file beside this one; `what` is what it does, to `model` where it is given, for
    error messages.

    FAILURE is what `failures.tell` writes.

    Raises:
        LMFError: it failed, crashed or took longer than `timeout_seconds`; None: it may take any time.
    """
    if model is not None:
        what = f"{what} of model {model.name!r}"
    # No GPU is needed; TensorFlow's log is captured, and only its errors are asked for.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "TQDM_DISABLE": "1"}
    # This package, wherever it is.
    path = os.pathsep.join([str(FOLDER.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as scratch:
        failure = Path(scratch, "failure.json")
        # -P: modules beside the script, or in the working folder, must not hide TensorFlow's own.
        command = [sys.executable, "-P", *map(str, (FOLDER / script, *arguments, output, failure))]
        try:
            # `run` kills the process on time-out and on any exception here, Ctrl-C included.
            process = subprocess.run(
                command,
                env=os.environ | quiet | {"PYTHONPATH": path},
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise LMFError(
                f"{what} was stopped after {timeout_seconds:g} seconds. Raise timeout_seconds, or make "
                f"the model smaller (unrolled recurrent layers convert slowly)."
            ) from error
        if process.returncode == 0 and output.exists():
            return
        if not failure.is_file():
            code = process.returncode
            cause = f"crashed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
            raise LMFError(f"{what} {cause}. Its last words: {_tail(process.stderr)}")
        told = failures.read(failure)
    if told.operators:
        raise LMFError(f"{what} needs {places(model, told.operators)}.\n{told.message}")
    raise LMFError(f"{what} failed: {_cause(told.message)}")


def row_latency(
    path: Path,
    row: Mapping[str, np.ndarray] | None,
    threads: int = 1,
    *,
    model: keras.Model | None = None,
    timeout_seconds: float,
) -> dict[str, float | None]:
    """What `latency.py` measures of the file or folder at `path`: `p50`, `p95`, `peak_mib`.

    In a process of its own: a running TensorFlow can't be told how many threads to use.
    """
    with tempfile.TemporaryDirectory() as scratch:
        inputs, result = Path(scratch, "row.npz"), Path(scratch, "latency.json")
        if row is not None:
            np.savez(inputs, **row)
        run_script(
            "latency.py",
            [path, "" if row is None else inputs, threads],
            result,
            what=f"Timing the file {path.name}",
            model=model,
            timeout_seconds=timeout_seconds,
        )
        return json.loads(result.read_text(encoding="utf-8"))


def latency_of(
    path: Path,
    row: Mapping[str, np.ndarray] | None,
    *,
    model: keras.Model | None = None,
    timeout_seconds: float,
) -> Latency:
    """What `row_latency` says of one thread and of two."""
    one, two = (
        row_latency(path, row, threads, model=model, timeout_seconds=timeout_seconds) for threads in (1, 2)
    )
    peak = None if one["peak_mib"] is None else max(one["peak_mib"], two["peak_mib"])
    return Latency(one["p50"], one["p95"], two["p50"], two["p95"], peak)


def places(model: keras.Model, operators: Iterable[tuple[str, str]]) -> str:
    """Ops, each with the layers of `model` it comes from: "op CONV_3D in layer 'clip' (Conv3D)".

    Args:
        model: whose layers are looked for.
        operators: pairs of an op and its name scope, "model_1/backbone_1/layer_1/Op".
    """
    every = nested_layers(model)[1:]
    # The cell of a recurrent layer is a layer, too, but not one that a user has named.
    recurrent = [layer for layer in every if isinstance(layer, keras.layers.RNN)]
    cells = {id(cell) for layer in recurrent for cell in nested_layers(layer)[1:]}
    layers = {layer.name: type(layer).__name__ for layer in every if id(layer) not in cells}
    found: dict[str, list[str]] = {}
    for operator, scope in operators:
        # The deepest part of the scope that is a layer; tracing adds the numbers.
        names = [re.sub(r"_\d+$", "", part) for part in scope.split("/")]
        names = [short if short in layers else part for short, part in zip(names, scope.split("/"))]
        layer = next((name for name in reversed(names) if name in layers), None)
        place = f"layer {layer!r} ({layers[layer]})" if layer else f"scope {scope!r}"
        if place not in found.setdefault(operator, []):
            found[operator].append(place)
    return "; ".join(f"op {operator} in {', '.join(where)}" for operator, where in found.items())


def _cause(message: str) -> str:
    """The converter's reason, without the MLIR locations and the module dump around it."""
    errors = re.findall(r"error: (?!loc\()(.+)", message)
    return (errors[0] if errors else message.strip().splitlines()[0])[:500]


def _tail(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-500:] or "none"
