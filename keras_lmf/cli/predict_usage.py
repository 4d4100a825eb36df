"""Which options of predict go together. Everything is said before anything takes time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_lmf.cli.outputs import Outputs
from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    from keras_lmf.recognition import Recognizer

DEFAULT_MODEL = "lmf-media-av"


def require_usage(
    files: tuple[Path, ...],
    outputs: Outputs,
    *,
    camera: bool,
    elsewhere: bool,
    enrol: bool,
    every_face: bool,
    explain: bool,
    resume: bool,
    smoothing: bool,
    windows: bool,
) -> None:
    """A usage error (exit code 2) for what can't be done together.

    Args:
        files: FILES.
        outputs: the files to write.
        camera: whether --camera is given; so of the others.
        elsewhere: --workers or --runner.
        enrol: --enrol.
        every_face: --faces all.
        explain: --explain.
        resume: --resume.
        smoothing: --smoothing.
        windows: --windows.
    """
    if camera and (files or outputs.of_answers or explain or enrol):
        raise click.UsageError(
            "--camera goes without FILES, --enrol, --csv, --timeline, --annotate, --embeddings and --explain."
        )
    if not camera and not files:
        raise click.UsageError("Missing argument 'FILES...', or --camera.")
    _require_suffixes(files, outputs)
    if elsewhere and (camera or outputs.by_one_process):
        raise click.UsageError(
            "--workers and --runner go without --camera, --timeline, --annotate and --embeddings."
        )
    if every_face and (camera or outputs.by_one_process or enrol):
        raise click.UsageError(
            "--faces all goes without --camera, --timeline, --annotate, --embeddings and --enrol."
        )
    if windows and (camera or explain):
        raise click.UsageError("--windows goes without --camera and --explain.")
    if camera and smoothing:
        raise click.UsageError("--smoothing looks ahead, which --camera can't.")
    if resume and (outputs.csv is None or outputs.by_one_process):
        raise click.UsageError(
            "--resume goes on with a --csv, without --timeline, --annotate and --embeddings."
        )
    if outputs.enrolment is not None and not (enrol and outputs.enrolment.suffix == ".npz"):
        raise click.UsageError(f"--save-enrolment writes --enrol into a .npz; received {outputs.enrolment}.")


def _require_suffixes(files: tuple[Path, ...], outputs: Outputs) -> None:
    if outputs.embeddings is not None and outputs.embeddings.suffix.lower() != ".npz":
        raise click.UsageError(f"--embeddings writes a .npz; received {outputs.embeddings}.")
    drawn = (("--timeline", outputs.timeline, ".png"), ("--annotate", outputs.annotate, ".mp4"))
    for option, target, suffix in drawn:
        if target is not None and (len(files) > 1 or files[0].is_dir() or target.suffix.lower() != suffix):
            raise click.UsageError(
                f"{option} draws one FILE into a {suffix}; received {', '.join(map(str, files))} and {target}."
            )


def require_parts(recognizer: Recognizer) -> None:
    """Refuses to explain where the model can't be asked without a modality."""
    names = recognizer.modalities
    if len(names) == 1:
        raise LMFError(
            f"--explain: {recognizer!r} has one input, {names[0]}, so all of its answer comes from there."
        )
    if recognizer.presence != "derived":
        raise LMFError(
            f"--explain: {recognizer!r} needs all of {', '.join(names)}, so it can't be asked what it says without "
            f"one. Take {DEFAULT_MODEL}, or train with [presence] in the recipe. klmf.explain takes a Keras model with "
            f"a fusion layer apart."
        )
