"""What was extracted from a recording, kept in the user's cache by the files' content and the settings."""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_lmf.data.extraction.clip import arrays, dtype_of, opened_files
from keras_lmf.data.npz import read_npz
from keras_lmf.data.recordings import Recording
from keras_lmf.errors import LMFError
from keras_lmf.files import cache_folder, sha256, write_atomically
from keras_lmf.sources import RecordedInput

# Raised when `arrays` gives other numbers for the same files.
_VERSION = 1


def cached_arrays(recording: Recording, inputs: Mapping[str, RecordedInput]) -> dict[str, np.ndarray]:
    """What `clip.arrays` gives, from `KERAS_LMF_HOME/extracted` or the user's cache folder where it is there already.

    Files are known by the SHA-256 of their content, so one that was moved is found and one that was changed is read
    again. Nothing is written beside them. The cache may be deleted at any time; a damaged file in it is made again. A
    cache that can't be written is a warning.

    Raises:
        LMFError: as of `arrays`; it doesn't name the file.
    """
    with opened_files(recording, inputs) as files:
        try:
            place = cache_folder("extracted") / f"{_key(recording, inputs, files)}.npz"
            known = _known(place, inputs)
            if known is not None:
                return known
            made = arrays(files, inputs, recording.start, recording.end)
        except LMFError as error:
            text = str(error)
            for path in filter(None, files.values()):
                text = text.removeprefix(f"{path}: ").replace(str(path), path.name)
            raise LMFError(text) from error
    try:
        write_atomically(place, lambda temporary: np.savez(temporary, **made))
    except LMFError as error:  # about each clip another one, so that this would be told for each
        warnings.warn(
            f"{str(error).replace(str(place), str(place.parent))} Clips are decoded again every time. "
            "KERAS_LMF_HOME names another cache.",
            stacklevel=2,
        )
    return made


def _key(recording: Recording, inputs: Mapping[str, RecordedInput], files: Mapping[str, Path | None]) -> str:
    settings = {
        "version": _VERSION,
        "start": recording.start,
        "end": recording.end,
        "inputs": [[name, given.model_dump(mode="json")] for name, given in inputs.items()],
        "files": [_content(path) if path is not None else None for path in files.values()],
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> str | None:
    """The SHA-256 of a file, read once a process as long as the file stays the same: many stretches share a film."""
    if not path.is_file():  # what reads it says what it is instead
        return None
    stat = path.stat()
    return _hashed(path, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))


@functools.lru_cache(256)
def _hashed(path: Path, state: tuple[int, ...]) -> str:
    return sha256(path)


def _known(place: Path, inputs: Mapping[str, RecordedInput]) -> dict[str, np.ndarray] | None:
    """The arrays in the cache, or None if they aren't there whole: an .npz has a checksum of what it holds."""
    try:
        found = read_npz(place, inputs)
    except (LMFError, OSError):
        return None
    whole = all(
        found[name].shape == given.shape and found[name].dtype == dtype_of(given)
        for name, given in inputs.items()
    )
    return {name: found[name] for name in inputs} if whole else None
