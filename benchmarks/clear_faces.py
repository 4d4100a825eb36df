"""Faces whose emotion more than half of the people agree on: what face models make of FER+'s PublicTest.

    python benchmarks/clear_faces.py expression-ferplus-face xception-fer2013-face runs/two-teachers-face \\
        --csv benchmarks/results/clear_faces.csv

NAMES are zoo entries or folders of runs. "clear": pictures of which more than half of the votes name one of the seven
emotions; "all": every one with five votes or more for them. Disgust is rare (a dozen pictures), so balanced accuracy is
told without it, too. Nothing is chosen here. The Keras models answer.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pandas as pd
from measurements import CSV, write_csv
from sklearn.metrics import recall_score

from keras_lmf.data import corpora
from keras_lmf.data.validation import SPLITS
from keras_lmf.models.start import trained
from keras_lmf.runtime import open_artifact

LEAST, CLEAR, RARE = 5, 0.5, "disgust"


@click.command(help=__doc__)
@click.argument("names", nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), help="The corpora; default KERAS_LMF_DATA.")
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True)
@CSV
def main(names: tuple[str, ...], data: Path | None, split: str, csv: Path | None) -> None:
    rows = []
    for name in names:
        source = trained(name, "NAMES")
        side = source.recipe.inputs["face"].shape[0]
        faces = corpora.load("ferplus", data, side=side, least=LEAST)[split]
        model = source.model()
        logits = open_artifact(model).predict({"face": faces.inputs["face"]})["emotion"]
        classes = list(faces.target.classes)
        order = [model.spec.target.classes.index(word) for word in classes]
        found = logits[:, order].argmax(axis=1)
        for kind, kept in (("clear", faces.soft_labels.max(axis=1) > CLEAR), ("all", slice(None))):
            truth, said = faces.labels[kept], found[kept]
            recalls = recall_score(truth, said, labels=range(len(classes)), average=None)
            others = [recall for word, recall in zip(classes, recalls) if word != RARE]
            rows.append(
                {
                    "model": Path(name).name,
                    "pictures": kind,
                    "rows": len(truth),
                    "accuracy": np.mean(truth == said),
                }
                | {"balanced accuracy": recalls.mean(), f"without {RARE}": np.mean(others)}
            )
    table = pd.DataFrame(rows)
    write_csv(table, csv)
    click.echo(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
