"""The README is true: its Python runs, its tables are those of benchmarks/results."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_lmf.cli import main

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks in one language ("" for none)."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for word, text in fenced if word == language]


def test_snippets_and_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python blocks in one fresh process, then the keras-lmf commands on what they left."""
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "model.tflite" in ran.stdout

    commands = [line for block in blocks("") for line in block.splitlines() if line.startswith("keras-lmf ")]
    assert len(commands) >= 4
    monkeypatch.chdir(tmp_path)
    shutil.copy("recordings/00004.mp4", "clip.mp4")  # the reader's own
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.stdout.strip()


def test_tables_are_those_of_the_results() -> None:
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "report.py", "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
