"""Files of the zoo whose document is read, replaced or taken away."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_lmf.export.metadata import with_document
from keras_lmf.locate import bundled_folder
from keras_lmf.sidecar import Sidecar

ZOO = bundled_folder()
SMALL = ZOO / "lmf-synthetic-av" / "model.tflite"
FILES = {  # of each kind of input
    "features": SMALL,
    "integers": SMALL.with_name("model-int8-integer.tflite"),
    "sound": ZOO / "ge2e-ravdess-voice" / "model-dynamic.tflite",
    "pictures": ZOO / "expression-ferplus-face" / "model-int8-integer.tflite",
    "numbers": ZOO / "lmf-mosi-avt" / "model.tflite",
}
KEY = b"keras_lmf.document"
DIGITS = 64


def entries(content: bytes) -> dict[bytes, bytes]:
    """All metadata, as LiteRT's schema reads it."""
    model = schema.Model.GetRootAs(content, 0)
    found = [model.Metadata(i) for i in range(model.MetadataLength())]
    return {entry.Name(): model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in found}


def with_text(content: bytes, text: bytes | None) -> bytes:
    """The file with that text as its document, or without one; nothing behind it."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    kept = [entry for entry in model.metadata if entry.name not in (KEY, b"TFLITE_METADATA")]
    model.metadata = kept
    if text is not None:
        entry, stored = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer, stored.data = KEY, len(model.buffers), np.frombuffer(text, np.uint8)
        model.metadata, model.buffers = [*kept, entry], [*model.buffers, stored]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def described_alone(folder: Path) -> Path:
    """A described file under another name, nothing beside it."""
    path = folder / "renamed.tflite"
    path.write_bytes(with_document(SMALL.read_bytes(), Sidecar.read(SMALL)))
    return path
