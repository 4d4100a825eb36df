"""A folder of your own clips: train on their sound, and ask about one of them.

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

SECONDS = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="?", default=Path("clips"), help="a folder with labels.csv")
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    if arguments.clips == Path("clips") and not (arguments.clips / synthetic_clips.LABELS).is_file():
        synthetic_clips.write(arguments.clips, clips=60, speakers=6, emotions=["happy", "neutral", "sad"])

    data = klmf.data.load("clips", arguments.clips, seconds=SECONDS)
    print(data.summary())
    recipe = klmf.Recipe(
        name="own-clips",
        corpus={"name": "clips", "options": {"seconds": SECONDS}},
        target=data.target.model_dump(exclude_none=True),
        inputs={
            "voice": {
                "shape": data.inputs["voice"].shape[1:],
                "front_end": {"name": "mfcc"},
                "backbone": {
                    "name": "temporal_convolution",
                    "filters": [16, 16],
                    "units": 16,
                    "dropout": 0.2,
                },
            }
        },
        fusion={"name": "none"},
        training={
            "loss": "cross_entropy",
            "epochs": arguments.epochs,
            "patience": 10,
            "batch_size": 16,
            "learning_rate": 3e-3,
        },
    )
    run = klmf.train(recipe, data, "own-clips")
    metrics = run.evaluate("test", resamples=0).metrics
    print(f"accuracy on speakers it has never heard: {metrics['war']:.3f}")

    recognizer = klmf.Recognizer(run.folder)
    test = data["test"]
    for name, label in list(zip(test.ids, test.labels))[:5]:
        print(f"{recognizer(arguments.clips / name)}; labelled {data.target.classes[label]}")


if __name__ == "__main__":
    main()
