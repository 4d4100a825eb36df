"""Every small file of a run, an entry, an export or a corpus, with content that does harm: our error that names it."""

from __future__ import annotations

import json
import pickle
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from bombs import Bomb
from word_recipes import two
from zoo_entry import make_entry

from keras_lmf.data import Dataset, corpora
from keras_lmf.data.corpora.description import read_description
from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.publishing.retrainings import trained
from keras_lmf.recipe import Recipe
from keras_lmf.records import Backbone
from keras_lmf.sidecar import Sidecar
from keras_lmf.training import Run, train
from keras_lmf.training.checkpoint import read_progress
from keras_lmf.zoo import Entry, load, read_testvectors, show

Content = Callable[[bytes], bytes | None]  # of what was there; None: a folder
CONTENTS: dict[str, Content] = {
    "empty": lambda whole: b"",
    "half": lambda whole: whole[: len(whole) // 2],
    "all but the end": lambda whole: whole[:-3],
    "twice": lambda whole: whole + whole,
    "no UTF-8": lambda whole: whole[:40] + b"\xff\xfe" + whole[40:],
    "UTF-16": lambda whole: '{"a": 1}'.encode("utf-16"),
    "null byte": lambda whole: whole[:40] + b"\0" + whole[40:],
    "only null bytes": lambda whole: bytes(1000),
    "JSON null": lambda whole: b"null",
    "JSON list": lambda whole: b"[1, 2]",
    "JSON text": lambda whole: b'"text"',
    "JSON number": lambda whole: b"7",
    "JSON of other keys": lambda whole: b'{"weights": 1, "name": {}}',
    "no fields": lambda whole: b"{}",
    "brackets": lambda whole: b"[" * 2000 + b"]" * 2000,
    "braces": lambda whole: b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "brackets of TOML": lambda whole: b"a = " + b"[" * 2000 + b"]" * 2000,
    "tables of TOML": lambda whole: b"[" + b"a." * 2000 + b"a]",
    "dotted keys of TOML": lambda whole: b"a." * 400 + b"a = 1",
    "a long number": lambda whole: b'{"temperature": 1' + b"0" * 5000 + b"}",
    "a number of 400 digits": lambda whole: b'{"temperature": 1' + b"0" * 400 + b"}",
    "a long number of TOML": lambda whole: b"seed = 0x1" + b"0" * 5000,
    "not a number": lambda whole: b'{"temperature": NaN}',
    "infinity": lambda whole: b'{"temperature": 1e999}',
    "twice a key": lambda whole: b'{"temperature": 1, "temperature": 2}',
    "a lone surrogate": lambda whole: b'{"temperature": 1, "split": "\\ud800"}',
    "two megabytes": lambda whole: b" " * 2**21,
    "a pickle": lambda whole: pickle.dumps(Bomb(Path("canary"))),
    "noise": lambda whole: np.random.default_rng(0).bytes(5000),
    "a line of commas": lambda whole: b"," * 100,
    "quotes": lambda whole: b'"epoch,loss\n1,2',
    "words for numbers": lambda whole: b"epoch,loss\none,two\n",
    "a column twice": lambda whole: b"epoch,epoch\n1,2\n",
    "columns alone": lambda whole: b"epoch,loss,val_loss\n",
    "epochs that are none": lambda whole: b"epoch,loss,val_loss\n1e400,nan,inf\n",
    "a folder": lambda whole: None,
}
ABOUT = {
    "title": "Mine", "licence": "CC0", "weights_licence": "CC0", "notes": ["none"], "citation": "me",
    "inputs": {"audio": {"unit": "1", "description": "numbers", "rate": 25.0}},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, an entry, and a file of every other kind."""
    folder = tmp_path_factory.mktemp("made")
    options = {"samples": 40, "width": 5, "modalities": ["voice", "face"]}
    recipe = two({"name": "early"}).replace(corpus={"options": options}, training={"epochs": 1})
    data = corpora.load("synthetic", **options)
    train(recipe, data, folder / "run")
    data.save(folder / "data.npz")
    make_entry(folder / "entry")
    (folder / "about.toml").write_text(tomli_w.dumps(ABOUT))
    (folder / "model.tflite").write_bytes(b"model")
    Sidecar(sha256="0" * 64, inputs={}).write(folder / "model.tflite")
    shutil.copyfile(Path(__file__).parents[2] / "zoo" / "ge2e" / "backbone.json", folder / "backbone.json")
    return folder


def _history(folder: Path) -> None:
    run = Run.open(folder / "run")
    assert run.best_epoch in run.history.index
    assert run.watched is None or len(run.watched)


def _environment(folder: Path) -> None:
    run = Run.open(folder / "run")
    assert isinstance(run.environment, dict)
    trained(run.recipe, Dataset.load(folder / "data.npz"), folder / "run")


# File → what is done with it.
USES: dict[str, Callable[[Path], object]] = {
    "run/recipe.toml": lambda folder: (Run.open(folder / "run").spec, load(folder / "run")),
    "run/calibration.json": lambda folder: (Run.open(folder / "run").temperature, load(folder / "run").spec),
    "run/environment.json": _environment,
    "run/history.csv": _history,
    "run/state.npz": lambda folder: train(
        Recipe.read(folder / "run" / "recipe.toml"), Dataset.load(folder / "data.npz"), folder / "run"
    ),
    "run/model.weights.h5": lambda folder: load(folder / "run"),
    "entry/entry.json": lambda folder: (show(folder / "entry"), load(folder / "entry")),
    "entry/recipe.toml": lambda folder: load(folder / "entry"),
    "entry/testvectors.npz": lambda folder: read_testvectors(folder / "entry" / "testvectors.npz"),
    "entry/model.weights.h5": lambda folder: load(folder / "entry"),
    "model.tflite.json": lambda folder: Sidecar.read(folder / "model.tflite"),
    "backbone.json": lambda folder: Backbone.read(folder),
    "about.toml": lambda folder: read_description(folder / "about.toml", ["audio"]),
    "data.npz": lambda folder: Dataset.load(folder / "data.npz"),
}


@pytest.fixture(scope="module")
def copy(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("copy") / "made"))


@pytest.fixture
def folder(made: Path, copy: Path, request: pytest.FixtureRequest, monkeypatch) -> Iterator[Path]:
    """A copy of what was made; the file that the test changes is as it was afterwards."""
    monkeypatch.chdir(copy)
    yield copy
    name = request.node.callspec.params["name"]
    for path in {copy / name, *(copy / name).parent.iterdir()}:
        if path.is_dir() and not (made / path.relative_to(copy)).is_dir():
            shutil.rmtree(path)
        elif (made / path.relative_to(copy)).is_file():
            shutil.copyfile(made / path.relative_to(copy), path)


def require_ours(use: Callable[[], object], *names: str) -> bool:
    """Whether `use` refuses, in one line that tells one of the names, and before long."""
    began = time.process_time()
    try:
        use()
        message = None
    except LMFError as error:
        message = str(error)
    assert time.process_time() - began < 10
    if message is not None:
        assert any(name in message for name in names), message
        assert len(message) < 5000
    return message is not None


@pytest.mark.parametrize("name", USES)
def test_a_file_of_harmful_content_is_our_error(name: str, folder: Path) -> None:
    path = folder / name
    whole, harmless = path.read_bytes(), set()
    for content, change in CONTENTS.items():
        found = change(whole)
        path.unlink()
        path.mkdir() if found is None else path.write_bytes(found)
        if not require_ours(lambda: USES[name](folder), path.name, str(path.parent)):
            harmless.add(content)
        shutil.rmtree(path) if found is None else path.unlink(missing_ok=True)
        path.write_bytes(whole)
    # What is a good file of its kind all the same.
    allowed = {
        "run/environment.json": {"no fields", "JSON of other keys", "a lone surrogate"},
        "run/state.npz": {"twice"},
        "data.npz": {"twice"},
        "entry/testvectors.npz": {"twice"},
        "run/history.csv": {"half", "all but the end", "a column twice"},
        "about.toml": {"all but the end"},
        "run/model.weights.h5": {"twice"},
    }
    assert harmless <= allowed.get(name, set())
    assert not (folder / "canary").exists()


@pytest.mark.parametrize(
    "name", ["run/model.weights.h5", "run/state.npz", "data.npz", "entry/testvectors.npz", "about.toml"]
)
def test_an_empty_file_is_called_empty(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"")
    (folder / "run" / "history.png").unlink(missing_ok=True)
    with pytest.raises(LMFError, match=r"empty \(0 bytes\)") as caught:
        USES[name](folder)
    assert "truncated" not in str(caught.value)


LEAVES: list[Any] = [
    None, True, [], {}, "", "x", "\0", "é" * 5000, -1, 0, 2**40, 10**18, 10**400, 0.5, 1e308, float("nan"),
    float("inf"), [[[1]]], {"a": {"b": 1}}, [1] * 5000,
]  # fmt: skip


def changed(value: Any, leaf: Any) -> Iterator[Any]:
    """Copies of a nested value, each with another part of it replaced by `leaf`."""
    yield leaf
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        for other in changed(part, leaf):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = other
            yield copy


READERS: dict[str, Callable[[Path], object]] = {
    "run/recipe.toml": lambda folder: Recipe.read(folder / "run" / "recipe.toml").fingerprint,
    "run/calibration.json": lambda folder: Run.open(folder / "run").spec,
    "run/environment.json": lambda folder: Run.open(folder / "run").environment,
    "entry/entry.json": lambda folder: Entry.read(folder / "entry").spec,
    "model.tflite.json": lambda folder: Sidecar.read(folder / "model.tflite").spec,
    "backbone.json": lambda folder: Backbone.read(folder),
    "about.toml": lambda folder: read_description(folder / "about.toml", ["audio"]),
}


SLOW = {"run/recipe.toml", "entry/entry.json"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in READERS]
)
def test_a_value_of_another_kind_is_our_error(name: str, folder: Path) -> None:
    path = folder / name
    values = (tomllib if name.endswith(".toml") else json).loads(path.read_text())
    if name == "entry/entry.json":
        values["weights"] = values["weights"][:2]
    refused = 0
    for leaf in LEAVES:
        for value in changed(values, leaf):
            try:
                text = tomli_w.dumps(value) if name.endswith(".toml") else json.dumps(value)
            except (TypeError, AttributeError, ValueError):
                continue  # TOML has no such value
            path.write_bytes(text.encode("utf-8"))
            refused += require_ours(lambda: READERS[name](folder), path.name)
    assert refused > len(LEAVES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run/state.npz"])
def test_a_state_of_other_progress_is_our_error(name: str, folder: Path) -> None:
    arrays = read_npz(folder / name)
    progress = json.loads(str(arrays["progress"]))
    refused = 0
    for leaf in LEAVES:
        for value in changed(progress, leaf):
            np.savez(folder / name, progress=np.array(json.dumps(value)))
            refused += require_ours(lambda: read_progress(folder / name), name)
    assert refused > len(LEAVES)
    for key in ("progress", "best/0", "optimizer/1"):
        for wrong in (np.array(["a"]), np.zeros(arrays[key].shape, "int32"), np.zeros(3, "datetime64[s]")):
            (folder / "run" / "model.weights.h5").unlink(missing_ok=True)  # then the state is needed
            np.savez(folder / name, **{**arrays, key: wrong})
            assert require_ours(lambda: USES[name](folder), name)


OPTIONS = {
    "clips": ["seconds", "seed", "target"],
    "cmu_mosi": ["split"],
    "emodb": ["fold", "seconds"],
    "enterface05_landmarks": ["fold"],
    "fer2013": ["side"],
    "iemocap": ["labels", "validation_session"],
    "pom": ["name", "root"],
    "ravdess": ["fold", "seconds"],
    "synthetic": ["modalities", "samples", "width", "noise", "seed"],
    "voices_and_faces": ["seconds", "frames", "faces", "seed"],
    "mine.pkl": ["target", "labels", "group_pattern", "fill"],
}


@pytest.mark.parametrize("corpus", OPTIONS)
def test_an_option_of_a_corpus_of_another_kind_is_our_error(corpus: str, tmp_path: Path) -> None:
    """As a recipe gives it: without data, what is not refused for its value is refused for them."""
    target = {"name": "sentiment", "range": [-3, 3]}
    ids = [f"v{row}$_${row}" for row in range(3)]
    content = {"audio": np.ones((3, 2)), "labels": np.zeros(3), "id": ids}
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps({"train": content}))
    base = two({"name": "early"})
    for option in OPTIONS[corpus]:
        for value in (*LEAVES, 10**10, ["a", 1], "(", "(" * 5000, "((a+)+)b"):
            options = {option: value}
            if corpus == "mine.pkl" and option != "target":
                options["target"] = target

            def use(options: dict = options) -> object:
                said = base.replace(corpus={"name": corpus, "options": options}).corpus
                return corpora.load(said.name, tmp_path, **said.options)

            refused = require_ours(use, "orpus", option, "mine.pkl", "A .pkl doesn't say")
            assert refused or corpus in ("synthetic", "mine.pkl"), (option, value)
