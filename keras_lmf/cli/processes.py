"""A training of several processes on the command line: each is watched by a small one, which can say what ended it.

JAX ends a process from within, without a word that a user understands, when another one of the training is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import click

from keras_lmf.errors import LMFError

WATCHED = "--watched"  # and the number of the process that watches


def watch(process: int, processes: int) -> int:
    """Runs this command again, in a process that this one watches; returns its exit code.

    Raises:
        LMFError: it was ended from outside, or by JAX.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-m", "keras_lmf", *sys.argv[1:], WATCHED, str(os.getpid())]
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = None
    while code is None:
        with contextlib.suppress(KeyboardInterrupt):  # the other one has it too, and says so
            code = child.wait()
    if code in (0, 1, 2):
        return code
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    raise LMFError(
        f"Process {process} of this training of {processes} ended ({cause}): another one was lost, failed or can't be "
        "reached, or this one was ended from outside. What JAX says of it is above. The run's folder holds the last "
        "whole epoch: start all processes again, with the same commands, and the training goes on from there."
    )


@contextlib.contextmanager
def watched(watcher: int) -> Iterator[None]:
    """Within it, this process ends when its watcher does; and at once at an error, as JAX would wait for the others."""

    def follow() -> None:
        while os.getppid() == watcher:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    try:
        yield
    except BaseException as error:
        code = 1
        if isinstance(error, click.ClickException):
            error.show()
            code = error.exit_code
        elif isinstance(error, LMFError | ImportError | OSError):
            click.ClickException(str(error)).show()
        else:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
