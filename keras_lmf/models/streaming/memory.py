"""A sequence in the middle of a stream, and what a stream remembers from call to call.

Of a sequence some steps are settled, as no later chunk can change them, and some are pending: what they would be if
the clip ended now. So a call can settle and remember the ones, and answer with both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_lmf.errors import LMFError

Tensor = Any


@dataclass(frozen=True, eq=False)
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
        self._kept += [
            ops.reshape(ops.cast(tensor, "float32"), (-1, math.prod(tensor.shape[1:]))) for tensor in tensors
        ]

    @property
    def state(self) -> Tensor:
        """What the next call is to read, (batch, size)."""
        return ops.concatenate(self._kept, axis=-1)

    def recall(self, values: Tensor, settled: int, length: int) -> Tensor:
        """The values with the `length` settled steps that came before them; zeros before the beginning."""
        if not length:
            return values
        before = ops.cast(self.read((length, *values.shape[2:])), values.dtype)
        joined = ops.concatenate([before, values], axis=1)
        self.keep(joined[:, settled : settled + length])
        return joined

    def delayed(self, steps: Steps, by: int) -> Steps:
        """The same sequence, of which so many steps fewer count as settled."""
        if not by:
            return steps
        if steps.folded:
            raise LMFError("it joins pictures of different times")
        values = self.recall(steps.values, steps.settled, by)
        mask = None if steps.mask is None else self.recall(steps.mask, steps.settled, by)
        return steps.replace(values=values, pending=steps.pending + by, lag=steps.lag + by, mask=mask)

    def aligned(self, every: Sequence[Steps]) -> list[Steps]:
        """The sequences, settled equally far and ending together; one that ended before is followed by zeros."""
        if len({steps.settled for steps in every}) > 1:
            counts = " and ".join(str(steps.settled) for steps in every)
            raise LMFError(f"the chunks don't last equally long: they are {counts} steps where they meet")
        lag = max(steps.lag for steps in every)
        late = [self.delayed(steps, lag - steps.lag) for steps in every]
        pending = max(steps.pending for steps in late)
        return [lengthened(steps, pending - steps.pending) for steps in late]

    def masked(self, steps: Steps, mask: Steps | None) -> tuple[Steps, Tensor | None]:
        """The steps and their mask: the one that a layer was called with, else the one they carry."""
        if mask is None:
            return steps, steps.mask
        steps, mask = self.aligned([steps, mask])
        return steps, mask.values

    def real(self, steps: Steps, mask: Tensor | None) -> Tensor | None:
        """(batch, steps): the steps that exist and are not masked; None: all."""
        if not steps.lag:
            return mask
        place = self.calls * steps.settled + ops.arange(steps.count, dtype="float32") - steps.lag
        return place >= 0 if mask is None else ops.logical_and(place >= 0, mask)


def padded(values: Tensor, by: int) -> Tensor:
    """Followed by so many steps of zeros."""
    longer = ops.pad(ops.cast(values, "float32"), [(0, 0), (0, by)] + [(0, 0)] * (len(values.shape) - 2))
    return ops.cast(longer, values.dtype)


def lengthened(steps: Steps, by: int) -> Steps:
    """Followed by so many pending steps of zeros, which are masked where there is a mask."""
    if not by:
        return steps
    mask = None if steps.mask is None else padded(steps.mask, by)
    return steps.replace(values=padded(steps.values, by), pending=steps.pending + by, mask=mask)


def blank(values: Tensor, real: Tensor | None) -> Tensor:
    """The values with zeros where a step is not real."""
    if real is None:
        return values
    there = ops.reshape(real, (-1, values.shape[1], *[1] * (len(values.shape) - 2)))
    return ops.where(there, values, ops.zeros_like(values))
