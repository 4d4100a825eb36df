"""A .tflite file without Keras, TensorFlow and keras_lmf: the LiteRT interpreter and NumPy alone, as on a device.

    pip install ai-edge-litert numpy
    python examples/on_device.py zoo/lmf-synthetic-av/model.tflite zoo/lmf-synthetic-av/testvectors.npz

The file itself tells names, shapes and int8 scales. The names of the classes are in the JSON beside it,
`model.tflite.json`, so copy that too.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

Arrays = dict[str, np.ndarray]


def to_file(values: np.ndarray, tensor: dict) -> np.ndarray:
    """Real numbers as the file's input holds them: real = scale · (integer − zero_point) in an int8 file."""
    scale, zero_point = tensor["quantization"]
    if not scale:  # the file takes real numbers
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(tensor["dtype"])


def from_file(values: np.ndarray, tensor: dict) -> np.ndarray:
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - zero_point) * scale if scale else values


def predict(model: Path, arrays: Arrays) -> Arrays:
    """By target (N, size): what the file answers to N rows, one at a time. One row of zeros where none are given."""
    runner = Interpreter(model_path=str(model)).get_signature_runner("serving_default")
    takes, gives = runner.get_input_details(), runner.get_output_details()
    if not arrays:
        arrays = {name: np.zeros(tensor["shape"], np.float32) for name, tensor in takes.items()}
    if missing := takes.keys() - arrays.keys():
        raise SystemExit(f"{model} takes {', '.join(takes)}; the .npz lacks {', '.join(sorted(missing))}.")
    inputs = {name: to_file(arrays[name], tensor) for name, tensor in takes.items()}
    count = min(len(values) for values in inputs.values())
    rows = [runner(**{name: values[i : i + 1] for name, values in inputs.items()}) for i in range(count)]
    return {name: from_file(np.concatenate([row[name] for row in rows]), gives[name]) for name in gives}


def described(model: Path) -> tuple[list[str] | None, list[str] | None, float, dict[str, float]]:
    """From the JSON beside the file: names of classes or of a value's dimensions, and the logits' temperature, with all
    inputs and with some of them."""
    sidecar = model.with_name(f"{model.name}.json")
    facts = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.is_file() else {}
    target = facts.get("target") or {}
    temperatures = facts.get("temperature") or 1.0, facts.get("subset_temperatures") or {}
    return target.get("classes"), target.get("dimensions"), *temperatures


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="a .tflite file of the zoo or of an export")
    parser.add_argument(
        "inputs", type=Path, nargs="?", help=".npz of (N, …) arrays, input/<name>; none: zeros"
    )
    arguments = parser.parse_args()
    arrays = dict(np.load(arguments.inputs)) if arguments.inputs else {}
    inputs = {key.removeprefix("input/"): array for key, array in arrays.items() if key[:7] != "output/"}
    classes, dimensions, temperature, of_some = described(arguments.model)
    for target, values in predict(arguments.model, inputs).items():
        for i, row in enumerate(values):
            names = dimensions or [target] * row.size
            there = " + ".join(sorted(name for name, rows in inputs.items() if rows[i].any()))
            shown = (
                zip(classes, softmax(row / of_some.get(there, temperature)))
                if classes
                else zip(names, row.ravel())
            )
            print(f"row {i}:", ", ".join(f"{name} {value:.6f}" for name, value in shown))
        if f"output/{target}" in arrays:  # test vectors: what the Keras model answers
            distance = np.abs(values - arrays[f"output/{target}"]).max()
            print(f"largest difference to the expected {target}: {distance:.1e}")


if __name__ == "__main__":
    main()
