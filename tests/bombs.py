"""A pickle that does harm, if it is let."""

from __future__ import annotations

from pathlib import Path


class Bomb:
    """Unpickled, it makes the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)
