"""What the scripts that measure share: the words for what they ran on, and the table that they write."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
import pandas as pd

from keras_lmf.files import write_atomically
from keras_lmf.measurement import processor

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert")
CSV = click.option(
    "--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write the table here as well."
)


def about(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The columns `machine`, and `versions` of Python and of those packages that are installed."""
    found = [f"python {platform.python_version()}"]
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return {"machine": f"{processor()}, one thread", "versions": ", ".join(found)}


def write_csv(table: pd.DataFrame, path: Path | None) -> None:
    """Write the table, where a path is given."""
    if path:
        write_atomically(path, lambda temporary: table.to_csv(temporary, index=False, float_format="%.4g"))
