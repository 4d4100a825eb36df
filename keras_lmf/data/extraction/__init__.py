"""From recordings to arrays: one pure function a recording, run by one process, by several, or by many machines."""

from __future__ import annotations

from collections.abc import Mapping

from keras_lmf.data.dataset import Dataset
from keras_lmf.data.recordings import Recordings
from keras_lmf.sources import RecordedInput


def dataset(recordings: Recordings, inputs: Mapping[str, RecordedInput]) -> Dataset:
    """The recordings as a dataset with these inputs.

    A recording that can't be read is left out, and a warning names it; more than a tenth of such are an error. Where
    a recording has no sound or no face, that input is zeros: absent.
    """
    raise NotImplementedError
