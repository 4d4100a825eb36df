"""Peak memory, each in a process of its own: of a network, a .tflite file's Recognizer on a long clip, a training.

    python -m speed.memory network PHASE BATCH CODE FUSION
    python -m speed.memory clip MODEL CLIP
    python -m speed.memory training KIND SHARDS RUN

Each prints a line of JSON, and imports nothing but what is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from speed.published import REFERENCE_RANK, TORCH
from speed.turns import one_thread

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def counts_anew() -> bool:
    """Whether this system tells a process its peak, and lets it count anew (Linux's /proc)."""
    return STATUS.exists() and os.access(CLEAR, os.W_OK)


def _mebibytes(field: str) -> float:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def network(phase: str, batch: str, code: str, fusion: str) -> dict[str, float]:
    """Two peaks of a whole network, in MiB above what the process held with the framework loaded and no network made.

    `running_mib` is over five steps after compilation, `starting_mib` until then.
    """
    if code == TORCH:
        import torch

        from speed import torch_networks

        torch.set_num_threads(1)
        before = _mebibytes("VmRSS")
        step = torch_networks.step(fusion, phase, int(batch))
    else:
        import keras

        from speed import comparisons

        one_thread("tensorflow")
        keras.ops.zeros(1)  # starts TensorFlow
        before = _mebibytes("VmRSS")
        (contender,) = (
            found
            for found in comparisons.contenders([REFERENCE_RANK])
            if (found.fusion, found.compiled) == (fusion, comparisons.TF_FUNCTION)
        )
        step = comparisons.step(contender, phase, int(batch))
    for _ in range(2):
        step()
    starting = _mebibytes("VmHWM") - before
    CLEAR.write_text("5")  # the peak counts anew from here
    for _ in range(5):
        step()
    return {"running_mib": _mebibytes("VmHWM") - before, "starting_mib": starting}


def clip(model: str, path: str) -> dict[str, float | None]:
    """`windows`, `seconds` that it took, and peaks in MiB, with the model opened and at the end; null without /proc."""
    from keras_lmf import Recognizer

    recognizer = Recognizer(model)
    starting, start = _peak(), time.perf_counter()
    windows = len(recognizer(path).timeline)
    seconds = time.perf_counter() - start
    return {"windows": windows, "seconds": seconds, "starting_mib": starting, "peak_mib": _peak()}


def training(kind: str, shards: str, folder: str) -> dict[str, float | str | None]:
    """`backend`, `seconds` that it took, and peaks in MiB, with Keras started and at the end; null without /proc."""
    import keras
    import large_data

    from keras_lmf.training import train

    keras.ops.zeros(1)  # starts the framework
    starting, start = _peak(), time.perf_counter()
    train(large_data.recipe(kind), large_data.dataset(Path(shards)), folder)
    seconds = time.perf_counter() - start
    found = {"backend": keras.backend.backend(), "seconds": seconds}
    return found | {"starting_mib": starting, "peak_mib": _peak()}


def _peak() -> float | None:
    # Not `ru_maxrss`: a process that was started by a large one inherits that one's peak.
    return _mebibytes("VmHWM") if STATUS.exists() else None


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    print(json.dumps({"network": network, "clip": clip, "training": training}[what](*arguments)))
