"""What a .tflite file says of itself, read by other means: LiteRT's schema, flatbuffers by hand, zipfile, hashlib."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from documented import DIGITS, FILES, KEY, SMALL, described_alone, entries, with_text
from flatbuffers.number_types import Int8Flags, Uint32Flags
from flatbuffers.table import Table

from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.export.metadata import with_document, write_metadata
from keras_lmf.export.quantize import dynamic
from keras_lmf.files import sha256
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Document, Sidecar


def answers(content: bytes) -> dict[str, np.ndarray]:
    """Of the interpreter alone, to drawn rows."""
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    generator = np.random.default_rng(0)
    row = {}
    for name, detail in sorted(runner.get_input_details().items()):
        spread = 100 if detail["dtype"] == np.int8 else 1
        row[name] = generator.uniform(-spread, spread, detail["shape"]).astype(detail["dtype"])
    return runner(**row)


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest) -> Path:
    return FILES[request.param]


@pytest.fixture
def described(file: Path) -> bytes:
    return with_document(file.read_bytes(), Sidecar.read(file))


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    return described_alone(tmp_path)


def test_answers_stay_to_the_bit(file: Path, described: bytes) -> None:
    before, after = answers(with_text(file.read_bytes(), None)), answers(described)
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert values.tobytes() == after[name].tobytes()
        assert len(np.unique(values)) > 1 or values.size == 1
    again = with_document(described, Sidecar.read(file))
    assert again == described


def test_the_document_says_what_the_sidecar_says(file: Path, described: bytes) -> None:
    facts = json.loads(entries(described)[KEY])
    beside = json.loads(Sidecar.path_of(file).read_text())
    for of_the_file in ("file", "bytes", "sha256", "outputs", "operators", "seal"):
        assert of_the_file not in facts
    for key in ("format", "target", "labels", "temperature", "recipe", "licence", "versions", "notes"):
        expected = beside.get(key)
        if isinstance(expected, dict):
            expected = {name: value for name, value in expected.items() if value is not None}
        assert facts.get(key) == expected
    for name, told in beside["inputs"].items():
        assert facts["inputs"][name]["shape"] == told["shape"]
        assert facts["inputs"][name].get("media") == told.get("media")
        assert facts["inputs"][name].keys().isdisjoint({"dtype", "scale", "zero_point"})


def test_labels_are_a_file_in_a_zip_archive(file: Path, described: bytes) -> None:
    classes = json.loads(Sidecar.path_of(file).read_text())["target"].get("classes")
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        assert archive.namelist() == (["labels.txt"] if classes else [])
        if classes:
            assert archive.read("labels.txt").decode().splitlines() == classes
            assert archive.getinfo("labels.txt").compress_type == zipfile.ZIP_STORED
        digest = hashlib.sha256(described[:-DIGITS]).hexdigest()
        assert archive.comment == f"keras_lmf sha256 {digest}".encode()


class Reader:
    """A table of a flatbuffer, read by hand: metadata_schema.fbs of tflite-support 0.4.4 has the fields' numbers."""

    def __init__(self, content: bytes, position: int) -> None:
        self.table = Table(content, position)

    def text(self, number: int) -> str | None:
        at = self.table.Offset(4 + 2 * number)
        return self.table.String(at + self.table.Pos).decode() if at else None

    def integer(self, number: int, flags: Any = Uint32Flags) -> int:
        return self.table.GetSlot(4 + 2 * number, 0, flags)

    def part(self, number: int) -> Reader:
        at = self.table.Offset(4 + 2 * number)
        return Reader(self.table.Bytes, self.table.Indirect(at + self.table.Pos))

    def parts(self, number: int) -> list[Reader]:
        at = self.table.Offset(4 + 2 * number)
        if not at:
            return []
        start, count = self.table.Vector(at), self.table.VectorLen(at)
        return [Reader(self.table.Bytes, self.table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, number: int) -> list[float]:
        at = self.table.Offset(4 + 2 * number)
        start, count = self.table.Vector(at), self.table.VectorLen(at)
        return list(struct.unpack_from(f"<{count}f", self.table.Bytes, start))


def test_the_standard_metadata(file: Path, described: bytes) -> None:
    content = entries(described)[b"TFLITE_METADATA"]
    assert content[4:8] == b"M001"
    model = Reader(content, struct.unpack_from("<I", content)[0])
    beside = json.loads(Sidecar.path_of(file).read_text())
    assert model.text(0) == beside["recipe"]["name"]
    assert beside["licence"]["weights"] in model.text(5)
    sound = any(told.get("media") == "waveform" for told in beside["inputs"].values())
    assert model.text(7) == ("1.3.0" if sound else "1.0.0")  # AudioProperties came with 1.3.0
    (graph,) = model.parts(3)
    # In the order of the interpreter's inputs, whatever a signature calls them.
    interpreter = Interpreter(model_content=described)
    details = interpreter.get_signature_runner("serving_default").get_input_details()
    names = {detail["index"]: name for name, detail in details.items()}
    order = [names[detail["index"]] for detail in interpreter.get_input_details()]
    assert [tensor.text(0) for tensor in graph.parts(2)] == order
    for tensor in graph.parts(2):
        told = beside["inputs"][tensor.text(0)]
        assert told["description"] in tensor.text(1)
        smallest, largest = told.get("range") or told["calibration_range"]
        assert tensor.part(5).floats(0) == [np.float32(largest)]
        assert tensor.part(5).floats(1) == [np.float32(smallest)]
        kind, properties = tensor.part(3).integer(0, Int8Flags), tensor.part(3).part(1)
        if told.get("media") == "waveform":
            assert (kind, properties.integer(0), properties.integer(1)) == (4, 16000, 1)
        elif told.get("media") == "frames":
            assert (kind, properties.integer(0, Int8Flags)) == (2, 2)  # pictures, grey
            assert (properties.part(1).integer(0), properties.part(1).integer(1)) == (48, 48)
            (unit,) = tensor.parts(4)
            assert unit.integer(0, Int8Flags) == 1
            assert (unit.part(1).floats(0), unit.part(1).floats(1)) == ([0.0], [255.0])
        else:
            assert kind == 1
    (output,) = graph.parts(3)
    assert output.text(0) == beside["target"]["name"]
    assert [(label.text(0), label.integer(2, Int8Flags)) for label in output.parts(6)] == (
        [("labels.txt", 2)] if beside["labels"] else []
    )


def test_a_file_alone_is_understood(alone: Path) -> None:
    assert Document.of(alone).spec == Sidecar.read(SMALL).spec
    assert set(open_artifact(alone).inputs) == {"audio", "video"}


def test_quantisation_keeps_the_document(alone: Path, tmp_path: Path) -> None:
    path = tmp_path / "quantised.tflite"
    path.write_bytes(dynamic(alone.read_bytes()))
    assert not zipfile.is_zipfile(path)
    assert Document.of(path).spec == Sidecar.read(SMALL).spec
    open_artifact(path)


def test_a_sidecar_beside_goes_first(alone: Path) -> None:
    told = Sidecar(sha256=sha256(alone), inputs={"audio": {}, "video": {}}, temperature=2.0)
    written = write_metadata(alone, told)
    assert Document.inside(alone).temperature == Document.of(alone).temperature == 2.0
    written.model_copy(update={"temperature": 3.0}).write(alone)
    assert Document.of(alone).temperature == 3.0
    written.model_copy(update={"sha256": "0" * 64}).write(alone)
    with pytest.raises(LMFError, match="describes another"):
        open_artifact(alone)


def test_a_sidecar_is_written_into_no_other_file(alone: Path) -> None:
    """Not even into one that says itself what it is, and is whole."""
    shutil.copy(Sidecar.path_of(SMALL), Sidecar.path_of(alone))
    other = FILES["integers"].read_bytes()
    alone.write_bytes(other)
    told = Sidecar.path_of(alone).read_bytes()
    done = CliRunner().invoke(main, ["metadata", str(alone)])
    assert done.exit_code == 1
    assert "describes another" in done.output
    assert (alone.read_bytes(), Sidecar.path_of(alone).read_bytes()) == (other, told)


def test_a_file_without_a_sidecar_is_told(alone: Path) -> None:
    assert not Sidecar.path_of(alone).exists()
    done = CliRunner().invoke(main, ["metadata", str(alone)])
    assert done.exit_code == 1
    assert f"no {Sidecar.path_of(alone).name} beside it" in done.output


def test_an_interrupted_call_is_made_good(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = alone.read_bytes()
    told = Sidecar(sha256=sha256(alone), inputs={"audio": {}, "video": {}}, temperature=2.0)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("keras_lmf.export.metadata.write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            write_metadata(alone, told)
    assert alone.read_bytes() == before
    write_metadata(alone, Sidecar.read(alone))
    assert Document.inside(alone).temperature == Document.of(alone).temperature == 2.0


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(with_text(SMALL.read_bytes(), None))
    assert Document.of(path) is None
    open_artifact(path)
    path.write_bytes(b"no model")
    assert Document.of(path) is None


@pytest.mark.slow
def test_the_command_describes_the_files_of_an_entry(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SMALL.parent, tmp_path / "zoo" / SMALL.parent.name))
    bare = {path: with_text(path.read_bytes(), None) for path in folder.glob("*.tflite")}
    for path, content in bare.items():  # as an older version wrote it
        path.write_bytes(content)
        Sidecar.read(path).model_copy(update={"sha256": hashlib.sha256(content).hexdigest()}).write(path)
    done = CliRunner().invoke(main, ["metadata", str(folder)])
    assert done.exit_code == 0, done.output
    entry = json.loads((folder / "entry.json").read_text())
    for key, record in entry["files"].items():
        content = (folder / record["name"]).read_bytes()
        assert record["bytes"] == len(content)
        assert record["sha256"] == hashlib.sha256(content).hexdigest()
        if key in entry["costs"]:
            assert entry["costs"][key]["bytes"] == len(content)
    for path, content in bare.items():
        before, after = answers(content), answers(path.read_bytes())
        assert all(before[name].tobytes() == after[name].tobytes() for name in before)
        sidecar = json.loads(Sidecar.path_of(path).read_text())
        assert sidecar["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert json.loads(entries(path.read_bytes())[KEY])["recipe"] == sidecar["recipe"]
    path = next(iter(bare))
    path.write_bytes(bare[path][:-1] + b"x")
    refused = CliRunner().invoke(main, ["metadata", str(path)])
    assert refused.exit_code == 1
    assert "describes another" in refused.output
