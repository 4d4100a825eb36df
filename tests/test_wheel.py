"""The built wheel, installed elsewhere: in an environment of its own, away from the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
# An entry that travels in the wheel becomes a file that answers; its card comes from the wheel's templates.
USE = """
import keras_lmf as klmf
from keras_lmf import locate
from keras_lmf.runtime import open_artifact
from keras_lmf.zoo import Entry, cards, read_testvectors

print(klmf.__file__)
(file,) = klmf.export_model(klmf.load("lmf-synthetic-av"), "exported", ["tflite"])
folder = locate.PACKAGE / "_zoo" / "lmf-synthetic-av"
inputs, expected = read_testvectors(folder / "testvectors.npz")
answers = open_artifact(file.path).predict(inputs)
print(max(abs(answers[name] - expected[name]).max() for name in expected))
assert "lmf-synthetic-av" in cards.card(folder, Entry.read(folder))
"""


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
    assert {"keras_lmf/_web/page/index.html", "keras_lmf/_web/package-lock.json"} <= set(names)
    assert not [name for name in names if "node_modules" in name]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    arrays = {name for name in names if name.endswith(".npz")}
    assert all(name.startswith("keras_lmf/_zoo/") and name.endswith("/testvectors.npz") for name in arrays)
    assert sum(member.compress_size for member in zipfile.ZipFile(wheel).infolist()) < 60e6


@pytest.mark.long
def test_wheel_says_what_to_install_and_then_works(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    binaries = tmp_path / "environment" / ("Scripts" if os.name == "nt" else "bin")
    without = run(binaries / "pip", "install", "-q", wheel, folder=tmp_path)
    assert without.returncode == 0, without.stderr[-2000:]

    refused = run(binaries / "keras-lmf", "quickstart", folder=tmp_path)
    assert refused.returncode == 1
    assert 'pip install "keras-lmf[tf]"' in refused.stderr
    assert "Traceback" not in refused.stderr

    # TensorFlow and the other extras are those of this environment: behind the wheel's own packages on the path.
    site = next((tmp_path / "environment").glob("**/site-packages"))
    (site / "extras.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    works = run(binaries / "python", "-c", USE, folder=tmp_path)
    assert works.returncode == 0, works.stderr[-2000:]
    package, difference = works.stdout.splitlines()[-2:]
    assert Path(package).is_relative_to(site)
    assert float(difference) < 1e-5
