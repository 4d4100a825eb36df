"""The examples run from start to end and say what they promise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOK = EXAMPLES / "fusion_story.ipynb"
STEPS = EXAMPLES / "steps_story.ipynb"
ENTRY = EXAMPLES.parent / "zoo" / "lmf-synthetic-av"
# Runs the example as a program, then says what got imported, and keeps the raw outputs, which it prints rounded.
RUN_ON_DEVICE = """
import runpy
import sys
import numpy as np

script, model, vectors, kept = sys.argv[1:]
sys.argv = [script, model, vectors]
example = runpy.run_path(script, run_name="__main__")
inputs = {key[6:]: array for key, array in np.load(vectors).items() if key.startswith("input/")}
np.savez(kept, **example["predict"](model, inputs))
print("imported:", *{name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "keras_lmf"})
"""


@pytest.fixture
def own_folders(tmp_path, monkeypatch) -> Path:
    """Whatever an example writes goes below `tmp_path`."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for variable in (
        "TMPDIR",
        "KERAS_HOME",
        "MPLCONFIGDIR",
        "IPYTHONDIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTER_CONFIG_DIR",
    ):
        monkeypatch.setenv(variable, str(temporary))
    return tmp_path


class ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def run(folder: Path, *arguments: str | Path) -> str:
    """What a fresh interpreter prints, run in `folder`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_compose_learns_and_loads_in_a_fresh_process(own_folders):
    printed = run(own_folders, EXAMPLES / "compose.py")
    accuracy = float(re.search(r"test accuracy: ([\d.]+)", printed)[1])
    difference = float(re.search(r"fresh process: (\S+)", printed)[1])
    assert accuracy > 0.9
    assert difference < 1e-5
    assert not list(own_folders.rglob("model.keras")), "the temporary folder was left behind"


@pytest.mark.long
def test_download_and_convert_writes_and_measures_every_format(own_folders):
    printed = run(
        own_folders, EXAMPLES / "download_and_convert.py", "lmf-synthetic-av", "--folder", "converted"
    )
    report = {
        record["file"]: record for record in json.loads((own_folders / "converted/report.json").read_text())
    }
    assert len(report) == 6
    for file, record in report.items():
        row = re.search(rf"^ *{re.escape(file)} +(\d+) +([\d.]+) +([\d.]+)$", printed, flags=re.MULTILINE)
        assert row, f"{file} has no row in\n{printed}"
        assert int(row[1]) == record["bytes"]
        # The entry's card says .98 for float32 and .97 for int8.
        assert float(row[2]) > 0.95
        assert (own_folders / "converted" / file).exists()
    assert str(own_folders / "converted") in printed


def test_download_and_convert_names_an_unknown_entry(own_folders):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "download_and_convert.py", "lmf-sinthetic-av"],
        cwd=own_folders,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "lmf-synthetic-av" in done.stderr


@pytest.mark.long
def test_own_clips_learns_and_answers(own_folders, monkeypatch):
    monkeypatch.setenv("KERAS_LMF_HOME", str(own_folders / "home"))
    printed = run(own_folders, EXAMPLES / "own_clips.py")
    table = (own_folders / "clips" / "labels.csv").read_text().splitlines()[1:]
    labels = {line.split(",")[0]: line.split(",")[1] for line in table}
    # A third by chance; the held-out speaker has ten clips.
    assert float(re.search(r"never met: ([\d.]+)", printed)[1]) >= 0.6
    answers = re.findall(r"^clips/(\S+): (\w+) [\d.]+ \(.*; labelled (\w+)$", printed, flags=re.MULTILINE)
    assert len(answers) == 5
    for file, emotion, label in answers:
        assert emotion in {"happy", "neutral", "sad"}
        assert label == labels[file]


@pytest.mark.parametrize("file", ["model.tflite", "model-int8-integer.tflite"])
def test_on_device_needs_no_framework_and_answers_the_test_vectors(own_folders, file):
    vectors, kept = ENTRY / "testvectors.npz", own_folders / "kept.npz"
    printed = run(own_folders, "-c", RUN_ON_DEVICE, EXAMPLES / "on_device.py", ENTRY / file, vectors, kept)
    assert "imported:\n" in printed

    expected, outputs = np.load(vectors)["output/emotion"], np.load(kept)["emotion"]
    scores = np.array(re.findall(r"calm ([\d.]+), excited ([\d.]+)", printed), float)
    assert scores.shape == expected.shape
    if file == "model.tflite":
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
        calibration = json.loads((ENTRY / "entry.json").read_text())["calibration"]
        powers = np.exp(expected / calibration["temperature"])
        np.testing.assert_allclose(scores, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    else:  # rounded twice, but wrong scales would be off by far more than the card's difference
        entry = json.loads((ENTRY / "entry.json").read_text())
        assert np.abs(outputs - expected).max() < 2 * entry["costs"]["tflite-int8-integer"]["difference_max"]
        assert (scores.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_on_device_reads_labels_from_a_sidecar_and_takes_zeros(own_folders):
    model = own_folders / "model.tflite"
    model.write_bytes((ENTRY / "model.tflite").read_bytes())
    printed = run(own_folders, EXAMPLES / "on_device.py", model)
    assert len(re.findall(r"emotion -?[\d.]+", printed)) == 2  # no labels: values
    (own_folders / "model.tflite.json").write_text(json.dumps({"target": {"classes": ["tired", "awake"]}}))
    first, second = re.search(
        r"row 0: tired ([\d.]+), awake ([\d.]+)", run(own_folders, EXAMPLES / "on_device.py", model)
    ).groups()
    assert float(first) + float(second) == pytest.approx(1, abs=2e-6)


@pytest.mark.long
def test_skin_finds_the_responses_and_learns_which_of_them_follow_an_event(own_folders):
    printed = run(own_folders, EXAMPLES / "skin.py")
    assert float(re.search(r"of their times: ([\d.]+)", printed)[1]) > 0.9
    assert float(re.search(r"test accuracy: ([\d.]+)", printed)[1]) > 0.85  # half by chance
    shares = dict(re.findall(r"^(\S.*\S) +([\d.]+) +[\d.]+$", printed, flags=re.MULTILINE))
    together = sum(float(share) for subset, share in shares.items() if "skin" in subset and "×" in subset)
    assert together > 0.4  # of what speaks for "moved"


@pytest.mark.long
@pytest.mark.parametrize("path", [NOTEBOOK, STEPS], ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_assertions_hold(own_folders, path):
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(own_folders)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def test_the_notebook_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_notebook_of_steps_is_stored_with_its_picture_and_no_more():
    notebook = nbformat.read(STEPS, as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data"}
    assert STEPS.stat().st_size < 150_000
