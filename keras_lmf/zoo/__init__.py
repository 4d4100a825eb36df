"""The zoo: trained models that are listed, shown, fetched and loaded by name.

An entry is a folder: `entry.json` (see `Entry`), `recipe.toml`, weights, test vectors, exported files. `table` and
`show` load no backend.
"""

from keras_lmf.locate import bundled_folder, local_path
from keras_lmf.spec import InputSpec
from keras_lmf.zoo.backbones import Backbone, load_backbone
from keras_lmf.zoo.entry import (
    Calibration,
    Cost,
    Entry,
    File,
    Licences,
    Metric,
    Spread,
    file_records,
    metric_block,
)
from keras_lmf.zoo.fetching import fetch
from keras_lmf.zoo.filling import weight_shapes
from keras_lmf.zoo.listing import find, recipe, show, table
from keras_lmf.zoo.loading import load
from keras_lmf.zoo.vectors import read_testvectors, write_testvectors

__all__ = [
    "Backbone",
    "Calibration",
    "Cost",
    "Entry",
    "File",
    "InputSpec",
    "Licences",
    "Metric",
    "Spread",
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
