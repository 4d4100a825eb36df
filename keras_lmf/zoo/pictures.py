"""The pictures of the zoo: what each entry's files cost and gain, and what those of all entries do.

Each is a PNG that holds as text the figures it shows, so a stale one is told without drawing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import ERRORS
from keras_lmf.files import write_atomically
from keras_lmf.zoo.entry import Entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILES, ZOO = "files.png", "accuracy-and-size.png"
APART = "saved_model"  # a server's, a folder of many files
SHOWN = "Description"  # PNG's own word for such a text


class Picture(NamedTuple):
    """The figures in a picture, a row each, and what draws them."""

    rows: list[dict[str, Any]]
    draw: Callable[[pd.DataFrame], Figure]

    @property
    def text(self) -> str:
        """The figures, as the PNG holds them."""
        return json.dumps(self.rows)


def pictures(zoo: Path, entries: Mapping[Path, Entry]) -> dict[Path, Picture]:
    """By path: one beside each entry with measured files, and in their folder one of all that a recording fills."""
    drawn = {folder / FILES: of_files(entry) for folder, entry in entries.items()}
    drawn[zoo / ZOO] = of_entries(entries.values())
    return {path: picture for path, picture in drawn.items() if picture.rows}


def of_files(entry: Entry) -> Picture:
    """The entry's first metric against bytes and milliseconds of every measured file."""
    word = next(iter(entry.metrics["weights"]))
    rows = [
        {"file": key, "bytes": cost.bytes, "milliseconds": cost.latency_p50_ms, "metric": word}
        | entry.metrics[key][word].model_dump()
        for key, cost in entry.costs.items()
        if key in entry.metrics
    ]
    return Picture(rows, _files)


def of_entries(entries: Iterable[Entry]) -> Picture:
    """Accuracy above the floor against bytes, of every `.tflite` file of the entries whose inputs a recording fills."""
    rows = [
        {
            "model": entry.name,
            "bytes": cost.bytes,
            "gain": metric.value - metric.floor,
            "there": key in entry.files,
        }
        for entry in entries
        if entry.spec.media == entry.inputs
        for key, cost in entry.costs.items()
        if key != APART and (metric := entry.metrics[key].get("war")) and metric.floor is not None
    ]
    return Picture(rows, _entries)


def is_stale(path: Path, picture: Picture) -> bool:
    """Whether there is no picture, or one of other figures. (After a change of the plots: delete it.)"""
    try:
        with Image.open(path) as drawn:
            return drawn.info.get(SHOWN) != picture.text
    except OSError:  # none, or no picture
        return True


def write(path: Path, picture: Picture) -> Path:
    """Draws it, with 256 colours, which is all it has but for smoothed edges: a third of the bytes."""
    from keras_lmf.evaluation.style import DPI  # with matplotlib, which takes a second

    drawn, text = io.BytesIO(), PngInfo()
    picture.draw(pd.DataFrame(picture.rows)).savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    text.add_text(SHOWN, picture.text)
    with Image.open(drawn) as large:
        small = large.convert("RGB").quantize(256)
    return write_atomically(path, lambda temporary: small.save(temporary, "PNG", optimize=True, pnginfo=text))


def _files(table: pd.DataFrame) -> Figure:
    from keras_lmf.evaluation import file_plots

    word = table["metric"][0]
    return file_plots.metric_against_cost(
        table["file"].tolist(),
        table[["value", "low", "high", "floor"]].astype(float),
        table["bytes"].tolist(),
        table["milliseconds"].tolist(),
        metric_name(word),
        error=word in ERRORS,
        apart=APART,
    )


def _entries(table: pd.DataFrame) -> Figure:
    from keras_lmf.evaluation import file_plots

    return file_plots.gain_against_bytes(table, "What each file gains, on its own test data")
