"""predict: the emotion of media files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_lmf.cli.answers import Layout, Screen, Table, of_clips, of_windows, utf8
from keras_lmf.cli.asking import Asked, all_missing, answers, media_files, recognizer_of
from keras_lmf.cli.options import (
    BEAM_CONTEXT,
    JSON,
    RUNNER,
    WORKERS,
    executor,
    names_of_entries,
    plain_errors,
)
from keras_lmf.cli.options import files as file_names
from keras_lmf.cli.options import words as comma_separated
from keras_lmf.cli.outputs import Outputs, watch
from keras_lmf.cli.predict_usage import DEFAULT_MODEL, require_parts, require_usage
from keras_lmf.cli.progress import opening
from keras_lmf.errors import LMFError
from keras_lmf.executors import Here

if TYPE_CHECKING:
    from keras_lmf.recognition import Embedding, Prediction, Recognizer

FEW_FACES = 0.5  # of a film's frames


@click.command(
    context_settings=BEAM_CONTEXT,
    epilog="Example: keras-lmf predict happy.mp4 recordings/ --csv emotions.csv",
)
@click.argument("words", metavar="[FILES]...", nargs=-1, type=click.UNPROCESSED, shell_complete=file_names)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    shell_complete=names_of_entries,
    help="A zoo entry that takes media, a run's folder, a SavedModel folder or a .tflite file. A SavedModel with ops "
    "that could touch files, processes or Python is refused before it is loaded.",
)
@click.option(
    "--runtime",
    type=click.Choice(["tflite", "keras"]),
    help="Of an entry: ask its .tflite file, or its Keras model. Default: the file, where it ships one and LiteRT is "
    "installed; Keras otherwise, and with --enrol and --embeddings.",
)
@click.option(
    "--emotions",
    metavar="LIST",
    help="Ask about these of the model's emotions alone, such as happy,sad,neutral: the probabilities are shared out "
    "among them.",
)
@click.option("--hop", type=float, help="Seconds from one window to the next; default half a window.")
@click.option(
    "--smoothing",
    type=float,
    metavar="SECONDS",
    help="Smooth the windows' probabilities over so many seconds, in --windows, --timeline, --annotate and --json. "
    "The answer to the clip as a whole stays.",
)
@click.option(
    "--enrol",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Clips of the one speaker in FILES, or a folder of them, once for each; or the .npz of --save-enrolment. The "
    "voice is then measured against this speaker's own.",
)
@click.option(
    "--save-enrolment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the speaker of --enrol into this .npz, for the next time.",
)
@click.option(
    "--face-detector",
    type=click.Choice(["yunet", "haar", "none"]),
    help="What finds faces: a small network, or OpenCV's cascade, which loses more of them; none: the picture is the "
    "face. Default: the one that MODEL was trained with, yunet where that is unknown.",
)
@click.option(
    "--faces",
    type=click.Choice(["largest", "all"]),
    default="largest",
    show_default=True,
    help="all: a row for each face that is followed, up to 8, without the voice, which is nobody's of them.",
)
@click.option("--max-seconds", default=10800.0, show_default=True, help="The longest file that is allowed.")
@click.option(
    "--csv",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one row per file here, each as soon as its file is judged.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the --csv of an interrupted call: pass over files that have a row.",
)
@click.option(
    "--timeline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of one FILE: draw faces, the emotions over time, the sound, and what is missing when, into this .png.",
)
@click.option(
    "--annotate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of one FILE: write this .mp4 with the face's box and a bar for each emotion drawn over it, sound kept.",
)
@click.option(
    "--embeddings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write each file, and each of its windows, as a vector into this .npz: what the model makes its answer of. "
    "Takes an entry or a run, and twice the time.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Say what speaks for the answer and what against it: what each modality, and what they together, contribute "
    "to its logit (less the mean of all logits). --json has it for every emotion.",
)
@click.option(
    "--windows",
    is_flag=True,
    help="A line for each window: from when to when, and the emotion there. --json has them anyway.",
)
@click.option(
    "--camera",
    help="Instead of FILES: the number of a camera, 0 for the first, or a video that stands in for one. A line for "
    "each window until Ctrl-C.",
)
@WORKERS
@RUNNER
@JSON
@plain_errors
def predict(
    words: tuple[str, ...],
    model: str,
    runtime: str | None,
    emotions: str | None,
    hop: float | None,
    smoothing: float | None,
    enrol: tuple[Path, ...],
    save_enrolment: Path | None,
    face_detector: str | None,
    faces: str,
    max_seconds: float,
    csv: Path | None,
    resume: bool,
    timeline: Path | None,
    annotate: Path | None,
    embeddings: Path | None,
    explain: bool,
    windows: bool,
    camera: str | None,
    workers: int,
    runner: str | None,
    as_json: bool,
) -> None:
    """The emotion in each of FILES, media files or folders of them (searched to the bottom; for pictures too, where
    the model takes one picture).

    A line for each: emotion, probability, what was there, seconds judged; with --windows, which emotion came when. What
    can't be read is named below, with the reason; the others go on, and the exit code is 1.
    """
    named, work = executor(words, workers, runner)
    files = tuple(map(Path, named))
    every = faces == "all"
    outputs = Outputs(csv, timeline, annotate, embeddings, save_enrolment)
    require_usage(
        files,
        outputs,
        camera=camera is not None,
        elsewhere=not isinstance(work, Here),
        enrol=bool(enrol),
        every_face=every,
        explain=explain,
        resume=resume,
        smoothing=smoothing is not None,
        windows=windows,
    )
    outputs.require_writable()
    if csv is None and files and (missing := all_missing(files)):  # told before anything takes time to start
        screen = Screen(Layout.empty(), files, as_json=as_json, needed=True)
        for path, reason in missing.items():
            screen.add(path, reason)
        screen.close()
        raise _failed(len(files), len(files))
    labels = None if emotions is None else tuple(comma_separated(emotions))
    runtime = "keras" if embeddings is not None and runtime is None else runtime
    with opening(model):
        clips = tuple(media_files(enrol))
        speaker = clips[0] if [path.suffix for path in clips] == [".npz"] else clips
        asked = Asked(model, runtime, labels, hop, smoothing, speaker, face_detector, max_seconds, faces)
        recognizer = recognizer_of(asked)
    click.echo(f"Model: {recognizer.file}", err=True)
    if save_enrolment is not None:
        click.echo(f"Enrolment: {recognizer.enrolment.save(save_enrolment)}", err=True)
    if explain:
        require_parts(recognizer)
    width = recognizer.embedding_width if embeddings else 0
    if camera is not None:
        watch(recognizer, camera, as_json)
        return
    found = media_files(files, pictures=recognizer.single_picture)
    if every and recognizer.rate is not None:
        click.echo("Each face is judged without the voice: nothing here says whose it is.", err=True)
    table = None if csv is None else Table(csv, recognizer, faces=every, resume=resume)
    known = {} if table is None else table.known
    # Whether each could be, those of an earlier call first.
    judged = [known[name] for name in map(utf8, map(str, found)) if name in known]
    if judged:
        click.echo(f"{len(judged)} of {len(found)} files are in {csv}.", err=True)
    if windows:
        layout = of_windows(recognizer, found, faces=every)
    else:
        layout = of_clips(recognizer, found, explain=explain, faces=every)
    screen = Screen(layout, found, as_json=as_json, needed=not outputs.of_answers)
    asked_for = [path for path in found if utf8(str(path)) not in known]
    told = answers(recognizer, asked, work, asked_for)
    _judge(recognizer, told, judged, len(found), screen, table, outputs, width)


def _judge(
    recognizer: Recognizer,
    answered: Iterable[tuple[Path, list[Prediction] | str, float | None]],
    judged: list[bool],
    count: int,
    screen: Screen,
    table: Table | None,
    outputs: Outputs,
    width: int,
) -> None:
    """Tells each of the answers and writes what is asked for; an LMFError where one of the `count` files has none.

    Args:
        judged: whether each of the earlier ones could be; those of this call join them.
        width: of an embedding.
    """
    few: list[str] = []
    vectors: dict[str, Embedding] = {}
    told: list[Prediction] | str = ""
    try:
        for path, told, seen in answered:
            if table is not None:
                table.add(path, told)
            screen.add(path, told)
            judged.append(not isinstance(told, str))
            if outputs.embeddings is not None and not isinstance(told, str):
                vectors[utf8(str(path))] = recognizer.embed(path)
            if seen is not None and seen < FEW_FACES:
                few.append(f"{path.name} ({seen:.0%} of its frames)")
    except KeyboardInterrupt:
        outputs.save(vectors, width)
        raise click.ClickException(
            f"Interrupted: {len(judged)} of {count} files are {outputs.kept}."
        ) from None
    finally:
        screen.close()
        if table is not None:
            table.close()
    if few:
        hint = ": --face-detector yunet finds more" if recognizer.face_detector == "haar" else ""
        click.echo(f"\nFew faces were found in {', '.join(few)}{hint}.", err=True)
    if not isinstance(told, str):
        outputs.draw(told[0])
    outputs.save(vectors, width)
    if failed := judged.count(False):
        raise _failed(failed, count)


def _failed(failed: int, asked_for: int) -> LMFError:
    return LMFError(f"{failed} of {asked_for} files could not be judged.")
