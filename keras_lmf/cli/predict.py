"""predict: the emotion of media files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import JSON, plain_errors
from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    import pandas as pd

    from keras_lmf.recognition import Prediction, Recognizer

# What is looked for in folders; a file that is named is read whatever it is called.
MEDIA_FILES = re.compile(
    r"\.(3gp|aac|aiff?|amr|avi|flac|flv|m4a|m4v|mka|mkv|mov|mp3|mp4|mpe?g|mts|og[agv]|opus|ts|wav|webm|wm[av])",
    re.IGNORECASE,
)

# Beside them, where the model takes one picture.
PICTURE_FILES = re.compile(r"\.(bmp|gif|jpe?g|png|tiff?|webp)", re.IGNORECASE)

TOLD = ("emotion", "probability", "presence", "each alone", "shares")
DEFAULT_MODEL = "lmf-media-av"
FEW_FACES = 0.5  # of a film's frames


@click.command(epilog="Example: keras-lmf predict happy.mp4 recordings/ --csv emotions.csv")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
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
@click.option(
    "--face-detector",
    type=click.Choice(["haar", "yunet", "none"]),
    default="haar",
    show_default=True,
    help="What finds faces: OpenCV's cascade, or a small network that loses fewer of them; none: the picture is the "
    "face.",
)
@click.option("--max-seconds", default=10800.0, show_default=True, help="The longest file that is allowed.")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write one row per file here.")
@click.option(
    "--timeline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of one FILE: draw frames, waveform, energy and emotions over time into this .png.",
)
@click.option(
    "--annotate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of one FILE: write this .mp4 with the face's box and the emotion drawn over the video, sound kept.",
)
@click.option(
    "--camera",
    help="Instead of FILES: the number of a camera, 0 for the first, or a video that stands in for one. A line for "
    "each window until Ctrl-C.",
)
@JSON
@plain_errors
def predict(
    files: tuple[Path, ...],
    model: str,
    hop: float | None,
    enrol: tuple[Path, ...],
    face_detector: str,
    max_seconds: float,
    csv: Path | None,
    timeline: Path | None,
    annotate: Path | None,
    camera: str | None,
    as_json: bool,
) -> None:
    """The emotion in each of FILES, media files or folders of them (searched to the bottom; for pictures too, where
    the model takes one picture).

    A file that can't be read is a row that says why, the others go on, and the exit code is 1. --json prints the
    probabilities of every window too.
    """
    _check_usage(files, enrol, csv, timeline, annotate, camera)
    from keras_lmf.recognition import Recognizer  # takes a moment, which wrong usage needn't wait

    options = {"face_detector": face_detector, "max_seconds": max_seconds}
    recognizer = Recognizer(model, hop=hop, enrolment=_media_files(enrol), **options)
    if camera is not None:
        _watch(recognizer, camera, as_json)
        return
    found = _media_files(files, [MEDIA_FILES, PICTURE_FILES] if recognizer.single_picture else [MEDIA_FILES])
    answers: list[tuple[Path, Prediction | str]] = []
    try:
        _answer(recognizer, found, answers)
    except KeyboardInterrupt:
        _tell(answers, as_json)
        _write(recognizer, answers, csv)
        raise click.ClickException(f"Interrupted: {len(answers)} of {len(found)} files are above.") from None
    _tell(answers, as_json)
    _tell_few_faces(answers, face_detector)
    _write(recognizer, answers, csv)
    if not isinstance(answer := answers[0][1], str):
        _draw(answer, timeline, annotate)
    if failed := sum(isinstance(answer, str) for _, answer in answers):
        raise LMFError(f"{failed} of {len(answers)} files could not be judged.")


def _check_usage(
    files: tuple[Path, ...],
    enrol: tuple[Path, ...],
    csv: Path | None,
    timeline: Path | None,
    annotate: Path | None,
    camera: str | None,
) -> None:
    received = ", ".join(map(str, files)) or "none"
    if camera is not None and (files or csv or timeline or annotate or enrol):
        raise click.UsageError("--camera goes without FILES, --enrol, --csv, --timeline and --annotate.")
    if camera is None and not files:
        raise click.UsageError("Missing argument 'FILES...', or --camera.")
    for option, target, suffix in (("--timeline", timeline, ".png"), ("--annotate", annotate, ".mp4")):
        if target is not None and (len(files) > 1 or files[0].is_dir() or target.suffix.lower() != suffix):
            raise click.UsageError(
                f"{option} draws one FILE into a {suffix}; received {received} and {target}."
            )


def _draw(answer: Prediction, timeline: Path | None, annotate: Path | None) -> None:
    """The picture and the video that are asked for."""
    if timeline is not None:
        from keras_lmf.evaluation import plots

        click.echo(f"\nPicture: {plots.save(answer.figure(), timeline)}", err=True)
    if annotate is not None:
        click.echo(f"Video: {answer.annotate(annotate)}", err=True)


def _watch(recognizer: Recognizer, camera: str, as_json: bool) -> None:
    """A line for each moment, until the camera ends or Ctrl-C."""
    try:
        for moment in recognizer.watch(int(camera) if camera.isdecimal() else camera):
            if as_json:
                click.echo(json.dumps(asdict(moment), allow_nan=False))
                continue
            told = (
                f"{moment.emotion} {moment.probabilities[moment.emotion]:.2f}"
                if moment.emotion
                else "no face"
            )
            click.echo(f"{moment.time:8.1f} s  {told}")
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


def _media_files(paths: tuple[Path, ...], kinds: Sequence[re.Pattern[str]] = (MEDIA_FILES,)) -> list[Path]:
    """Each file as given; of a folder the media files in it, by path, or itself where it holds none. Each once."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        found |= dict.fromkeys([part for part in inside if _is_one_of(part, path, kinds)] or [path])
    return list(found)


