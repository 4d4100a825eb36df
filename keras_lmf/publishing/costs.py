"""What an entry's files cost."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.export import Artifact
from keras_lmf.export.process import row_latency
from keras_lmf.measurement import formats_of
from keras_lmf.zoo import Cost, Entry

TIMEOUT_SECONDS = 600


def cost(artifact: Artifact) -> Cost:
    """What an exported file costs."""
    return Cost(
        bytes=artifact.bytes,
        difference_max=artifact.difference_max,
        difference_mean=artifact.difference_mean,
        agreement=artifact.agreement,
        latency_p50_ms=artifact.latency.p50,
        latency_p95_ms=artifact.latency.p95,
    )


def timed(folder: Path) -> dict[str, Cost]:
    """An entry's `costs`, with the milliseconds of every shipped file as they are on this machine now.

    The row is the first of the test vectors. Files that are not shipped keep theirs.
    """
    costs, formats = dict(Entry.read(folder).costs), formats_of(folder)
    for key in (key for key in costs if key in formats.files):
        once = row_latency(formats.files[key], formats.row, timeout_seconds=TIMEOUT_SECONDS)
        update = {f"latency_{end}_ms": once[end] for end in ("p50", "p95")}
        costs[key] = costs[key].model_copy(update=update)
    return costs
