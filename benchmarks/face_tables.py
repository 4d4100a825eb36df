"""The table of faces.csv: how often each detector finds a face, and what that costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("results") / "faces.csv"


def markdown() -> dict[str, str]:
    """The table by its marker's name."""
    table = pd.read_csv(FILE)
    read = table[table["refused"].isna()]
    rows = []
    for clip, found in read.groupby("clip", sort=False):
        line = {"clip": clip, "face": "yes" if found["face"].iloc[0] else "no"}
        line["frames"] = f"{found['frames'].iloc[0]:.0f}"
        for row in found.itertuples():
            line[f"{row.detector}: found"] = f"{row.found:.3f}"
            line[f"{row.detector}: crop"] = f"{row.present:.3f}"
        for row in found.itertuples():
            line[f"{row.detector}: ms"] = f"{row.detect_ms:.1f} / {row.track_ms:.1f}"
        rows.append(line)
    machine, versions = table[["machine", "versions"]].iloc[0]
    refused = sorted(set(table["refused"].dropna()))
    caption = (
        "Share of frames in which the detector sees a face, and to which tracking gives a crop; CPU time per frame of "
        f"detection at every frame / of tracking. Measured on {machine}; {versions}."
    )
    notes = "".join(f"\n\nNot decoded: {reason.split('. ')[0]}." for reason in refused)
    return {
        "faces": f"{caption}\n\n{pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)}{notes}"
    }
