"""A picture in a file as grey pixels; the extra `face` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.files import require_content


def grey_picture(path: Path, most: int) -> np.ndarray:
    """(height, width) uint8 of a .png, .jpg, .webp ….

    Args:
        path: of the file.
        most: bytes that it may have; what it may become in memory is bounded by its format.

    Raises:
        LMFError: no such file, a larger one, no picture, or the extra isn't installed.
    """
    cv2 = import_extra("cv2", "face")
    with require_content(path).open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise LMFError(f"{path}: larger than {most:,} bytes, which no such picture is.")
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        picture = None
    if picture is None:
        raise LMFError(f"{path}: no picture, or a damaged one. Copy it again.")
    return picture
