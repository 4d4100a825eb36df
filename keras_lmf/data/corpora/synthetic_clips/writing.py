"""`write`: a folder of labelled .mp4 files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_lmf.data.corpora.synthetic_clips.face import frames
from keras_lmf.data.corpora.synthetic_clips.performance import (
    EMOTIONS,
    Performance,
    draw_performance,
    draw_speaker,
)
from keras_lmf.data.corpora.synthetic_clips.voice import waveform
from keras_lmf.errors import LMFError, import_extra, unknown_name
from keras_lmf.files import PARTIAL, remove_partial, write_atomically

LABELS = "labels.csv"
SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # that AAC has, above a phone's

_AAC_FRAME = 1024  # samples


def write(
    folder: str | Path,
    *,
    clips: int = 100,
    speakers: int = 10,
    emotions: Sequence[str] = tuple(EMOTIONS),
    seconds: float = 2.0,
    seed: int = 0,
    size: tuple[int, int] = (96, 96),
    frame_rate: int = 25,
    sample_rate: int = 16000,
) -> Path:
    """Write clips of drawn faces that speak vowels, and labels.csv with the columns file, label, speaker.

    They carry no licence, and stand for recordings where the way from media files to answers is tried; they say
    nothing about people. A clip is <number>.mp4 with H.264 pictures (MPEG-4 Part 2 where FFmpeg has no libx264) and
    mono AAC sound.

    - The emotion shows in the voice (pitch, its range and contour, syllable rate, level, spectral tilt) and in the
      face (brows, eyes, mouth, head), in each at a strength of its own: where one is faint, the other helps.
    - Speakers differ in pitch, formants, face, colours and background, and so pitch or colour alone says little.
    - The mouth moves with the loudness and the vowel of each syllable.
    - Emotions and speakers are balanced: clip i is of speaker i mod `speakers`, who goes through the emotions in turn.

    The same arguments give the same drawn pictures and waveforms, and, on one machine with one build of PyAV, the
    same bytes. Files appear whole or not at all, labels.csv last. A folder that holds only clips of these names and no
    labels.csv is that of an interrupted call: they are written again.

    Args:
        folder: a new or empty folder.
        clips: how many, ≥ 1.
        speakers: of how many speakers, 1 to `clips`.
        emotions: different names out of `EMOTIONS`: angry, happy, neutral, sad, surprised.
        seconds: of a clip, 0.5 to 60, rounded to whole frames.
        seed: ≥ 0; another seed gives other speakers and clips.
        size: (height, width) in pixels, even numbers from 32 to 512.
        frame_rate: whole frames a second, 5 to 60.
        sample_rate: samples a second, one of `SAMPLE_RATES`.

    Returns:
        The folder.

    Raises:
        LMFError: an argument out of its range, a folder that holds something else, or PyAV isn't installed.
    """
    for name, number, least, most in (
        ("clips", clips, 1, 100_000),
        ("speakers", speakers, 1, clips),
        ("seed", seed, 0, 2**63 - 1),
        ("frame_rate", frame_rate, 5, 60),
    ):
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise LMFError(f"{name}={number!r}: it must be a whole number from {least} to {most}.")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.5 <= seconds <= 60:
        raise LMFError(f"seconds={seconds!r}: it must be a number from 0.5 to 60.")
    if sample_rate not in SAMPLE_RATES:
        allowed = ", ".join(map(str, SAMPLE_RATES))
        raise LMFError(f"sample_rate={sample_rate!r}: it must be one that AAC has: {allowed}.")
    sides = tuple(size) if isinstance(size, list | tuple) else ()
    if len(sides) != 2 or not all(side in range(32, 513, 2) for side in sides):
        raise LMFError(f"size={size!r}: it must be (height, width), even numbers of pixels from 32 to 512.")
    names = tuple(emotions) if isinstance(emotions, list | tuple) else ()
    for emotion in names:
        if emotion not in EMOTIONS:
            raise unknown_name("emotion", emotion, EMOTIONS)
    if not names or len(set(names)) != len(names):
        raise LMFError(
            f"emotions={emotions!r}: it must be one or more different names of {', '.join(EMOTIONS)}."
        )
    import_extra("av", "media")

    folder = Path(folder)
    files = [f"{index:05d}.mp4" for index in range(clips)]
    _check_folder(folder, files)
    cast = [draw_speaker(seed, number) for number in range(speakers)]
    count = round(seconds * frame_rate)
    rows = []
    for index, file in enumerate(tqdm(files, desc="clips", unit="clip", leave=False, disable=None, delay=2)):
        speaker = cast[index % speakers]
        emotion = names[index // speakers % len(names)]
        performance = draw_performance(seed, index, speaker, emotion, count / frame_rate)
        write_atomically(
            folder / file,
            lambda path, acted=performance: _encode(path, acted, count, sides, frame_rate, sample_rate),
        )
        rows.append((file, emotion, speaker.name))
    write_atomically(folder / LABELS, lambda path: _write_rows(path, rows))
    return folder


def _check_folder(folder: Path, files: list[str]) -> None:
    """Refuse to write among files of another kind, or beside clips that labels.csv would not list."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise LMFError(f"{folder}: this is a file; give a new or empty folder.")
    ours = set(files)
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith(PARTIAL))
    if strange := [name for name in others if name not in ours]:
        raise LMFError(f"{folder} holds {strange[0]!r} already; give a new or empty folder.")
    remove_partial(folder)


def _write_rows(path: Path, rows: list[tuple[str, str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("file", "label", "speaker"))
        writer.writerows(rows)


def _encode(
    path: Path, performance: Performance, count: int, size: tuple[int, int], frame_rate: int, sample_rate: int
) -> None:
    """Write `count` frames and their sound, interleaved. One thread, no time of day: the same input, the same bytes."""
    av = import_extra("av", "media")
    sound = waveform(performance, round(count / frame_rate * sample_rate), sample_rate)
    # A started AAC frame is decoded whole, and would outlast the picture: the rest, room noise, is left out.
    sound = sound[: len(sound) // _AAC_FRAME * _AAC_FRAME]
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        h264 = "libx264" in av.codecs_available
        picture = container.add_stream("libx264" if h264 else "mpeg4", rate=frame_rate)
        picture.height, picture.width = size
        picture.pix_fmt = "yuv420p"
        picture.codec_context.thread_count = 1
        # With some processors x264 gives other bytes at every call, unless it is told not to.
        exact = {"crf": "18", "preset": "veryfast", "x264-params": "cpu-independent=1"}
        picture.options = exact if h264 else {"qscale": "3", "flags": "+qscale"}
        voice = container.add_stream("aac", rate=sample_rate, layout="mono")
        voice.bit_rate = 4 * sample_rate
        voice.codec_context.thread_count = 1
        done = 0
        for piece in frames(performance, count, frame_rate, size):
            begin = min(round(done / frame_rate * sample_rate), len(sound))
            for array in piece:
                frame = av.VideoFrame.from_ndarray(array, format="rgb24")
                frame.pts, frame.time_base = done, Fraction(1, frame_rate)
                container.mux(picture.encode(frame))
                done += 1
            samples = np.ascontiguousarray(sound[None, begin : round(done / frame_rate * sample_rate)])
            if samples.size:
                spoken = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                spoken.sample_rate, spoken.pts, spoken.time_base = (
                    sample_rate,
                    begin,
                    Fraction(1, sample_rate),
                )
                container.mux(voice.encode(spoken))
        container.mux(picture.encode(None))
        container.mux(voice.encode(None))
