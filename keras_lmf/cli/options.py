"""What several commands share: options, and errors without a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from keras_lmf.errors import LMFError

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The folder that holds the corpora (default: KERAS_LMF_DATA), or your own .npz.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def plain_errors(handler: Callable[..., None]) -> Callable[..., None]:
    """What the user can mend is one line on standard error and exit code 1, never a traceback."""

    @functools.wraps(handler)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            handler(*args, **options)
        except (LMFError, ImportError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
