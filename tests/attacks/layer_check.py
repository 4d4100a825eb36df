"""A call of a layer that must be refused or right, and what went wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_lmf.errors import LMFError


class Check(NamedTuple):
    """One call.

    Attributes:
        name: says which layer and what it is given.
        call: makes it.
        expected: the right answer; None: it must be refused.
    """

    name: str
    call: Callable[[], Any]
    expected: np.ndarray | None = None


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (2 * np.random.default_rng(sum(shape)).standard_normal(shape)).astype(dtype)


def problem(check: Check) -> str | None:
    """What is wrong with the answer, or None."""
    try:
        answer = check.call()
    except LMFError as error:
        return None if check.expected is None else f"refused: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if check.expected is None:
        return f"answered silently, shape {getattr(answer, 'shape', answer)}"
    given = keras.ops.convert_to_numpy(answer)
    if given.shape != check.expected.shape or not np.allclose(given, check.expected, rtol=1e-4, atol=1e-4):
        return f"answered {given.shape}, another answer than {check.expected.shape}"
    return None
