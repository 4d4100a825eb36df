"""Writes into a .tflite file what it is: our document, and TensorFlow Lite's standard metadata for Android's tools.

The standard metadata is a flatbuffer of its own, whose tables are in metadata_schema.fbs of tflite-support 0.4.4, and a
zip archive behind the file with the labels, one a line.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.export.compact import packed
from keras_lmf.files import write_atomically
from keras_lmf.metadata import DIGITS, SEAL, sealed
from keras_lmf.sidecar import KEY, Document, Sidecar, SidecarInput

if TYPE_CHECKING:
    import flatbuffers

STANDARD, STANDARD_IDENTIFIER = "TFLITE_METADATA", b"M001"
SIGNATURE = "serving_default"
LABELS = "labels.txt"
# Values of the schema's enumerations and unions: a union is a field for its kind and, behind it, one for its table.
AXIS_LABELS, NORMALIZATION = np.uint8(2), np.uint8(1)
FEATURES, PICTURES, SOUND = np.uint8(1), np.uint8(2), np.uint8(4)
COLOURS = {1: np.uint8(2), 3: np.uint8(1)}  # by channels: grey, RGB
# The schema's first version, and the one that added sound.
FIRST_PARSER, SOUND_PARSER = "1.0.0", "1.3.0"

# A table: number of a field → text, a table, a list of tables, an array of float32, or a whole number of NumPy's.
Table = dict[int, Any]


def write_metadata(file: Path, sidecar: Sidecar) -> Sidecar:
    """Writes what the sidecar says into the .tflite file and beside it; the file's computation stays.

    The sidecar goes first: of a call that is interrupted between the two, the next one knows by the hash what was to
    be written.

    Returns:
        The sidecar as it was written, with the file's new size and hash.

    Raises:
        LMFError: a file other than the one that the sidecar describes.
    """
    before = file.read_bytes()
    if _digest(before) != sidecar.sha256 and not _was_to_be_written(before, sidecar):
        sidecar.require(file)
    content = with_document(before, sidecar)
    written = sidecar.model_copy(update={"bytes": len(content), "sha256": _digest(content)})
    written.write(file)
    write_atomically(file, lambda temporary: temporary.write_bytes(content))
    return written


def _was_to_be_written(before: bytes, sidecar: Sidecar) -> bool:
    """Whether the file with the document inside is the one that the sidecar describes."""
    try:
        return _digest(with_document(before, sidecar)) == sidecar.sha256
    except Exception:  # no .tflite, or a damaged one: each damage has its own kind
        return False


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def with_document(content: bytes, document: Document) -> bytes:
    """The .tflite file with the document inside, instead of the one that it had, and the standard metadata."""
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    schema = import_extra("ai_edge_litert.schema_py_generated", "export")
    model = flatbuffer_utils.read_model_from_bytearray(content)
    for name, text in ((STANDARD, standard(model, document)), (KEY, document.to_json())):
        _store(schema, model, name.encode(), text)
    archived = io.BytesIO(packed(model))
    with zipfile.ZipFile(archived, "a") as archive:  # uncompressed, as its readers want it
        if document.labels:
            archive.writestr(zipfile.ZipInfo(LABELS), "".join(f"{label}\n" for label in document.labels))
        archive.comment = SEAL + b"0" * DIGITS
    return sealed(archived.getvalue())


def _store(schema: Any, model: Any, name: bytes, text: bytes) -> None:
    """Puts the buffer into the model, in the place of one of that name."""
    model.metadata = model.metadata or []
    entry = next((entry for entry in model.metadata if entry.name == name), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.metadata.append(entry)
        model.buffers.append(schema.BufferT())
    model.buffers[entry.buffer].data = np.frombuffer(text, np.uint8)


def standard(model: Any, document: Document) -> bytes:
    """The flatbuffer ModelMetadata: names, units, ranges and kinds of the inputs, names and labels of the outputs."""
    builder = import_extra("flatbuffers", "export").Builder(1024)
    signature = next(part for part in model.signatureDefs if part.signatureKey == SIGNATURE.encode())
    graph = model.subgraphs[signature.subgraphIndex]
    sound = any(spec.media == "waveform" for spec in document.inputs.values())
    tensors = {
        2: [
            _input(name, document.inputs[name], graph.tensors[index].shape)
            for name, index in _in_order(signature.inputs, graph.inputs)
        ],
        3: [_output(name, document) for name, _ in _in_order(signature.outputs, graph.outputs)],
    }
    whole = {
        0: document.recipe and document.recipe.name,
        3: [tensors],
        5: "; ".join(f"{part}: {text}" for part, text in (document.spec.licence or {}).items()),
        7: SOUND_PARSER if sound else FIRST_PARSER,
    }
    builder.Finish(_packed(builder, whole), STANDARD_IDENTIFIER)
    return bytes(builder.Output())


def _in_order(ends: Sequence[Any], indices: Sequence[int]) -> list[tuple[str, int]]:
    """Name and tensor of a signature's inputs or outputs, in the order of the graph's, which metadata keeps."""
    names: dict[int, list[str]] = {}
    for end in sorted(ends, key=lambda end: end.name):
        names.setdefault(end.tensorIndex, []).append(end.name.decode())
    if sorted(index for index, of in names.items() for _ in of) != sorted(indices):
        told = ", ".join(sorted(repr(end.name.decode()) for end in ends))
        raise LMFError(
            f"One of {told} is another input or output, too, which this format can't be told. Leave it out."
        )
    return [(names[index].pop(0), index) for index in indices]


def _input(name: str, spec: SidecarInput, shape: Sequence[int]) -> Table:
    """A TensorMetadata: name, description, content, process units, stats."""
    described = {0: name, 1: " ".join(filter(None, (spec.description, spec.unit and f"[{spec.unit}]")))}
    if smallest_and_largest := spec.range or spec.calibration_range:
        smallest, largest = (np.array([value], "<f4") for value in smallest_and_largest)
        described[5] = {0: largest, 1: smallest}
    if spec.media == "waveform" and spec.rate:
        kind, properties = SOUND, {0: np.uint32(round(spec.rate)), 1: np.uint32(1)}
    elif spec.media == "frames" and len(shape) == 4:  # one picture
        _, height, width, channels = map(int, shape)
        kind = PICTURES
        properties = {0: COLOURS.get(channels, np.uint8(0)), 1: {0: np.uint32(width), 1: np.uint32(height)}}
        # (pixel − mean) / std of 8-bit pixels is what the model takes.
        mean, deviation = (np.array([value], "<f4") for value in (0, 255))
        described[4] = [{0: NORMALIZATION, 1: {0: mean, 1: deviation}}]
    else:
        kind, properties = FEATURES, {}
    return described | {3: {0: kind, 1: properties}}


def _output(name: str, document: Document) -> Table:
    """A TensorMetadata: name, description, associated files."""
    if document.target is None or name != document.target.name:
        return {0: name}
    if not document.labels:
        smallest, largest = document.target.range
        return {0: name, 1: f"{smallest:g} to {largest:g}"}
    divided = f" / {document.temperature:.6g}" if document.temperature else ""
    labels = {0: LABELS, 1: "The classes, in the order of the output.", 2: AXIS_LABELS}
    return {0: name, 1: f"Logits. softmax(logits{divided}) gives probabilities.", 6: [labels]}


def _packed(builder: flatbuffers.Builder, table: Mapping[int, Any]) -> int:
    """Where the table stands, with all that it holds before it."""
    placed = {
        number: _placed(builder, value)
        for number, value in table.items()
        if value is not None and not isinstance(value, np.integer)
    }
    builder.StartObject(max(table, default=-1) + 1)
    for number, value in table.items():
        if isinstance(value, np.integer):
            add = builder.PrependUint8Slot if value.dtype == np.uint8 else builder.PrependUint32Slot
            add(number, int(value), 0)
        elif value is not None:
            builder.PrependUOffsetTRelativeSlot(number, placed[number], 0)
    return builder.EndObject()


def _placed(builder: flatbuffers.Builder, value: str | np.ndarray | Table | list[Table]) -> int:
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, dict):
        return _packed(builder, value)
    tables = [_packed(builder, table) for table in value]
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()
