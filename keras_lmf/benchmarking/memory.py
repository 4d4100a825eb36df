"""Peak memory of the whole networks, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

from keras_lmf.errors import LMFError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measured_here() -> bool:
    """Whether this system tells a process its peak, and lets it count anew (Linux's /proc)."""
    return STATUS.exists() and os.access(CLEAR, os.W_OK)


def measure(phase: str, batch: int, code: str, fusion: str) -> dict[str, Any]:
    """One row, measured by a process of its own.

    Raises:
        LMFError: that process failed; its last words are in the message.
    """
    arguments = [phase, str(batch), code, fusion]
    done = subprocess.run(
        [sys.executable, "-c", "from keras_lmf.benchmarking import memory; memory.main()", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        words = " | ".join(done.stderr.strip().splitlines()[-3:])
        raise LMFError(f"The peak memory of {' '.join(arguments)} could not be measured: {words}")
    row = json.loads(done.stdout.splitlines()[-1])
    return {"phase": phase, "batch": batch, "code": code, "fusion": fusion, **row}


def _mebibytes(field: str) -> float:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure the contender that the command line names, and print the row's two peaks as JSON.

    In MiB above what the process held with the framework loaded and no network made: `running_mib` over five steps
    after compilation, `starting_mib` until then.
    """
    from keras_lmf.benchmarking import whole_models
    from keras_lmf.benchmarking.turns import one_thread

    phase, batch, code, fusion = sys.argv[1:]
    one_thread("tensorflow")
    keras.ops.zeros(1)  # starts TensorFlow
    if code == whole_models.TORCH:
        one_thread("torch")
    before = _mebibytes("VmRSS")
    contender = next(
        found
        for found in whole_models.contenders(phase, int(batch), [whole_models.REFERENCE_RANK], code)
        if (found.code, found.fusion) == (code, fusion)
    )
    step = whole_models.step(contender, phase, int(batch))
    for _ in range(2):
        step()
    starting = _mebibytes("VmHWM") - before
    CLEAR.write_text("5")  # the peak counts anew from here
    for _ in range(5):
        step()
    print(json.dumps({"running_mib": _mebibytes("VmHWM") - before, "starting_mib": starting}))
