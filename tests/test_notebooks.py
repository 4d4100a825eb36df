"""The notebooks run, are stored as they ran, and install what is missing."""

from __future__ import annotations

import importlib.util
import logging
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

sys.path.append(str(EXAMPLES.parent / "benchmarks"))  # last: tests and benchmarks both have a clips.py


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.mark.long
def test_a_notebook_runs_and_its_assertions_hold(own_folders, notebook):
    from notebooks import executed

    before = nbformat.read(notebook, as_version=4)
    after = executed(notebook, own_folders)
    pictures = [
        sum("image/png" in output.get("data", {}) for cell in one.cells for output in cell.get("outputs", []))
        for one in (before, after)
    ]
    assert pictures[0] == pictures[1] <= 4


def test_a_notebook_is_stored_as_it_ran_from_top_to_bottom(notebook):
    """On no particular machine: no path of it, no log."""
    read = nbformat.read(notebook, as_version=4)
    nbformat.validate(read)
    assert len(read.cells) <= 25
    assert notebook.stat().st_size < 400_000
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert len(outputs) >= 4
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    texts = [*(cell.source for cell in read.cells), *map(str, outputs)]
    for text in texts:
        assert not re.search(r"(?<![\w.])/(home|opt|root|tmp|usr|var|work|Users)/|WARNING|Warning:", text)


def test_links_of_a_notebook_lead_somewhere(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (EXAMPLES / target).exists(), target


def header(path: Path) -> str:
    """The source of a notebook's first cell of code."""
    return next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


def test_all_notebooks_begin_alike():
    assert len(NOTEBOOKS) == 4
    assert len({header(path) for path in NOTEBOOKS}) == 1


@pytest.mark.parametrize(
    ("missing", "extras"),
    [
        (("keras_lmf", "tensorflow"), "tf,export,media,face"),
        (("keras_lmf",), "export,media,face"),
        ((), None),
    ],
)
def test_a_notebook_installs_the_wheel_where_keras_lmf_is_missing(tmp_path, monkeypatch, missing, extras):
    ran: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    # What else the cell does, to this process.
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(logging, "basicConfig", lambda: None)
    monkeypatch.setattr(logging.getLogger("tensorflow"), "setLevel", lambda level: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
    if missing:
        with pytest.raises(FileNotFoundError, match="upload it"):
            exec(header(NOTEBOOKS[0]), {})
    wheel = tmp_path / "keras_lmf-0.1.0-py3-none-any.whl"
    wheel.touch()
    exec(header(NOTEBOOKS[0]), {})
    assert [command[-1] for command in ran] == ([f"{wheel}[{extras}]"] if extras else [])
