"""A corpus of media files that carries no licence: drawn faces with synthetic voices, written by `write`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from keras_lmf.data.corpora.files import LABELS
from keras_lmf.data.corpora.synthetic_clips.face import frames
from keras_lmf.data.corpora.synthetic_clips.performance import (
    EMOTIONS,
    draw_performance,
    draw_speaker,
    waveform,
)
from keras_lmf.data.validation import whole_number
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import PARTIAL, remove_partial, write_atomically, write_text
from keras_lmf.media.encoding import AAC_RATES, encode
from keras_lmf.media.sound import require_decoder

SAMPLE_RATES = AAC_RATES[:9]  # what speech needs, and less than 96 kHz
__all__ = ["EMOTIONS", "LABELS", "SAMPLE_RATES", "write"]


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
    whole_number("clips", clips, 1, 100_000)
    whole_number("speakers", speakers, 1, clips)
    whole_number("seed", seed, 0, 2**63 - 1)
    whole_number("frame_rate", frame_rate, 5, 60)
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
    require_decoder()
    folder = Path(folder)
    files = [f"{index:05d}.mp4" for index in range(clips)]
    _check_folder(folder, files)
    cast = [draw_speaker(seed, number) for number in range(speakers)]
    count = round(seconds * frame_rate)
    lines = ["file,label,speaker\n"]
    for index, file in enumerate(tqdm(files, desc="clips", unit="clip", leave=False, disable=None, delay=2)):
        speaker = cast[index % speakers]
        emotion = names[index // speakers % len(names)]
        performance = draw_performance(seed, index, speaker, emotion, count / frame_rate)
        write_atomically(
            folder / file,
            lambda path, acted=performance: encode(
                path,
                frames(acted, count, frame_rate, sides),
                sides,
                frame_rate,
                waveform(acted, round(count / frame_rate * sample_rate), sample_rate),
                sample_rate,
            ),
        )
        lines.append(f"{file},{emotion},{speaker.name}\n")
    write_text(folder / LABELS, "".join(lines))
    return folder


def _check_folder(folder: Path, files: list[str]) -> None:
    """Refuse to write among files of another kind, or beside clips that labels.csv would not list."""
    if folder.exists() and not folder.is_dir():
        raise LMFError(f"{folder}: this is a file; give a new or empty folder.")
    others = {path.name for path in folder.glob("*") if not path.name.startswith(PARTIAL)}
    if strange := sorted(others - set(files)):
        raise LMFError(f"{folder} holds {strange[0]!r} already; give a new or empty folder.")
    remove_partial(folder)
