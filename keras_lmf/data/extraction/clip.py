"""One recording → the arrays that a model's inputs take. A pure function of the files' content and the settings."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from keras_lmf import media
from keras_lmf.data.extraction import signals
from keras_lmf.data.openface import ACTION_UNITS, LANDMARKS
from keras_lmf.data.recordings import Recording
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import DAMAGED_ZIP
from keras_lmf.media.clips import DAY, NoTrack
from keras_lmf.media.crops import FaceInput, face_input, face_tracker, followed_rate, joined
from keras_lmf.media.faces import Detector, open_detector
from keras_lmf.media.sound import MAX_SECONDS, SAMPLE_RATE, is_silent, padded, require_decoder, sounding
from keras_lmf.sources import ActionUnits, Face, Landmarks, RecordedInput, Sensor, Sound

STORED = {
    "sound": np.int16,
    "face": np.uint8,
}  # what fills an input → how its numbers are kept; others: float32
SCALES = {np.dtype(np.int16): 32767.0, np.dtype(np.uint8): 255.0}  # what stands for 1
LONGEST = 600.0  # seconds that are read of a stretch whose start or end is given
MAX_MEMBER = 2**32  # bytes of a file in a .zip
THREADS = 1  # of a decoder: clips are what is done in parallel
PICTURES = 5.0  # of an input of one picture without a rate: pictures a second, as answers take them


class Stretch(NamedTuple):
    """Seconds of a recording; a whole file is one of 60 s at most."""

    start: float
    seconds: float
    whole: bool


class Media(NamedTuple):
    """A media file, and the tracks on whose clock times are meant."""

    path: Path
    clock: tuple[str, ...]


def dtype_of(given: RecordedInput) -> np.dtype:
    """How an input's numbers are kept."""
    return np.dtype(STORED.get(given.source.name, np.float32))


def scaled(values: np.ndarray) -> np.ndarray:
    """Stored numbers as a model takes them: float32, sound in [-1, 1], pictures in [0, 1]."""
    return values.astype(np.float32) / np.float32(SCALES.get(values.dtype, 1.0))


def require(inputs: Mapping[str, RecordedInput]) -> None:
    """Raise an LMFError where a recording can't fill one of the inputs, or what reads it isn't installed."""
    if not inputs:
        raise LMFError("The recipe has no input that a recording fills. Give one: [inputs.NAME.source].")
    for name, given in inputs.items():
        shape, source = given.shape, given.source
        rate = given.rate or getattr(source, "rate", None)
        match source:
            case Sound():
                fits, wanted = len(shape) == 1 and (rate is None or rate == int(rate)), "(samples,), whole Hz"
            case Face():
                fits = len(shape) in (3, 4) and shape[-2] == shape[-3] and shape[-1] in (1, 3)
                fits, wanted = (
                    fits and (rate or len(shape) == 3),
                    "([frames,] side, side, 1 or 3) and a frame_rate",
                )
            case ActionUnits():
                wide = len(ACTION_UNITS)
                fits = shape == (wide,) if rate is None else len(shape) == 2 and shape[1] == wide
                wanted = f"({wide},), or with a rate (steps, {wide})"
            case Landmarks():
                fits, wanted = len(shape) == 3 and shape[1:] == (LANDMARKS, 2), "(steps, 68, 2)"
            case Sensor(columns=columns):
                fits = len(shape) == 2 and shape[1] == len(columns)
                wanted = f"(steps, {len(columns)}), a column for each signal"
        if not fits:
            raise LMFError(
                f"input {name!r}: {source.name} fills {wanted}; received {shape} at {rate} a second."
            )
        if isinstance(source, Sound | Face):
            require_decoder()
        if isinstance(source, Face):
            _detector(source.detector)


