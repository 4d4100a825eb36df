"""Float32 TFLite to float16, int8 or int16: a script that runs in a process of its own, without TensorFlow.

`tflite.py` starts it through `process.py` as `python -P quantize.py KIND FLOAT32 INPUTS SPECTRAL OUTPUT FAILURE`.
INPUTS is an .npz of calibration rows, by modality (N, …), which the calibrated kinds read; SPECTRAL is JSON, the
fields of `Spectral`. It exits with 0 and OUTPUT written, or with 1 and FAILURE written (`failures.tell`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from keras_lmf import failures
from keras_lmf.quantization import Spectral, dynamic, float16, int8, int16


def main(kind: str, float32: str, inputs: str, spectral: str, output: str, failure: str) -> int:
    layers = Spectral(**{name: tuple(names) for name, names in json.loads(spectral).items()})
    try:
        content = Path(float32).read_bytes()
        if kind == "float16":
            content = float16(content)
        elif kind == "dynamic":
            content = dynamic(content, layers)
        elif kind == "int16":
            content = int16(content, dict(np.load(inputs)), layers)
        else:
            content = int8(content, dict(np.load(inputs)), kind == "int8-integer", layers)
    except Exception as error:
        return failures.tell(failure, error)
    Path(output).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
