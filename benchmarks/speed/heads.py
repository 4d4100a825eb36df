"""The speed tables' rows on the heads: bytes of the TFLite files, and time of one call against compiled functions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lmf.errors import import_extra
from keras_lmf.export import export_model
from speed import keras_networks
from speed.comparisons import TF_FUNCTION, XLA
from speed.keras_networks import head
from speed.published import EMBEDDINGS, LOW_RANK, REFERENCE_RANK, TENSOR
from speed.turns import Step, ratio, take_turns

FILE = "TFLite"


def embeddings() -> dict[str, np.ndarray]:
    """One row."""
    random = np.random.default_rng(0)
    return {name: random.standard_normal((1, units), dtype="float32") for name, units in EMBEDDINGS.items()}


def file(model: keras.Model) -> bytes:
    """The float32 file of a head, which `export_model` has compared with it."""
    with tempfile.TemporaryDirectory() as folder:
        # The sum over 70,785 products moves with its order, more than a feature model's 1e-5 allows.
        (artifact,) = export_model(model, folder, ["tflite"], tolerance=1e-4)
        return Path(artifact.path).read_bytes()


def file_step(content: bytes, inputs: dict[str, np.ndarray]) -> Step:
    """One call of a file: arrays in, invoke, arrays out; one thread."""
    interpreter = import_extra("ai_edge_litert.interpreter", "export").Interpreter(
        model_content=content, num_threads=1
    )
    interpreter.allocate_tensors()
    # Inputs in a file are named "serving_default_<modality>:0"; the widths alone don't tell audio from video.
    places = {
        name: next(
            detail["index"]
            for detail in interpreter.get_input_details()
            if detail["name"].removeprefix("serving_default_").partition(":")[0] == name
        )
        for name in inputs
    }
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def step() -> list[np.ndarray]:
        for name, index in places.items():
            interpreter.set_tensor(index, inputs[name])
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return step


def measure_heads(**turns: Any) -> list[dict[str, Any]]:
    """Rows by fusion and runtime at batch 1; `ratio` is the CPU time over that of the low-rank TFLite file.

    All take NumPy arrays and give NumPy arrays.
    """
    inputs = embeddings()
    steps: dict[tuple[str, str], Step] = {}
    sizes = {}
    for fusion in (LOW_RANK, TENSOR):
        model = head(fusion, REFERENCE_RANK)
        content = file(model)
        sizes[fusion, FILE] = len(content)
        steps[fusion, FILE] = file_step(content, inputs)
        for runtime in (TF_FUNCTION, XLA):
            steps[fusion, runtime] = keras_networks.call_step(model, inputs, xla=runtime == XLA)
    times = take_turns(steps, **turns)
    return [
        {
            **ratio(times["cpu"], key, (LOW_RANK, FILE)),
            "fusion": key[0],
            "runtime": key[1],
            "bytes": sizes.get(key),
            "bytes_ratio": sizes[key] / sizes[LOW_RANK, FILE] if key in sizes else None,
            "cpu_us": times["cpu"][key].median() * 1e3,
            "wall_us": times["wall"][key].median() * 1e3,
        }
        for key in steps
    ]
