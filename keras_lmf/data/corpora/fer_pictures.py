"""The pictures of FER2013 as they are downloaded: a table of pixels, or a folder for each emotion."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_lmf.errors import LMFError, missing_name, unknown_name
from keras_lmf.files import require_content
from keras_lmf.media.pictures import grey_picture
from keras_lmf.media.suffixes import PICTURE_FILES

SIDE = 48
# The table's numbers of emotions; the folders have these names too.
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
MAX_PICTURE_BYTES = 2**16


class Pictures(NamedTuple):
    """Of N pictures (N, 48, 48) uint8, and N words each: the emotion, the part of the corpus, the name."""

    images: np.ndarray
    emotions: np.ndarray
    usages: np.ndarray
    ids: np.ndarray


def read_pixels(path: Path) -> Pictures:
    """The table fer2013.csv: emotion (0 … 6), pixels (2304 numbers), Usage. A row is called by its number, from 0.

    Raises:
        LMFError: no such file or table; a row with other values. It names the line.
    """
    pixels, emotions, usages = [], [], []
    for line, row in table_rows(path, ("emotion", "pixels", "Usage")):
        try:
            picture = np.fromstring(row["pixels"], np.int64, sep=" ")
        except ValueError as error:
            raise LMFError(
                f"{path}, line {line}: pixels are whole numbers from 0 to 255 ({error})."
            ) from None
        if len(picture) != SIDE * SIDE:
            raise LMFError(f"{path}, line {line}: {len(picture)} pixels, must be {SIDE * SIDE}.")
        if picture.min() < 0 or picture.max() > 255:
            raise LMFError(f"{path}, line {line}: pixels are whole numbers from 0 to 255.")
        code, usage = row["emotion"].strip(), row["Usage"].strip()
        if code not in tuple("0123456"):
            raise LMFError(f"{path}, line {line}: the emotion {code!r} is no number from 0 to 6.")
        if usage not in USAGES:
            raise LMFError(f"{path}, line {line}: {unknown_name('Usage', usage, USAGES)}")
        pixels.append(picture.astype(np.uint8))
        emotions.append(EMOTIONS[int(code)])
        usages.append(usage)
    if not pixels:
        raise LMFError(f"{path}: no rows.")
    images = np.array(pixels).reshape(-1, SIDE, SIDE)
    ids = np.array([f"row_{row:05d}" for row in range(len(images))])
    return Pictures(images, np.array(emotions), np.array(usages), ids)


def table_rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Of each row its line and its values by column. One at a time: fer2013.csv has 300 MB.

    Raises:
        LMFError: no such file, no table in UTF-8, a column that is missing, a row with too few or many values.
    """
    try:
        with require_content(path).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = [name.strip() for name in next(reader)]
            for name in needed:
                if name not in header:
                    raise LMFError(f"{path}: {missing_name('the column', name, header)}")
            for row in filter(None, reader):
                if len(row) != len(header):
                    raise LMFError(
                        f"{path}, line {reader.line_num}: {len(row)} values, must be {len(header)}."
                    )
                yield reader.line_num, dict(zip(header, row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LMFError(f"{path}: no table of comma-separated values in UTF-8 ({error}).") from None


def read_folders(folder: Path) -> Pictures:
    """Pictures in `folder`/train/EMOTION and `folder`/test/EMOTION; usages are "train" and "test".

    Raises:
        LMFError: a folder of another name, a file that is no picture of 48 × 48 pixels. It names the file.
    """
    images, emotions, usages, ids = [], [], [], []
    for usage in ("train", "test"):
        for place in sorted(folder.joinpath(usage).iterdir()):
            if place.name.startswith(".") or not place.is_dir():
                continue
            if place.name not in EMOTIONS:
                raise LMFError(f"{place}: {unknown_name('emotion', place.name, EMOTIONS)}")
            for path in sorted(place.iterdir()):
                if path.name.startswith(".") or not PICTURE_FILES.fullmatch(path.suffix):
                    continue
                picture = grey_picture(path, MAX_PICTURE_BYTES)
                if picture.shape != (SIDE, SIDE):
                    height, width = picture.shape
                    raise LMFError(
                        f"{path}: {width} × {height} pixels; FER2013's pictures have {SIDE} × {SIDE}."
                    )
                images.append(picture)
                emotions.append(place.name)
                usages.append(usage)
                ids.append(f"{usage}_{place.name}_{path.stem}")
    if not images:
        raise LMFError(f"{folder}: no pictures in train/ and test/.")
    return Pictures(np.array(images), np.array(emotions), np.array(usages), np.array(ids))