@contextlib.contextmanager
def opened_files(
    recording: Recording, inputs: Mapping[str, RecordedInput]
) -> Iterator[dict[str, Path | None]]:
    """The file that fills each input; None where the table that would isn't there. A file in a .zip is a temporary one.

    Raises:
        LMFError: no such file in the .zip, one that is damaged, encrypted or of more than 4 GiB.
    """
    with contextlib.ExitStack() as stack:
        path = recording.path
        needs_media = any(
            isinstance(given.source, Sound | Face) and given.source.name not in recording.companions
            for given in inputs.values()
        )
        if recording.member is not None and needs_media:
            path = stack.enter_context(_member(recording.path, recording.member))
        found: dict[str, Path | None] = {}
        for name, given in inputs.items():
            source, stem = given.source, recording.path.stem
            if source.name in recording.companions:
                found[name] = recording.companions[source.name]
            elif isinstance(source, Sound | Face):
                found[name] = path
            else:
                file = source.file.replace("{stem}", stem) if isinstance(source, Sensor) else f"{stem}.csv"
                place = recording.path.with_name(PurePosixPath(file.replace("\\", "/")).name)
                found[name] = place if recording.member is None and place.is_file() else None
        yield found


@contextlib.contextmanager
def _member(archive: Path, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"clip{PurePosixPath(name).suffix}"
        try:
            stat = archive.stat()
            opened = _archive(archive, (stat.st_size, stat.st_mtime_ns, stat.st_ino))
            if name not in opened.NameToInfo:
                raise unknown_name(f"file in {archive.name}", name, opened.namelist()[:1000])
            if opened.getinfo(name).file_size > MAX_MEMBER:
                raise LMFError(f"{name} in {archive.name} is larger than {MAX_MEMBER} bytes: refused.")
            with opened.open(name) as stream, place.open("wb") as copy:
                shutil.copyfileobj(stream, copy)  # no more than the archive declares
        except LMFError:
            raise
        except DAMAGED_ZIP as error:
            raise LMFError(f"{name} can't be read from {archive.name} ({error}). Copy it again.") from error
        yield place


@functools.lru_cache(4)
def _archive(path: Path, state: tuple[int, ...]) -> zipfile.ZipFile:
    """Open as long as the file stays the same: its list may have a million names, and is read once."""
    return zipfile.ZipFile(path)


def arrays(
    files: Mapping[str, Path | None],
    inputs: Mapping[str, RecordedInput],
    start: float | None = None,
    end: float | None = None,
) -> dict[str, np.ndarray]:
    """What fills the inputs, of one recording.

    All lie on one clock, which begins with the recording's sound or picture, whichever is first of those that are
    asked for; of a stretch in a film, with the film's. Where the first sound input cuts silence off, the others begin
    with its sound too.

    Args:
        files: input → file (`opened_files`).
        inputs: what is asked for.
        start, end: of a stretch, in seconds; None: the file's own.

    Returns:
        Input → sound: (samples,) int16, 32767 is 1; pictures: uint8, 255 is 1; others: float32; of the input's shape.
        What is absent is zeros: no sound or a silent one, no face, no table.

    Raises:
        LMFError: a damaged file, a whole one of more than 60 s, or nothing of what is asked for is there.
    """
    whole = start is None and end is None
    begin = start or 0.0
    most = MAX_SECONDS if whole else LONGEST
    stretch = Stretch(begin, most if end is None else min(end - begin, most), whole)
    tracks = {"sound": Sound, "picture": Face}
    clock = tuple(
        track
        for track, kind in tracks.items()
        if not whole or any(isinstance(given.source, kind) for given in inputs.values())
    )
    filled: dict[str, np.ndarray] = {}
    absent: list[str] = []
    common = stretch  # of all but sound, which cuts its own
    for name, given in inputs.items():
        if isinstance(given.source, Sound):
            values, own = _sound(Media(files[name], clock), given, stretch, absent)
            common = own if common is stretch else common
            filled[name] = values
    for name, given in inputs.items():
        if isinstance(given.source, Sound):
            continue
        if files[name] is None:
            absent.append(f"no table of {given.source.name.replace('_', ' ')} beside it")
            filled[name] = np.zeros(given.shape, np.float32)
        elif isinstance(given.source, Face):
            filled[name] = _face(Media(files[name], clock), given, common, absent)
        else:
            filled[name] = _table(files[name], given, common)
            if not filled[name].any():
                absent.append(f"nothing in its table of {given.source.name.replace('_', ' ')}")
    if not any(values.any() for values in filled.values()):
        raise LMFError("; ".join(reason.rstrip(".") for reason in dict.fromkeys(absent)) + ".")
    return {name: filled[name] for name in inputs}


def _sound(
    file: Media, given: RecordedInput, stretch: Stretch, absent: list[str]
) -> tuple[np.ndarray, Stretch]:
    """The waveform, and the stretch that it begins with."""
    nothing, rate = np.zeros(given.shape, np.int16), int(given.rate or SAMPLE_RATE)
    limits = {
        "start": stretch.start,
        "clock": file.clock,
        "max_seconds": MAX_SECONDS if stretch.whole else DAY,
    }
    try:
        clips = media.windows(file.path, stretch.seconds, sample_rate=rate, tracks=("sound",), **limits)
        with contextlib.closing(clips):
            waveform = next(clips).waveform
    except NoTrack as error:
        absent.append(str(error).removeprefix(f"{file.path}: "))
        return nothing, stretch
    if is_silent(waveform, rate):
        absent.append("its sound is silent")
        return nothing, stretch
    first, last = 0, len(waveform)
    if given.source.trim_decibels is not None:
        first, last = sounding(waveform, rate, given.source.trim_decibels)
        stretch = Stretch(stretch.start + first / rate, (last - first) / rate, stretch.whole)
    stored = np.rint(padded(waveform[first:last], given.shape[0]) * 32767).astype(np.int16)
    if not stored.any():
        absent.append("its sound is silent")
    return stored, stretch


def _face(file: Media, given: RecordedInput, stretch: Stretch, absent: list[str]) -> np.ndarray:
    shape = given.shape
    frames = shape[0] if len(shape) == 4 else 1
    rate = Fraction(given.rate or PICTURES).limit_denominator(1000)
    face = FaceInput("face", frames, shape[-2], shape[-1], rate)
    every = followed_rate(face)
    # Of an input that is one picture, the face nearest to the middle of the stretch is taken.
    seconds = min(stretch.seconds, float(face.seconds)) if len(shape) == 4 else stretch.seconds
    count = max(1, math.ceil(round(seconds * every, 6)))
    limits = {
        "threads": THREADS,
        "start": stretch.start,
        "clock": file.clock,
        "max_seconds": MAX_SECONDS if stretch.whole else DAY,
    }
    pictures = np.zeros((frames, *shape[-3:]), np.float32)
    try:
        clips = media.windows(file.path, 1 / every, frame_rate=float(every), tracks=("picture",), **limits)
        with contextlib.closing(clips):
            first = list(itertools.islice(clips, min(count, 2)))
            # What is found in a single picture can't be confirmed.
            tracker = face_tracker(face, _detector(given.source.detector), min(2, len(first)))
            followed = itertools.islice(itertools.chain(first, clips), count)
            faces = joined([tracker(clip.frames, clip.timestamps) for clip in followed])
    except NoTrack as error:
        absent.append(str(error).removeprefix(f"{file.path}: "))
        return pictures.astype(np.uint8).reshape(shape)
    if len(shape) == 4:
        pictures = face_input(face, faces)
    elif (seen := np.flatnonzero(faces.present)).size:
        pictures[0] = faces.crops[seen[np.abs(seen - len(faces.present) // 2).argmin()]]
    if not pictures.any():
        absent.append("no face was found in it")
    return np.rint(pictures * 255).astype(np.uint8).reshape(shape)


@functools.cache
def _detector(name: str) -> Detector | str:
    """One a process: they are slow to load."""
    return name if name == "none" else open_detector(name)


def _table(path: Path, given: RecordedInput, stretch: Stretch) -> np.ndarray:
    rate = given.rate or given.source.rate
    read = signals.sensor if isinstance(given.source, Sensor) else signals.facial
    return read(path, given.source, given.shape, rate, stretch.start, stretch.seconds)
