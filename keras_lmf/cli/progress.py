"""What is going on, on standard error, until there is something to tell."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Within it, a terminal's last line is `what`, so nobody looks at an empty screen."""
    shown = sys.stderr.isatty()
    if shown:
        click.echo(f"\r\x1b[2K{what} …", nl=False, err=True)
    try:
        yield
    finally:
        if shown:
            click.echo("\r\x1b[2K", nl=False, err=True)


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
