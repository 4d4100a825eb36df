"""The report on every file: its numbers against the files themselves and the other tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from keras_lmf.operators import operators
from keras_lmf.zoo import Entry, files

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = sorted(path.parent.name for path in ZOO.glob("*/entry.json"))


def test_the_table_is_of_the_files_that_lie_there() -> None:
    table = pd.read_csv(ZOO / "files.csv")
    assert sorted(set(table["entry"])) == NAMES
    shipped = table[table["shipped"]]
    there = {path.relative_to(ZOO).as_posix(): path.stat().st_size for path in ZOO.glob("*/*.tflite")}
    said = {
        f"{row.entry}/{Entry.read(ZOO / row.entry).files[row.format].name}": row.bytes
        for row in shipped.itertuples()
    }
    assert said == there
    assert (shipped["loss"] <= shipped["budget"]).all()


def test_small_formats_of_large_models_save_what_they_should() -> None:
    sizes = pd.read_csv(ZOO / "files.csv").pivot(index="entry", columns="format", values="bytes")
    large = sizes[sizes["tflite"] > 500_000]
    assert len(large) > 5
    assert (large["tflite-dynamic"] <= 0.36 * large["tflite"]).all()
    assert (large["tflite-float16"] <= 0.52 * large["tflite"]).all()


def test_losses_and_metrics_are_those_of_the_other_table() -> None:
    table = pd.read_csv(ZOO / "files.csv").set_index(["entry", "format"])
    results = pd.read_csv(ZOO / "results.csv").query("split == 'test'")
    index = {"index": ["entry", "file"], "columns": "metric"}
    means, values = (results.pivot_table(**index, values=column) for column in ("seeds_mean", "value"))
    runs = results.groupby(["entry", "file"])["seeds"].first()
    for (entry, key), row in table.iterrows():
        # Files that were written anew are of the shipped weights alone.
        compared = means if runs[entry, key] == runs[entry, "weights"] else values
        file, model = compared.loc[entry, key], compared.loc[entry, "weights"]
        right = model["war"] - file["war"]
        expected = file["mae"] / model["mae"] - 1 if np.isnan(right) else right
        assert row["loss"] == pytest.approx(expected, abs=1e-4)  # both tables have six digits
    for record in json.loads((ZOO / "files.json").read_text(encoding="utf-8")):
        expected = values.loc[record["entry"], record["format"]].dropna().to_dict()
        assert record["metrics"] == pytest.approx(expected, rel=1e-4)
        assert table.loc[(record["entry"], record["format"]), "value"] == pytest.approx(
            record["value"], rel=1e-4
        )


def test_shipped_files_run_in_the_interpreter_that_apps_have() -> None:
    """No custom op; a Flex op is one whose name begins with Flex."""
    for path in ZOO.glob("*/*.tflite"):
        names = {operator.name for operator in operators(path.read_bytes())}
        assert names
        assert "CUSTOM" not in names, path


def test_a_file_that_gains_loses_less_than_nothing() -> None:
    assert files.loss({"war": 0.5}, {"war": 0.75}) == (-0.25, "points")
    assert str(files.loss({"mae": 0.5}, {"mae": 0.5 - 1e-12})).startswith("0.00 %")
