"""predict: the emotion of media files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import JSON, plain_errors
from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    import pandas as pd

    from keras_lmf.recognition import Prediction, Recognizer

# What is looked for in folders; a file that is named is read whatever it is called.
MEDIA = re.compile(
    r"\.(3gp|aac|aiff?|amr|avi|flac|flv|m4a|m4v|mka|mkv|mov|mp3|mp4|mpe?g|mts|og[agv]|opus|ts|wav|webm|wm[av])",
    re.IGNORECASE,
)


DEFAULT_MODEL = "ge2e-ravdess-voice"


@click.command(epilog="Example: keras-lmf predict happy.mp4 recordings/ --csv emotions.csv")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A zoo entry that takes media, a run's folder, a SavedModel folder or a .tflite file.",
)
@click.option("--hop", type=float, help="Seconds from one window to the next; default half a window.")
@click.option(
    "--enrol",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Clips of the one speaker in FILES, or a folder of them, to standardise the voice by; once for each.",
)
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write one row per file here.")
@click.option(
    "--timeline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of one FILE: draw waveform, energy and emotions over time into this .png.",
)
@JSON
@plain_errors
def predict(
    files: tuple[Path, ...],
    model: str,
    hop: float | None,
    enrol: tuple[Path, ...],
    csv: Path | None,
    timeline: Path | None,
    as_json: bool,
) -> None:
    """The emotion in each of FILES, media files or folders of them (searched to the bottom).

    A file that can't be read is a row that says why, the others go on, and the exit code is 1. --json prints the
    probabilities of every window too.
    """
    if timeline is not None and (len(files) > 1 or files[0].is_dir() or timeline.suffix.lower() != ".png"):
        received = ", ".join(map(str, files))
        raise click.UsageError(f"--timeline draws one FILE into a .png, received {received} and {timeline}.")
    found = _media_files(files)
    from keras_lmf.recognition import Recognizer  # takes a moment, which wrong usage needn't wait

    recognizer = Recognizer(model, hop=hop, enrolment=_media_files(enrol))
    answers: list[tuple[Path, Prediction | str]] = []
    try:
        _answer(recognizer, found, answers)
    except KeyboardInterrupt:
        _tell(answers, as_json)
        _write(recognizer, answers, csv)
        raise click.ClickException(f"Interrupted: {len(answers)} of {len(found)} files are above.") from None
    _tell(answers, as_json)
    _write(recognizer, answers, csv)
    if timeline is not None and not isinstance(answers[0][1], str):
        from keras_lmf.evaluation import plots

        click.echo(f"\nPicture: {plots.save(answers[0][1].figure(), timeline)}", err=True)
    if failed := sum(isinstance(answer, str) for _, answer in answers):
        raise LMFError(f"{failed} of {len(answers)} files could not be judged.")


def _media_files(paths: tuple[Path, ...]) -> list[Path]:
    """Each file as given; of a folder the media files in it, by path, or itself where it holds none. Each once."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(part for part in path.rglob("*") if _is_media(part, path)) if path.is_dir() else []
        found |= dict.fromkeys(inside or [path])
    return list(found)


def _is_media(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return bool(MEDIA.fullmatch(path.suffix)) and not hidden and path.is_file()


def _answer(recognizer: Recognizer, files: list[Path], answers: list[tuple[Path, Prediction | str]]) -> None:
    """Appends each file's prediction, or why there is none."""
    from tqdm import tqdm

    for path in tqdm(files, desc="predict", unit="file", delay=2, leave=False, disable=None):
        try:
            if path.is_dir():
                raise LMFError("no media file in this folder.")
            answers.append((path, recognizer(path)))
        except Exception as error:  # whatever a file brings about, the others go on
            kind = "" if isinstance(error, LMFError) else f"{type(error).__name__}: "
            answers.append((path, kind + " ".join(str(error).split()).removeprefix(f"{path}: ")))


def _write(recognizer: Recognizer, answers: list[tuple[Path, Prediction | str]], csv: Path | None) -> None:
    """The answers into the CSV, where one is asked for."""
    if csv is not None:
        from keras_lmf.files import write_text

        write_text(csv, _utf8(_table(recognizer, answers).to_csv(index=False)))


def _tell(answers: list[tuple[Path, Prediction | str]], as_json: bool) -> None:
    """The answers on standard output."""
    if as_json:
        facts = [
            {"file": str(path), "error": answer} if isinstance(answer, str) else answer.to_dict()
            for path, answer in answers
        ]
        click.echo(_utf8(json.dumps(facts, ensure_ascii=False, allow_nan=False)))
        return
    rows = [_row(path, answer) for path, answer in answers]
    columns = [
        name
        for name in ("file", "emotion", "probability", "presence", "error")
        if any(row[name] for row in rows)
    ]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    for row in ([dict(zip(columns, columns))] if rows else []) + rows:
        click.echo(_utf8("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip()))


def _utf8(text: str) -> str:
    """With "?" for what can't be written: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _row(path: Path, answer: Prediction | str) -> dict[str, str]:
    """Of the table that people read."""
    if isinstance(answer, str):
        return {"file": str(path), "emotion": "", "probability": "", "presence": "", "error": answer}
    there = [name for name, present in answer.presence.items() if present]
    return {
        "file": str(path),
        "emotion": answer.emotion,
        "probability": f"{answer.probabilities[answer.emotion]:.2f}",
        "presence": ", ".join(there),
        "error": "",
    }


def _table(recognizer: Recognizer, answers: list[tuple[Path, Prediction | str]]) -> pd.DataFrame:
    """One row per file: `file`, `emotion`, a column per label and per modality, `error`."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for path, answer in answers:
        row: dict[str, Any] = {"file": str(path)}
        if isinstance(answer, str):
            row["error"] = answer
        else:
            row |= {"emotion": answer.emotion}
            row |= {f"probability_{label}": share for label, share in answer.probabilities.items()}
            row |= {f"presence_{name}": there for name, there in answer.presence.items()}
        rows.append(row)
    labels = [f"probability_{label}" for label in recognizer.labels]
    presence = [f"presence_{name}" for name in recognizer.modalities]
    return pd.DataFrame(rows, columns=["file", "emotion", *labels, *presence, "error"])
