"""Who is in which split, where a table doesn't say it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HELD_OUT = 0.2  # of the groups, for the test split, and as many for validation


def drawn(groups: Iterable[str], seed: int = 0) -> dict[str, str]:
    """Group → split: about 60 % train, 20 % valid, 20 % test, at least one each of three or more.

    By the hash of each name, so that a group that joins moves few others.
    """
    names = sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    held = max(1, round(HELD_OUT * len(names)))
    return dict(zip(names, ["test"] * held + ["valid"] * held + ["train"] * (len(names) - 2 * held)))
