"""Where the corpora lie: an argument or the environment variable KERAS_LMF_DATA, never a built-in path."""

from __future__ import annotations

import os
from pathlib import Path

from keras_lmf.errors import LMFError


def find(corpus: str, file: str, root: str | Path | None) -> Path:
    """The existing file or folder `<root>/<corpus>/<file>`. Without `root`, KERAS_LMF_DATA is read at the call."""
    folder = root if root is not None else os.environ.get("KERAS_LMF_DATA")
    if not folder:
        raise LMFError(
            f"Corpus {corpus!r}: where is the data? Pass root=… or run `export KERAS_LMF_DATA=…`, "
            f"either with the folder that holds {corpus}/{file}."
        )
    path = Path(folder) / corpus / file
    if not path.exists():
        origin = "root" if root is not None else "KERAS_LMF_DATA"
        raise LMFError(
            f"Corpus {corpus!r}: {path} does not exist. "
            f"{origin} must be the folder that holds {corpus}/{file}."
        )
    return path
