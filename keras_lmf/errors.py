"""The one exception type of this package, and how an unknown name and a missing extra are reported."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class LMFError(ValueError):
    """A mistake in the input that the caller can mend; the message says what, received, allowed and the fix."""


def unknown_name(what: str, received: object, allowed: Iterable[str], hint: str = "") -> LMFError:
    """The error for a name that is not one of `allowed`, with the nearest allowed one.

    >>> print(unknown_name("fusion", "lowrank", ["early", "tensor", "low_rank"]))
    Unknown fusion 'lowrank'. Did you mean 'low_rank'? Allowed: early, tensor, low_rank.
    """
    names = list(allowed)
    nearest = difflib.get_close_matches(str(received), names, n=1, cutoff=0.5)
    parts = [f"Unknown {what} {str(received)!r}."]
    if nearest:
        parts.append(f"Did you mean {nearest[0]!r}?")
    parts.append(f"Allowed: {', '.join(names) or 'none'}.")
    if hint:
        parts.append(hint)
    return LMFError(" ".join(parts))


def import_extra(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of keras-lmf installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LMFError(
            f"This needs {module.partition('.')[0]}, which can't be imported ({error}). "
            f'Install it: pip install "keras-lmf[{extra}]"'
        ) from error
