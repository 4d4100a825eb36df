"""LSTM and GRU in files of one row: the products with the inputs at once, and loops that copy little.

TensorFlow Lite copies what a loop carries at each of its steps. Keras's loop carries the array of all outputs, which is
T copies of T outputs, and multiplies one input at a time by the input kernel. Here that product is one op, before the
loop, and a long sequence runs in blocks of about √T steps, each a loop within the loop: about 2 · √T copies of T
outputs. `benchmarks/lstm_op.py` compares this with Keras's loop and with TensorFlow Lite's own LSTM op.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras

# Scopes of the two products of a layer; the quantiser goes by them.
INPUT_PRODUCT, RECURRENT_PRODUCT = "input_product", "recurrent_product"
# Below so many steps the second loop takes longer than the copies that it saves.
LEAST_STEPS = 64

Tensor = Any
Step = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]


@contextlib.contextmanager
def in_blocks(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Within it, those LSTM and GRU layers are traced as this module says, where they get one row of a known length.

    They give what they give otherwise, masks included. Keras's own loop stays for a GRU that resets its state before
    the product (`reset_after=False`), layers that are unrolled or keep or return their state, and subclasses.

    Keras is on the TensorFlow backend.
    """
    changed = [layer for layer in layers if _taken(layer)]
    for layer in changed:
        layer.inner_loop = functools.partial(_inner_loop, layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.inner_loop


def _taken(layer: keras.layers.Layer) -> bool:
    if type(layer) not in _CELLS or layer.unroll or layer.stateful or layer.return_state:
        return False
    return getattr(layer, "reset_after", True) and (layer.return_sequences or not layer.zero_output_for_mask)


def _inner_loop(
    layer: Any, sequences: Tensor, initial_state: Any, mask: Any = None, training: bool = False
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """As the layer's own: the last output, all outputs where they are asked for, and the states."""
    import tensorflow as tf

    rows, steps, _ = sequences.shape
    first = tf.get_static_value(keras.tree.flatten(initial_state)[0])
    # What masked steps give is the state before, but at the start, where it is zeros.
    if rows != 1 or steps is None or (mask is not None and (first is None or first.any())):
        return type(layer).inner_loop(layer, sequences, initial_state, mask, training)
    mask = keras.tree.flatten(mask)[0] if mask is not None else None
    states = [tf.reshape(state, (1, layer.units)) for state in keras.tree.flatten(initial_state)]
    inputs, step = _CELLS[type(layer)](layer.cell, sequences[0])
    real = None if mask is None else tf.reshape(tf.cast(mask, tf.bool), (steps, 1))
    if layer.go_backwards:
        inputs, real = tf.reverse(inputs, [0]), None if real is None else tf.reverse(real, [0])
    step = _masked(step, real is not None, layer.zero_output_for_mask)
    parts = [inputs] if real is None else [inputs, real]
    if not layer.return_sequences:
        states = _last(parts, step, states)
        return states[0], states[0][:, None], states
    outputs, states = _all(parts, step, states)
    outputs = outputs[None, :steps]
    return outputs[:, -1], outputs, states


def _lstm(cell: Any, inputs: Tensor) -> tuple[Tensor, Step]:
    """What of the inputs (T, width) goes into the four gates, (T, 4 · units), and one step from there."""
    product = _input_product(cell, inputs, cell.bias)

    def step(gates: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        hidden, carry = states
        i, f, new, o = keras.ops.split(gates + _recurrent_product(cell, hidden), 4, axis=-1)
        gate = cell.recurrent_activation
        carry = gate(f) * carry + gate(i) * cell.activation(new)
        return [gate(o) * cell.activation(carry), carry]

    return product, step


def _gru(cell: Any, inputs: Tensor) -> tuple[Tensor, Step]:
    """As `_lstm`, with three gates; the reset gate acts behind the recurrent product."""
    of_inputs, of_state = (None, None) if cell.bias is None else (cell.bias[0], cell.bias[1])
    product = _input_product(cell, inputs, of_inputs)

    def step(gates: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        (hidden,) = states
        inner = _recurrent_product(cell, hidden)
        inner = inner if of_state is None else inner + of_state
        (z, r, new), (inner_z, inner_r, inner_new) = (
            keras.ops.split(part, 3, axis=-1) for part in (gates, inner)
        )
        z, r = cell.recurrent_activation(z + inner_z), cell.recurrent_activation(r + inner_r)
        return [z * hidden + (1 - z) * cell.activation(new + r * inner_new)]

    return product, step


_CELLS = {keras.layers.LSTM: _lstm, keras.layers.GRU: _gru}


def _input_product(cell: Any, inputs: Tensor, bias: Tensor | None) -> Tensor:
    with keras.name_scope(INPUT_PRODUCT):
        product = keras.ops.matmul(inputs, cell.kernel)
        return product if bias is None else keras.ops.add(product, bias)


def _recurrent_product(cell: Any, hidden: Tensor) -> Tensor:
    with keras.name_scope(RECURRENT_PRODUCT):
        return keras.ops.matmul(hidden, cell.recurrent_kernel)


def _masked(step: Step, masked: bool, zeros: bool) -> Callable[..., tuple[Tensor, list[Tensor]]]:
    """The step of (parts of one step, states) → (output, states).

    A masked one leaves the states as they were. Its output is zeros or the first of the states.
    """
    import tensorflow as tf

    def plain(parts: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        states = step(parts[0], states)
        return states[0], states

    def with_mask(parts: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        inputs, real = parts
        new = step(inputs, states)
        states = [tf.where(real, *pair) for pair in zip(new, states)]
        return tf.where(real, new[0], tf.zeros_like(new[0])) if zeros else states[0], states

    return with_mask if masked else plain


def _last(parts: Sequence[Tensor], step: Callable[..., Any], carried: Sequence[Tensor]) -> list[Tensor]:
    """What is carried behind the last of the steps, which are the rows of all `parts`."""
    import tensorflow as tf

    def body(index: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        return index + 1, *step(_step_of(parts, index), carried)[1]

    steps = parts[0].shape[0]
    return list(tf.while_loop(lambda index, *_: index < steps, body, (0, *carried))[1:])


def _all(
    parts: Sequence[Tensor], step: Callable[..., Any], carried: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The outputs of all steps, (T or more, units), and what is carried; those above T mean nothing."""
    import tensorflow as tf

    steps = parts[0].shape[0]
    if steps < LEAST_STEPS:
        return _collected(steps, lambda index, now: step(_step_of(parts, index), now), carried)
    blocks = round(math.sqrt(steps))
    length = math.ceil(steps / blocks)
    parts = [
        tf.reshape(tf.pad(part, [[0, blocks * length - steps], [0, 0]]), (blocks, length, part.shape[1]))
        for part in parts
    ]

    def block(index: Tensor, now: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        own = [tf.gather(part, index) for part in parts]
        outputs, now = _collected(length, lambda index, now: step(_step_of(own, index), now), now)
        return tf.reshape(outputs, (1, -1)), now

    outputs, carried = _collected(blocks, block, carried, length)
    return tf.reshape(outputs, (blocks * length, -1)), carried


def _step_of(parts: Sequence[Tensor], index: Tensor) -> list[Tensor]:
    import tensorflow as tf

    return [tf.gather(part, index) for part in parts]


def _collected(
    steps: int, step: Callable[..., Any], carried: Sequence[Tensor], width: int = 1
) -> tuple[Tensor, list[Tensor]]:
    """The outputs of so many calls of `step(index, carried)`, one below the other, and what is carried in the end.

    An output is a row of `width` · units. Each pushes the first out of an array of zeros: the shapes are fixed, and
    TensorFlow Lite plans the memory once.
    """
    import tensorflow as tf

    def body(index: Tensor, outputs: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        output, carried = step(index, carried)
        return index + 1, tf.concat([outputs[1:], output], 0), *carried

    empty = tf.zeros((steps, width * carried[0].shape[1]), carried[0].dtype)
    _, outputs, *carried = tf.while_loop(lambda index, *_: index < steps, body, (0, empty, *carried))
    return outputs, carried
