"""A model of the zoo as files for a phone: fetch, load, export to every TFLite format, and see what each file costs.

    python examples/download_and_convert.py lmf-synthetic-av --folder converted

Every file is run on the test split of the entry's corpus before it gets its name. Where that corpus can't be loaded
here, the files are compared with the Keras model alone, and those that need its training rows are left out.
`examples/on_device.py` asks such a file about a WAV file without Keras and TensorFlow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import keras_lmf as klmf


def corpus_of(recipe: klmf.Recipe) -> klmf.Dataset | None:
    """What the entry was trained on, or None (and why) where it is not to be had here."""
    try:
        return klmf.data.load(recipe.corpus.name, **recipe.corpus.options)
    except klmf.LMFError as error:
        print(f"No metrics and no int8 files calibrated on the training split: {error}\n")
        return None


def convert(name: str, folder: Path) -> None:
    recipe = klmf.zoo.recipe(name)  # from the package, the cache or the mirror, checked by its fingerprint
    data = corpus_of(recipe)
    formats = klmf.export.FORMATS
    artifacts = klmf.export_model(
        klmf.load(name),  # checked by sha256, shapes and test vectors; it carries what goes into the sidecars
        folder,
        [
            key
            for key, format in formats.items()
            if format.file.endswith(".tflite") and (data or not format.calibrated)
        ],
        evaluation=data and data["test"],
        calibration=data and data["train"],
    )
    # The first metric is the task's main one: the accuracy (war) of classes, mean absolute error of values.
    metric = list(artifacts[0].metrics)[:1]
    table = klmf.export.report(artifacts)[["file", "bytes", *metric, "difference_max"]]
    print(table.rename(columns={"difference_max": "difference to Keras"}).to_string(index=False))
    print(f"\nThe files, and report.md with all metrics, are in {folder.resolve()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", nargs="?", default="lmf-synthetic-av", help="as in: keras-lmf list")
    parser.add_argument("--folder", type=Path, default=Path("converted"), help="for the files")
    arguments = parser.parse_args()
    try:
        convert(arguments.name, arguments.folder)
    except klmf.LMFError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
