"""The tables that both acts print."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from keras_lmf.export import Artifact, summary

PROTOCOLS = ["war", "uar", "f1_macro", "cohen_kappa"]


def text(table: pd.DataFrame) -> str:
    """Metrics with three decimals."""
    return table.to_string(float_format="{:.3f}".format)


def costs(artifacts: Sequence[Artifact]) -> str:
    """What the files themselves answer on the test split, and what they weigh and take."""
    files = summary(artifacts).T[["bytes", "war", "f1_macro", "agreement with Keras", "latency p50, ms"]]
    return f"What the files themselves answer on the test split, and what they cost:\n\n{files.to_string()}"