def _is_one_of(path: Path, folder: Path, kinds: Sequence[re.Pattern[str]]) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return any(kind.fullmatch(path.suffix) for kind in kinds) and not hidden and path.is_file()


def _answer(recognizer: Recognizer, files: list[Path], answers: list[tuple[Path, Prediction | str]]) -> None:
    """Appends each file's prediction, or why there is none."""
    from tqdm import tqdm

    for path in tqdm(files, desc="predict", unit="file", delay=2, leave=False, disable=None):
        try:
            if path.is_dir():
                pictures = any(PICTURE_FILES.fullmatch(part.suffix) for part in path.rglob("*"))
                hint = (
                    " Its pictures are for a model that takes one picture, or name them." if pictures else ""
                )
                raise LMFError(f"no media file in this folder.{hint}")
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
    columns = [name for name in (rows[0] if rows else ()) if any(row[name] for row in rows)]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    for row in ([dict(zip(columns, columns))] if rows else []) + rows:
        click.echo(_utf8("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip()))


def _tell_few_faces(answers: list[tuple[Path, Prediction | str]], detector: str) -> None:
    """Where the default detector lost the face, that there is another."""
    few = [
        f"{path.name} ({seen:.0%} of its frames)"
        for path, answer in answers
        if not isinstance(answer, str) and len(answer.faces)
        if (seen := answer.faces["x"].notna().mean()) < FEW_FACES
    ]
    if few and detector == "haar":
        click.echo(f"\nFew faces were found in {', '.join(few)}: --face-detector yunet finds more.", err=True)


def _utf8(text: str) -> str:
    """With "?" for what can't be written: bytes of a file's name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _row(path: Path, answer: Prediction | str) -> dict[str, str]:
    """Of the table that people read."""
    from keras_lmf.recognition.prediction import best

    if isinstance(answer, str):
        return {"file": str(path), **dict.fromkeys(TOLD, ""), "error": answer}
    there = [name for name, present in answer.presence.items() if present]
    several = answer.by_modality if len(answer.by_modality) > 1 else {}
    return {
        "file": str(path),
        "emotion": answer.emotion,
        "probability": f"{answer.probabilities[answer.emotion]:.2f}",
        "presence": ", ".join(there),
        "each alone": ", ".join(f"{name}: {best(shares)}" for name, shares in several.items()),
        "shares": ", ".join(f"{name} {share:.0%}" for name, share in answer.shares.items() if several),
        "error": "",
    }


def _table(recognizer: Recognizer, answers: list[tuple[Path, Prediction | str]]) -> pd.DataFrame:
    """One row per file: `file`, `emotion`, columns per label and per modality, shares, `error`; empty where unknown."""
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
            row |= {
                f"alone_{name}": max(shares, key=shares.get) for name, shares in answer.by_modality.items()
            }
            row |= {f"share_{name}": share for name, share in answer.shares.items()}
        rows.append(row)
    labels = [f"probability_{label}" for label in recognizer.labels]
    presence = [f"presence_{name}" for name in recognizer.modalities]
    several = recognizer.presence == "derived" and len(recognizer.modalities) > 1
    alone = [f"alone_{name}" for name in recognizer.modalities if several]
    first = ["file", "emotion", *labels, *presence, *alone]
    further = dict.fromkeys(name for row in rows for name in row if name not in (*first, "error"))
    return pd.DataFrame(rows, columns=[*first, *further, "error"])
