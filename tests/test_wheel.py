"""The built wheel, installed elsewhere: in an environment of its own, away from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "PYTHONPATH")}
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, REPOSITORY, folder=folder)
    assert built.returncode == 0, built.stderr[-2000:]
    return next(folder.glob("*.whl"))


def test_wheel_holds_the_package_and_no_tests_or_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "keras_lmf/py.typed" in names
    assert "keras_lmf/zoo/templates/card.md.j2" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    arrays = {name for name in names if name.endswith(".npz")}
    assert all(name.startswith("keras_lmf/_zoo/") and name.endswith("/testvectors.npz") for name in arrays)
    assert sum(member.compress_size for member in zipfile.ZipFile(wheel).infolist()) < 30e6


def test_wheel_says_what_to_install_and_then_works(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    binaries = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin")
    without = run(binaries / "pip", "install", "-q", wheel, folder=tmp_path)
    assert without.returncode == 0, without.stderr[-2000:]

    refused = run(binaries / "keras-lmf", "quickstart", folder=tmp_path)
    assert refused.returncode == 1
    assert 'pip install "keras-lmf[tf]"' in refused.stderr
    assert "Traceback" not in refused.stderr

    extras = run(binaries / "pip", "install", "-q", f"{wheel}[tf,export,media]", folder=tmp_path)
    assert extras.returncode == 0, extras.stderr[-2000:]
    story = run(binaries / "keras-lmf", "quickstart", "--folder", "story", folder=tmp_path)
    assert story.returncode == 0, story.stderr[-2000:]
    assert (tmp_path / "story" / "exported" / "fusion" / "model.tflite").stat().st_size > 1000
    assert (tmp_path / "story" / "timeline.png").stat().st_size > 1000
    # The files' report names every protocol's value: fusion has learnt what early fusion can't.
    assert "model.tflite" in story.stdout
