"""The heads as TFLite files: bytes, and time of one call against the same head as a compiled TensorFlow function."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_lmf.benchmarking.networks import EMBEDDINGS, LOW_RANK, TENSOR, head
from keras_lmf.benchmarking.tensorflow_steps import call_step
from keras_lmf.benchmarking.turns import Step, ratio, take_turns
from keras_lmf.benchmarking.whole_models import REFERENCE_RANK, TF_FUNCTION, XLA
from keras_lmf.errors import import_extra
from keras_lmf.export import export_model

FILE = "TFLite"


def example() -> dict[str, np.ndarray]:
    """One row of embeddings."""
    random = np.random.default_rng(0)
    return {name: random.standard_normal((1, units), dtype="float32") for name, units in EMBEDDINGS.items()}


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


def file(model: keras.Model) -> bytes:
    """The float32 file of a head, which `export_model` has compared with it."""
    with tempfile.TemporaryDirectory() as folder:
        # The sum over 70,785 products moves with its order, more than a feature model's 1e-5 allows.
        (artifact,) = export_model(model, folder, ["tflite"], tolerance=1e-4)
        return Path(artifact.path).read_bytes()


def measure(repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Rows by fusion and runtime at batch 1; `ratio` is the CPU time over that of the low-rank TFLite file.

    All take NumPy arrays and give NumPy arrays.
    """
    inputs = example()
    steps: dict[tuple[str, str], Step] = {}
    sizes = {}
    for fusion in (LOW_RANK, TENSOR):
        model = head(fusion, REFERENCE_RANK)
        content = file(model)
        sizes[fusion] = len(content)
        steps[fusion, FILE] = file_step(content, inputs)
        for runtime, xla in ((TF_FUNCTION, False), (XLA, True)):
            steps[fusion, runtime] = call_step(model, inputs, xla=xla)
    times = take_turns(steps, repeats=repeats, seconds=seconds)
    return [
        {
            **ratio(times["cpu"], (fusion, runtime), (LOW_RANK, FILE)),
            "fusion": fusion,
            "runtime": runtime,
            "bytes": sizes[fusion] if runtime == FILE else None,
            "bytes_ratio": sizes[fusion] / sizes[LOW_RANK] if runtime == FILE else None,
            "cpu_us": times["cpu"][fusion, runtime].median() * 1e3,
            "wall_us": times["wall"][fusion, runtime].median() * 1e3,
        }
        for fusion, runtime in steps
    ]
