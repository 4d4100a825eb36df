"""What each kind of layer does with a sequence that comes chunk by chunk: one rule for each, in `RULES`.

A sequence in the middle of a stream is `Steps`: some that are settled, as no later chunk can change them, and some
that are pending: what they would be if the clip ended now. So a call can settle and remember the ones, and answer with
both. What a call remembers for the next one goes through a `Memory`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError

Tensor = Any
Rule = Callable[..., Any]


@dataclass(frozen=True)
class Steps:
    """A sequence in a call.

    Attributes:
        values: (batch, settled + pending, …); folded: (batch · (settled + pending), …), steps as rows of the batch.
        settled: steps that are final, as many in each call.
        pending: steps after them, as they would be if the clip ended now.
        lag: how many settled steps a stream's first call gives that lie before its beginning: they don't exist.
        mask: (batch, settled + pending), as Keras would carry it; None: none.
        folded: whether steps are rows of the batch.
    """

    values: Tensor
    settled: int
    pending: int = 0
    lag: int = 0
    mask: Tensor | None = None
    folded: bool = False

    @property
    def count(self) -> int:
        return self.settled + self.pending

    def replace(self, **changes: Any) -> Steps:
        return dataclasses.replace(self, **changes)


class Memory:
    """The state of a stream: numbers that a call reads, and those that it keeps for the next one, in the same order.

    Args:
        state: (batch, numbers), what the call before kept; None: of one stream that begins.

    Attributes:
        size: numbers read so far.
        calls: (batch, 1): how many calls there were before.
    """

    def __init__(self, state: Tensor | None) -> None:
        self._state, self._kept, self.size = state, [], 0
        self.calls = self.read((1,))
        self.keep(self.calls + 1)

    def read(self, shape: Sequence[int]) -> Tensor:
        """The next (batch, *shape); zeros at a stream's beginning."""
        size = math.prod(shape)
        place = slice(self.size, self.size + size)
        part = ops.zeros((1, size)) if self._state is None else self._state[:, place]
        self.size += size
        return ops.reshape(part, (-1, *shape))

    def keep(self, *tensors: Tensor) -> None:
        self._kept += [ops.reshape(tensor, (-1, math.prod(tensor.shape[1:]))) for tensor in tensors]

    @property
    def state(self) -> Tensor:
        """What the next call is to read, (batch, size)."""
        return ops.concatenate(self._kept, axis=-1)

    def recall(self, values: Tensor, settled: int, length: int) -> Tensor:
        """The values with the `length` settled steps that came before them; zeros before the beginning."""
        if not length:
            return values
        joined = ops.concatenate([self.read((length, *values.shape[2:])), values], axis=1)
        self.keep(joined[:, settled : settled + length])
        return joined

    def late(self, values: Tensor, settled: int, by: int) -> Tensor:
        """As `recall`, of numbers of any kind."""
        return ops.cast(self.recall(ops.cast(values, "float32"), settled, by), values.dtype)

    def delayed(self, steps: Steps, by: int) -> Steps:
        """The same sequence, of which so many steps fewer count as settled."""
        if not by:
            return steps
        if steps.folded:
            raise LMFError("it joins pictures of different times")
        values = self.late(steps.values, steps.settled, by)
        mask = None if steps.mask is None else self.late(steps.mask, steps.settled, by)
        return steps.replace(values=values, pending=steps.pending + by, lag=steps.lag + by, mask=mask)

    def aligned(self, every: Sequence[Steps]) -> list[Steps]:
        """The sequences, settled equally far and ending together; one that ended before is followed by zeros."""
        if len({steps.settled for steps in every}) > 1:
            counts = " and ".join(str(steps.settled) for steps in every)
            raise LMFError(f"the chunks don't last equally long: they are {counts} steps where they meet")
        lag = max(steps.lag for steps in every)
        late = [self.delayed(steps, lag - steps.lag) for steps in every]
        pending = max(steps.pending for steps in late)
        return [_lengthened(steps, pending - steps.pending) for steps in late]

    def real(self, steps: Steps, mask: Tensor | None) -> Tensor | None:
        """(batch, steps): the steps that exist and are not masked; None: all."""
        if not steps.lag:
            return mask
        place = self.calls * steps.settled + ops.arange(steps.count, dtype="float32") - steps.lag
        return place >= 0 if mask is None else ops.logical_and(place >= 0, mask)


