"""What to send to TensorFlow Serving, and what it sends back, made from a SavedModel's own signature.

    pip install tensorflow
    python examples/serving_request.py exported/saved_model --vectors zoo/lmf-synthetic-av/testvectors.npz
    curl -d @request.json http://localhost:8501/v1/models/emotion:predict

It writes the request into request.json, and prints the answer. Requests and answers are in the column format of
https://www.tensorflow.org/tfx/serving/api_rest. It needs TensorFlow and NumPy alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

Arrays = dict[str, np.ndarray]


def rows_of(vectors: Path | None, takes: dict[str, tf.TensorSpec], count: int) -> Arrays:
    """So many rows by input: the first of the .npz, or zeros."""
    if vectors is None:
        return {name: np.zeros((count, *spec.shape[1:]), np.float32) for name, spec in takes.items()}
    try:
        arrays = {key.removeprefix("input/"): array for key, array in np.load(vectors).items()}
    except (OSError, ValueError) as error:
        raise SystemExit(f"{vectors} can't be read as an .npz: {error}") from None
    if missing := takes.keys() - arrays.keys():
        raise SystemExit(
            f"The signature takes {', '.join(takes)}; the .npz lacks {', '.join(sorted(missing))}."
        )
    for name, spec in takes.items():
        if not spec.shape[1:].is_compatible_with(arrays[name].shape[1:]):
            raise SystemExit(
                f"The signature takes rows of {tuple(spec.shape[1:])} as {name}; those of the .npz are "
                f"{arrays[name].shape[1:]}."
            )
    return {name: arrays[name][:count].astype(np.float32) for name in takes}


def exchange(saved_model: Path, signature: str, vectors: Path | None, count: int) -> tuple[dict, dict]:
    """The body of a request and that of its answer."""
    if not (saved_model / "saved_model.pb").is_file():
        raise SystemExit(f"{saved_model} is no SavedModel: the folder that holds saved_model.pb is meant.")
    program = tf.saved_model.load(str(saved_model))
    if signature not in program.signatures:
        raise SystemExit(
            f"{saved_model} has no signature {signature!r}, only: {', '.join(program.signatures)}."
        )
    function = program.signatures[signature]
    rows = rows_of(vectors, function.structured_input_signature[1], count)
    outputs = function(**{name: tf.constant(values) for name, values in rows.items()})
    answers = {name: values.numpy().tolist() for name, values in outputs.items()}
    request = {
        "signature_name": signature,
        "inputs": {name: values.tolist() for name, values in rows.items()},
    }
    # The server leaves out the name of an only output.
    return request, {"outputs": answers if len(answers) > 1 else next(iter(answers.values()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("saved_model", type=Path, help="the folder of a SavedModel of an export")
    parser.add_argument("--signature", default="serving_default", help="or waveform, or features")
    parser.add_argument("--vectors", type=Path, help=".npz of (N, …) arrays, input/<name>; none: zeros")
    parser.add_argument("--rows", type=int, default=1, help="how many, 1 or more")
    arguments = parser.parse_args()
    if arguments.rows < 1:
        parser.error(f"--rows takes 1 or more, received {arguments.rows}")
    request, answer = exchange(arguments.saved_model, arguments.signature, arguments.vectors, arguments.rows)
    Path("request.json").write_text(json.dumps(request), encoding="utf-8")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
