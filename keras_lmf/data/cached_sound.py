"""The sound of media files, decoded once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np

from keras_lmf.data.npz import read_npz
from keras_lmf.errors import LMFError
from keras_lmf.files import cache_folder, write_atomically
from keras_lmf.media.sound import SAMPLE_RATE, decode_sound

# Raised when `decode_sound` gives other numbers for the same file.
_VERSION = 1


def cached_sound(path: Path) -> np.ndarray:
    """What `decode_sound` gives, from `KERAS_LMF_HOME/sound` or the user's cache folder where it is there already.

    A file is known by the SHA-256 of its content, so one that was moved is found and one that was changed is
    decoded again. Nothing is written beside the file. The cache may be deleted at any time; a damaged file in it
    is made again. A cache that can't be written is a warning.

    Raises:
        LMFError: as of `decode_sound`.
        OSError: the file can't be read.
    """
    if not path.is_file():  # decode_sound says what it is instead
        return decode_sound(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    place = cache_folder("sound") / f"{digest}-{SAMPLE_RATE}-v{_VERSION}.npz"
    known = _read(place)
    if known is not None:
        return known
    waveform = decode_sound(path)
    try:
        write_atomically(place, lambda temporary: np.savez(temporary, waveform=waveform))
    except OSError as error:
        warnings.warn(
            f"{place.parent} can't be written ({error.strerror}): clips are decoded again every time. "
            "KERAS_LMF_HOME names another cache.",
            stacklevel=2,
        )
    return waveform


def _read(place: Path) -> np.ndarray | None:
    """The waveform in the cache, or None if it isn't there whole: an .npz has a checksum of what it holds."""
    try:
        waveform = read_npz(place)["waveform"]
    except (LMFError, KeyError, OSError):
        return None
    return waveform if waveform.dtype == np.float32 and waveform.ndim == 1 and len(waveform) else None
