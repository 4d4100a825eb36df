"""What the commands of docs/clips.md print about its drawn clips.

    python benchmarks/sample_answers.py

An answer about a drawing means little: the samples show the form.
"""

from __future__ import annotations

import contextlib
import json
import tempfile

import click
from click.testing import CliRunner
from measurements import RESULTS

from keras_lmf import Recognizer
from keras_lmf.cli import main as keras_lmf
from keras_lmf.cli.predict_usage import DEFAULT_MODEL
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.files import write_text

SAMPLES = RESULTS / "sample_answers.json"
FIRST, COLUMNS = "recordings/00000.mp4", 140  # of a wide terminal


def printed(*words: str) -> str:
    """What `keras-lmf` prints on standard output."""
    done = CliRunner().invoke(keras_lmf, words, env={"COLUMNS": str(COLUMNS)}, catch_exceptions=False)
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


@click.command(help=__doc__)
def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        synthetic_clips.write("recordings", clips=4, speakers=2, seconds=4, size=(192, 192))
        samples = {
            "answer": str(Recognizer(DEFAULT_MODEL)(FIRST)),
            "windows": printed("predict", "recordings/00001.mp4", "--windows"),
            "contributions": printed("predict", FIRST, "--explain").rpartition("  ")[2],
            "answers": printed("predict", "recordings"),
        }
    write_text(SAMPLES, json.dumps(samples, indent=1, ensure_ascii=False) + "\n")
    for name, text in samples.items():
        click.echo(f"{name}:\n{text}\n")


if __name__ == "__main__":
    main()
