"""The examples run from start to end and say what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOK = EXAMPLES / "fusion_story.ipynb"


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


def test_compose_learns_and_loads_in_a_fresh_process(own_folders):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "compose.py"],
        cwd=own_folders,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"test accuracy: ([\d.]+)", done.stdout)[1])
    difference = float(re.search(r"fresh process: (\S+)", done.stdout)[1])
    assert accuracy > 0.9
    assert difference < 1e-5
    assert not list(own_folders.rglob("model.keras")), "the temporary folder was left behind"


def test_the_notebook_runs_and_its_assertions_hold(own_folders):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
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
