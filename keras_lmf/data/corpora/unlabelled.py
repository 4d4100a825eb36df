"""Clips without labels: every media file of a folder, for a training whose teacher says what they show."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keras_lmf.data.dataset import Dataset
from keras_lmf.data.extraction import dataset
from keras_lmf.data.recordings import Recording, Recordings
from keras_lmf.errors import LMFError
from keras_lmf.media.sound import require_decoder
from keras_lmf.media.suffixes import MEDIA_FILES
from keras_lmf.sources import RecordedInput
from keras_lmf.target import Target

NAME = "unlabelled"
# Labels of nobody: a range, as classes would each need a clip.
NOTHING = Target(name="nothing", range=(0.0, 1.0))


def names_of(folder: Path) -> list[Path]:
    """The media files in `folder` and below, hidden ones apart, as paths in it.

    Raises:
        LMFError: no such folder, or no media file in it.
    """
    if not folder.is_dir():
        raise LMFError(f"{folder} is no folder: name the folder of the clips without labels.")
    names = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and MEDIA_FILES.fullmatch(path.suffix)
    )
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    if not names:
        raise LMFError(f"{folder} holds no sound or video file, and none is in a folder below.")
    return names


def load(folder: str | Path, inputs: Mapping[str, RecordedInput]) -> Dataset:
    """The media files of `names_of` as rows of "train" whose labels mean nothing.

    Of a clip that is longer than an input, its beginning is taken. One that can't be used (damaged, longer than 60 s,
    nothing of what is asked for) is left out, and a warning names it.

    Args:
        folder: of files in any container that FFmpeg reads.
        inputs: what they fill: `Recipe.recorded`, `resolved`.

    Raises:
        LMFError: as `names_of`; more than a tenth that can't be used, an input that media files
            don't fill, or PyAV isn't installed.
    """
    folder = Path(folder)
    names = names_of(folder)
    require_decoder()
    rows = (
        Recording(
            id=f"{NAME} {name.as_posix()}",
            path=folder / name,
            label=(0.0,),
            group=f"{NAME} {name.as_posix()}",
            split="train",
            where=name.as_posix(),
        )
        for name in names
    )
    return dataset(Recordings(NAME, NOTHING, tuple(rows)), inputs)
