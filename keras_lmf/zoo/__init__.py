"""The zoo: trained models that are listed, shown, fetched and loaded by name.

An entry is a folder: `entry.json` (see `Entry`), `recipe.toml`, weights, test vectors, exported files. `table` and
`show` load no backend.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_lmf.locate import bundled_folder, local_path
from keras_lmf.records import Backbone, File, Licences
from keras_lmf.spec import InputSpec
from keras_lmf.zoo.entry import Entry, file_records
from keras_lmf.zoo.fetching import fetch
from keras_lmf.zoo.figures import Calibration, Cost, Enrolled, LeftOut, Metric, Spread, metric_block
from keras_lmf.zoo.listing import app_code, brief, find, recipe, show, table
from keras_lmf.zoo.loading import load

if TYPE_CHECKING:
    from keras_lmf.models import load_backbone, read_testvectors, weight_shapes, write_testvectors

__all__ = [
    "Backbone",
    "Calibration",
    "Cost",
    "Enrolled",
    "Entry",
    "File",
    "InputSpec",
    "LeftOut",
    "Licences",
    "Metric",
    "Spread",
    "app_code",
    "brief",
    "bundled_folder",
    "fetch",
    "file_records",
    "find",
    "load",
    "load_backbone",
    "local_path",
    "metric_block",
    "read_testvectors",
    "recipe",
    "show",
    "table",
    "weight_shapes",
    "write_testvectors",
]


def __getattr__(name: str) -> Any:
    # What needs Keras is in the models' room.
    if name in ("load_backbone", "read_testvectors", "weight_shapes", "write_testvectors"):
        return getattr(importlib.import_module("keras_lmf.models"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
