"""The format "saved_model": a folder that TensorFlow alone can serve."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.export.source import Source


def write_saved_model(source: Source, path: Path) -> None:
    """Write the SavedModel folder `path`, with a free number of rows."""
    source.save(path, batch=None)
