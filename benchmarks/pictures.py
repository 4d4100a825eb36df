"""Draws all pictures in benchmarks/results anew from the tables beside them; nothing is measured.

    python benchmarks/pictures.py

Do so after a change of the plots.
"""

from __future__ import annotations

import click
import compression
import fusion_speed
import pandas as pd
import robustness
import sequences
from measurements import RESULTS

from keras_lmf import zoo
from keras_lmf.evaluation import plots, study_plots
from keras_lmf.evaluation.protocols import headline


@click.command(help=__doc__)
def main() -> None:
    fusion_speed.draw(RESULTS / "speed")
    sequences.draw()
    for table in (RESULTS / "compression").glob("*.csv"):
        compression.draw(pd.read_csv(table), table.stem)
    for folder in (RESULTS / "robustness").iterdir():
        curves = pd.read_csv(folder / "robustness.csv", index_col=["damage", "modality", "level"])
        floor = float(pd.read_csv(folder / "subsets.csv")["floor"].iloc[0])
        metric = robustness.METRICS.get(folder.name) or headline(zoo.recipe(folder.name).target)
        figure = study_plots.robustness_curves(curves, metric, floor, folder.name)
        plots.save(figure, folder / "robustness.png")


if __name__ == "__main__":
    main()
