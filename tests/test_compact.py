"""Files in fewer bytes: LiteRT's own schema reads what was there, and every interpreter gives the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter

from keras_lmf.export import quantize
from keras_lmf.export.compact import packed, with_short_names, without_names
from keras_lmf.export.metadata import with_document
from keras_lmf.frame_network import frame_network
from keras_lmf.locate import bundled_folder
from keras_lmf.operators import operators
from keras_lmf.sidecar import Sidecar

ZOO = bundled_folder()
FILES = [
    ZOO / "lmf-synthetic-av" / "model.tflite",
    ZOO / "lmf-synthetic-av" / "model-int8-integer.tflite",
    ZOO / "lmf-pom-av" / "model-dynamic.tflite",  # with loops
    ZOO / "mult-pom-av" / "model-float16.tflite",
]
file = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")


def read(content: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def plain(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def told(part: Any) -> Any:
    """All that the schema's objects hold, as text: of numbers all digits and the sign of zeros, of arrays the bytes."""
    if isinstance(part, np.ndarray):
        return (part.dtype.str, part.tobytes())
    if isinstance(part, list):
        return [told(entry) for entry in part]
    return (
        {name: told(value) for name, value in vars(part).items()} if hasattr(part, "__dict__") else repr(part)
    )


def without_scaleless(model: Any) -> Any:
    """Tables of no scales say nothing, and the converter's note of itself is left out."""
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
    for entry in [entry for entry in model.metadata if entry.name == b"CONVERSION_METADATA"]:
        model.metadata.remove(entry)
        del model.buffers[entry.buffer]
        for tensor in [*model.metadata, *(tensor for graph in model.subgraphs for tensor in graph.tensors)]:
            tensor.buffer -= tensor.buffer > entry.buffer
    return model


def named(file: Path) -> bytes:
    """The file as a converter writes it: with long names of all tensors, and each part by itself."""
    model = read(file.read_bytes())
    main = model.subgraphs[0]
    for number, graph in enumerate(model.subgraphs):
        for index, tensor in enumerate(graph.tensors):
            if graph is not main or index not in (*main.inputs, *main.outputs):
                layer = b"model_1/graph_%d/layer_%d/" % (number, index)
                tensor.name = layer + b"MatMul;" + layer + b"BiasAdd"
    return plain(model)


def row_of(runner: Any) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        name: generator.uniform(-3, 3, detail["shape"]).astype(detail["dtype"])
        for name, detail in sorted(runner.get_input_details().items())
    }


def answers(content: bytes, interpreter: type = Interpreter) -> dict[str, bytes]:
    runner = interpreter(model_content=content, num_threads=1).get_signature_runner("serving_default")
    return {name: values.tobytes() for name, values in runner(**row_of(runner)).items()}


@file
def test_the_schema_reads_what_was_there(file: Path) -> None:
    content = file.read_bytes()
    again = packed(read(content))
    assert told(read(again)) == told(without_scaleless(read(content)))
    assert len(again) <= len(plain(without_scaleless(read(content))))


def test_parts_that_only_look_equal_stay_apart() -> None:
    """Zeros of either sign, texts and vectors of the same bytes, numbers of one worth and different types."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, graph.tensors = 3, [graph], [schema.BufferT()], []
    model.description, graph.name = b"\x01\x00\x00\x00", b"\x01\x00\x00\x00"
    for scale, zero_point in [
        ([0.0], [0]),
        ([-0.0], [0]),
        ([0.0, 1.0], [0, 1]),
        ([1.0], [1]),
        ([np.nan], [0]),
    ]:
        tensor = schema.TensorT()
        tensor.shape, tensor.quantization = zero_point, schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = scale, zero_point
        graph.tensors.append(tensor)
    for dtype in ("<u1", "<f4", "<i8"):
        buffer = schema.BufferT()
        buffer.data = np.array([1, 0], dtype).view(np.uint8)
        model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    expected = told(read(plain(model)))
    assert told(read(packed(model))) == expected


@file
def test_answers_without_names(file: Path) -> None:
    content = named(file)
    small = without_names(content)
    assert len(small) < 0.95 * len(content)
    assert answers(small) == answers(content)
    assert answers(small, tf.lite.Interpreter) == answers(content, tf.lite.Interpreter)
    (main, *others) = read(small).subgraphs
    with_name = {index for index, tensor in enumerate(main.tensors) if tensor.name}
    assert with_name == {*main.inputs, *main.outputs}
    assert not any(tensor.name for graph in others for tensor in graph.tensors)
    again = with_document(small, Sidecar.read(file))  # of a file that has it already
    assert answers(again) == answers(content)


def test_litert_compiles_a_file_without_names() -> None:
    """The C++ API behind apps and LiteRT.js, which reads the tables by itself."""
    content, found = named(FILES[2]), []
    row = row_of(Interpreter(model_content=content).get_signature_runner())
    for file in (content, without_names(content)):
        model = CompiledModel.from_buffer(file)
        inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        signature = model.get_signature_list()["serving_default"]
        for name, buffer in zip(signature["inputs"], inputs):
            buffer.write(row[name])
        model.run_by_index(0, inputs, outputs)
        found.append((signature, outputs[0].read(17, np.float32).tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("entry", ["lmf-synthetic-av", "lmf-pom-av"])
def test_a_quantiser_takes_a_file_with_short_names(entry: str) -> None:
    content = named(ZOO / entry / "model.tflite")
    small = with_short_names(content)
    assert len(small) < 0.95 * len(content)
    assert answers(small) == answers(content)
    assert answers(quantize.dynamic(small)) == answers(quantize.dynamic(content))
    names = [tensor.name for graph in read(small).subgraphs for tensor in graph.tensors]
    assert len(set(names)) == len(names)
    before, after = (
        [operator.scope for operator in operators(file) if operator.name == "FULLY_CONNECTED"]
        for file in (content, small)
    )
    assert after == [scope.partition(";")[0] for scope in before]


def test_a_file_without_names_is_cut_by_frames() -> None:
    content = named(ZOO / "lmf-media-av" / "model-dynamic.tflite")
    whole, small = frame_network(content, "face"), frame_network(without_names(content), "face")
    assert whole
    assert small
    assert (small.picture, small.inputs) == (whole.picture, whole.inputs)
    for half in ("network", "rest"):
        assert answers(getattr(small, half)) == answers(getattr(whole, half))