def _padded(values: Tensor, by: int) -> Tensor:
    """Followed by so many steps of zeros."""
    longer = ops.pad(ops.cast(values, "float32"), [(0, 0), (0, by)] + [(0, 0)] * (len(values.shape) - 2))
    return ops.cast(longer, values.dtype)


def _lengthened(steps: Steps, by: int) -> Steps:
    """Followed by so many pending steps of zeros, which are masked where there is a mask."""
    if not by:
        return steps
    mask = None if steps.mask is None else _padded(steps.mask, by)
    return steps.replace(values=_padded(steps.values, by), pending=steps.pending + by, mask=mask)


def _blank(values: Tensor, real: Tensor | None) -> Tensor:
    """The values with zeros where a step is not real."""
    if real is None:
        return values
    there = ops.reshape(real, (-1, values.shape[1], *[1] * (len(values.shape) - 2)))
    return ops.where(there, values, ops.zeros_like(values))


def _with_mask(memory: Memory, steps: Steps, mask: Steps | None) -> tuple[Steps, Tensor | None]:
    """The steps and their mask: the one that the layer was called with, else the one they carry."""
    if mask is None:
        return steps, steps.mask
    steps, mask = memory.aligned([steps, mask])
    return steps, mask.values


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
        _require_no_time_axis(operation, every)
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


def _require_no_time_axis(operation: keras.Operation, every: Sequence[Steps]) -> None:
    if not hasattr(operation, "axis"):
        return
    axis = operation.axis
    rank = max(len(steps.values.shape) for steps in every)
    rank += type(operation).__name__ in ("ExpandDims", "Stack")
    axes = axis if isinstance(axis, list | tuple) else (0 if axis is None else axis,)
    if any(number % rank < 2 for number in axes):
        raise LMFError("it looks at all steps of a clip at once")


def masking(memory: Memory, layer: keras.layers.Masking, steps: Steps) -> Steps:
    mask = layer.compute_mask(steps.values)
    return steps.replace(values=_blank(steps.values, mask), mask=mask)


def reshape(memory: Memory, operation: Any, steps: Steps, *_: Any, **__: Any) -> Steps:
    """To pictures as rows of the batch, back, and of each step."""
    shape = tuple(operation.newshape)
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
    if (
        key[0] != full
        or not isinstance(time, slice)
        or (time.start, time.stop) not in ((None, None), (0, None))
    ):
        raise LMFError("it takes steps out of a clip")
    steps = _grouped(memory, steps, time.step or 1)
    return _of_groups(steps, operation(steps.values, key), time.step or 1)


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
    return Steps(
        values, steps.settled // size, -(-steps.pending // size), steps.lag // size, mask, folded=False
    )


def pooling(memory: Memory, layer: Any, steps: Steps) -> Steps:
    """Over a picture of steps and bands; pictures of frames are rows of the batch."""
    if steps.folded:
        return each_step(memory, layer, steps)
    size = layer.pool_size[0]
    if size != layer.strides[0] or layer.padding != "same":
        raise LMFError('only pooling without overlap and with padding="same" is streamed')
    steps = _grouped(memory, steps, size)
    return _of_groups(steps, layer(_blank(steps.values, memory.real(steps, None))), size)


