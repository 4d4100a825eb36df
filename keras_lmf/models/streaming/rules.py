"""What each kind of layer does with a sequence that comes chunk by chunk: one rule for each, in `RULES`.

A rule takes the stream's memory, the layer or operation, and what it is called with. It says why in an LMFError where
that needs the whole clip.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.models.streaming.memory import Memory, Steps, Tensor, blank, padded
from keras_lmf.models.streaming.reductions import (
    attention_pooling,
    last_step,
    presence,
    recurrent,
    statistics,
)

Rule = Callable[..., Any]


def _map(function: Callable[[Steps], Any], structure: Any) -> Any:
    return keras.tree.map_structure(lambda x: function(x) if isinstance(x, Steps) else x, structure)


def found(structure: Any) -> list[Steps]:
    """The sequences among arguments."""
    return [x for x in keras.tree.flatten(structure) if isinstance(x, Steps)]


# -- what looks at each step by itself ----------------------------------------------------------------------------
def each_step(memory: Memory, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
    """As it is: on settled and pending steps at once."""
    every = found((args, kwargs))
    if not every[0].folded:
        _require_by_step(operation, every)
    known = iter(memory.aligned(every))
    args, kwargs = _map(lambda _: next(known), (args, kwargs))
    first = found((args, kwargs))[0]
    given = _map(lambda steps: steps.values, (args, kwargs))
    masks = _map(lambda steps: steps.mask, args[0])
    masked = isinstance(operation, keras.Layer) and any(steps.mask is not None for steps in found(args[0]))
    if masked and "mask" in inspect.signature(operation.call).parameters:
        given[1].setdefault("mask", masks)
    values = operation(*given[0], **given[1])
    mask = None
    if masked and operation.supports_masking:
        mask = operation.compute_mask(given[0][0], masks)
    return keras.tree.map_structure(lambda tensor: first.replace(values=tensor, mask=mask), values)


def _require_by_step(operation: keras.Operation, every: Sequence[Steps]) -> None:
    rank = max(len(steps.values.shape) for steps in every)
    if rank == 2 and isinstance(operation, keras.Layer):
        raise LMFError("it takes vectors, which have no steps. Leave their input out of the chunks")
    if not hasattr(operation, "axis"):
        return
    rank += type(operation).__name__ in ("ExpandDims", "Stack")
    axes = operation.axis if isinstance(operation.axis, list | tuple) else (operation.axis or 0,)
    if any(axis % rank < 2 for axis in axes):
        raise LMFError("it looks at all steps of a clip at once")


def masking(memory: Memory, layer: keras.layers.Masking, steps: Steps) -> Steps:
    mask = layer.compute_mask(steps.values)
    return steps.replace(values=blank(steps.values, mask), mask=mask)


def present_steps(memory: Memory, layer: Any, inputs: Sequence[Any]) -> Steps:
    steps, there = inputs
    there = ops.logical_and(there[:, layer.modality, None] > 0, ops.ones((1, steps.count), "bool"))
    mask = there if steps.mask is None else ops.logical_and(there, steps.mask)
    return steps.replace(values=layer([steps.values, inputs[1]]), mask=mask)


def reshape(memory: Memory, operation: Any, steps: Steps, *_: Any, **__: Any) -> Steps:
    """To pictures as rows of the batch, back, and of each step."""
    layer = isinstance(operation, keras.layers.Reshape)
    shape = (-1, *operation.target_shape) if layer else tuple(operation.newshape)
    size = math.prod(steps.values.shape[1 if steps.folded else 2 :])
    if math.prod(shape[1:]) == size:
        return steps.replace(values=ops.reshape(steps.values, (-1, *shape[1:])), mask=None, folded=True)
    if math.prod(shape[2:]) == size:
        values = ops.reshape(steps.values, (-1, steps.count, *shape[2:]))
        return steps.replace(values=values, mask=None, folded=False)
    raise LMFError("it reshapes what is more than a step")


def get_item(memory: Memory, operation: keras.Operation, steps: Steps, key: Any) -> Steps:
    """Of each step, or each n-th step from the first on."""
    full, key = slice(None), tuple(key) if isinstance(key, list | tuple) else (key,)
    if steps.folded or (key[0] is Ellipsis and len(key) <= len(steps.values.shape) - 1):
        return steps.replace(values=operation(steps.values, key), mask=None)
    time = key[1] if len(key) > 1 else full
    every = time.step or 1 if isinstance(time, slice) else 1
    if key[0] != full or time != slice(None, None, getattr(time, "step", None)):
        raise LMFError("it takes steps out of a clip")
    steps = _grouped(memory, steps, every)
    return _of_groups(steps, operation(steps.values, key), every)


# -- groups of neighbouring steps ---------------------------------------------------------------------------------
def _grouped(memory: Memory, steps: Steps, size: int) -> Steps:
    """Delayed so that groups of `size` steps, counted from the beginning, lie whole in the settled ones."""
    if steps.settled % size:
        raise LMFError(
            f"it takes {size} steps at once, and a chunk brings {steps.settled} of them here. Give a chunk that brings "
            f"a multiple of {size}"
        )
    return memory.delayed(steps, -steps.lag % size)


def _of_groups(steps: Steps, values: Tensor, size: int, mask: Tensor | None = None) -> Steps:
    """What was made of groups."""
    return Steps(values, steps.settled // size, -(-steps.pending // size), steps.lag // size, mask)


def pooling(memory: Memory, layer: Any, steps: Steps) -> Steps:
    """Over a picture of steps and bands; pictures of frames are rows of the batch."""
    if steps.folded:
        return each_step(memory, layer, steps)
    size = layer.pool_size[0]
    if size != layer.strides[0] or layer.padding != "same":
        raise LMFError('only pooling without overlap and with padding="same" is streamed')
    steps = _grouped(memory, steps, size)
    return _of_groups(steps, layer(blank(steps.values, memory.real(steps, None))), size)


def time_alignment(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Steps:
    size = round(layer.rate)
    if abs(layer.rate - size) > 1e-9 * size:
        raise LMFError(
            f"its rate, {layer.rate:g} steps in one of the slowest input, is no whole number. Set the fusion's `rates`"
        )
    steps, mask = memory.masked(steps, mask)
    steps = _grouped(memory, steps.replace(mask=mask), size)
    known, over = memory.real(steps, steps.mask), -steps.pending % size
    there = ops.ones_like(steps.values[:, :, :1]) if known is None else ops.cast(known, "float32")[..., None]

    def sums(values: Tensor) -> Tensor:
        groups = (-1, (steps.count + over) // size, size, values.shape[-1])
        return ops.sum(ops.reshape(padded(values, over), groups), axis=2)

    counts = sums(there)
    mask = None if steps.mask is None else counts[..., 0] > 0
    return _of_groups(steps, sums(blank(steps.values, known)) / ops.maximum(counts, 1.0), size, mask)


# -- what looks around each step ----------------------------------------------------------------------------------
def convolution(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Steps:
    """Over time, on axis 1: the answer waits for the steps after it."""
    if steps.folded:
        return each_step(memory, layer, steps)
    if layer.padding != "same" or layer.strides[0] != 1:
        raise LMFError('only convolutions with padding="same" and strides of 1 in time are streamed')
    span = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    before, after = span // 2, span - span // 2
    steps, mask = memory.masked(steps, mask) if layer.supports_masking else (steps, None)
    values = blank(steps.values, memory.real(steps, mask))
    # The layer's own padding makes zeros of what follows the clip; those that it puts before are cut off.
    values = layer(memory.recall(values, steps.settled, span))[:, before:]
    mask = None if mask is None else memory.recall(mask, steps.settled, after)
    return steps.replace(values=values, pending=steps.pending + after, lag=steps.lag + after, mask=mask)


def spectrum(memory: Memory, layer: Any, steps: Steps) -> Steps:
    """Samples → frames around every hop."""
    if getattr(layer, "dynamic_range", None) is not None:
        raise LMFError(
            f"it takes what is {layer.dynamic_range:g} dB below the loudest of the whole clip for silence. Train with "
            f"dynamic_range=None (in a recipe's front end: dynamic_range = 0), which does not"
        )
    if steps.settled % layer.hop:
        raise LMFError(
            f"a chunk of {steps.settled} samples is no multiple of its hop, {layer.hop}. Give "
            f"{-(-steps.settled // layer.hop) * layer.hop}"
        )
    half = layer.fft_length // 2
    lag = -(-(layer.fft_length - half) // layer.hop) - 1
    hops = lag - (-half // layer.hop)  # before the chunk, under the windows of the frames that it settles
    frames = layer(memory.recall(steps.values, steps.settled, hops * layer.hop))[:, hops - lag :]
    settled = steps.settled // layer.hop
    steps = Steps(frames, settled, frames.shape[1] - settled, lag)
    return steps.replace(values=blank(frames, memory.real(steps, None)))


def _refused(reason: str) -> Rule:
    def refuse(*_: Any, **__: Any) -> None:
        raise LMFError(reason)

    return refuse


_ATTENTION = 'attention looks at the whole clip. Take the fusion "step_by_step" with attention = "none"'
_OPERATIONS = (
    "Absolute", "Add", "Any", "Cast", "Concatenate", "Divide", "Exp", "ExpandDims", "Flip", "Greater", "Log",
    "LogicalAnd", "LogicalOr", "Max", "Maximum", "Mean", "Min", "Minimum", "Multiply", "NotEqual", "OnesLike", "Relu",
    "Repeat", "Sqrt", "Square", "Stack", "Subtract", "Sum", "TrueDivide", "Where", "ZerosLike",
)  # fmt: skip
_LAYERS = (
    "Activation", "BatchNormalization", "Dense", "Dropout", "FaceLandmarkNormalization", "GaussianNoise",
    "LayerNormalization", "ModalityFusion", "Normalization", "SpatialDropout2D", "SpecAugment", "TimeDistributed",
)  # fmt: skip
# The class of an operation or a layer, or a class that it inherits from → its rule.
RULES: dict[str, Rule] = {
    **dict.fromkeys((*_OPERATIONS, *_LAYERS), each_step),
    "AttentionPooling": attention_pooling,
    "Bidirectional": _refused(
        "it runs from the clip's end, too. Take a network that runs forwards: lstm or gru"
    ),
    "Conv1D": convolution,
    "Conv2D": convolution,
    "CrossModalAttention": _refused(_ATTENTION),
    "GetItem": get_item,
    "GRU": recurrent,
    "LastStep": last_step,
    "LevelNormalization": _refused("it measures the whole clip. Take the front end log_mel or mfcc"),
    "LSTM": recurrent,
    "Masking": masking,
    "MaxPooling2D": pooling,
    "MelSpectrogram": spectrum,
    "ModalityPresence": presence,
    "Positions": _refused(_ATTENTION),
    "PresentSteps": present_steps,
    "Reshape": reshape,
    "StatisticsPooling": statistics,
    "TimeAlignment": time_alignment,
}


def apply(memory: Memory, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
    """What the operation gives of sequences, by its rule.

    Raises:
        LMFError: it has none, or refuses.
    """
    known = next((RULES[kind.__name__] for kind in type(operation).__mro__ if kind.__name__ in RULES), None)
    if known is None and all(steps.folded for steps in found((args, kwargs))):
        known = each_step  # pictures as rows of a batch, which never see one another
    if known is None:
        raise LMFError(
            'no rule says how it works chunk by chunk. "Chunk by chunk" in docs/export.md tells what can be streamed'
        )
    return known(memory, operation, *args, **kwargs)
