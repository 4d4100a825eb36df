"""The ops of an .onnx file, from its bytes: onnxruntime runs a file and does not tell them."""

from __future__ import annotations

from collections import Counter

from keras_lmf import protobuf
from keras_lmf.errors import LMFError
from keras_lmf.protobuf import Place

# Numbers of fields in the messages of ONNX's onnx.proto.
MODEL_GRAPH = 7
NODE, INITIALIZER = 1, 5
INPUT, TYPE, ATTRIBUTE, DOMAIN = 1, 4, 5, 7
SUBGRAPHS = (6, 11)  # of an attribute: the body of a loop, the branches of a condition
TENSOR_DTYPE, TENSOR_NAME = 2, 8
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16", 21: "uint4", 22: "int4",
}  # fmt: skip
MOST = 200_000  # fields of a graph, and nodes


def operators(content: bytes, where: str) -> Counter[tuple[str, str]]:
    """How often each op occurs, in the file's order, those in the bodies of loops among them.

    Args:
        content: of the file.
        where: the file, as errors call it.

    Returns:
        (name, dtypes of its stored inputs) → count. Ops other than ONNX's own have their domain before the name.

    Raises:
        LMFError: a damaged file, or one of more than 200,000 nodes.
    """
    try:
        return _counted(content)
    except ValueError as error:
        raise LMFError(f"The ops of {where} can't be read, it may be damaged or cut off: {error}.") from None


def _counted(content: bytes) -> Counter[tuple[str, str]]:
    graphs = [place for number, place in _parts(content, (0, len(content))) if number == MODEL_GRAPH]
    stored: dict[str, str] = {}
    nodes: list[tuple[str, list[str]]] = []
    for graph in graphs:  # grows: a body is read after the graph that it is in
        for number, place in _parts(content, graph):
            if number == INITIALIZER:
                stored |= _tensor(content, place)
            elif number == NODE:
                name, inputs, bodies = _node(content, place)
                nodes.append((name, inputs))
                graphs.extend(bodies)
                if len(nodes) > MOST:
                    raise ValueError(f"more than {MOST} nodes")
    weights = (
        ", ".join(dict.fromkeys(stored[key] for key in inputs if key in stored)) for _, inputs in nodes
    )
    return Counter(zip((name for name, _ in nodes), weights))


def _tensor(content: bytes, place: Place) -> dict[str, str]:
    """Name → dtype."""
    number = dict(protobuf.numbers(content, place, MOST)).get(TENSOR_DTYPE, 0)
    name = dict(_parts(content, place)).get(TENSOR_NAME, (0, 0))
    return {_text(content, name): DTYPES.get(number, f"dtype {number}")}


def _node(content: bytes, place: Place) -> tuple[str, list[str], list[Place]]:
    """Its op, its inputs, and the graphs in its attributes."""
    fields = list(_parts(content, place))
    texts = {number: _text(content, part) for number, part in fields if number in (TYPE, DOMAIN)}
    domain = texts.get(DOMAIN, "")
    inputs = [_text(content, part) for number, part in fields if number == INPUT]
    attributes = (part for number, part in fields if number == ATTRIBUTE)
    bodies = [inner for part in attributes for number, inner in _parts(content, part) if number in SUBGRAPHS]
    return f"{domain}.{texts.get(TYPE, '')}".lstrip("."), inputs, bodies


def _parts(content: bytes, place: Place) -> list[tuple[int, Place]]:
    return list(protobuf.parts(content, place, MOST))


def _text(content: bytes, place: Place) -> str:
    return content[slice(*place)].decode(errors="replace")
