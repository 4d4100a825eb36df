"""SavedModels that do more than compute: each would leave a trace when it is loaded, or when its signature runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SPEC = tf.TensorSpec((None, 3), tf.float32, name="x")
raw = tf.raw_ops


def saved(folder: Path, run: Callable[[tf.Tensor], Any], **tracked: Any) -> Path:
    """A SavedModel whose signature gives {"y": run(x)}; `tracked` are objects that it keeps."""
    module = tf.Module()
    for name, value in tracked.items():
        setattr(module, name, value)
    module.run = tf.function(lambda x: {"y": run(x)}, input_signature=[SPEC])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.run})
    return folder


def after(effect: Any, x: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([effect]):
        return tf.identity(x)


def writers(canary: str) -> dict[str, Callable[[tf.Tensor], Any]]:
    """Functions that create the file `canary`."""

    def touch(*_: Any) -> float:
        Path(canary).touch()
        return 1.0

    def write(x: tf.Tensor) -> tf.Tensor:
        return after(tf.io.write_file(canary, "owned"), x)

    @tf.function
    def nested(x: tf.Tensor) -> tf.Tensor:
        return write(x)

    return {
        "WriteFile": write,
        "WriteFile in a function": lambda x: nested(x),
        "WriteFile in a loop": lambda x: tf.while_loop(
            lambda i, _: i < 1, lambda i, y: (i + 1, write(y)), (0, x)
        )[1],
        "WriteFile in a branch": lambda x: tf.cond(tf.reduce_sum(x) < 1e9, lambda: write(x), lambda: x),
        "WriteFile in a map": lambda x: tf.map_fn(write, x),
        "PrintV2": lambda x: after(tf.print("owned", output_stream=f"file://{canary}"), x),
        "SaveV2": lambda x: after(
            raw.SaveV2(prefix=canary, tensor_names=["x"], shape_and_slices=[""], tensors=[x]), x
        ),
        "EagerPyFunc": lambda x: x * tf.py_function(touch, [x], tf.float32),
        "PyFunc": lambda x: x * tf.cast(tf.numpy_function(touch, [x], tf.float64), tf.float32),
        "PyFuncStateless": lambda x: (
            x * tf.cast(tf.numpy_function(touch, [x], tf.float64, stateful=False), tf.float32)
        ),
    }


def readers(secret: str) -> dict[str, Callable[[tf.Tensor], Any]]:
    """Functions whose answer depends on the file `secret`."""

    def size(text: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.length(text), tf.float32)

    return {
        "ReadFile": lambda x: x + size(tf.io.read_file(secret)),
        "MatchingFiles": lambda x: x + size(tf.io.matching_files(secret)[0]),
        "dataset": lambda x: x + size(tf.data.TextLineDataset(secret).reduce("", lambda _, line: line)),
        "GenerateVocabRemapping": lambda x: (
            x
            + tf.cast(
                raw.GenerateVocabRemapping(
                    new_vocab_file=secret, old_vocab_file=secret, new_vocab_offset=0, num_new_vocab=1
                )[1],
                tf.float32,
            )
        ),
        "RestoreV2": lambda x: (
            x
            + raw.RestoreV2(prefix=secret, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])[0]
        ),
    }


def table(secret: str) -> tf.lookup.StaticHashTable:
    """A table that is filled from a file as it is loaded."""
    initializer = tf.lookup.TextFileInitializer(secret, tf.string, 0, tf.int64, 1, delimiter=" ")
    return tf.lookup.StaticHashTable(initializer, 0)


def rewritten(folder: Path, change: Callable[[Any], None]) -> Path:
    """The SavedModel with its program changed by hand."""
    path = folder / "saved_model.pb"
    program = saved_model_pb2.SavedModel()
    program.ParseFromString(path.read_bytes())
    change(program.meta_graphs[0])
    path.write_bytes(program.SerializeToString())
    return folder


def changes() -> dict[str, Callable[[Any], None]]:
    """What a program can be given by hand, from a harmless one."""

    def calls(graph: Any) -> list[Any]:
        bodies = [graph.graph_def.node, *(body.node_def for body in graph.graph_def.library.function)]
        return [node for body in bodies for node in body if node.op.endswith("PartitionedCall")]

    def functions(graph: Any, word: str) -> list[Any]:
        return [body for body in graph.graph_def.library.function if word in body.signature.name]

    def call_the_saver(graph: Any) -> None:
        (saver,) = functions(graph, "traced_save")
        for node in calls(graph):
            node.attr["f"].func.name = saver.signature.name

    def call_another(graph: Any) -> None:
        calls(graph)[0].attr["f"].func.name = "elsewhere"

    def call_another_within(graph: Any) -> None:
        calls(graph)[0].attr["f"].func.attr["body"].func.name = "elsewhere"

    def take_an_ops_place(graph: Any) -> None:
        copy = graph.graph_def.library.function.add()
        copy.CopyFrom(functions(graph, "signature_wrapper")[0])
        copy.signature.name = "Relu"

    def implement_another(graph: Any) -> None:
        functions(graph, "traced_save")[0].attr["api_implements"].s = b"network"

    def be_there_twice(graph: Any) -> None:
        body = functions(graph, "signature_wrapper")[0]
        harmless = graph.graph_def.library.function.add()
        harmless.CopyFrom(body)
        body.node_def.add(name="w", op="WriteFile")

    def have_an_unknown_op(graph: Any) -> None:
        functions(graph, "signature_wrapper")[0].node_def.add(name="w", op="Unheard\x1b[2J")

    def have_an_asset(graph: Any) -> None:
        graph.object_graph_def.nodes.add().asset.asset_file_def_index = 0

    def be_of_a_class(graph: Any) -> None:
        graph.object_graph_def.nodes[0].registered_name = "tf.StaticHashTable"

    def be_of_tensorflow_1(graph: Any) -> None:
        graph.ClearField("object_graph_def")

    return {
        name.replace("_", " "): change
        for name, change in locals().items()
        if name not in ("calls", "functions")
    }
