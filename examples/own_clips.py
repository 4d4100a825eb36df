"""A folder of your own clips: train a small model of voice and face on them, and ask it about some.

    python examples/own_clips.py my_clips/      # media files and a labels.csv: file,label,speaker
    python examples/own_clips.py                # writes synthetic clips into ./clips first

The run goes into ./own-clips: `keras-lmf evaluate own-clips --data my_clips/` and `keras-lmf export own-clips --data
my_clips/` go on from there. Speakers, never clips, are divided among training, validation and test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras_lmf as klmf
from keras_lmf.data.corpora import synthetic_clips

RECIPE = klmf.Recipe(
    name="own-clips",  # the classes are those of the labels
    corpus={"name": "clips"},
    inputs={
        "voice": {
            "shape": [24000],  # 1.5 seconds
            "front_end": {"name": "mfcc"},
            "backbone": {"name": "temporal_convolution", "filters": [16, 16], "units": 16, "dropout": 0.2},
        },
        "face": {
            "shape": [3, 64, 64, 1],  # two pictures a second
            "frame_rate": 2.0,
            "source": {"name": "face", "detector": "yunet"},
            "front_end": {"name": "mini_xception"},
            "backbone": {"name": "average_pooling", "units": [16]},
        },
    },
    fusion={"name": "low_rank", "units": 16, "rank": 4},
    presence={"dropout": 0.3},
    training={"patience": 10, "batch_size": 16, "learning_rate": 3e-3},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="?", default=Path("clips"), help="a folder with labels.csv")
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    if arguments.clips == Path("clips") and not (arguments.clips / synthetic_clips.LABELS).is_file():
        synthetic_clips.write(arguments.clips, clips=60, speakers=6, emotions=["happy", "neutral", "sad"])

    data = klmf.data.load("clips", arguments.clips, RECIPE.recorded)
    print(data.summary())
    recipe = RECIPE.replace(training={"epochs": arguments.epochs})
    run = klmf.train(recipe, data, "own-clips")
    metrics = run.evaluate("test", resamples=0).metrics
    print(f"accuracy on speakers it has never met: {metrics['war']:.3f}")

    recognizer = klmf.Recognizer(run.folder)
    test = data["test"]
    for name, label in list(zip(test.ids, test.labels))[:5]:
        print(f"{recognizer(arguments.clips / name)}; labelled {data.target.classes[label]}")


if __name__ == "__main__":
    main()
