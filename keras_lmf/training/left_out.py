"""Leave one corpus out: what a recipe of several corpora is worth on one that it never met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.protocols import headline
from keras_lmf.files import write_atomically
from keras_lmf.runtime import open_artifact
from keras_lmf.training.comparison import SHOWN
from keras_lmf.training.run import Run
from keras_lmf.training.train import train

CSV = "leave_one_corpus_out.csv"


@dataclass(frozen=True, eq=False)
class LeaveOneCorpusOut:
    """What `leave_one_corpus_out` found. `print(found)` shows it.

    Attributes:
        title: of what, and over how many seeds.
        table: a row for each corpus, metric and seed. Columns: `corpus`, `metric`, `seed`; `others`, of the model that
            was trained on the other corpora; `all`, of the model that was trained on this one too; `floor`, of a
            constant answer chosen from the others' training labels; `rows`, how many were judged; `without`, classes of
            the corpus that the others lack: their rows were not judged.
    """

    title: str
    table: pd.DataFrame

    def to_markdown(self) -> str:
        """A row per corpus and metric, mean ± standard deviation over the seeds."""
        lines = []
        for (corpus, metric), rows in self.table.groupby(["corpus", "metric"], sort=False):
            line = {"corpus": corpus, "rows": rows["rows"].iloc[0], "metric": metric}
            line["floor"] = f"{rows['floor'].iloc[0]:.3f}"
            for column, heading in (("others", "trained on the others"), ("all", "trained on all")):
                spread = f" ± {rows[column].std():.3f}" if len(rows) > 1 else ""
                line[heading] = f"{rows[column].mean():.3f}{spread}"
            lines.append(line)
        text = f"{self.title}\n\n{pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)}"
        for corpus, without in self.table.groupby("corpus", sort=False)["without"].first().items():
            if without:
                text += f"\n\n{corpus}: rows of {without} were not judged, as no other corpus has them."
        return text

    def __str__(self) -> str:
        return self.to_markdown()

    def save(self, folder: Path) -> Path:
        """Writes the table into `folder`; returns its path."""
        return write_atomically(folder / CSV, lambda path: self.table.to_csv(path, index=False))


def leave_one_corpus_out(run: Run, *, seeds: int = 1) -> LeaveOneCorpusOut:
    """Trains the run's recipe anew for each corpus of its data without that corpus, and judges it on the corpus's test
    split; beside it, on the same rows, models that were trained on all: the run's own, and one for each further seed.

    A training reads "train" and "valid" of the others alone: the epoch is chosen on their "valid". The seeds are the
    run's, and the next ones. Each training is a run in the folder `leave_one_corpus_out` of the run's; a finished one
    is not trained again, and an interrupted one goes on. Rows of a class that no other corpus trains are not judged: no
    such model can name it. An answer may be any class.

    Args:
        run: a run of a recipe of several corpora; `run.model` is judged too.
        seeds: how many trainings of each.

    Raises:
        LMFError: data of one corpus, a corpus without test rows, a recipe that starts from another model, or as
            `train`.
    """
    if seeds < 1:
        raise LMFError(f"'seeds' takes 1 or more, received {seeds}.")
    if run.recipe.start is not None:
        raise LMFError(
            f"{run.recipe.name!r} starts from {run.recipe.start.source!r}, whose weights may know the corpus that is "
            "left out. Leaving one corpus out needs a recipe without [start]."
        )
    data = run.dataset()
    names = _corpora(data, run)
    tests = {name: _judged_rows(data, name) for name in names}
    folder, first = run.folder / Path(CSV).stem, run.recipe.seed
    jobs = [(name, seed) for name in (None, *names) for seed in range(first, first + seeds)]
    rows: list[dict[str, object]] = []
    within: dict[tuple[str, int], dict[str, float]] = {}
    for left_out, seed in tqdm(
        jobs, desc="leave one corpus out", unit="run", delay=2, leave=False, disable=None
    ):
        recipe = run.recipe.replace(seed=seed)
        if left_out is None:
            every = run if seed == first else train(recipe, data, folder / f"all-seed-{seed}")
            within |= {(name, seed): _metrics(every, tests[name]) for name in names}
            continue
        others = _without(data, left_out)
        trained = train(recipe, others, folder / f"without-{left_out}-seed-{seed}")
        test, labels = tests[left_out], others["train"].labels
        found = evaluate(_answers(trained, test), test, train_labels=labels, resamples=0).table
        facts = {"rows": len(test), "without": ", ".join(_lacking(data, left_out))}
        rows += [
            {"corpus": left_out, "metric": metric, "seed": seed, "others": found["value"][metric]}
            | {"all": within[left_out, seed][metric], "floor": found["floor"][metric]}
            | facts
            for metric in _shown(data, found.index)
        ]
    many = f"{seeds} seeds" if seeds > 1 else f"seed {first}"
    return LeaveOneCorpusOut(f"{run.recipe.name}: test split of each corpus, {many}", pd.DataFrame(rows))


def _corpora(data: Dataset, run: Run) -> list[str]:
    """The corpora in the data, two or more, in their order."""
    names = [] if data.corpora is None else list(dict.fromkeys(data.corpora.tolist()))
    if len(names) < 2:
        raise LMFError(
            f"Leaving one corpus out needs data of several, and {run.recipe.name!r} is trained on "
            f'{run.recipe.corpus.name!r} alone. Name several in its recipe: [corpus] name = ["ravdess", "emodb"].'
        )
    for name in names:
        if "/" in name or "\\" in name:
            raise LMFError(f"The corpus {name!r} can't name a folder: give it a name without a slash.")
    return names


def _without(data: Dataset, corpus: str) -> Dataset:
    """What is trained on where `corpus` is left out: rows of the others, none of them of a test split."""
    return data.take((data.corpora != corpus) & (data.splits != "test"))


def _lacking(data: Dataset, corpus: str) -> list[str]:
    """The classes of a corpus's test rows that no other corpus trains."""
    if not data.target.classes:
        return []
    trained = data.labels[(data.corpora != corpus) & (data.splits == "train")]
    tested = data.labels[(data.corpora == corpus) & (data.splits == "test")]
    return [data.target.classes[label] for label in np.setdiff1d(tested, trained)]


def _judged_rows(data: Dataset, corpus: str) -> Split:
    """The corpus's test rows of classes that another corpus trains."""
    rows = (data.corpora == corpus) & (data.splits == "test")
    if lacking := _lacking(data, corpus):
        rows &= ~np.isin(data.labels, [data.target.classes.index(name) for name in lacking])
    if not rows.any():
        raise LMFError(f"The corpus {corpus!r} has no test rows of a class that another corpus trains.")
    return data.take(rows)["test"]


def _answers(run: Run, test: Split) -> np.ndarray:
    return open_artifact(run.model).predict(test.inputs)[test.target.name]


def _metrics(run: Run, test: Split) -> dict[str, float]:
    return evaluate(_answers(run, test), test, resamples=0).metrics


def _shown(data: Dataset, known: Sequence[str]) -> list[str]:
    first = headline(data.target)
    return [first, *(name for name in SHOWN if name in known and name != first)]
