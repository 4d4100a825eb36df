"""Python modules in a process of their own: TensorFlow and PyTorch never share one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from keras_lmf.errors import LMFError

BENCHMARKS = Path(__file__).parents[1]


@contextlib.contextmanager
def conversation(what: str, module: str, *arguments: object) -> Iterator[Callable[..., Any]]:
    """Start `python -m module arguments…`, which answers in lines of JSON.

    The value is a function: called with nothing it waits for the next line; called with a value it sends that as a
    line of JSON first, which the process, idle until then, reads on its standard input. The process ends with the
    block.

    Raises:
        LMFError: the process ended instead of answering; its last words are in the message, after `what`.
    """
    path = os.pathsep.join([str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "TQDM_DISABLE": "1"}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words,
        subprocess.Popen(
            # -P: modules in the working folder must not hide others.
            [sys.executable, "-P", "-m", module, *map(str, arguments)],
            env=os.environ | quiet,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
        ) as process,
    ):

        def ask(*question: Any) -> Any:
            with contextlib.suppress(BrokenPipeError):  # it has ended, which the next line finds
                for value in question:
                    print(json.dumps(value), file=process.stdin, flush=True)
            if line := process.stdout.readline():
                return json.loads(line)
            process.wait()
            raise LMFError(f"{what} could not be measured: {_last(words)}")

        try:
            yield ask
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError):  # of a question that was not read
                process.stdin.close()


def answer(what: str, module: str, *arguments: object) -> Any:
    """The one answer of `conversation` to nothing."""
    with conversation(what, module, *arguments) as ask:
        return ask()


def _last(words: IO[str]) -> str:
    words.seek(0)
    return " | ".join(words.read().strip().splitlines()[-3:]) or "it ended without a word"
