"""What a SavedModel answers: a script that runs in a process of its own, where this one has another framework.

`source.py` starts it through `process.py` as `python -P answers.py SAVED_MODEL INPUTS OUTPUT FAILURE`. INPUTS is the
JSON of modality → .npy file. OUTPUT is an .npz of the answers by target; FAILURE is that of `failures`.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from keras_lmf import failures
from keras_lmf.runtime import open_artifact


def main(saved_model: str, inputs: str, output: str, failure: str) -> int:
    try:
        rows = {name: np.load(file, mmap_mode="r") for name, file in json.loads(inputs).items()}
        np.savez(output, **open_artifact(saved_model).predict(rows))
    except Exception as error:
        return failures.tell(failure, error)
    return 0


if __name__ == "__main__":
    sys.modules["keras"] = sys.modules["jax"] = None  # as in `convert.py`
    sys.exit(main(*sys.argv[1:]))
