"""What is going on, on standard error, until there is something to tell."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

_WAITED_FOR: list[str] = []  # what is going on now, the innermost last


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Within it, a terminal's last line is `what`, so nobody looks at an empty screen."""
    _WAITED_FOR.append(what)
    _show()
    try:
        yield
    finally:
        _WAITED_FOR.pop()
        _show()


def _show() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K" + "".join(f"{what} …" for what in _WAITED_FOR[-1:]), nl=False, err=True)


def starting(library: str) -> contextlib.AbstractContextManager[None]:
    """While a framework is imported."""
    return waiting(f"Starting {library}")


@contextlib.contextmanager
def opening(model: str) -> Iterator[None]:
    """While a model is opened. A log has the line, too: it says what takes its time."""
    if not sys.stderr.isatty():
        click.echo(f"Opening {model}", err=True)
    with waiting(f"Opening {model}"):
        yield
