"""`keras-lmf inspect` against LiteRT's own account of a file, records of the zoo, and graphs worked out by hand."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import CliRunner
from exporting import save_function, to_tflite
from onnx import numpy_helper

from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.export.metadata import write_metadata
from keras_lmf.files import sha256
from keras_lmf.inspection import inspect, text
from keras_lmf.locate import bundled_folder
from keras_lmf.onnx_operators import operators
from keras_lmf.operators import Operator, activation_bytes, refused_by_gpu
from keras_lmf.sidecar import Sidecar

ZOO = bundled_folder()
SMALL = ZOO / "lmf-synthetic-av" / "model.tflite"
INTEGER = SMALL.with_name("model-int8-integer.tflite")


def command(*arguments: object) -> str:
    done = CliRunner().invoke(main, ["inspect", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel and a .tflite file of x · ones + 1, of which nothing is known."""
    folder = tmp_path_factory.mktemp("plain")
    saved = save_function(lambda x: tf.matmul(x, tf.ones((3, 2))) + 1, folder / "saved_model")
    to_tflite(saved, folder / "model.tflite")
    return folder


@pytest.mark.parametrize("file", [SMALL, INTEGER], ids=["float32", "int8"])
def test_a_file_of_the_zoo(file: Path) -> None:
    found = json.loads(command(file, "--json"))
    runner = Interpreter(str(file)).get_signature_runner("serving_default")
    for end, details in (("inputs", runner.get_input_details()), ("outputs", runner.get_output_details())):
        assert found[end].keys() == details.keys()
        for name, detail in details.items():
            assert found[end][name]["shape"] == detail["shape"][1:].tolist()
            assert found[end][name]["dtype"] == np.dtype(detail["dtype"]).name
            assert (found[end][name]["scale"] or 0) == detail["quantization"][0]
    assert found["bytes"] == len(file.read_bytes())
    beside = json.loads(Sidecar.path_of(file).read_text())
    for key in ("target", "temperature", "presence", "recipe", "licence"):
        assert found["spec"][key] == beside[key]
    assert found["versions"] == beside["versions"]
    ops = Counter(
        op["op_name"]
        for op in Interpreter(
            str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )._get_ops_details()
    )
    counts = Counter()
    for row in found["operators"]:
        counts[row["operator"]] += row["count"]
    assert counts == ops


def test_of_a_reader_lines_are_80_wide_and_name_what_matters() -> None:
    for file in (SMALL, INTEGER, ZOO / "decision-ravdess-av" / "model-int8.tflite"):
        told = command(file)
        assert max(map(len, told.splitlines())) <= 80
        beside = json.loads(Sidecar.path_of(file).read_text())
        flowing = " ".join(told.split())
        assert ", ".join(beside["labels"]) in flowing
        assert beside["recipe"]["sha256"] in flowing
        assert beside["licence"]["weights"] in flowing
        assert f"{beside['temperature']:.4g}" in flowing


def test_an_entry_and_its_files() -> None:
    found = json.loads(command("lmf-synthetic-av", "--json"))
    entry = json.loads((SMALL.parent / "entry.json").read_text())
    assert found["kind"] == "entry"
    assert found["files"] == {file["name"]: file["bytes"] for file in entry["files"].values()}
    assert found["spec"]["recipe"]["sha256"] == entry["recipe_sha256"]
    assert found["versions"] == entry["environment"]["packages"]
    assert "audio (8)" in command("lmf-synthetic-av")


def test_a_run(tmp_path: Path) -> None:
    shutil.copy(SMALL.parent / "recipe.toml", tmp_path)
    assert "its weights: none yet" in " ".join(command(tmp_path).split())
    shutil.copy(SMALL.parent / "model.weights.h5", tmp_path)
    (tmp_path / "calibration.json").write_text('{"temperature": 1.75, "split": "valid", "rows": 9}')
    (tmp_path / "environment.json").write_text('{"packages": {"keras": "3.15.1"}}')
    found = inspect(tmp_path)
    assert (found["kind"], found["spec"]["temperature"]) == ("run", 1.75)
    assert found["bytes"] == (tmp_path / "model.weights.h5").stat().st_size
    assert found["versions"] == {"keras": "3.15.1"}


def test_a_file_of_which_nothing_is_known(plain: Path) -> None:
    found = inspect(plain / "model.tflite")
    assert (found["described"], found["spec"]["target"], found["versions"]) == (None, None, {})
    assert found["outputs"]["y"]["shape"] == [2]
    assert text("model.tflite", found)
    path = plain / "broken.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(LMFError, match="damaged or cut off"):
        inspect(path)
    path.write_bytes(b"")
    with pytest.raises(LMFError, match="is empty"):
        inspect(path)


def test_a_saved_model(plain: Path) -> None:
    found = inspect(plain / "saved_model")
    counts = {row["operator"]: (row["dtype"], row["count"]) for row in found["operators"]}
    assert counts == {"MatMul": ("float32", 1), "AddV2": ("float32", 1)}
    assert found["outputs"]["y"] == {"shape": [2], "dtype": "float32", "scale": None, "zero_point": None}


def test_a_saved_model_with_a_loop(tmp_path: Path) -> None:
    """As LSTM and GRU are one: its body's ops, and what it carries."""

    def twice(x):
        return tf.while_loop(lambda at, _: at < 2, lambda at, y: (at + 1, tf.tanh(y)), (0, x))[1]

    found = inspect(save_function(twice, tmp_path / "saved_model"))
    counts = {row["operator"]: (row["dtype"], row["count"]) for row in found["operators"]}
    assert counts.keys() == {"StatelessWhile", "Less", "AddV2", "Tanh"}
    assert counts["Tanh"] == ("float32", 1)
    assert counts["Less"] == ("int32", 1)
    assert set(counts["StatelessWhile"][0].split(", ")) == {"float32", "int32"}


