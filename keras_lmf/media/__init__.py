"""Media files in, clips of sound and pictures on one clock out. Nothing here knows a corpus.

`decode` and `windows` read a file, `annotate` draws over one, `faces.track` follows a face. `av` (the extra `media`)
and `cv2` (the extra `face`) are imported at the call.
"""

from __future__ import annotations

from keras_lmf.media import faces
from keras_lmf.media.annotation import annotate
from keras_lmf.media.clips import Clip, decode, windows
from keras_lmf.media.overlay import Mark

__all__ = ["Clip", "Mark", "annotate", "decode", "faces", "windows"]
