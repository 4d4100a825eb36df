"""keras-lmf …: the command line. Every handler imports what it needs when it runs."""

from __future__ import annotations

import logging
import os

import click

from keras_lmf import __version__
from keras_lmf.cli import corpora, describe, explain, extract, inspect, measure, predict, runs, studies, zoo
from keras_lmf.errors import unknown_name


class Commands(click.Group):
    """A group that knows the nearest command."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in self.commands:
            raise click.UsageError(str(unknown_name("command", arguments[0], self.commands)), context)
        return super().resolve_command(context, arguments)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Audio-video emotion recognition by tensor fusion and low-rank fusion.

    Exit codes: 0 done, 1 failed, 2 wrong usage.
    """
    # TensorFlow's advice on start-up and tracing is not for our users; set it to 0 to see the former. What TensorFlow
    # says of oneDNN no level silences.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


for command in (
    measure.quickstart,
    predict.predict,
    extract.extract,
    describe.describe,
    runs.train,
    runs.evaluate,
    explain.explain,
    runs.export,
    inspect.inspect,
    studies.robustness,
    studies.compare,
    studies.tune,
    corpora.corpora,
    corpora.check,
    zoo.list_entries,
    zoo.show,
    zoo.fetch,
    zoo.publish,
    zoo.calibrate,
    zoo.metadata,
    zoo.render,
    measure.benchmark,
):
    main.add_command(command)
