"""Folders of clips whose sound is known: a tone for each label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

FREQUENCIES = {"calm": 200.0, "excited": 2000.0}
SPEAKERS = ("anna", "bert", "carl", "dora", "emil")


def tone(label: str, seconds: float = 0.5, rate: int = 16000, phase: float = 0.0) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * FREQUENCIES[label] * times + phase)


def write_table(folder: Path, lines: Iterable[Sequence[str]], header: str = "file,label,speaker") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *(",".join(line) for line in lines)]) + "\n", encoding="utf-8")
    return path


def make_clips(folder: Path, speakers: Sequence[str] = SPEAKERS, takes: int = 3) -> list[list[str]]:
    """`takes` clips of each label for each speaker, and their table; returns its lines."""
    lines = []
    for number, speaker in enumerate(speakers):
        (folder / speaker).mkdir(parents=True)
        for label in FREQUENCIES:
            for take in range(takes):
                file = f"{speaker}/{label}-{take}.wav"
                soundfile.write(folder / file, tone(label, phase=1 + number + 10 * take), 16000)
                lines.append([file, label, speaker])
    write_table(folder, lines)
    return lines


def lines_of(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()[1:]]


def damage(folder: Path) -> Path:
    """A folder of `make_clips`, one of whose clips is now damaged; and a line without a label."""
    (folder / lines_of(folder)[9][0]).write_bytes(b"RIFF")
    lines = [[*line, f"take {number}"] for number, line in enumerate(lines_of(folder))]
    write_table(folder, [*lines, ["none.wav", "", "anna", ""]], "file,label,speaker,note")
    return folder