def time_alignment(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Steps:
    size = round(layer.rate)
    if abs(layer.rate - size) > 1e-9 * size:
        raise LMFError(
            f"its rate, {layer.rate:g} steps in one of the slowest input, is no whole number. Set the fusion's `rates`"
        )
    steps, mask = _with_mask(memory, steps, mask)
    steps = _grouped(memory, steps.replace(mask=mask), size)
    known, over = memory.real(steps, steps.mask), -steps.pending % size
    there = ops.ones_like(steps.values[:, :, :1]) if known is None else ops.cast(known, "float32")[..., None]

    def sums(values: Tensor) -> Tensor:
        groups = (-1, (steps.count + over) // size, size, values.shape[-1])
        return ops.sum(ops.reshape(_padded(values, over), groups), axis=2)

    counts = sums(there)
    mask = None if steps.mask is None else counts[..., 0] > 0
    return _of_groups(steps, sums(_blank(steps.values, known)) / ops.maximum(counts, 1.0), size, mask)


# -- what looks around each step ----------------------------------------------------------------------------------
def convolution(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Steps:
    """Over time, on axis 1: the answer waits for the steps after it."""
    if steps.folded:
        return each_step(memory, layer, steps)
    if layer.padding != "same" or layer.strides[0] != 1:
        raise LMFError('only convolutions with padding="same" and strides of 1 in time are streamed')
    span = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    before, after = span // 2, span - span // 2
    steps, mask = _with_mask(memory, steps, mask) if layer.supports_masking else (steps, None)
    values = _blank(steps.values, memory.real(steps, mask))
    # The layer's own padding makes zeros of what follows the clip; those that it puts before are cut off.
    values = layer(memory.recall(values, steps.settled, span))[:, before:]
    mask = None if mask is None else memory.late(mask, steps.settled, after)
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
    found = Steps(frames, settled, frames.shape[1] - settled, lag)
    return found.replace(values=_blank(frames, memory.real(found, None)))


# -- what ends a sequence, or runs along it -----------------------------------------------------------------------
def _parts(steps: Steps, *tensors: Tensor | None) -> list[list[Tensor | None]]:
    """The settled part of each tensor, then, where there is one, the pending part."""
    cuts = [slice(0, steps.settled), slice(steps.settled, None)][: 2 if steps.pending else 1]
    return [[None if tensor is None else tensor[:, cut] for tensor in tensors] for cut in cuts]


def _reduced(
    memory: Memory,
    steps: Steps,
    mask: Tensor | None,
    shapes: Sequence[Sequence[int]],
    add: Callable[..., Sequence[Tensor]],
) -> Sequence[Tensor]:
    """What `add(state, values, real)` makes of all steps; what it makes of the settled ones is kept."""
    state = [memory.read(shape) for shape in shapes]
    for i, part in enumerate(_parts(steps, steps.values, memory.real(steps, mask))):
        state = add(state, *part)
        if not i:
            memory.keep(*state)
    return state


def recurrent(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Any:
    """LSTM, GRU: the cell's states go from call to call."""
    if layer.go_backwards:
        raise LMFError("it runs from the clip's end. Take a network that runs forwards")
    steps, mask = _with_mask(memory, steps, mask)
    run = keras.layers.RNN(layer.cell, return_sequences=True, return_state=True, unroll=layer.unroll)
    outputs = []

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        output, *state = run(values, initial_state=list(state), mask=real)
        outputs.append(output)
        return state

    sizes = keras.tree.flatten(layer.cell.state_size)
    state = _reduced(memory, steps, mask, [(size,) for size in sizes], add)
    if not layer.return_sequences:
        return state[0]
    values = ops.concatenate(outputs, axis=1) if len(outputs) > 1 else outputs[0]
    return steps.replace(values=values)


def statistics(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Tensor:
    """Count, mean and sum of squared deviations so far, joined with those of the chunk (Chan et al. 1979)."""
    steps, mask = _with_mask(memory, steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        count, mean, squares = state
        values = _blank(ops.cast(values, "float32"), real)
        there = ops.ones_like(values[..., :1]) if real is None else ops.cast(real, "float32")[..., None]
        new = ops.sum(there, axis=1)
        own = ops.sum(values, axis=1) / ops.maximum(new, 1.0)
        own_squares = ops.sum(ops.square((values - own[:, None]) * there), axis=1)
        change, share = own - mean, new / ops.maximum(count + new, 1.0)
        return count + new, mean + change * share, squares + own_squares + ops.square(change) * count * share

    width = (steps.values.shape[-1],)
    count, mean, squares = _reduced(memory, steps, mask, [(1,), width, width], add)
    variance = squares / ops.maximum(count, 1.0)
    deviation = ops.sqrt(variance + layer.EPSILON**2) - layer.EPSILON
    return ops.cast(ops.concatenate([mean, deviation], axis=-1), layer.compute_dtype)


def attention_pooling(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Tensor:
    """Numerator and denominator of the softmax so far, relative to the largest score so far."""
    steps, mask = _with_mask(memory, steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        numerator, denominator, largest = state
        values = _blank(values, real)
        scores = ops.matmul(values, layer.kernel)
        least = ops.full_like(scores, -1e9)
        scores = scores if real is None else ops.where(real[..., None], scores, least)
        before = ops.where(denominator > 0, largest, least[:, 0])
        largest = ops.maximum(before, ops.max(scores, axis=1))
        weights = ops.exp(scores - largest[:, None])
        weights = weights if real is None else ops.where(real[..., None], weights, ops.zeros_like(weights))
        kept = ops.exp(before - largest)
        numerator = numerator * kept + ops.sum(weights * values, axis=1)
        return numerator, denominator * kept + ops.sum(weights, axis=1), largest

    shapes = [(steps.values.shape[-1],), (1,), (1,)]
    numerator, denominator, _ = _reduced(memory, steps, mask, shapes, add)
    return numerator / ops.maximum(denominator, 1e-9)


def last_step(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Tensor:
    steps, mask = _with_mask(memory, steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        if real is None:
            return [values[:, -1]]
        return [ops.where(ops.any(real, axis=1, keepdims=True), layer(values, mask=real), state[0])]

    return _reduced(memory, steps, mask, [(steps.values.shape[-1],)], add)[0]


# -- which modalities are there -----------------------------------------------------------------------------------
def presence(memory: Memory, layer: Any, inputs: Sequence[Any]) -> Tensor:
    """Whether any number so far was not zero."""
    flags = []
    for one in inputs:
        if not isinstance(one, Steps):
            flags.append(ops.any(ops.not_equal(one, 0), axis=tuple(range(1, len(one.shape)))))
            continue
        axes = tuple(range(2, len(one.values.shape)))
        steps = one.replace(
            values=ops.any(ops.not_equal(one.values, 0), axis=axes) if axes else one.values != 0
        )

        def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
            new = values if real is None else ops.logical_and(values, real)
            return [ops.maximum(state[0], ops.cast(ops.any(new, axis=1, keepdims=True), "float32"))]

        flags.append(_reduced(memory, steps, None, [(1,)], add)[0][:, 0] > 0)
    return ops.cast(ops.stack(flags, axis=-1), layer.compute_dtype)


def present_steps(memory: Memory, layer: Any, inputs: Sequence[Any]) -> Steps:
    steps, there = inputs
    there = ops.logical_and(there[:, layer.modality, None] > 0, ops.ones((1, steps.count), "bool"))
    mask = there if steps.mask is None else ops.logical_and(there, steps.mask)
    return steps.replace(values=layer([steps.values, inputs[1]]), mask=mask)


def _refused(reason: str) -> Rule:
    def refuse(*_: Any, **__: Any) -> None:
        raise LMFError(reason)

    return refuse


_ATTENTION = 'attention looks at the whole clip. Take the fusion "step_by_step" with attention = "none"'
_ELEMENTWISE = (
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
    **dict.fromkeys((*_ELEMENTWISE, *_LAYERS), each_step),
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
        raise LMFError("no rule says how it works chunk by chunk")
    return known(memory, operation, *args, **kwargs)
