"""Where the package finds its entries: in an unpacked wheel, and in an editable install of a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from zoo_entry import NAME

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
# `python -m build` without an environment of its own: seconds instead of a minute.
BUILD = "import sys, hatchling.build as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
ASK = (
    "import sys, site\n"
    "old = list(sys.path)\n"
    "site.addsitedir(sys.argv[1])\n"
    "sys.path[:] = [path for path in sys.path if path not in old] + old\n"
    "import keras_lmf as klmf\n"
    "print(klmf.__file__, klmf.zoo.bundled_folder(), klmf.zoo.table()['name'].tolist(), sep='\\n')\n"
    f"print(klmf.zoo.fetch({NAME!r}, files=['weights'])['weights'])\n"
)


def run(code: str, *arguments: object, folder: Path) -> list[str]:
    """What `code` prints, away from this clone and without any mirror."""
    ours = ("PYTHONPATH", "KERAS_LMF_ZOO_URL", "KERAS_LMF_HOME", "KERAS_LMF_OFFLINE")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=environment | {"KERAS_LMF_HOME": str(folder / "nothing")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def clone(tmp_path: Path, made_entry: Path) -> Path:
    """The repository with the tiny entry alone in `zoo`."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, clone)
    shutil.copytree(
        REPOSITORY / "keras_lmf", clone / "keras_lmf", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        REPOSITORY / "examples" / "web",
        clone / "examples" / "web",
        ignore=shutil.ignore_patterns("node_modules"),
    )
    shutil.copytree(made_entry, clone / "zoo" / NAME)
    return clone


def installed(clone: Path, kind: str, target: Path) -> Path:
    """The unpacked wheel that the hook `kind` of PEP 517 or 660 builds."""
    wheels = target.parent / "wheels"
    wheels.mkdir()
    wheel = run(BUILD, kind, wheels, folder=clone)[-1]
    with zipfile.ZipFile(wheels / wheel) as archive:
        archive.extractall(target)
    return target


def test_a_wheel_brings_the_entries_along(clone: Path, tmp_path: Path, made_entry: Path) -> None:
    target = installed(clone, "build_wheel", tmp_path / "site")
    shutil.rmtree(clone)
    package, bundled, names, weights = run(ASK, target, folder=tmp_path)
    assert Path(package) == target / "keras_lmf" / "__init__.py"
    assert Path(bundled) == target / "keras_lmf" / "_zoo"
    assert names == f"['{NAME}']"
    assert Path(weights) == target / "keras_lmf" / "_zoo" / NAME / "model.weights.h5"
    templates = {path.name for path in (REPOSITORY / "keras_lmf" / "zoo" / "templates").iterdir()}
    assert {path.name for path in (target / "keras_lmf" / "zoo" / "templates").iterdir()} == templates
    assert {path.name for path in Path(weights).parent.iterdir()} == {
        path.name for path in made_entry.iterdir()
    }


def test_an_editable_install_uses_the_clones_own(clone: Path, tmp_path: Path) -> None:
    target = installed(clone, "build_editable", tmp_path / "site")
    package, bundled, names, weights = run(ASK, target, folder=tmp_path)
    assert Path(package) == clone / "keras_lmf" / "__init__.py"
    assert Path(bundled) == clone / "zoo"
    assert names == f"['{NAME}']"
    assert Path(weights) == clone / "zoo" / NAME / "model.weights.h5"
