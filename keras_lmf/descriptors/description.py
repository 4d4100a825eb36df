"""A clip's descriptors as one table, with times and units."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.data.openface import COLUMNS, read_openface
from keras_lmf.descriptors.face import FaceReader, of_openface, pose_of_points
from keras_lmf.descriptors.skin import read_eda, skin_descriptors
from keras_lmf.descriptors.table import DESCRIPTORS, STEP, WINDOW
from keras_lmf.descriptors.voice import FRAME, around, steps_of, voice_descriptors
from keras_lmf.errors import LMFError
from keras_lmf.files import write_text
from keras_lmf.media import windows

RATE = 16000
PIECE = 4.0  # seconds of pictures that are held at once
MAX_SECONDS = 600.0


def describe(
    clip: str | Path,
    *,
    openface: str | Path | None = None,
    eda: str | Path | None = None,
    window: float = WINDOW,
    max_seconds: float = MAX_SECONDS,
) -> pd.DataFrame:
    """The descriptors of a clip, a row every .04 s: `DESCRIPTORS` has their units, sources and meanings.

    Args:
        clip: a sound or video file.
        openface: the table that OpenFace 2 wrote for it. None: the .csv of the clip's name beside it, if that is one.
        eda: a CSV of the skin's conductance (`read_eda`), whose times count from the clip's beginning.
        window: seconds around a step, .5 to 60, of what is said of a stretch: `f0_variation`, `speech_rate`,
            `pause_share`, `lip_voice_correlation`.
        max_seconds: the longest clip that is allowed.

    Returns:
        A row for each step, the index `time` in seconds; a column for each descriptor that the files give, in the
        order of `DESCRIPTORS`. NaN where it is unknown: no face, no voiced sound, or too near to the ends.

    Raises:
        LMFError: a file that can't be read, one that is too long, or too short to say anything, a recording of the skin
            beside the clip's time, a window out of its range, or a missing extra.
    """
    if not isinstance(window, int | float) or not 0.5 <= window <= 60:
        raise LMFError(f"'window' takes .5 to 60 seconds, received {window!r}.")
    clip = Path(clip)
    openface = _beside(clip) if openface is None else openface
    features = None if openface is None else read_openface(openface)
    recording = None if eda is None else read_eda(eda)
    waveform, pictures = _read(clip, max_seconds)
    count = len(pictures["body_movement"]) if pictures else steps_of(len(waveform) / RATE)
    found: dict[str, np.ndarray] = {}
    if len(waveform) >= FRAME * RATE:
        voice = voice_descriptors(waveform, RATE, window=window)
        found |= {name: _fitted(values, count) for name, values in voice.items()}
    if pictures:
        found |= {name: pictures[name] for name in ("mouth_darkness", "body_movement")}
        found |= pose_of_points(pictures["points"])
    if features is not None:
        found |= of_openface(features, count)
    mouth = found.get("mouth_opening", found.get("mouth_darkness"))
    if mouth is not None and "energy" in found:
        found["lip_voice_correlation"] = lip_voice_correlation(mouth, found["energy"], window)
    if recording is not None:
        begin, end = recording[0][[0, -1]]
        if begin > count * STEP or end < 0:
            raise LMFError(f"{eda} is from {begin:g} to {end:g} s, the clip from 0 to {count * STEP:g} s.")
        found |= skin_descriptors(*recording, count)
    if not found:
        raise LMFError(
            f"{clip} has nothing to describe: no pictures, and {len(waveform) / RATE:.3f} s of sound."
        )
    times = pd.Index(np.arange(count) * STEP, name="time")
    return pd.DataFrame({name: found[name] for name in DESCRIPTORS if name in found}, index=times)


def lip_voice_correlation(mouth: np.ndarray, energy: np.ndarray, window: float = WINDOW) -> np.ndarray:
    """(T,) Pearson's correlation of two series over the window around each step; NaN where one doesn't change."""
    steps = round(window / STEP)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = around(pd.Series(mouth), steps).corr(pd.Series(energy)).to_numpy()
    return np.where(np.isfinite(found), np.clip(found, -1, 1), np.nan)


def write_csv(table: pd.DataFrame, path: str | Path) -> Path:
    """Write the table with units in its headings: "time [s]", "f0 [Hz]"; empty where a number is unknown."""
    named = table.rename(columns={name: DESCRIPTORS[name].heading for name in table})
    named.index = named.index.round(3)
    write_text(Path(path), named.to_csv(index_label="time [s]", float_format="%.6g", lineterminator="\n"))
    return Path(path)


def _read(clip: Path, max_seconds: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The sound (samples,), and what is read off the pictures, step by step; empty without."""
    reader, sound, parts = None, [], []
    pieces = windows(clip, PIECE, sample_rate=RATE, frame_rate=1 / STEP, max_seconds=max_seconds)
    with contextlib.closing(pieces):
        for piece in tqdm(pieces, desc=clip.name, unit="piece", delay=2, leave=False, disable=None):
            sound.append(piece.waveform)
            if piece.has_picture:
                reader = reader or FaceReader()
                parts.append(reader(piece.frames, piece.timestamps))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    return np.concatenate(sound), joined


def _beside(clip: Path) -> Path | None:
    """OpenFace's table of the clip's name, if there is one."""
    path = clip.with_suffix(".csv")
    with contextlib.suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as stream:
        header = {name.strip() for name in stream.readline().split(",")}
        return path if header >= set(COLUMNS) else None
    return None


def _fitted(values: np.ndarray, count: int) -> np.ndarray:
    """NaN where there is no sound any more."""
    return np.pad(values[:count], (0, max(0, count - len(values))), constant_values=np.nan)
