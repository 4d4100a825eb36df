"""The HDF5 files of CMU-MultimodalSDK (.csd), read so that nothing in them is run and no other file is opened.

One group, in it `data`, in that a group for each video, or each segment ("VIDEO[3]"), with `features` (T, d) and
`intervals` (T, 2): where each step begins and ends, in seconds of the video. Source: github.com/CMU-MultiComp-Lab/
CMU-MultimodalSDK, mmsdk/mmdatasdk/computational_sequence/file_ops.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from keras_lmf.data.npz import DAMAGE, FREE_BYTES, MAX_EXPANSION
from keras_lmf.errors import LMFError
from keras_lmf.files import require_content

MAX_ENTRIES = 1_000_000
# HDF5 has these built in: gzip, shuffle, a checksum. Others are code that it loads from wherever the system says.
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)


class Steps(NamedTuple):
    """(T, d) features, and (T, 2) where each step begins and ends, in seconds."""

    features: np.ndarray
    intervals: np.ndarray


class ComputationalSequence:
    """An open .csd, of which entries are read one by one (`open_csd`).

    Attributes:
        names: of the videos or segments.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path = path
        with _told(path):
            roots = list(file)
            if len(roots) != 1:
                raise LMFError(f"it holds {len(roots)} groups, must be one.")
            self._data = _group(_group(file, roots[0]), "data")
            if not 0 < len(self._data) <= MAX_ENTRIES:
                raise LMFError(f"it holds {len(self._data):,} entries, must be 1 to {MAX_ENTRIES:,}.")
            self.names = tuple(self._data)
        self._left = FREE_BYTES + MAX_EXPANSION * path.stat().st_size
        self._last: tuple[str, Steps] | None = None

    def steps(self, name: str) -> Steps | None:
        """Of a segment, or else of its video; None: there is neither. Errors as of `open_csd`."""
        with _told(self._path):
            found = next((one for one in (name, video_of(name)) if one in self._data), None)
            if found is None:
                return None
            if self._last is None or self._last[0] != found:
                entry = _group(self._data, found)
                steps = Steps(self._numbers(entry, "features"), self._numbers(entry, "intervals"))
                if (
                    steps.intervals.shape != (len(steps.features), 2)
                    or not np.isfinite(steps.intervals).all()
                ):
                    raise LMFError(
                        f"{found!r}: features {steps.features.shape} with intervals {steps.intervals.shape}; they "
                        "must be (T, d) with (T, 2) numbers of seconds."
                    )
                self._last = found, steps
            return self._last[1]

    def _numbers(self, entry: h5py.Group, name: str) -> np.ndarray:
        item, where = _linked(entry, name), f"{entry.name}/{name}"
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.dtype.itemsize > 8:
            kind = item.dtype if isinstance(item, h5py.Dataset) else "a group"
            raise LMFError(f"{where} holds {kind}, must be numbers.")
        if len(item.shape or ()) != 2:
            raise LMFError(f"{where} has the shape {item.shape}, must be (T, d).")
        made = item.id.get_create_plist()
        filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
        if item.external or item.is_virtual or filters - set(FILTERS):
            raise LMFError(f"{where} lies in other files, or is packed as the SDK packs nothing: refused.")
        self._left -= max(item.nbytes, math.prod(item.chunks or ()) * item.dtype.itemsize)
        if self._left < 0:
            raise LMFError(f"{where}: more numbers than the file can hold: refused.")
        return item[()].astype(np.float64)


@contextlib.contextmanager
def open_csd(path: Path) -> Iterator[ComputationalSequence]:
    """The file, closed afterwards.

    Raises:
        LMFError: no such file, or one that is damaged, hostile or another thing.
    """
    require_content(path)
    with _told(path):
        file = h5py.File(path, "r")
    with file:
        yield ComputationalSequence(path, file)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong, with the file's name."""
    try:
        yield
    except LMFError as error:
        raise LMFError(f"{path}: {error}") from None
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise LMFError(f"{path}: no .csd file, or a damaged one ({reason}). Copy it again.") from None


def video_of(name: str) -> str:
    """The video of a segment: of "VIDEO[3]" and "VIDEO" alike.

    >>> video_of("2iD-tVS8NPw[3]")
    '2iD-tVS8NPw'
    """
    return name.partition("[")[0]


def _linked(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What stands under this name in the file itself: a link may lead to any other file."""
    link = group.get(name, getlink=True)
    if link is None:
        raise LMFError(f"{group.name} holds no {name!r}.")
    if not isinstance(link, h5py.HardLink):
        raise LMFError(f"{group.name}/{name} is a link: refused.")
    return group[name]


def _group(group: h5py.Group, name: str) -> h5py.Group:
    item = _linked(group, name)
    if not isinstance(item, h5py.Group):
        raise LMFError(f"{group.name}/{name} is no group of entries.")
    return item
