"""Tables 2, 3 and 4 of the reference paper (Kumar & Martin, "Cross-Modal Harmony"): its figures beside ours.

python benchmarks/paper_tables.py

prints them from benchmarks/results. Published figures stand in rows of their own; docs/results.md, into which
report.py writes the tables, says what can be compared and what can't.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import numpy as np
import pandas as pd
from comparison import COMPARISONS
from measurements import RESULTS
from sklearn.metrics import f1_score

from keras_lmf.data import corpora

PAPER, LIU, MMSA = "Kumar & Martin", "Liu et al. 2018", "MMSA's re-run, BERT text"
UNSEARCHED = "ours, settings of LMF"
FUSIONS = {"early": "early", "tensor": "TFN", "low_rank": "LMF"}
# Table 2: MAE, Pearson r, then percent. MMSA's Acc-2 is y ≥ 0; the others don't say.
MOSI = ["mae", "pearson", "acc2_nonneg", "acc7", "f1_weighted"]
PUBLISHED_MOSI = [
    (PAPER, "TFN", (0.940, 0.623, 73.9, 51.4, 73.4)),
    (PAPER, "LMF", (0.910, 0.678, 77.4, 55.7, 75.7)),
    (LIU, "LMF", (0.912, 0.668, 76.4, 32.8, 75.7)),
    (MMSA, "TFN", (0.947, 0.673, 77.99, 34.46, None)),
    (MMSA, "LMF", (0.950, 0.651, 77.90, 33.82, None)),
]
# Table 3: F1 of "this emotion or not", percent.
EMOTIONS = ("happy", "sad", "angry", "neutral")
PUBLISHED_IEMOCAP = [
    (PAPER, "TFN", (83.6, 82.6, 84.6, 63.4)),
    (PAPER, "LMF", (85.9, 85.6, 89.3, 71.4)),
    (LIU, "LMF", (85.8, 85.9, 89.0, 71.7)),
    ("their 938 test clips", "always no", (79.0, 70.3, 65.4, 44.0)),
]


def table_2() -> pd.DataFrame:
    """CMU-MOSI."""
    rows = [
        {"source": source, "fusion": fusion} | dict(zip(MOSI, figures))
        for source, fusion, figures in PUBLISHED_MOSI
    ]
    runs = _runs("cmu_mosi")
    for fusion, label in FUSIONS.items():
        mean = runs[runs["fusion"] == fusion][MOSI].mean()
        mean[MOSI[2:]] *= 100
        rows.append({"source": "ours", "fusion": label} | mean.to_dict())
    for way, found in _family("cmu_mosi"):
        mean = found[MOSI].mean()
        mean[MOSI[2:]] *= 100
        rows.append({"source": UNSEARCHED, "fusion": way} | mean.to_dict())
    return pd.DataFrame(rows)


def table_3() -> pd.DataFrame:
    """IEMOCAP: the weighted F1 of the papers, and the F1 of "yes", for each emotion."""
    rows = [
        {"source": source, "fusion": fusion} | dict(zip(EMOTIONS, figures))
        for source, fusion, figures in PUBLISHED_IEMOCAP
    ]
    test = corpora.load("iemocap", **COMPARISONS["iemocap"].options(4))["test"]
    rows.append(_iemocap_row("ours", "always no", [np.full(len(test), -1)], test))
    runs = _runs("iemocap")
    for fusion, label in FUSIONS.items():
        answers = [np.array(text.split(), int) for text in runs[runs["fusion"] == fusion]["predictions"]]
        rows.append(_iemocap_row("ours", label, answers, test))
    for way, found in _family("iemocap"):
        answers = [np.array(text.split(), int) for text in found["predictions"]]
        rows.append(_iemocap_row(UNSEARCHED, way, answers, test))
    return pd.DataFrame(rows)


def table_4() -> pd.DataFrame:
    """Speed, from `fusion_speed.py --against torch --folder benchmarks/results/speed`."""
    return pd.read_csv(RESULTS / "speed" / "table_4.csv")


def _runs(corpus: str) -> pd.DataFrame:
    """The test runs of the fit that counts."""
    runs = pd.read_csv(RESULTS / f"{corpus}_test.csv")
    return runs[runs["fitted"] == COMPARISONS[corpus].headline]


def _family(corpus: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The runs of `family.py` by way."""
    yield from pd.read_csv(RESULTS / f"family_{corpus}.csv").groupby("way", sort=False)


def _iemocap_row(source: str, label: str, answers: list[np.ndarray], test: Any) -> dict[str, Any]:
    def score(emotion: str, average: str) -> float:
        this = test.target.classes.index(emotion)
        return 100 * float(
            np.mean(
                [f1_score(test.labels == this, a == this, average=average, zero_division=0) for a in answers]
            )
        )

    return (
        {"source": source, "fusion": label}
        | {emotion: score(emotion, "weighted") for emotion in EMOTIONS}
        | {f'{emotion}, F1 of "yes"': score(emotion, "binary") for emotion in EMOTIONS}
    )


def markdown() -> dict[str, str]:
    """Every table by the name of its marker in the page."""
    tables = {
        "table-2": table_2().to_markdown(index=False, floatfmt=".3f"),
        "table-3": table_3().to_markdown(index=False, floatfmt=".1f"),
        "table-4": table_4().to_markdown(index=False, floatfmt=",.2f"),
    }
    return {name: table.replace(" nan ", "     ") for name, table in tables.items()}


@click.command(help=__doc__)
def main() -> None:
    for name, text in markdown().items():
        click.echo(f"\n{name}\n\n{text}")


if __name__ == "__main__":
    main()
