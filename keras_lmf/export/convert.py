"""SavedModel to float32 TFLite: a script that runs in a process of its own, with TensorFlow alone.

The converter is C++ that can take its process down, so `tflite.py` starts this file through `process.py` as
`python -P convert.py SAVED_MODEL OUTPUT FAILURE`. It exits with 0 and OUTPUT written, or with 1 and FAILURE
(`failures.tell`), whose operators are the TensorFlow ops that have no builtin.
"""

from __future__ import annotations

import sys
from pathlib import Path

from keras_lmf import failures

WAY_OUT = (
    "TensorFlow Lite has no builtin for this, and the Flex library that has it is in no stock interpreter. "
    "Express these layers with other keras.ops functions, or export to 'saved_model' only."
)


def convert(saved_model: str) -> bytes:
    """Convert with TensorFlow Lite's builtin ops only."""
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=["serving_default"]
    )
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS]
    # A loop that keeps its outputs writes each into its place, in one op. Else it copies those before and those behind,
    # whose lengths change with each step, and takes about twice as long.
    converter._experimental_enable_dynamic_update_slice = True
    return converter.convert()


def main(saved_model: str, output: str, failure: str) -> int:
    try:
        content = convert(saved_model)
    except Exception as error:
        # A ConverterError lists the ops that have no builtin; the first call of a location is the op's own.
        operators = [
            [entry.operator.name.removeprefix("tf."), entry.location.call[0].name.partition("@")[0]]
            for entry in getattr(error, "errors", [])
            if entry.operator.name and entry.location.call
        ]
        return failures.tell(failure, WAY_OUT if operators else error, operators)
    Path(output).write_bytes(content)
    return 0


if __name__ == "__main__":
    # TensorFlow imports both where they are installed, which takes as long as its own start; neither is needed.
    sys.modules["keras"] = sys.modules["jax"] = None
    sys.exit(main(*sys.argv[1:]))
