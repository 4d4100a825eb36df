"""A .tflite file in fewer bytes, with the same ops and constants: equal parts once, and few names.

Tables, not weights, are up to two thirds of a small file. Most say the same: float32 of the shape (1, 64), or an ADD
without an activation. A flatbuffer finds its parts by offsets, so that many places can lead to one of them. Of names,
interpreters need those of signatures alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_lmf.errors import import_extra
from keras_lmf.export.tflite import PRODUCTS

if TYPE_CHECKING:
    import flatbuffers

CONVERTER = (
    b"CONVERSION_METADATA"  # the converter's version and options, which `Document.versions` tells, too
)


def packed(model: Any) -> bytes:
    """The file of a `ModelT`, without tables of no scales and the converter's note; what is equal stands once."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    for tensor in tensors:
        scales = tensor.quantization
        if scales is not None and scales.details is None and not len(_or_empty(scales.scale)):
            tensor.quantization = None
    for note in [entry for entry in _or_empty(model.metadata) if entry.name == CONVERTER]:
        model.metadata.remove(note)
        del model.buffers[note.buffer]
        for holder in (*tensors, *model.metadata):
            holder.buffer -= holder.buffer > note.buffer
    builder = import_extra("flatbuffers", "export").Builder(1024)
    builder.Finish(model.Pack(_Sharing(builder)), file_identifier=b"TFL3")
    return bytes(builder.Output())


def without_names(content: bytes) -> bytes:
    """The file in which inputs, outputs and the main graph have names, and all else an empty one: tools expect one."""
    model = _read(content)
    for graph, ends in _graphs(model):
        for index, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if index in ends else b""
    return packed(model)


def with_short_names(content: bytes) -> bytes:
    """The file in which inputs, outputs and what products give keep their names, and each other tensor has a number.

    Quantisers take such a file: they know tensors by names that differ, and rules find products by their layers. Of
    "dense/MatMul;dense/BiasAdd;dense/Relu", an op and those that were fused into it, "dense/MatMul" stays.
    """
    model = _read(content)
    kinds = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export").opcode_to_name
    given = set()
    for graph, ends in _graphs(model):
        products = {
            operator.outputs[0]
            for operator in graph.operators
            if kinds(model, operator.opcodeIndex) in PRODUCTS
        }
        for index, tensor in enumerate(graph.tensors):
            name = tensor.name if index in ends else tensor.name.partition(b";")[0]
            if index not in products | ends or name in given:
                name = str(len(given)).encode()
            tensor.name = name
            given.add(name)
    return packed(model)


def _read(content: bytes) -> Any:
    return import_extra("ai_edge_litert.tools.flatbuffer_utils", "export").read_model_from_bytearray(content)


def _graphs(model: Any) -> list[tuple[Any, set[int]]]:
    """Each graph, and of the main one the tensors that are its ends; the others' own names are gone."""
    main, *others = model.subgraphs
    for graph in others:
        graph.name = b""
    return [(main, {*main.inputs, *main.outputs}), *((graph, set()) for graph in others)]


def _or_empty(values: Any) -> Any:
    return () if values is None else values


class _Sharing:
    """As a `flatbuffers.Builder`, but of equal tables, vectors and texts it writes the first, and leads to that.

    A part is described by calls between its start and its end. They are made when it has ended, and is new.
    """

    def __init__(self, builder: flatbuffers.Builder) -> None:
        self._builder = builder
        self._calls: list[tuple[str, tuple[Any, ...]]] = []
        self._places: dict[Hashable, int] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: self._calls.append((name, given))

    def EndObject(self) -> int:
        return self._end("EndObject")

    def EndVector(self, *given: int) -> int:
        return self._end("EndVector", *given)

    def CreateString(self, *given: Any) -> int:
        return self._end("CreateString", *given)

    def CreateNumpyVector(self, values: np.ndarray) -> int:
        content = hashlib.sha256(values.tobytes()).digest()
        return self._once((values.dtype.str, content), lambda: self._builder.CreateNumpyVector(values))

    def _end(self, *last: Any) -> int:
        calls, self._calls = [*self._calls, (last[0], last[1:])], []
        # As text, −0.0 is another number than 0.0.
        return self._once(
            repr(calls), lambda: [getattr(self._builder, name)(*given) for name, given in calls][-1]
        )

    def _once(self, key: Hashable, write: Callable[[], int]) -> int:
        if key not in self._places:
            self._places[key] = write()
        return self._places[key]
