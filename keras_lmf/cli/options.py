"""What several commands share: options, and errors without a traceback."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from keras_lmf.errors import LMFError

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The folder that holds the corpora (default: KERAS_LMF_DATA), your own .npz, or, for the corpus 'clips', the "
    "folder of your clips and their labels.csv.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def plain_errors(handler: Callable[..., None]) -> Callable[..., None]:
    """What the user can mend is told on standard error, with exit code 1 and never a traceback; warnings too are
    plain words there."""

    @functools.wraps(handler)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _plain_warning
                handler(*args, **options)
        except BrokenPipeError:  # `| head`: click ends quietly
            raise
        except (LMFError, ImportError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def _plain_warning(message: Warning | str, *place: object) -> None:
    click.echo(f"Warning: {message}", err=True)


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers separated by commas, as `option` was given them."""
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise click.UsageError(
            f"{option} takes whole numbers separated by commas, received {text!r}"
        ) from None
