"""Frames of a film side by side, in one small picture.

python benchmarks/strip.py annotated.mp4 examples/annotated.jpg
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image

from keras_lmf.files import write_atomically
from keras_lmf.media import decode

GAP = 6  # pixels of white between two frames


def strip(frames: np.ndarray, count: int) -> np.ndarray:
    """(T, height, width, 3) uint8 → (height, …, 3): the middle frame of each of `count` equal stretches, in a row."""
    middles = ((np.arange(count) + 0.5) * len(frames) / count).astype(int)
    white = np.full((frames.shape[1], GAP, 3), 255, np.uint8)
    parts = [part for frame in frames[middles] for part in (white, frame)]
    return np.concatenate(parts[1:], axis=1)


@click.command(help=__doc__)
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("picture", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--frames", default=4, show_default=True, type=click.IntRange(1, 20), help="How many.")
def main(film: Path, picture: Path, frames: int) -> None:
    row = Image.fromarray(strip(decode(film, tracks=("picture",)).frames, frames))
    write_atomically(picture, lambda path: row.save(path, "JPEG", quality=85))


if __name__ == "__main__":
    main()
