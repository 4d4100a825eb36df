"""What a model answers about real clips, right or wrong.

    python benchmarks/real_clips.py lmf-media-av $KERAS_LMF_DATA/clips/face_video/*.mp4 \\
        $KERAS_LMF_DATA/clips/grid_av_mpg/*.mpg

What is acted is read off the file's name: RAVDESS's code, "eamm_<emotion>" of the talking heads (made by a program from
one picture, with a silent sound track or none), and neutral in GRID, whose speakers read commands. A file that can't be
judged is a row that says why. Nothing is trained or chosen by these clips.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click
import pandas as pd

from keras_lmf import Recognizer
from keras_lmf.errors import LMFError
from keras_lmf.files import write_text
from keras_lmf.spec import DEFAULT_DETECTOR

RESULTS = Path(__file__).parent / "results" / "real_clips"
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
HEADS = {"fear": "fearful"}  # as the files' names call it
GRID = ".mpg"


def acted(path: Path) -> str:
    """The emotion that the clip is meant to show; "" where its name says nothing of it."""
    kind, _, rest = path.stem.partition("_")
    if kind == "ravdess":
        return RAVDESS[int(rest.split("-")[2]) - 1]
    if kind == "eamm":
        return HEADS.get(rest, rest)
    return "neutral" if path.suffix == GRID else ""


def row(recognizer: Recognizer, path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"clip": path.name, "acted": acted(path)}
    try:
        answer = recognizer(path)
    except LMFError as error:
        return facts | {"refused": str(error).replace(str(path), path.name).split(". ")[0]}
    facts |= {"answer": answer.emotion, "probability": answer.probabilities[answer.emotion]}
    facts |= {f"presence_{name}": there for name, there in answer.presence.items()}
    for name, shares in answer.by_modality.items():
        best = max(shares, key=shares.__getitem__)
        facts |= {f"alone_{name}": best, f"alone_{name}_probability": shares[best]}
    return facts | {f"share_{name}": share for name, share in answer.shares.items()}


@click.command(help=__doc__)
@click.argument("name")
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--face-detector", type=click.Choice(["yunet", "haar"]), default=DEFAULT_DETECTOR, show_default=True
)
def main(name: str, clips: tuple[Path, ...], face_detector: str) -> None:
    recognizer = Recognizer(name, face_detector=face_detector)
    table = pd.DataFrame([row(recognizer, path) for path in clips])
    write_text(RESULTS / f"{name}.csv", table.to_csv(index=False, float_format="%.4f"))
    click.echo(table.to_string())
    right = Counter(table["acted"] == table["answer"])
    click.echo(f"{right[True]} of {len(table)} as acted.")


if __name__ == "__main__":
    main()
