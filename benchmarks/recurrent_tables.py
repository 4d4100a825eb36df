"""Tables of recurrent networks as files: the published one against PyTorch, and loops."""

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
    """LSTM and GRU in files: Keras's loop, ours and TensorFlow Lite's op, a line per case and format."""
    found = pd.read_csv(RESULTS / "lstm_op.csv")
    table = found.pivot_table(index=["case", "format"], columns="file", values=["ms", "bytes"], sort=False)
    shown = pd.DataFrame(index=table.index)
    for way in ("Keras's loop", "loop in blocks", "LSTM op"):
        times = [short(value) for value in table["ms", way]]
        sizes = ["–" if pd.isna(size) else f"{size:,.0f}" for size in table["bytes", way]]
        shown[f"{way}, ms"], shown[f"{way}, bytes"] = times, sizes
    keras, ours = (table.xs(way, axis=1, level="file") for way in ("Keras's loop", "loop in blocks"))
    shown["share of the bytes"] = (ours["bytes"] / keras["bytes"]).map("{:.2f}".format)
    shown["times faster"] = (keras["ms"] / ours["ms"]).map("{:.1f}".format)
    text = shown.fillna("–").replace("nan", "–").reset_index().to_markdown(index=False, disable_numparse=True)
    return f"{text}\n\n{measured_on(found)}."


def with_quartiles(table: pd.DataFrame, column: str) -> pd.Series:
    low, high = (table[f"{column}_{which}_quartile"].map(short) for which in ("first", "third"))
    return table[column].map(short) + " [" + low + ", " + high + "]"
