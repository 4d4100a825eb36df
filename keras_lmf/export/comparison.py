"""Where a quantised file departs from its float32 file, op by op."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from keras_lmf.errors import import_extra
from keras_lmf.export.metadata import SIGNATURE
from keras_lmf.lazy import Array
from keras_lmf.noise import held_back
from keras_lmf.quantization.file import with_short_names
from keras_lmf.runtime import tensor_info

COLUMNS = ["operator", "scope", "error", "added"]
ROWS = 4  # each is run by interpreters that keep every tensor
MOST = 5
# What computes nothing. A part of a tensor has another error than the whole.
MOVES = {
    "SPLIT",
    "SPLIT_V",
    "RESHAPE",
    "TRANSPOSE",
    "STRIDED_SLICE",
    "SLICE",
    "CONCATENATION",
    "GATHER",
    "UNPACK",
}


def largest_errors(float32: bytes, quantized: bytes, inputs: Mapping[str, Array]) -> pd.DataFrame:
    """The ops of the main graph that add the largest errors, largest first; of a loop, the loop as a whole.

    The error of a tensor is the root mean square of its difference to that of the float32 file, as a share of the
    root mean square there, over a few rows. What an op adds is the error of its output less the largest of its
    inputs: it may have got all of its error from others.

    Args:
        float32: the file that was quantised.
        quantized: the file that came of it.
        inputs: by modality (N, …), rows to run both on, as the model takes them.

    Returns:
        Columns operator, scope (the model's parts, down to the layer, as the file names them; of the last op the
        target), error and added, five rows or fewer; none where no op adds any.
    """
    reference = with_short_names(float32)  # as those of the quantised file, by which its tensors are found
    count = len(next(iter(inputs.values())))
    chosen = np.unique(np.linspace(0, count - 1, min(count, ROWS)).astype(int))
    rows = {name: np.asarray(values[chosen]) for name, values in inputs.items()}
    expected, found = _tensors(reference, rows), _tensors(quantized, rows)
    errors = {
        name: _relative(found[name], values)
        for name, values in expected.items()
        if name in found and found[name].size == values.size
    }

    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    graph = flatbuffer_utils.read_model_from_bytearray(reference)
    main = graph.subgraphs[0]
    names = [tensor.name.decode() for tensor in main.tensors]
    # The converter loses the name of the last layer, which the target has.
    ends = {end.tensorIndex: end.name.decode() for part in graph.signatureDefs for end in part.outputs}
    # Not weights, some of which have the name of what is computed with them.
    computed = {index for operator in main.operators for index in operator.outputs}
    lines = []
    for operator in main.operators:
        output, op = operator.outputs[0], flatbuffer_utils.opcode_to_name(graph, operator.opcodeIndex)
        if names[output] in errors and op not in MOVES:
            taken = [names[index] for index in operator.inputs if index in computed]
            before = max((errors.get(name, 0.0) for name in taken), default=0.0)
            error = errors[names[output]]
            lines.append((op, ends.get(output, names[output]), error, error - before))
    table = pd.DataFrame(lines, columns=COLUMNS).sort_values("added", ascending=False)
    return table[table["added"] > 0].head(MOST).reset_index(drop=True)


def _tensors(content: bytes, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the ops of a file's main graph give for the rows, one below another, by the tensors' names."""
    flatbuffer_utils = import_extra("ai_edge_litert.tools.flatbuffer_utils", "export")
    module = import_extra("ai_edge_litert.interpreter", "export")
    with warnings.catch_warnings(), held_back():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        interpreter = module.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        runner = interpreter.get_signature_runner(SIGNATURE)
    taken = {name: tensor_info(detail) for name, detail in runner.get_input_details().items()}
    main = flatbuffer_utils.read_model_from_bytearray(content).subgraphs[0]
    # QUANTIZE and DEQUANTIZE come later, and give it once more under its name.
    places = {
        main.tensors[index].name.decode(): index
        for operator in reversed(main.operators)
        for index in operator.outputs
    }
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    found: dict[str, list[np.ndarray]] = {}
    for row in range(len(next(iter(rows.values())))):
        runner(**{name: taken[name].to_file(values[row : row + 1]) for name, values in rows.items()})
        for name, index in places.items():
            try:
                values = interpreter.get_tensor(index)
            except ValueError:  # a part of a loop that nothing needs
                continue
            if values.size and values.dtype.kind in "fi":
                found.setdefault(name, []).append(tensor_info(details[index]).from_file(values).ravel())
    return {name: np.concatenate(rows).astype(np.float64) for name, rows in found.items()}


def _relative(values: np.ndarray, expected: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):  # a mask of -infinity has no difference
        scale, difference = (np.sqrt(np.mean(np.square(part))) for part in (expected, values - expected))
    return float(difference / scale) if scale else float(difference > 0)
