"""extract: recordings into a folder of arrays, by several processes or many machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import BEAM_CONTEXT, DATA, RUNNER, WORKERS, executor, plain_errors
from keras_lmf.cli.runs import recipe_of
from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    from keras_lmf.recipe import Recipe

DEFAULT_RECIPE = "lmf-voice-face"


@click.command(
    context_settings=BEAM_CONTEXT, epilog="Example: keras-lmf extract my_videos --out arrays --workers 4"
)
@click.argument("words", metavar="SOURCE", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the arrays.",
)
@click.option(
    "--recipe",
    default=DEFAULT_RECIPE,
    show_default=True,
    help="Whose inputs are filled: a TOML file, or a word for one.",
)
@DATA
@WORKERS
@RUNNER
@plain_errors
def extract(
    words: tuple[str, ...], out: Path, recipe: str, data: Path | None, workers: int, runner: str | None
) -> None:
    """Decode SOURCE, a folder of clips or a corpus (in --data), into arrays that training reads from the disk.

    What can't be read is a line of errors.csv, and the exit code is 1. After Ctrl-C or a kill, or once such a file is
    mended, the same command goes on. Then 'keras-lmf train RECIPE --data OUT'.
    """
    sources, work = executor(words, workers, runner, out)
    if len(sources) != 1:
        raise click.UsageError(
            f"One SOURCE, received {' '.join(sources) or 'none'}. A value of Beam's is joined by '=': --name=value."
        )
    _, read = recipe_of(recipe)
    from keras_lmf.data import corpora
    from keras_lmf.data.extraction import store, stored
    from keras_lmf.sources import resolved

    found = corpora.recordings(sources[0], data, **_options(read, sources[0]))
    try:
        store.extract(found, resolved(read.recorded, corpora.sources(sources[0])), out, work)
    except KeyboardInterrupt:
        raise click.ClickException(f"Interrupted. The same command goes on ({out}).") from None
    told = stored.described(out)
    failed = told.recordings - told.rows
    click.echo(f"{out}: {told.rows} of {told.recordings} recordings")
    if failed:
        raise LMFError(
            f"{failed} of {told.recordings} recordings can't be used: {out / 'errors.csv'} says why."
        )


def _options(recipe: Recipe, source: str) -> Mapping[str, Any]:
    """The recipe's options of its corpus, where SOURCE is that corpus; how long sound is, its inputs say."""
    named = recipe.corpus.name == source or (recipe.corpus.name == "clips" and Path(source).is_dir())
    return {key: value for key, value in recipe.corpus.options.items() if named and key != "seconds"}
