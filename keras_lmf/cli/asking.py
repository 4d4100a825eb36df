"""Media files and the recognizer that is asked about them, in this process, in others or on other machines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lmf.errors import LMFError
from keras_lmf.executors import Executor, Here

if TYPE_CHECKING:
    from keras_lmf.recognition import Prediction, Recognizer


@dataclass(frozen=True)
class Asked:
    """What every worker makes its recognizer of."""

    model: str
    runtime: str | None
    emotions: tuple[str, ...] | None
    hop: float | None
    smoothing: float | None
    enrolment: tuple[Path, ...] | Path  # clips, or a stored enrolment
    face_detector: str | None
    max_seconds: float
    faces: str


def media_files(paths: tuple[Path, ...], *, pictures: bool = False) -> list[Path]:
    """Each file as given; of a folder the sound and video files in it, and the `pictures` where they are wanted, by
    path, or itself where it holds none. Each once."""
    from keras_lmf.media.suffixes import MEDIA_FILES, PICTURE_FILES  # their package takes a moment

    kinds = [MEDIA_FILES, PICTURE_FILES] if pictures else [MEDIA_FILES]
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        found |= dict.fromkeys([part for part in inside if _is_one_of(part, path, kinds)] or [path])
    return list(found)


def all_missing(files: Sequence[Path]) -> dict[Path, str]:
    """Where none of the files is there, each with what is said of it; else nothing."""
    if any(path.exists() for path in files):
        return {}
    from keras_lmf.media.containers import opened

    told = {}
    for path in files:
        try:
            with opened(path):
                pass
        except LMFError as error:
            told[path] = _reason(error, path)
    return told


def _is_one_of(path: Path, folder: Path, kinds: Sequence[re.Pattern[str]]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return any(kind.fullmatch(path.suffix) for kind in kinds) and not hidden and path.is_file()


def answers(
    recognizer: Recognizer, asked: Asked, work: Executor, files: list[Path]
) -> Iterator[tuple[Path, list[Prediction] | str, float | None]]:
    """Each file with its prediction, or one for each face, or why there is none; and where one face is followed, the
    share of the frames in which it was seen."""
    from tqdm import tqdm

    from keras_lmf.recognition.prediction import Prediction

    if isinstance(work, Here):
        judged = work.map(partial(_judged, recognizer, asked.faces), files)
    else:
        told = work.map(partial(_judged_elsewhere, asked), files)
        judged = (
            (some if isinstance(some, str) else [Prediction.from_dict(one) for one in some], seen)
            for some, seen in told
        )
    shown = tqdm(total=len(files), desc="predict", unit="file", delay=2, leave=False, disable=None)
    with shown as bar:
        for path, (predictions, seen) in zip(files, judged):
            bar.clear()  # out of the way of what is told meanwhile
            yield path, predictions, seen
            bar.update()


def _judged(recognizer: Recognizer, faces: str, path: Path) -> tuple[list[Prediction] | str, float | None]:
    try:
        if path.is_dir():
            from keras_lmf.media.suffixes import PICTURE_FILES

            pictures = any(PICTURE_FILES.fullmatch(part.suffix) for part in path.rglob("*"))
            hint = " Its pictures are for a model that takes one picture, or name them." if pictures else ""
            raise LMFError(f"no media file in this folder.{hint}")
        if faces == "all":
            return recognizer.faces(path), None
        answer = recognizer(path)
    except Exception as error:  # whatever a file brings about, the others go on
        return _reason(error, path), None
    return [answer], float(answer.faces["x"].notna().mean()) if len(answer.faces) else None


def _reason(error: Exception, path: Path) -> str:
    """In a line, without the file's name."""
    kind = "" if isinstance(error, LMFError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split()).removeprefix(f"{path}: ")


def _judged_elsewhere(asked: Asked, path: Path) -> tuple[list[dict[str, Any]] | str, float | None]:
    """In another process, perhaps on another machine: in JSON's terms."""
    predictions, seen = _judged(_kept_recognizer(asked), asked.faces, path)
    return (predictions if isinstance(predictions, str) else [one.to_dict() for one in predictions]), seen


@cache
def _kept_recognizer(asked: Asked) -> Recognizer:
    """One for each process that works."""
    return recognizer_of(asked)


def recognizer_of(asked: Asked) -> Recognizer:
    """Made anew."""
    from keras_lmf.recognition import Recognizer  # takes a moment, which wrong usage needn't wait

    return Recognizer(
        asked.model,
        runtime=asked.runtime,
        emotions=asked.emotions,
        hop=asked.hop,
        smoothing=asked.smoothing,
        enrolment=asked.enrolment,
        face_detector=asked.face_detector,
        max_seconds=asked.max_seconds,
    )
