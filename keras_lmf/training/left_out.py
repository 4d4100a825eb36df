"""Leave one corpus out: what a recipe of several corpora is worth on one that it never met."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import headline
from keras_lmf.files import write_atomically
from keras_lmf.models import pretrained
from keras_lmf.runtime import open_artifact
from keras_lmf.training.comparison import SHOWN
from keras_lmf.training.enrolled import CLIPS, LEAST_CLIPS, enrollable, enrolled_metrics, known_speakers
from keras_lmf.training.features import split_features
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
            the corpus that the others lack: their rows were not judged. Where the voice is behind a front end, also
            `others_enrolled_3`, `others_enrolled_10`, `all_enrolled_3` and `all_enrolled_10`, of the same models with
            so many clips of the speaker enrolled (`training.enrolled`), NaN where no speaker has enough;
            `enrolled_rows`, how many were judged so; `speakers_left_out`, with fewer than 15 clips.
    """

    title: str
    table: pd.DataFrame

    def to_markdown(self) -> str:
        """A row per corpus and metric, mean ± standard deviation over the seeds."""
        lines = []
        counts = [clips for clips in CLIPS if f"others_enrolled_{clips}" in self.table]
        for (corpus, metric), rows in self.table.groupby(["corpus", "metric"], sort=False):
            facts, name = rows.iloc[0], {"corpus": corpus, "metric": metric_name(metric)}
            raw = {"rows": facts["rows"], "floor": f"{facts['floor']:.3f}"} | _means(rows, "")
            lines.append(name | {"clips enrolled": 0} | raw)
            for clips in counts:
                of = {"rows": facts["enrolled_rows"], "floor": ""} | _means(rows, f"_enrolled_{clips}")
                lines.append(name | {"clips enrolled": clips} | of)
        table = pd.DataFrame(lines) if counts else pd.DataFrame(lines).drop(columns="clips enrolled")
        text = f"{self.title}\n\n{table.to_markdown(index=False, disable_numparse=True)}"
        for corpus, without in self.table.groupby("corpus", sort=False)["without"].first().items():
            if without:
                text += f"\n\n{corpus}: rows of {without} were not judged, as no other corpus has them."
        for corpus, rows in self.table.groupby("corpus", sort=False) if counts else ():
            if few := rows["speakers_left_out"].iloc[0]:
                text += f"\n\n{corpus}: {few} speakers with fewer than {LEAST_CLIPS} clips were not enrolled."
        return text

    def __str__(self) -> str:
        return self.to_markdown()

    def save(self, folder: Path) -> Path:
        """Writes the table into `folder`; returns its path."""
        return write_atomically(folder / CSV, lambda path: self.table.to_csv(path, index=False))


def _means(rows: pd.DataFrame, how: str) -> dict[str, str]:
    """Mean ± standard deviation over the seeds, of both kinds of models; "–" where there are none."""
    found = {}
    for column, heading in (("others", "trained on the others"), ("all", "trained on all")):
        values = rows[f"{column}{how}"]
        spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
        found[heading] = "–" if values.isna().any() else f"{values.mean():.3f}{spread}"
    return found