def test_ops_of_an_onnx_file(tmp_path: Path) -> None:
    """Those in the branches of a condition among them, as ONNX's own checker and reader know the file."""
    half = numpy_helper.from_array(np.ones((3, 2), np.float16), "w")
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])
        for name, size in (("x", 3), ("y", 2), ("z", 2))
    ]
    inner = [
        onnx.helper.make_node("Cast", ["w"], ["v"], to=1),
        onnx.helper.make_node("MatMul", ["x", "v"], ["z"]),
    ]
    branch = onnx.helper.make_graph(inner, "branch", [], ends[2:])
    nodes = [
        onnx.helper.make_node("If", ["c"], ["n"], then_branch=branch, else_branch=branch),
        onnx.helper.make_node("Gelu", ["n"], ["m"], domain="com.microsoft"),
        onnx.helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    stored = [
        half,
        *(numpy_helper.from_array(a, n) for n, a in (("c", np.array(True)), ("b", np.ones(2, "f4")))),
    ]
    graph = onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:2], stored)
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    found = json.loads(command(path, "--json"))["operators"]
    assert {(row["operator"], row["weights"]): row["count"] for row in found} == {
        ("If", "bool"): 1,
        ("com.microsoft.Gelu", ""): 1,
        ("Add", "float32"): 1,
        ("Cast", "float16"): 2,
        ("MatMul", ""): 2,
    }
    assert "com.microsoft.Gelu" in command(path)
    with pytest.raises(LMFError, match="damaged or cut off"):
        operators(path.read_bytes()[:-40], "it")


def test_where_it_is_described(plain: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(plain / "model.tflite", tmp_path))
    told = {"sha256": sha256(path), "inputs": {"x": {}}, "notes": ["calm", "\x1b[31mred"]}
    write_metadata(path, Sidecar(**told))
    assert inspect(path)["described"] == "beside"
    Sidecar.path_of(path).unlink()
    found = inspect(path)
    assert (found["described"], found["notes"]) == ("inside", told["notes"])
    shown = text("model.tflite", found)
    assert "Note: calm" in shown
    assert "\x1b" not in shown


def graph_of(
    sizes: list[int], operators: list[tuple[str, list[int], list[int]]], outputs: list[int]
) -> bytes:
    """A file of float32 vectors of those sizes; tensor 0 goes in, and the last one is a constant."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.zeros(4 * sizes[-1], np.uint8)
    graph.inputs, graph.outputs, graph.tensors = [0], outputs, []
    for number, size in enumerate(sizes):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = [size], schema.TensorType.FLOAT32, f"t{number}"
        tensor.buffer = int(number == len(sizes) - 1)
        graph.tensors.append(tensor)
    graph.operators, model.operatorCodes = [], []
    for name, inputs, made in operators:
        operator, code = schema.OperatorT(), schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes), inputs, made
        graph.operators.append(operator)
        model.operatorCodes.append(code)
    model.subgraphs, model.version = [graph], 3
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_memory_of_a_graph_by_hand() -> None:
    # 0 (10) → 1 (30) → 2 (5), then 3 (5) = 2 + constant (1000), 4 (10) = 3 with 0, which is held all along.
    operators = [("TANH", [0], [1]), ("SUM", [1], [2]), ("ADD", [2, 5], [3]), ("CONCATENATION", [3, 0], [4])]
    sizes = [10, 30, 5, 5, 10, 1000]
    # Held at each op: 10 + 30; 10 + 30 + 5; 10 + 5 + 5; 10 + 5 + 10. Constants don't count.
    assert activation_bytes(graph_of(sizes, operators, [4])) == 4 * 45
    # Where an output is needed to the end, it is held beside what comes after it.
    assert activation_bytes(graph_of(sizes, operators, [1, 4])) == 4 * (10 + 30 + 5 + 10)


def test_memory_of_a_file_is_between_its_largest_op_and_all_its_tensors() -> None:
    content = SMALL.read_bytes()
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    sizes = {
        detail["index"]: int(np.prod(detail["shape"])) * np.dtype(detail["dtype"]).itemsize
        for detail in interpreter.get_tensor_details()
    }
    inputs = sum(sizes[detail["index"]] for detail in interpreter.get_input_details())
    assert inputs < activation_bytes(content) <= sum(sizes.values())


@pytest.mark.parametrize(
    ("name", "activations", "outputs", "version", "why"),
    [
        ("ADD", "float32", "float32", 1, None),
        ("ADD", "float16", "float16", 1, None),
        ("ADD", "float32", "float32", 2, "version 2, supported to 1"),
        ("ADD", "int8", "int8", 2, None),
        ("ADD", "int64", "int64", 1, "not supported in int64"),
        ("RESHAPE", "bool", "bool", 1, "not supported in bool"),
        ("DEPTHWISE_CONV_2D", "float32", "float32", 2, None),
        ("RESIZE_BILINEAR", "float32", "float32", 3, None),
        ("WHILE", "float32, int32", "float32, int32", 1, "not supported"),
        ("RFFT2D", "float32", "complex64", 1, "not supported"),
    ],
)
def test_what_a_gpu_refuses(name: str, activations: str, outputs: str, version: int, why: str | None) -> None:
    op = Operator(name, activations, "", outputs, "", version)
    assert refused_by_gpu([op, op]) == ([(name, why, 2)] if why else [])
