"""What is fuzzed: each reader of a file that may be a stranger's, and the small files that fuzzing starts from.

A reader may give what it read, or raise an `LMFError`. Anything else is a finding.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import pickle
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from keras_lmf.data.corpora import clips
from keras_lmf.data.corpora.description import read_description
from keras_lmf.data.csd import open_csd
from keras_lmf.data.dataset import Dataset
from keras_lmf.data.npz import read_npz
from keras_lmf.data.openface import COLUMNS, read_openface
from keras_lmf.data.pickles import read_pickle
from keras_lmf.errors import LMFError
from keras_lmf.media import decode
from keras_lmf.onnx_operators import operators
from keras_lmf.recipe import Recipe
from keras_lmf.recipe.runs import FittedTemperature
from keras_lmf.recognition import Enrolment
from keras_lmf.records import Backbone
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import KEY, Document, Sidecar
from keras_lmf.zoo import Entry, read_testvectors

FUZZ = Path(__file__).parent
ZOO = FUZZ.parents[1] / "zoo"
SMALLEST = ZOO / "lmf-synthetic-av" / "model-dynamic.tflite"
SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz-"))


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        read: takes the bytes of a file.
        seeds: whole files to start from.
        longest: bytes of an input.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], Iterator[bytes]]
    longest: int = 4096


def tried(target: Target, content: bytes) -> bool:
    """Whether the target read it; any error that is not ours goes on."""
    try:
        target.read(content)
    except LMFError:
        return False
    return True


def _at(name: str, content: bytes) -> Path:
    path = SCRATCH / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


# -- arrays -------------------------------------------------------------------------------------------------
def _npz(content: bytes) -> None:
    path = _at("data.npz", content)
    for read in (read_npz, read_testvectors, Dataset.load, Enrolment.read):
        try:
            read(path)
        except LMFError:
            continue


def _npz_seeds() -> Iterator[bytes]:
    for arrays in (
        {"a": np.zeros(2)},
        {"input/a": np.ones((1, 2), "f4"), "output/b": np.ones((1, 1), "f4")},
        {"labels": np.array(["a", "b"]), "group": np.arange(2)},
        {"mean": np.zeros(2), "clips": np.array(3), "model": np.array("a"), "recipe": np.array("b")},
    ):
        for save in (np.savez, np.savez_compressed):
            stream = io.BytesIO()
            save(stream, **arrays)
            yield stream.getvalue()


def _pickle_seeds() -> Iterator[bytes]:
    value = {"train": {"id": ["a", "b"], "labels": np.zeros(2), "text": np.ones((2, 1, 1), "f4")}, "n": 2.5}
    for protocol in range(6):
        yield pickle.dumps(value, protocol)
    yield gzip.compress(pickle.dumps([1, "a", None, (True,)], 4))


def _csd(content: bytes) -> None:
    with open_csd(_at("data.csd", content)) as file:
        for name in file.names:
            file.steps(name)


def _csd_seeds() -> Iterator[bytes]:
    for packed in ({}, {"compression": "gzip", "shuffle": True}):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            entry = file.create_group("a/data/b[0]")
            entry.create_dataset("features", data=np.ones((3, 2), "f4"), **packed)
            entry.create_dataset("intervals", data=np.ones((3, 2)), **packed)
        yield stream.getvalue()


# -- text ---------------------------------------------------------------------------------------------------
def _toml(content: bytes) -> None:
    for read in (Recipe.read, lambda path: read_description(path, ["audio"])):
        try:
            read(_at("file.toml", content))
        except LMFError:
            continue


def _toml_seeds() -> Iterator[bytes]:
    yield (ZOO / "lmf-synthetic-av" / "recipe.toml").read_bytes()
    yield b'title = "a"\nlicence = "b"\nnotes = ["c"]\n[inputs.audio]\nunit = "d"\ndescription = "e"\n'


def _records(content: bytes) -> None:
    folder = _at("entry.json", content).parent
    _at("backbone.json", content)
    _at("calibration.json", content)
    _at("model.tflite.json", content)
    for read in (
        lambda: Entry.read(folder),
        lambda: Backbone.read(folder),
        lambda: FittedTemperature.read(folder),
        lambda: Sidecar.read(folder / "model.tflite").spec,
    ):
        try:
            read()
        except LMFError:
            continue


def _record_seeds() -> Iterator[bytes]:
    yield (ZOO / "lmf-synthetic-av" / "entry.json").read_bytes()
    yield (ZOO / "ge2e" / "backbone.json").read_bytes()
    yield b'{"temperature": 1.5, "split": "valid", "rows": 12}'
    yield json.dumps({"sha256": "0" * 64, "inputs": {"a": {"shape": [None, 2]}}}).encode()


def _openface_seeds() -> Iterator[bytes]:
    rows = ([1, 0.0, 0.98, 1, *[1] * (len(COLUMNS) - 4)], [2, 0.04, 0.2, 0, *["nan"] * (len(COLUMNS) - 4)])
    yield "\n".join(", ".join(map(str, row)) for row in (COLUMNS, *rows)).encode()


def _labels(content: bytes) -> None:
    folder = _at("clips/labels.csv", content).parent
    for name in "abcdef":
        _at(f"clips/{name}.wav", _wav(1600))
    clips.load(folder, seconds=0.5)


def _labels_seeds() -> Iterator[bytes]:
    splits = ["train", "train", "valid", "valid", "test", "test"]
    rows = [
        f"{name}.wav,{label},s{name},{split}"
        for name, label, split in zip("abcdef", ["sad", "happy"] * 3, splits)
    ]
    yield "\n".join(["file,label,speaker,split", *rows]).encode()
    yield b"file;label;speaker\r\na.wav;happy;x\r\nb.wav;sad;y\r\n"
    yield "file\tlabel\tspeaker\na.wav\tfroh\tx\nb.wav\ttraurig\ty\n".encode("utf-16")


# -- media and models ---------------------------------------------------------------------------------------
def _wav(samples: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((1000 * np.sin(np.arange(samples))).astype("<i2").tobytes())
    return stream.getvalue()


def _media(content: bytes) -> None:
    decode(_at("clip", content), max_seconds=2.0, size=(32, 32))


def _media_seeds() -> Iterator[bytes]:
    from keras_lmf.data.corpora import synthetic_clips

    yield _wav(200)
    folder = SCRATCH / "made"
    synthetic_clips.write(folder, clips=1, speakers=1, seconds=0.5, size=(96, 96))
    yield next(folder.glob("*.mp4")).read_bytes()


def _tflite(content: bytes) -> None:
    """A changed file alone, whose metadata is read, and beside its own sidecar."""
    with contextlib.suppress(LMFError):
        Document.inside(_at("alone/model.tflite", content))
    _beside_its_sidecar("model.tflite", content, SMALLEST.read_bytes())


def _onnx(content: bytes) -> None:
    """As `_tflite`; and its ops are read."""
    with contextlib.suppress(LMFError):
        Document.inside(_at("alone/model.onnx", content))
    with contextlib.suppress(LMFError):
        operators(content, "model.onnx")
    _beside_its_sidecar("model.onnx", content, next(_onnx_seeds()))


def _beside_its_sidecar(name: str, content: bytes, whole: bytes) -> None:
    path = _at(f"exported/{name}", content)
    Sidecar(sha256=hashlib.sha256(whole).hexdigest(), inputs={}).write(path)
    open_artifact(path)
    assert content == whole, "a changed file was opened"


def _onnx_seeds() -> Iterator[bytes]:
    """A file with a document inside and a condition, whose branches are graphs in a node."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["z"])], "b", [], [ends[1]])
    branch.output[0].name = "z"
    nodes = [
        helper.make_node("If", ["c"], ["n"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["n", "w"], ["y"]),
    ]
    stored = [
        helper.make_tensor("c", TensorProto.BOOL, [], [True]),
        helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {KEY: Document(inputs={"x": {}}).to_json().decode()})
    yield model.SerializeToString()


TARGETS = {
    "npz": Target(_npz, _npz_seeds),
    "pickle": Target(lambda content: read_pickle(_at("data.pkl", content)), _pickle_seeds),
    "csd": Target(_csd, _csd_seeds, longest=16384),
    "toml": Target(_toml, _toml_seeds),
    "records": Target(_records, _record_seeds, longest=16384),
    "openface": Target(lambda content: read_openface(_at("face.csv", content)), _openface_seeds),
    "labels": Target(_labels, _labels_seeds),
    "media": Target(_media, _media_seeds, longest=32768),
    "onnx": Target(_onnx, _onnx_seeds),
    "tflite": Target(_tflite, lambda: iter([SMALLEST.read_bytes()]), longest=16384),
}


def clean() -> None:
    """Takes the scratch folder away."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
