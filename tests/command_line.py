"""`keras-lmf`, called in the tests' own process."""

from __future__ import annotations

import contextlib
from pathlib import Path

from click.testing import CliRunner, Result

from keras_lmf.cli import main


def command(*words: object, folder: Path = Path()) -> Result:
    """What `keras-lmf WORDS…` says and how it ends, called in `folder`."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(main, [str(word) for word in words])
