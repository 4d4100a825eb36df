"""Fixtures of the zoo's tests and of those on folders of clips, and what holds for every test."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import make_clips
from one_framework import keep_apart, shared
from zoo_entry import NAME, Mirror, make_entry, serving

import keras_lmf as klmf
from keras_lmf import locate
from keras_lmf.zoo import fetching

keep_apart()
collect_ignore = ["pytorch_worker.py"]  # the search for doctests would import PyTorch


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.backends("torch")` skips a test where that isn't installed."""
    for mark in item.iter_markers("backends"):
        for name in mark.args:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed (the extra 'backends')")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A long test is a slow one, and a slow one gets 15 minutes, unless it says otherwise."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(autouse=True)
def one_framework() -> Iterator[None]:
    yield
    assert not shared(), (
        "TensorFlow and PyTorch are in one process: ask the other one in a process of its own"
    )


@pytest.fixture(scope="session")
def made_entry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny entry; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / NAME
    make_entry(folder)
    return folder


@pytest.fixture
def entry_folder(made_entry: Path, tmp_path: Path) -> Path:
    """A copy of the tiny entry, in a folder `zoo` of its own."""
    return Path(shutil.copytree(made_entry, tmp_path / "zoo" / NAME))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of entries; no setting of the tester's, nothing bundled, no waiting between attempts."""
    for name in (locate.MIRROR, locate.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(locate.HOME, str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(locate, "PACKAGE", tmp_path / "package" / "keras_lmf")
    monkeypatch.setattr(fetching, "RETRIES", 0)
    return tmp_path / "home" / "zoo"


@pytest.fixture
def mirror(entry_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A web server on the folder that holds the tiny entry."""
    with serving(entry_folder.parent) as server:
        monkeypatch.setenv(locate.MIRROR, server.url)
        yield server


@pytest.fixture
def exported_in_process() -> Iterator[None]:
    """As `exporting.exported_here`: each process of an export takes seconds to import TensorFlow."""
    from exporting import exported_here

    with exported_here():
        yield


@pytest.fixture
def few_steps() -> Iterator[None]:
    """As `untraced.untraced`, for trainings of a few steps."""
    from untraced import untraced

    with untraced():
        yield


@pytest.fixture(scope="session")
def loud_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `loud_model.py` in every format that a Recognizer opens; not to be changed."""
    from loud_model import export, loud_model  # with Keras, which few tests need

    formats = ("saved_model", "tflite", "onnx")
    return export(loud_model(), tmp_path_factory.mktemp("loud"), formats, temperature=2.0)


@pytest.fixture(scope="session")
def recognizer(loud_files: Path) -> klmf.Recognizer:
    """Of its `.tflite` file."""
    return klmf.Recognizer(loud_files / "model.tflite")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was extracted is kept."""
    monkeypatch.setenv("KERAS_LMF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "extracted"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five speakers, three clips of each of two labels."""
    make_clips(tmp_path / "my_clips")
    return tmp_path / "my_clips"


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
