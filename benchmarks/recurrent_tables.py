"""Tables of recurrent networks as files: the published one against PyTorch, and layers that give all their steps."""

from __future__ import annotations

import pandas as pd
from measured_tables import measured_on, short
from measurements import RESULTS


def published_network() -> str:
    """The whole published network on one row: a line per program."""
    table = pd.read_csv(RESULTS / "published_network.csv")
    shown = pd.DataFrame({"program": table["program"], "weights": table["weights"]})
    shown["ms"] = table["cpu_ms"].map(short)
    shown["times as fast as eager"] = with_quartiles(table, "times_eager")
    shown["as TorchScript"] = table["times_script"].map(short)
    shown["kB"] = (table["bytes"] / 1e3).map("{:.0f}".format).where(table["bytes"].notna(), "")
    shown["largest difference"] = (
        table["difference"].map("{:.1g}".format).where(table["difference"].notna(), "")
    )
    caption = (
        "Milliseconds of CPU time for one row, median of the turns. Ratios are taken within a turn; in brackets their "
        f"quartiles. Differences are to what PyTorch answers eagerly, over 32 rows. {measured_on(table)}."
    )
    return f"{caption}\n\n{shown.to_markdown(index=False, disable_numparse=True)}"


def loops() -> str:
    """Layers that give all their steps: bytes and time of a file, by who wrote it."""
    table = pd.read_csv(RESULTS / "loops.csv")
    shown = table[["layer", "steps", "width", "units"]].astype(str)
    for writer in ("TensorFlow's converter", "export"):
        shown[f"bytes, {writer}"] = table[f"bytes, {writer}"].map("{:,}".format)
        shown[f"ms, {writer}"] = table[f"ms, {writer}"].map(short)
    shown["times as fast"] = with_quartiles(table, "times_faster")
    return f"{measured_on(table)}.\n\n{shown.to_markdown(index=False, disable_numparse=True)}"


def with_quartiles(table: pd.DataFrame, column: str) -> pd.Series:
    low, high = (table[f"{column}_{which}_quartile"].map(short) for which in ("first", "third"))
    return table[column].map(short) + " [" + low + ", " + high + "]"
