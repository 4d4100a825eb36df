"""measure: every format that is there, each in a process of its own. No time is asserted, a machine may be busy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from exporting import exported_here
from zoo_entry import recipe

from keras_lmf import measurement
from keras_lmf.cli import main, tables
from keras_lmf.errors import LMFError
from keras_lmf.export import export_model
from keras_lmf.export.process import row_latency
from keras_lmf.measurement import formats_of, measure
from keras_lmf.zoo import Entry, file_records, load

FORMATS = ["saved_model", "tflite", "tflite-dynamic"]
COLUMNS = ["format", "file", "bytes", "p50_ms_1_thread", "p95_ms_1_thread", "peak_mib"]


@pytest.fixture(scope="module")
def exported(made_entry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny entry's model, written in all FORMATS."""
    folder = tmp_path_factory.mktemp("exported")
    with exported_here():
        export_model(load(made_entry), folder, FORMATS)
    return folder


@pytest.fixture
def run(made_entry: Path, exported: Path, tmp_path: Path) -> Path:
    """A run's folder with what an export of it has written."""
    folder = tmp_path / "run"
    folder.mkdir()
    recipe().write(folder / "recipe.toml")
    shutil.copy(made_entry / "model.weights.h5", folder)
    shutil.copytree(exported, folder / "exported")
    return folder


def check(table, files: list[Path]) -> None:
    """One row per file, with its bytes; times and memory above 0, the median not above the 95th percentile."""
    assert list(table["file"]) == [file.name for file in files]
    sizes = [
        sum(part.stat().st_size for part in ([file] if file.is_file() else file.rglob("*")) if part.is_file())
        for file in files
    ]
    assert list(table["bytes"]) == sizes
    numbers = table.select_dtypes("float")
    if not Path("/proc/self/status").exists():
        numbers = numbers.drop(columns="peak_mib")
    assert (numbers > 0).all(axis=None)
    for threads in {name.partition("_ms_")[2] for name in table if "_ms_" in name}:
        assert (table[f"p50_ms_{threads}"] <= table[f"p95_ms_{threads}"]).all()


@pytest.mark.long
def test_a_run_has_a_row_for_every_format(run: Path) -> None:
    table = measure(run, [1])
    assert list(table) == COLUMNS
    assert list(table["format"]) == ["keras", *FORMATS]
    written = [run / "exported" / name for name in ("saved_model", "model.tflite", "model-dynamic.tflite")]
    check(table, [run / "model.weights.h5", *written])


@pytest.mark.slow
def test_numbers_of_threads_are_columns_for_a_file(exported: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(exported / "model.tflite", tmp_path / "mine.tflite"))
    table = measure(str(mine), [1, 3])
    assert list(table) == [*COLUMNS[:-1], "p50_ms_3_threads", "p95_ms_3_threads", "peak_mib"]
    assert list(table["format"]) == ["tflite"]
    check(table, [mine])


def test_an_entry_has_its_weights_and_files_and_a_row_of_its_own(entry_folder: Path, exported: Path) -> None:
    shutil.copy(exported / "model.tflite", entry_folder)
    entry = Entry.read(entry_folder)
    names = {key: file.name for key, file in entry.files.items()} | {"tflite": "model.tflite"}
    entry.model_copy(update={"files": file_records(entry_folder, names)}).write(entry_folder)
    found = formats_of(entry_folder)
    assert found.files == {
        "keras": entry_folder / "model.weights.h5",
        "tflite": entry_folder / "model.tflite",
    }
    with np.load(entry_folder / "testvectors.npz") as vectors:
        for name, values in found.row.items():
            np.testing.assert_array_equal(values, vectors[f"input/{name}"][:1])


def test_folders_of_files_alone(exported: Path, made_entry: Path) -> None:
    assert formats_of(exported / "saved_model").files == {"saved_model": exported / "saved_model"}
    assert formats_of("lmf-mosi-avt").files.keys() >= {"keras", "tflite", "tflite-int8"}


@pytest.mark.slow
def test_the_command_prints_a_table_and_json(exported: Path) -> None:
    words = ["benchmark", str(exported / "model.tflite"), "--threads", "1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"On {measurement.processor()}:\n")
    assert "ms, 1 thread" in result.stdout
    told = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert told["machine"] == measurement.processor()
    (row,) = told["formats"]
    assert list(row) == COLUMNS


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"format": "tflite-int8-integer", "file": "model-int8-integer.tflite", "bytes": 12_345_678}
    row |= {f"{end}_ms_{count}": 0.00123 for count in ("1_thread", "2_threads") for end in ("p50", "p95")}
    measured = pd.DataFrame([row | {"peak_mib": 48.2}, row | {"peak_mib": np.nan}])
    monkeypatch.setattr(measurement, "measure", lambda *_: measured)
    monkeypatch.setattr(tables, "room", lambda: width)
    lines = CliRunner().invoke(main, ["benchmark", "model.tflite"]).stdout.splitlines()
    assert max(map(len, lines)) <= width
    cells = "tflite-int8-integer 12,345,678 0.00123 / 0.00123 0.00123 / 0.00123 48"
    assert " ".join(lines[2].split()).startswith(cells)
    assert (row["file"] in lines[2]) == (width > 80)


def test_mistakes_are_told(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(LMFError, match="Did you mean 'lmf-mosi-avt'"):
        measure("lmf-mosi-avtt")
    with pytest.raises(LMFError, match=r"Can.t tell what .* is: the folder holds no"):
        measure(tmp_path)
    recipe().write(tmp_path / "recipe.toml")
    with pytest.raises(LMFError, match=r"no model\.weights\.h5. Train it to the end first"):
        measure(tmp_path)
    for threads in ([], [0], ["two"]):
        with pytest.raises(LMFError, match="'threads' takes whole numbers of at least 1"):
            measure(exported / "model.tflite", threads)
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\0" * 64)
    with pytest.raises(LMFError, match=r"broken\.tflite.*damaged or cut off"):
        measure(broken, [1])
    result = CliRunner().invoke(main, ["benchmark", str(broken), "--threads", "one"])
    assert result.exit_code == 2
    assert "--threads takes whole numbers" in result.stderr


@pytest.mark.long
def test_a_length_that_is_free_is_told(tmp_path: Path) -> None:
    import keras

    text = keras.Input((None, 3), name="text")
    answer = keras.layers.Dense(2, name="answer")(keras.layers.GlobalAveragePooling1D()(text))
    keras.Model({"text": text}, {"answer": answer}).save(tmp_path / "model.keras")
    with pytest.raises(LMFError, match="'text' takes any length"):
        row_latency(tmp_path / "model.keras", None, timeout_seconds=300)


def test_the_processor_is_named_where_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: Sample CPU 3000 @ 2: fast\n\nprocessor\t: 1\n")
    monkeypatch.setattr(measurement, "CPU_INFO", told)
    monkeypatch.setattr(measurement.os, "cpu_count", lambda: 2)
    assert measurement.processor().startswith("Sample CPU 3000 @ 2: fast, 2 cores, ")
