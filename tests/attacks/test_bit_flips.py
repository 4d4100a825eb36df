"""A flipped bit of a shipped file is refused; bit_flips.py flips more of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import bit_flips
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar

FLIPS = 20


def test_of_every_entry_each_flip_is_refused_or_changes_nothing() -> None:
    found = bit_flips.flipped(bit_flips.ZOO, FLIPS)
    total = sum(found.values(), Counter())
    assert found["model.tflite"]["refused"] == FLIPS * found["model.tflite"]["files"]
    assert total["refused"] + total["same"] == FLIPS * total["files"], total
    assert total["same"] < total["files"] / 10  # the name of the seal, with which nothing else changes


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A .tflite file that ships, without its sidecar."""
    return Path(shutil.copy(bit_flips.ZOO / "lmf-synthetic-av" / "model.tflite", tmp_path))


@pytest.mark.slow
def test_without_its_sidecar_damage_is_an_error_of_ours_where_it_can_be_told(alone: Path) -> None:
    command = [sys.executable, bit_flips.__file__, "200", alone]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    outcomes = json.loads(ran.stdout.splitlines()[-1])
    assert outcomes["refused"] > 20
    assert outcomes["refused"] + outcomes.get("opened", 0) + outcomes.get("crashed", 0) == 200
    assert outcomes.get("crashed", 0) < 4  # LiteRT's reader; docs/security.md says so


@pytest.mark.parametrize("what", ["labels", "temperature", "rate", "sha256"])
def test_a_sidecar_that_was_changed_is_told(alone: Path, what: str) -> None:
    source = bit_flips.ZOO / "ge2e-ravdess-voice" / "model-dynamic.tflite"
    file = Path(shutil.copy(source, alone.parent))
    sidecar = Path(shutil.copy(Sidecar.path_of(source), alone.parent))
    text = sidecar.read_text()
    old, new = {
        "labels": ("surprised", "surprisee"),
        "temperature": ("1.6621", "1.5621"),
        "rate": ('"rate": 16000', '"rate": 16008'),
        "sha256": (sealed := json.loads(text)["sha256"], sealed[::-1]),
    }[what]
    assert old in text
    sidecar.write_text(text.replace(old, new))
    for call in (Sidecar.read, open_artifact):
        with pytest.raises(LMFError, match=r"model-dynamic\.tflite\.json is damaged, or was changed"):
            call(file)
    sidecar.write_text(text)
    open_artifact(file)


def test_a_sealed_sidecar_reads_as_it_was_written(alone: Path) -> None:
    written = Sidecar(sha256="0" * 64, inputs={"x": {}}, notes=('a "seal": "" in a note', "é"))
    written.write(alone)
    read = Sidecar.read(alone)
    assert len(read.seal) == 64
    assert read.model_copy(update={"seal": ""}) == written
    read.write(alone)  # sealed anew, the same
    assert Sidecar.read(alone) == read
    with pytest.raises(LMFError, match="the sha256 differ"):
        open_artifact(alone)
    Sidecar.path_of(alone).unlink()
    open_artifact(alone)
