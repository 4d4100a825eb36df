"""From recordings to arrays: one pure function a recording, run by one process, by several, or by many machines.

`dataset` gives what fits memory; `store.extract` writes a folder of shards, and `stored.open_arrays` reads it.
"""

from __future__ import annotations

from keras_lmf.data.extraction.assembly import dataset as dataset

__all__ = ["dataset"]
