"""Why a script that runs in a process of its own failed: the file that it leaves for the process that started it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Failure(NamedTuple):
    """What went wrong.

    Attributes:
        message: in words; where there are operators, what can be done instead.
        operators: [op, name scope of the op] of each op that can't be converted.
    """

    message: str
    operators: list[list[str]]


def tell(path: str | Path, error: Exception | str, operators: Iterable[list[str]] = ()) -> int:
    """Writes the failure; returns the exit code of the script, 1."""
    told = Failure(str(error) or type(error).__name__, sorted(operators))
    Path(path).write_text(json.dumps(told._asdict()), encoding="utf-8")
    return 1


def read(path: Path) -> Failure:
    """What `tell` wrote."""
    return Failure(**json.loads(path.read_text(encoding="utf-8")))
