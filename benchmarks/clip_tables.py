"""Tables of faces, sounds and clips, from what the measuring scripts have written into benchmarks/results."""

from __future__ import annotations

import json

import pandas as pd
from measured_tables import measured_on, spread
from measurements import RESULTS

from keras_lmf.media.speech import LEAST_SECONDS, PROBABILITY

SHOWN_MODEL, SHOWN_CLIP = "lmf-media-av", "ravdess"


def markdown() -> dict[str, str]:
    """The tables of docs/results.md by their marker's name."""
    return {
        "clips": clip_table(),
        "faces": face_table(),
        "films": film_table(),
        "real-clips": real_clip_tables(),
    }


def sample_answers() -> dict[str, str]:
    """Those of docs/clips.md: what commands print about drawn clips."""
    samples = json.loads((RESULTS / "sample_answers.json").read_text("utf-8"))
    return {f"sample-{name}": f"```text\n{text}\n```" for name, text in samples.items()}


def real_clip() -> dict[str, str]:
    """That of docs/clips.md: the clip of a person whose voice and face are both there."""
    film = answers(SHOWN_MODEL)
    return {"real-clip": filled(film[film["clip"].str.startswith(SHOWN_CLIP)]).to_markdown(index=False)}


def speech_table() -> dict[str, str]:
    """That of docs/clips.md: which sounds are called speech."""
    table = pd.read_csv(RESULTS / "speech.csv")
    chosen = table[(table["probability"] == PROBABILITY) & (table["seconds"] == LEAST_SECONDS)]
    shown = pd.DataFrame(
        {
            "sound": chosen["sound"],
            "recordings": chosen["clips"],
            "windows": chosen["windows"],
            "windows called speech": chosen["speech"].map("{:.1%}".format),
            "recordings with nothing left": chosen["lost"].map("{:.1%}".format),
        }
    )
    return {"speech": shown.to_markdown(index=False, disable_numparse=True)}


def face_table() -> str:
    """How often each detector finds a face, and what that costs."""
    table = pd.read_csv(RESULTS / "faces.csv")
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
    return f"{caption}\n\n{pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)}{notes}"


def clip_table() -> str:
    """Real-time factors, and the memory of a long file."""
    table = pd.read_csv(RESULTS / "clips.csv")
    factors = table.assign(
        **{name: table[f"{name}_ms"] / 1e3 / table["clip_seconds"] for name in ("median", "least", "most")}
    )
    shown = pd.DataFrame(
        {
            "entry": table["entry"],
            "clip": [f"{row.clip_seconds:g} s .{row.file}" for row in table.itertuples()],
            "what": table["what"],
            "windows": ["–" if pd.isna(count) else f"{count:.0f}" for count in table["windows"]],
            "ms": spread(table, "median_ms", "least_ms", "most_ms"),
            "time ÷ clip": spread(factors, "median", "least", "most"),
            "peak memory, MiB": ["–" if pd.isna(peak) else f"{peak:.0f}" for peak in table["peak_mib"]],
        }
    )
    caption = f"Median [least, most] over the calls. {measured_on(table)}."
    return f"{caption}\n\n{shown.to_markdown(index=False, disable_numparse=True)}"


def film_table() -> str:
    """Real-time factors of films."""
    table = pd.read_csv(RESULTS / "films.csv")
    rows = [
        {
            "entry": row.entry,
            "film": f"{row.film}, {row.clip_seconds:.2f} s",
            "what": row.what,
            "windows": "–" if pd.isna(row.windows) else f"{row.windows:.0f}",
            "ms, median [least, most]": f"{row.median_ms:.0f} [{row.least_ms:.0f}, {row.most_ms:.0f}]",
            "time ÷ clip": f"{row.real_time_factor:.3f}",
        }
        for row in table.itertuples()
    ]
    return f"{measured_on(table)}.\n\n{pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)}"


def real_clip_tables() -> str:
    """What each model answered about each clip."""
    parts = []
    for path in sorted((RESULTS / "real_clips").glob("*.csv")):
        table = answers(path.stem)
        judged = table[table["answer"] != ""]
        right = (judged["answer"].str.rsplit(" ", n=1).str[0] == judged["acted"]).sum()
        parts.append(f"`{path.stem}`: {right} of {len(judged)} as acted.\n\n{table.to_markdown(index=False)}")
    return "\n\n".join(parts)


def answers(name: str) -> pd.DataFrame:
    """A line for each clip: what is acted, the answer, each modality's own, and the shares of what is there."""
    table = pd.read_csv(RESULTS / "real_clips" / f"{name}.csv")
    rows = []
    for row in table.to_dict("records"):
        known = {key: value for key, value in row.items() if not pd.isna(value)}
        line = {"clip": row["clip"], "acted": known.get("acted", "")}
        line["answer"] = f"{row['answer']} {row['probability']:.2f}" if "answer" in known else ""
        for key in table.columns[table.columns.str.fullmatch("alone_[^_]+")]:
            told = f"{known[key]} {known[f'{key}_probability']:.2f}" if key in known else ""
            line[f"{key.removeprefix('alone_')} alone"] = told
        shares = {
            key.removeprefix("share_"): share for key, share in known.items() if key.startswith("share_")
        }
        if any(column.startswith("share_") for column in table):
            line["shares"] = ", ".join(f"{what} {share:.0%}" for what, share in shares.items() if share > 0)
        rows.append(line | {"not judged": known.get("refused", "")})
    return filled(pd.DataFrame(rows))


def filled(lines: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that are empty in every line."""
    return lines.drop(columns=[name for name in lines if (lines[name] == "").all()])
