"""The package's modules, as tests of its source ask for them."""

from __future__ import annotations

from pathlib import Path

import keras_lmf

ROOT = Path(keras_lmf.__file__).parent


def name_of(path: Path) -> str:
    """Without the package's own name."""
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" and len(names) > 1 else names)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
