"""What an entry's files cost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from keras_lmf.data.dataset import Split
from keras_lmf.export import Artifact, Latency, export_model
from keras_lmf.export.process import latency_of
from keras_lmf.files import compressed_size_of
from keras_lmf.measurement import formats_of
from keras_lmf.zoo import Cost, Entry, load, read_testvectors

TIMEOUT_SECONDS = 600


def cost(artifact: Artifact) -> Cost:
    """What an exported file costs."""
    return Cost(
        bytes=artifact.bytes,
        difference_max=artifact.difference_max,
        difference_mean=artifact.difference_mean,
        agreement=artifact.agreement,
        **_on_this_machine(artifact.latency, artifact.compressed_bytes),
    )


def _on_this_machine(latency: Latency, compressed_bytes: int) -> dict[str, float | None]:
    """The fields of `Cost` that need no data to be measured anew."""
    return {
        "compressed_bytes": compressed_bytes,
        "latency_p50_ms": latency.p50,
        "latency_p95_ms": latency.p95,
        "latency_p50_ms_two_threads": latency.p50_two_threads,
        "latency_p95_ms_two_threads": latency.p95_two_threads,
        "peak_mib": latency.peak_mib,
    }


def timed(folder: Path) -> dict[str, Cost]:
    """An entry's `costs`, with compressed bytes, milliseconds and memory of every file as they are on this machine now.

    The row is the first of the test vectors. Files that are not shipped are written anew from the weights for it, int8
    ones calibrated on the test vectors: scales change neither bytes nor time, and how many products have fixed ones,
    little.
    """
    entry, formats = Entry.read(folder), formats_of(folder)
    found = {
        key: _on_this_machine(
            latency_of(formats.files[key], formats.row, timeout_seconds=TIMEOUT_SECONDS),
            compressed_size_of(formats.files[key]),
        )
        for key in entry.costs
        if key in formats.files
    }
    if others := [key for key in entry.costs if key not in found]:
        with tempfile.TemporaryDirectory() as scratch:
            artifacts = export_model(load(folder), scratch, others, calibration=_testvectors(folder, entry))
        found |= {one.format: _on_this_machine(one.latency, one.compressed_bytes) for one in artifacts}
    return {key: once.model_copy(update=found[key]) for key, once in entry.costs.items()}


def _testvectors(folder: Path, entry: Entry) -> Split:
    inputs, _ = read_testvectors(folder / entry.files["testvectors"].name)
    rows = len(next(iter(inputs.values())))
    ids = np.arange(rows).astype(str)
    labels = np.zeros((rows, *entry.target.label_shape), np.int64 if entry.target.classes else np.float32)
    return Split("train", inputs, {}, labels, ids, ids, entry.target)
