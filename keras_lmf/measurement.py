"""measure: what a model's formats cost on this machine, each measured in a process of its own."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.files import size_of
from keras_lmf.locate import EXPORTED, WEIGHTS, locate
from keras_lmf.runtime import open_artifact

if TYPE_CHECKING:
    import pandas as pd

CPU_INFO = Path("/proc/cpuinfo")
KERAS = "keras"


class Formats(NamedTuple):
    """What there is of a model.

    Attributes:
        files: format → path of a .tflite or .onnx file, of the folder of a SavedModel, or, as "keras", of the Keras
            model's weights.
        row: one typical row of input; None: what the files take is all that is known.
    """

    files: dict[str, Path]
    row: dict[str, np.ndarray] | None = None


def measure(
    source: str | Path, threads: Sequence[int] = (1, 2), *, timeout_seconds: float = 600
) -> pd.DataFrame:
    """Size, time and memory of every format of a model that is there, on this machine.

    >>> measure("lmf-mosi-avt")                     # doctest: +SKIP
    >>> measure("out/model-int8.tflite", [1, 4])    # doctest: +SKIP

    Args:
        source: the name of a zoo entry, or a folder that holds one; a run's folder; a .tflite or .onnx file; or the
            folder of a SavedModel.
        threads: numbers of threads.
        timeout_seconds: how long one measurement may take.

    Returns:
        One row per format: `format`, `file`, `bytes` (of the Keras model: of its weights' file); for each number of
        threads `p50_ms_1_thread` and `p95_ms_1_thread`, median and 95th percentile of the milliseconds for one row
        of input; and `peak_mib`, the most memory that a process held which did nothing else, framework and all (NaN
        where the system doesn't tell). The processor alone is used, no GPU. The row is the first of an entry's test
        vectors; else it is drawn, which the time doesn't depend on but for masked steps.

    Raises:
        LMFError: an unknown name, with the nearest; nothing to measure; a number of threads below 1; or a file that
            can't be run, and why.
    """
    if not threads or any(not isinstance(count, int) or count < 1 for count in threads):
        raise LMFError(f"'threads' takes whole numbers of at least 1, received {list(threads)}.")
    found = formats_of(source)
    import pandas as pd
    from tqdm import tqdm

    from keras_lmf import zoo
    from keras_lmf.export.process import row_latency

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, file in tqdm(found.files.items(), desc="measuring", unit="file", leave=False, disable=None):
            path = file
            if name == KERAS:
                path = Path(scratch, "model.keras")
                zoo.load(source).save(path)
            else:
                open_artifact(file)  # refused here, it is not run there
            row = {"format": name, "file": file.name, "bytes": size_of(file)}
            peaks = []
            for count in dict.fromkeys(threads):
                once = row_latency(path, found.row, count, timeout_seconds=timeout_seconds)
                words = "1_thread" if count == 1 else f"{count}_threads"
                row |= {f"{end}_ms_{words}": once[end] for end in ("p50", "p95")}
                peaks.append(once["peak_mib"])
            rows.append(row | {"peak_mib": None if None in peaks else max(peaks)})
    return pd.DataFrame(rows).astype({"peak_mib": float})


def formats_of(source: str | Path) -> Formats:
    """The formats of what `source` means."""
    from keras_lmf.export import FORMATS
    from keras_lmf.zoo import fetching, read_testvectors

    place = locate(source, "entry", "run", *EXPORTED)
    if place.kind == "entry":
        there = fetching.files_of(place)
        keys = [key for key, record in there.entry.files.items() if record.name.endswith(".tflite")]
        files = {KERAS: fetching.file(there, "weights")} | {key: fetching.file(there, key) for key in keys}
        inputs, _ = read_testvectors(fetching.file(there, "testvectors"))
        return Formats(files, {name: values[:1].astype("float32") for name, values in inputs.items()})
    names = {format.file: name for name, format in FORMATS.items()}
    if place.kind != "run":
        return Formats({names.get(place.path.name, place.kind): place.path})
    files = {KERAS: place.path / WEIGHTS}
    files |= {name: place.path / "exported" / file for file, name in names.items()}
    if found := {name: file for name, file in files.items() if file.exists()}:
        return Formats(found)
    raise LMFError(
        f"There is nothing to measure in {place.path}: it has no {WEIGHTS}. Train it to the end first."
    )


def processor() -> str:
    """Name of the processor, number of its cores, and system: "AMD EPYC, 2 cores, Linux x86_64"."""
    name = platform.processor()
    if CPU_INFO.is_file():
        lines = (line.partition(":") for line in CPU_INFO.read_text(encoding="utf-8").splitlines())
        name = next((value.strip() for key, _, value in lines if key.strip() == "model name"), name)
    kind = f"{platform.system()} {platform.machine()}"
    return f"{name or 'unnamed processor'}, {os.cpu_count()} cores, {kind}"
