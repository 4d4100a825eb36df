"""corpora, check: published corpora, and whether a download or a folder of one's own is whole."""

from __future__ import annotations

import json
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import click

from keras_lmf.cli.options import JSON, plain_errors
from keras_lmf.errors import LMFError, unknown_name

WIDTH = 80


@click.command(epilog="Example: keras-lmf corpora")
@JSON
@plain_errors
def corpora(as_json: bool) -> None:
    """The published corpora that are read as they are downloaded."""
    from keras_lmf.data.corpora import published

    told = {name: facts(name) for name in published.names()}
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    for name, fact in told.items():
        hours = "" if fact["hours"] is None else f"{fact['hours']:g} h, "
        lines = [
            f"{fact['title']}: {fact['what']}",
            f"{hours}{' + '.join(fact['modalities'])}; {', '.join(fact['classes']) or fact['target']}",
            fact["licence"].removeprefix(f"{fact['title']}: "),
            f"{fact['home']} ({fact['ask']})",
        ]
        click.echo(click.style(name, bold=True))
        for line in lines:
            click.echo(
                textwrap.fill(
                    line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False
                )
            )
    click.echo("\nA download, checked: keras-lmf check NAME --data FOLDER", err=True)


def facts(name: str) -> dict[str, Any]:
    """What `corpora` tells of one."""
    from keras_lmf.data.corpora import published

    corpus = published.read(name)
    return {
        **corpus.model_dump(
            include={
                "title",
                "what",
                "modalities",
                "hours",
                "languages",
                "people",
                "licence",
                "home",
                "ask",
                "unverified",
            }
        ),
        "target": corpus.target.name,
        "classes": corpus.target.classes or (),
        "options": {option: list(told.choices) for option, told in corpus.options.items()},
        "layouts": [*corpus.layouts, *corpus.features],
    }


@click.command(epilog="Example: keras-lmf check ravdess --data ravdess/ --option channel=song")
@click.argument("what", metavar="CORPUS")
@click.option(
    "--data", type=click.Path(path_type=Path), help="The folder that holds it (default: KERAS_LMF_DATA)."
)
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the corpus; repeatable."
)
@JSON
@plain_errors
def check(what: str, data: Path | None, options: tuple[str, ...], as_json: bool) -> None:
    """Hold a download of CORPUS (a name of `keras-lmf corpora`, or your own .toml) against what was published of it; or
    check CORPUS, a folder of clips of your own (options: labels, range, target, seed). Exit code 1: something is
    missing or wrong."""
    from keras_lmf.data.corpora import published
    from keras_lmf.data.corpora.published.checking import compare

    chosen = dict(map(_option, options))
    if published.is_published(what) or published.is_own(what):
        found = compare(what, data, chosen)
    elif (folder := (data or Path()) / what).is_dir():
        from keras_lmf.data.checking import check_clips

        found = check_clips(folder, **chosen)
    else:
        raise unknown_name("corpus", what, published.names(), "Or give your own .toml, or a folder of clips.")
    click.echo(json.dumps(found.to_dict(), indent=1) if as_json else str(found))
    if found.problems:
        raise click.exceptions.Exit(1)


def _option(text: str) -> tuple[str, Any]:
    """Name and value: as TOML has it (2, 2.5, true, ["a", "b"]), else a word."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise LMFError(f"--option takes NAME=VALUE, received {text!r}.")
    try:
        read = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return name, value
    told = read["value"]
    return name, told if len(read) == 1 and isinstance(told, str | bool | int | float | list) else value
