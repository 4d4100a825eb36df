"""Rules of what runs along a sequence and ends it: recurrent layers, pooling, whether a modality is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.models.streaming.memory import Memory, Steps, Tensor, blank


def _reduced(
    memory: Memory,
    steps: Steps,
    mask: Tensor | None,
    shapes: Sequence[Sequence[int]],
    add: Callable[..., Sequence[Tensor]],
) -> Sequence[Tensor]:
    """What `add(state, values, real)` makes of all steps; what it makes of the settled ones is kept."""
    state, real = [memory.read(shape) for shape in shapes], memory.real(steps, mask)

    def added(state: Sequence[Tensor], part: slice) -> Sequence[Tensor]:
        return add(state, steps.values[:, part], None if real is None else real[:, part])

    state = added(state, slice(0, steps.settled))
    memory.keep(*state)
    return added(state, slice(steps.settled, None)) if steps.pending else state


def recurrent(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Any:
    """LSTM, GRU: the cell's states go from call to call."""
    if layer.go_backwards:
        raise LMFError("it runs from the clip's end. Take a network that runs forwards")
    steps, mask = memory.masked(steps, mask)
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
    steps, mask = memory.masked(steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        count, mean, squares = state
        values = blank(values, real)
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
    return ops.concatenate([mean, deviation], axis=-1)


def attention_pooling(memory: Memory, layer: Any, steps: Steps, mask: Steps | None = None) -> Tensor:
    """Numerator and denominator of the softmax so far, relative to the largest score so far."""
    steps, mask = memory.masked(steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        numerator, denominator, largest = state
        values = blank(values, real)
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
    steps, mask = memory.masked(steps, mask)

    def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
        if real is None:
            return [values[:, -1]]
        return [ops.where(ops.any(real, axis=1, keepdims=True), layer(values, mask=real), state[0])]

    return _reduced(memory, steps, mask, [(steps.values.shape[-1],)], add)[0]


def presence(memory: Memory, layer: Any, inputs: Sequence[Any]) -> Tensor:
    """Whether any number so far was not zero."""
    flags = []
    for one in inputs:
        if not isinstance(one, Steps):
            flags.append(ops.any(ops.not_equal(one, 0), axis=tuple(range(1, len(one.shape)))))
            continue
        values = ops.not_equal(one.values, 0)
        values = ops.any(values, axis=tuple(range(2, len(values.shape)))) if len(values.shape) > 2 else values

        def add(state: Sequence[Tensor], values: Tensor, real: Tensor | None) -> Sequence[Tensor]:
            new = values if real is None else ops.logical_and(values, real)
            return [ops.maximum(state[0], ops.cast(ops.any(new, axis=1, keepdims=True), "float32"))]

        flags.append(_reduced(memory, one.replace(values=values), None, [(1,)], add)[0][:, 0] > 0)
    return ops.cast(ops.stack(flags, axis=-1), layer.compute_dtype)
