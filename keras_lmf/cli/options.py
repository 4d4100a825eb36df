"""What several commands share: options, and errors without a traceback."""

from __future__ import annotations

import difflib
import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from keras_lmf.errors import LMFError

if TYPE_CHECKING:
    from keras_lmf.executors import Executor

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The folder that holds the corpora (default: KERAS_LMF_DATA), your own .npz, or, for the corpus 'clips', the "
    "folder of your clips and their labels.csv.",
)


def names_of_entries(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """For the shell: the zoo's entries that begin so, or else files."""
    from keras_lmf.locate import known_entries

    names = [CompletionItem(name) for name in known_entries() if name.startswith(incomplete)]
    return names or files(context, parameter, incomplete)


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the shell: it completes files by itself."""
    return [CompletionItem(incomplete, type="file")]


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
        except ImportError as error:
            from keras_lmf.backend import with_extra

            raise click.ClickException(str(with_extra(error))) from error
        except (LMFError, OSError) as error:
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


def lengths(option: str, text: str) -> dict[str, int]:
    """NAME=NUMBER, separated by commas, as `option` was given them."""
    try:
        pairs = [word.split("=") for word in words(text)]
        return {name.strip(): int(number) for name, number in pairs}
    except ValueError:
        raise click.UsageError(
            f"{option} takes NAME=NUMBER, separated by commas, received {text!r}"
        ) from None


WORKERS = click.option(
    "--workers", type=click.IntRange(1, 512), default=1, show_default=True, help="Processes of this machine."
)
RUNNER = click.option(
    "--runner",
    metavar="NAME",
    help="Instead of --workers: a runner of Apache Beam (the extra beam), as FlinkRunner. All further options "
    "(--flink_master=…) are Beam's own. Its machines must see the same files under the same paths.",
)
# For a command with WORKERS and RUNNER: what it doesn't know is among its words.
BEAM_CONTEXT = {"ignore_unknown_options": True}


def executor(
    words: Sequence[str], workers: int, runner: str | None, exchange: Path | None = None
) -> tuple[list[str], Executor]:
    """The words that are no options, and who works."""
    from keras_lmf.executors import executor as made

    options = [word for word in words if word.startswith("-") and len(word) > 1]
    context = click.get_current_context()
    if options and runner is None:
        name = options[0].partition("=")[0]
        known = [option for parameter in context.command.params for option in parameter.opts]
        raise click.NoSuchOption(name, possibilities=difflib.get_close_matches(name, known), ctx=context)
    if runner is not None and workers > 1:
        raise click.UsageError("--workers and --runner exclude one another.")
    beam = () if runner is None else (f"--runner={runner}", *options)
    return [word for word in words if word not in options], made(workers, beam, exchange)
