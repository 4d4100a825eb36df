"""What TensorFlow, LiteRT and their like write on standard error while they start: held back, and errors told.

Neither a log level nor a flag silences all of it, and some flags that would change the numerics. So while a library
starts, standard error goes to a file. What is left without the log lines comes out afterwards. KERAS_LMF_VERBOSE=1
shows everything.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

VERBOSE = "KERAS_LMF_VERBOSE"
LIBRARIES = ("tensorflow", "jax", "torch")
_HELD = threading.Lock()
# Of severity information and warning, as absl, TensorFlow and TensorFlow Lite write them, and the lines after them.
_LOG_LINE = re.compile(
    rb"(INFO: |WARNING: |[IW]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.:]\d+: [IW] |"
    rb"To enable the following instructions: |TF-TRT Warning: )"
)


def verbose() -> bool:
    """Whether KERAS_LMF_VERBOSE asks for everything."""
    return os.environ.get(VERBOSE, "").strip().lower() not in ("", "0", "false", "no")


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Within it, what this process writes on standard error waits; then it comes out without the log lines.

    One at a time: another thread's goes on as it is, as two could not give each other the real standard error back.
    """
    if verbose() or sys.stderr is None or not _HELD.acquire(blocking=False):
        yield
        return
    try:
        with _redirected():
            yield
    finally:
        _HELD.release()


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    try:
        real = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as written:
        sys.stderr.flush()
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            written.seek(0)
            for line in written:
                if not _LOG_LINE.match(line):
                    os.write(2, line)


class _Starts(importlib.abc.MetaPathFinder):
    """Finds the LIBRARIES as Python does, and lets each one start within `around(name)` and with its log held back."""

    around: Callable[[str], AbstractContextManager[None]]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LIBRARIES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        start = spec.loader.exec_module

        def quietly(module: ModuleType) -> None:
            with self.around(fullname), held_back():
                start(module)

        spec.loader.exec_module = quietly
        return spec


_STARTS = _Starts()


def quiet_starts(around: Callable[[str], AbstractContextManager[None]]) -> None:
    """From now on the libraries start without a log, and later log errors alone; `around(name)` is told of a start.

    Numerics stay. For a process that is ours, as the command line's.
    """
    _STARTS.around = around
    if _STARTS not in sys.meta_path:
        sys.meta_path.insert(0, _STARTS)
    if not verbose():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        for name in ("tensorflow", "absl"):
            logging.getLogger(name).setLevel(logging.ERROR)
