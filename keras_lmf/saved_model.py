"""A SavedModel is a TensorFlow program. Before it is loaded it is read as data: it may compute, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.locate import SAVED_MODEL

# Beside ops that only compute (`_computes`) a network needs functions, loops, its weights, lists of tensors, and a few
# with text that names no file.
NEEDED = """
    PartitionedCall StatefulPartitionedCall If StatelessIf Case StatelessCase While StatelessWhile ReadVariableOp
    AssignVariableOp TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem
    TensorListStack Einsum ImageProjectiveTransformV3 TensorScatterAdd TensorScatterUpdate
"""
# Every SavedModel holds functions that save and restore its weights. Nothing else may call them, and nobody does here.
SAVING = """
    DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin VarHandleOp
    VarIsInitializedOp
"""
# What loading makes, kind and class; tables, assets and resources would run functions of the file.
OBJECTS = """
    variable: function: bare_concrete_function: captured_tensor: constant:tf.TrackableConstant user_object:signature_map
    user_object:_generic_user_object user_object:trackable_list_wrapper user_object:trackable_dict_wrapper
    user_object:trackable_tuple_wrapper
"""


def require_harmless(folder: Path) -> None:
    """Refuses the SavedModel in `folder` where it could do more than compute.

    Raises:
        LMFError: an op or an object that could touch files, processes or Python; or no program of TensorFlow 2.
    """
    program = import_extra("tensorflow.core.protobuf.saved_model_pb2", "tf").SavedModel()
    program.ParseFromString((folder / SAVED_MODEL).read_bytes())
    # TensorFlow 1's run ops as they are loaded.
    if len(program.meta_graphs) != 1 or not program.meta_graphs[0].HasField("object_graph_def"):
        raise LMFError(f"{str(folder)!r} is no SavedModel of TensorFlow 2. Export the model again.")
    graph, objects = program.meta_graphs[0].graph_def, program.meta_graphs[0].object_graph_def
    bodies: dict[str, list[Any]] = {}
    for function in graph.library.function:
        bodies.setdefault(function.signature.name, []).extend(function.node_def)
    nodes = [node for body in (graph.node, *bodies.values()) for node in body]
    ops = {node.op for name in _reached(bodies, objects.concrete_functions) for node in bodies[name]}
    ops |= {node.op for node in nodes} - set(SAVING.split())
    found = {name for name in ops - bodies.keys() - set(NEEDED.split()) if not _computes(name)}
    # Ways for a function to take the place of what is called: another's, an op's name, one of the process's own.
    found |= {key for function in graph.library.function for key in function.attr if key.startswith("api_")}
    found |= {name for name in bodies if _definition(name)}
    found |= {name for node in nodes for name in _called(node)} - bodies.keys()
    made = {f"{o.WhichOneof('kind')}:{o.registered_name}{o.user_object.identifier}" for o in objects.nodes}
    found |= made - set(OBJECTS.split())
    if found:
        names = ", ".join(map(repr, sorted(found)[:5]))
        raise LMFError(
            f"The SavedModel {str(folder)!r} was not loaded. It holds {names}, which no network needs to "
            f"compute and which could touch files or run programs. A .tflite file of the model can't."
        )


def operators(folder: Path) -> list[tuple[str, str]]:
    """The ops that the signature `serving_default` of the SavedModel in `folder` runs, each with its dtypes."""
    program = import_extra("tensorflow.core.protobuf.saved_model_pb2", "tf").SavedModel()
    program.ParseFromString((folder / SAVED_MODEL).read_bytes())
    tensorflow = import_extra("tensorflow", "tf")
    graph = program.meta_graphs[0].graph_def
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    (answer, *_) = program.meta_graphs[0].signature_def["serving_default"].outputs.values()
    (call,) = (node for node in graph.node if node.name == answer.name.partition(":")[0])
    return [
        (node.op, ", ".join(sorted({tensorflow.as_dtype(kind).name for kind in kinds})))
        for name in sorted(_reached(bodies, _called(call)))
        for node in bodies[name]
        # A loop has the dtypes of all that it carries. What only passes numbers on doesn't compute.
        if "T" in node.attr and node.op not in ("Identity", "IdentityN")
        for kinds in [node.attr["T"].list.type or [node.attr["T"].type]]
    ]


def _definition(op: str) -> Any:
    """TensorFlow's of the op; None of one that it doesn't know."""
    return import_extra("tensorflow.python.framework.op_def_registry", "tf").get(op)


def _computes(op: str) -> bool:
    """Numbers in, numbers out, no state, no function, no free text: such an op can name no file, program or address."""
    definition = _definition(op)
    if definition is None or definition.is_stateful or op.startswith("_"):
        return False
    types = import_extra("tensorflow.core.framework.types_pb2", "tf")
    others = (types.DT_STRING, types.DT_RESOURCE, types.DT_VARIANT)
    return all(arg.type not in others for arg in (*definition.input_arg, *definition.output_arg)) and not any(
        "func" in attr.type or ("string" in attr.type and not attr.allowed_values.list.s)
        for attr in definition.attr
    )


def _reached(bodies: Mapping[str, Iterable[Any]], roots: Iterable[str]) -> set[str]:
    """The functions that can be called from outside, and those that they call."""
    reached, waiting = set(), list(roots)
    while waiting:
        if (name := waiting.pop()) in bodies and name not in reached:
            reached.add(name)
            waiting += [called for node in bodies[name] for called in (node.op, *_called(node))]
    return reached


def _called(call: Any) -> Iterator[str]:
    """The functions that the attributes of an op name, those in the attributes of a function among them."""
    for value in call.attr.values():
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
            yield from _called(function)