def leave_one_corpus_out(run: Run, *, seeds: int = 1) -> LeaveOneCorpusOut:
    """Trains the run's recipe anew for each corpus of its data without that corpus, and judges it on the corpus's test
    split; beside it, on the same rows, models that were trained on all: the run's own, and one for each further seed.

    A training reads "train" and "valid" of the others alone: the epoch is chosen on their "valid". The seeds are the
    run's, and the next ones. Each training is a run in the folder `leave_one_corpus_out` of the run's; a finished one
    is not trained again, and an interrupted one goes on. Rows of a class that no other corpus trains are not judged: no
    such model can name it. An answer may be any class.

    Where the voice is behind a front end, models also answer with 3 and with 10 clips of the speaker enrolled: each row
    after others of its group that are drawn at random, mean over 10 draws, on all rows of groups with 15 or more.
    Front ends give their features once for each corpus.

    Args:
        run: a run of a recipe of several corpora; `run.model` is judged too.
        seeds: how many trainings of each.

    Raises:
        LMFError: data of one corpus, a corpus without test rows, a recipe that starts from another model or learns
            from one, or as `train`.
    """
    if seeds < 1:
        raise LMFError(f"'seeds' takes 1 or more, received {seeds}.")
    if run.recipe.start is not None:
        raise LMFError(
            f"{run.recipe.name!r} starts from {run.recipe.start.source!r}, whose weights may know the corpus that is "
            "left out. Leaving one corpus out needs a recipe without [start]."
        )
    if run.recipe.training.distillation is not None:
        raise LMFError(
            f"{run.recipe.name!r} learns from {', '.join(run.recipe.training.distillation.teacher)}, which may know "
            "the corpus that is left out. Leaving one corpus out needs a recipe without [training.distillation]."
        )
    data = run.dataset()
    names = _corpora(data, run)
    judge = _Judge({name: _judged_rows(data, name) for name in names})
    folder, first = run.folder / Path(CSV).stem, run.recipe.seed
    jobs = [(name, seed) for name in (None, *names) for seed in range(first, first + seeds)]
    rows: list[dict[str, object]] = []
    within: dict[tuple[str, int], pd.DataFrame] = {}
    for left_out, seed in tqdm(
        jobs, desc="leave one corpus out", unit="run", delay=2, leave=False, disable=None
    ):
        recipe = run.recipe.replace(seed=seed)
        if left_out is None:
            every = run if seed == first else train(recipe, data, folder / f"all-seed-{seed}")
            within |= {(name, seed): judge.figures(every, name) for name in names}
            continue
        others = _without(data, left_out)
        trained = train(recipe, others, folder / f"without-{left_out}-seed-{seed}")
        found = judge.figures(trained, left_out, others["train"].labels)
        both = within[left_out, seed]
        facts = judge.facts[left_out] | {"without": ", ".join(_lacking(data, left_out))}
        rows += [
            {"corpus": left_out, "metric": metric, "seed": seed}
            | found.loc[metric].drop("floor").add_prefix("others").to_dict()
            | both.loc[metric].drop("floor").add_prefix("all").to_dict()
            | {"floor": found.at[metric, "floor"]}
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


class _Judge:
    """Judges runs on the rows of a corpus, of which front ends give their features once.

    Attributes:
        facts: corpus → what the table says of its rows, once a run was judged on them.
    """

    def __init__(self, tests: Mapping[str, Split]) -> None:
        self.facts = {corpus: {"rows": len(test)} for corpus, test in tests.items()}
        self._tests = tests
        self._features: dict[tuple[str, str], Split] = {}

    def figures(self, run: Run, corpus: str, train_labels: np.ndarray | None = None) -> pd.DataFrame:
        """A row for each metric. Columns: "", of the model as it is; "_enrolled_3" and so on, where speakers can be
        enrolled; "floor"."""
        model, test = pretrained.behind_front_ends(run.recipe, run.model), self._seen(run, corpus)
        answers = open_artifact(model).predict(test.inputs)[test.target.name]
        table = evaluate(answers, test, train_labels=train_labels, resamples=0).table
        found = table[["value", "floor"]].rename(columns={"value": ""})
        if modality := enrollable(run.recipe, model):
            known = known_speakers(test, modality)
            few = len(set(test.groups) - set(test.groups[known]))
            self.facts[corpus] |= {"enrolled_rows": int(known.sum()), "speakers_left_out": few}
            metrics = enrolled_metrics(model, modality, test.take(known)) if known.any() else {}
            for clips in CLIPS:
                found[f"_enrolled_{clips}"] = pd.Series(metrics.get(clips, {}), dtype=float)
        return found

    def _seen(self, run: Run, corpus: str) -> Split:
        """The rows as what is behind the run's front ends takes them."""
        parts = [name for name, section in run.recipe.inputs.items() if section.front_end]
        if not parts:
            return self._tests[corpus]
        models = {name: run.model.get_layer(f"{name}_front_end") for name in parts}
        # Front ends that start from random weights differ between runs.
        weights = hashlib.sha256()
        for model in models.values():
            for array in model.get_weights():
                weights.update(array.tobytes())
        key = corpus, weights.hexdigest()
        if key not in self._features:
            self._features[key] = split_features(self._tests[corpus], models, f"{run.recipe.name}, {corpus}")
        return self._features[key]


def _shown(data: Dataset, known: Sequence[str]) -> list[str]:
    first = headline(data.target)
    return [first, *(name for name in SHOWN if name in known and name != first)]
