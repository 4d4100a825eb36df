"""Peak memory of a `.tflite` file's Recognizer on a long clip, in this process alone.

    python benchmarks/long_file.py model.tflite hour.wav

Prints JSON: `windows`, `seconds` that it took, `starting_mib` (peak with the model opened), `peak_mib` (at the end).
The peaks are null where there is no /proc.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from keras_lmf import Recognizer

STATUS = Path("/proc/self/status")


def peak_mib() -> float | None:
    """Peak resident memory of this process in MiB."""
    # Not `ru_maxrss`: a process that was started by a large one inherits that one's peak.
    if not STATUS.exists():
        return None
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main(model: str, clip: str) -> None:
    recognizer = Recognizer(model)
    starting = peak_mib()
    start = time.perf_counter()
    windows = len(recognizer(clip).timeline)
    seconds = time.perf_counter() - start
    row = {"windows": windows, "seconds": seconds, "starting_mib": starting, "peak_mib": peak_mib()}
    print(json.dumps(row))


if __name__ == "__main__":
    main(*sys.argv[1:])
