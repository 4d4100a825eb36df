"""What predict writes beside its lines: pictures, videos and vectors; and the lines of a camera."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from keras_lmf.cli.progress import waiting
from keras_lmf.files import require_writable

if TYPE_CHECKING:
    from keras_lmf.recognition import Embedding, Prediction, Recognizer


class Outputs(NamedTuple):
    """The files that are asked for: rows as .csv, a picture, a video, vectors and the enrolment as .npz."""

    csv: Path | None
    timeline: Path | None
    annotate: Path | None
    embeddings: Path | None
    enrolment: Path | None

    @property
    def of_answers(self) -> bool:
        """Whether any of them holds what is judged."""
        return any((self.csv, self.timeline, self.annotate, self.embeddings))

    @property
    def by_one_process(self) -> bool:
        """Whether any of them needs more of an answer than its row, which other processes don't hand over."""
        return any((self.timeline, self.annotate, self.embeddings))

    @property
    def kept(self) -> str:
        """Where what was judged is after an interruption, in words."""
        if self.embeddings is not None:
            return f"in {self.embeddings}"
        if self.csv is not None:
            return f"in {self.csv}. The same command with --resume goes on"
        return "above. --csv keeps them for --resume"

    def require_writable(self) -> None:
        """An LMFError for the first that can't be written, before anything takes time."""
        for target in filter(None, self):
            require_writable(target)

    def draw(self, answer: Prediction) -> None:
        """The picture and the video that are asked for."""
        if self.timeline is not None:
            from keras_lmf.evaluation import plots

            with waiting(f"Drawing {self.timeline}"):
                picture = plots.save(answer.figure(), self.timeline)
            click.echo(f"\nPicture: {picture}", err=True)
        if self.annotate is not None:
            with waiting(f"Drawing {self.annotate}"):
                video = answer.annotate(self.annotate)
            click.echo(f"Video: {video}", err=True)

    def save(self, vectors: Mapping[str, Embedding], width: int) -> None:
        """The vectors, by file, where they are asked for."""
        if self.embeddings is not None:
            from keras_lmf.recognition import embedding

            click.echo(f"Embeddings: {embedding.save(self.embeddings, vectors, width)}", err=True)


def watch(recognizer: Recognizer, camera: str, as_json: bool) -> None:
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
