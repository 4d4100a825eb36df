"""Where the corpora lie: an argument or the environment variable KERAS_LMF_DATA, never a built-in path."""

from __future__ import annotations

import os
from pathlib import Path

from keras_lmf.errors import LMFError

LABELS = "labels.csv"  # what makes a folder one of clips: corpora.clips_folder


def find(corpus: str, file: str, root: str | Path | None) -> Path:
    """The existing file or folder `<root>/<corpus>/<file>`. Without `root`, KERAS_LMF_DATA is read at the call."""
    folder = root if root is not None else os.environ.get("KERAS_LMF_DATA")
    if not folder:
        raise LMFError(
            f"Corpus {corpus!r}: where is the data? Pass root=… (or --data), or run `export KERAS_LMF_DATA=…`, "
            f"either with the folder that holds {corpus}/{file}."
        )
    path = Path(folder) / corpus / file
    if not path.exists():
        origin = "root" if root is not None else "KERAS_LMF_DATA"
        raise LMFError(
            f"Corpus {corpus!r}: {path} does not exist. "
            f"{origin} must be the folder that holds {corpus}/{file}."
            + (f" It is a folder of clips ({LABELS}), the corpus 'clips'." if is_clips(folder) else "")
        )
    return path


def find_clips(root: str | Path | None) -> Path:
    """The existing folder `root` of clips. Without `root`, KERAS_LMF_DATA is read at the call."""
    folder = root if root is not None else os.environ.get("KERAS_LMF_DATA")
    if not folder:
        raise LMFError(
            "Corpus 'clips': where are your clips? Pass root=… (or --data), or run `export KERAS_LMF_DATA=…`, "
            f"either with the folder that holds them and {LABELS}."
        )
    if not is_clips(folder):
        raise LMFError(
            f"Corpus 'clips': {Path(folder) / LABELS} does not exist. It is a table with the columns file, label, "
            "speaker, and perhaps split."
        )
    return Path(folder)


def is_clips(folder: str | Path) -> bool:
    return (Path(folder) / LABELS).is_file()
