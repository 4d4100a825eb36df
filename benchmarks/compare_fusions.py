"""Fusions compared, on each corpus with the same search budget for each, then on the test split.

    python benchmarks/compare_fusions.py search cmu_mosi --jobs 2
    python benchmarks/compare_fusions.py test cmu_mosi --jobs 2

`search` trains every trial on "train" and judges it on "valid"; trial t draws the same settings for every fusion, and
low-rank fusion runs with both initialisations, of which only the default's trials can be chosen. `test` takes each
fusion's best trial (per fold on RAVDESS: nested), trains it with several seeds, judges each once on "test", and once
more after a last fit on train + valid for the same number of epochs ("refit"); it also writes the zoo's recipes. Both
skip what their files in benchmarks/results already hold, so they resume. The tables: `python benchmarks/report.py`.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from comparison import COMPARISONS, INITIALIZATION
from tqdm import tqdm
from trials import initializations, recipe

from keras_lmf.data import corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.files import write_text
from keras_lmf.recipe import Recipe

RESULTS = Path(__file__).parent / "results"
ZOO = Path(__file__).parents[1] / "zoo"
JOB = ["fold", "fusion", "trial", "seed", "initialization"]
RESAMPLES = 1000

Job = dict[str, Any]


def job_recipe(corpus: str, job: Job) -> Recipe:
    return recipe(corpus, *(job[key] for key in JOB))


# -- one job, in a process of its own -------------------------------------------------------------------------
def search_job(corpus: str, job: Job) -> list[dict[str, Any]]:
    """The row of one trial on "valid"."""
    from keras_lmf.training import train

    built = job_recipe(corpus, job)
    data = corpora.load(COMPARISONS[corpus].corpus, **built.corpus.options)
    with tempfile.TemporaryDirectory() as folder:
        run = train(built, data, Path(folder) / "run")
        return [{**job, "epochs": run.best_epoch, **run.evaluate("valid", resamples=0).metrics}]


def test_job(corpus: str, job: Job) -> list[dict[str, Any]]:
    """The rows of one chosen trial on "test", fitted on "train" and on "train" + "valid", with the predictions."""
    from keras_lmf.training import train

    built = job_recipe(corpus, job)
    data = corpora.load(COMPARISONS[corpus].corpus, **built.corpus.options)
    with tempfile.TemporaryDirectory() as folder:
        run = train(built, data, Path(folder) / "run")
        epochs = run.best_epoch
        refit = train(
            built.replace(training={"epochs": epochs, "fit_on": "train + valid"}),
            data,
            Path(folder) / "refit",
        )
        rows = []
        for fitted, each in (("train", run), ("train + valid", refit)):
            report = each.evaluate("test", resamples=0)
            predictions = " ".join(f"{value:.6g}" for value in report.predictions.ravel())
            rows.append(
                {**job, "fitted": fitted, "epochs": epochs, **report.metrics, "predictions": predictions}
            )
        return rows


def run_jobs(corpus: str, function: Any, jobs: list[Job], path: Path, processes: int) -> pd.DataFrame:
    """Runs the jobs that the CSV at `path` doesn't hold yet; it is rewritten after every job."""
    jobs = [{**job, "recipe": job_recipe(corpus, job).fingerprint[:12]} for job in jobs]
    rows = pd.read_csv(path, keep_default_na=False).to_dict("records") if path.exists() else []
    planned = {job["recipe"] for job in jobs}
    strangers = [row for row in rows if row["recipe"] not in planned]
    if strangers:
        raise click.ClickException(
            f"{path} holds {len(strangers)} rows of recipes that are not planned any more: delete it to start anew"
        )
    done = {row["recipe"] for row in rows}
    missing = [job for job in jobs if job["recipe"] not in done]
    # Processes, not threads within one: the models are small.
    os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ["TQDM_DISABLE"] = "1"  # the workers' bars; this process has read it already
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    # Fresh processes now and then: compiled programs pile up. A process that dies ends the search with an error.
    spawn, at_once = multiprocessing.get_context("spawn"), 10 * processes
    with tqdm(total=len(missing), desc=path.stem) as bar:
        for start in range(0, len(missing), at_once):
            with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
                work = [pool.submit(function, corpus, job) for job in missing[start : start + at_once]]
                for finished in as_completed(work):
                    rows.extend(finished.result())
                    table = pd.DataFrame(rows).sort_values(JOB)
                    write_text(path, table.to_csv(index=False, float_format="%.6g"))
                    bar.update()
    return pd.DataFrame(rows)


# -- what follows from the rows -------------------------------------------------------------------------------
def best_trials(table: pd.DataFrame, corpus: str) -> pd.Series:
    """Trial with the best criterion on "valid", mean over the search's seeds, by fold and fusion. Where the folds
    don't choose one each, the mean is over them too."""
    table = table[table["initialization"].isin(["", INITIALIZATION])]
    metric, more_is_better = COMPARISONS[corpus].criterion
    runs = table.groupby(["fold", "fusion", "trial"])[metric].count().unstack("trial")
    complete = (len(COMPARISONS[corpus].folds) * len(COMPARISONS[corpus].fusions), COMPARISONS[corpus].trials)
    if runs.shape != complete or not (runs == len(COMPARISONS[corpus].search_seeds)).all(axis=None):
        raise click.ClickException(f"The search is incomplete; run it again to finish it:\n{runs}")
    means = table.groupby(["fold", "fusion", "trial"])[metric].mean().unstack("trial")
    if not COMPARISONS[corpus].nested:
        means = means.groupby("fusion").transform("mean")
    return means.idxmax(axis=1) if more_is_better else means.idxmin(axis=1)


def write_recipe(chosen: Recipe, name: str) -> None:
    """Writes the recipe of an entry, but for the seed, which is `keras-lmf publish`'s to choose."""
    path = ZOO / name / "recipe.toml"
    chosen = chosen.replace(name=name)
    if not path.is_file() or Recipe.read(path).replace(seed=chosen.seed) != chosen:
        chosen.write(path)


def write_entries(corpus: str, trials: pd.DataFrame, tests: pd.DataFrame) -> None:
    """What the zoo needs of each fusion: the chosen recipe, every trial on "valid", and the figures of the folds."""
    for fusion, name in COMPARISONS[corpus].entries.items():
        ours = tests[(tests["fusion"] == fusion) & (tests["fitted"] == COMPARISONS[corpus].headline)]
        fold = min(COMPARISONS[corpus].folds)
        first = ours[ours["fold"] == fold].iloc[0]
        built = recipe(corpus, fold, fusion, int(first["trial"]), 0, first["initialization"])
        if COMPARISONS[corpus].headline == "train + valid":
            # A fold's own number of epochs where it is a split of its own, else the folds' median.
            epochs = first["epochs"] if COMPARISONS[corpus].nested else ours["epochs"].median()
            built = built.replace(training={"epochs": int(epochs), "fit_on": COMPARISONS[corpus].headline})
        write_recipe(built, name)
        metric, _ = COMPARISONS[corpus].criterion
        listed = trials[trials["fusion"] == fusion].rename(columns={metric: "value"}).assign(metric=metric)
        columns = ["fold", "trial", "seed", "initialization", "epochs", "metric", "value"]
        write_text(ZOO / name / "trials.csv", listed[columns].to_csv(index=False, float_format="%.6g"))
        if len(COMPARISONS[corpus].folds) > 1:
            # Test folds, or the left-out folds of the search where all folds share the test split.
            chosen = (listed["trial"] == first["trial"]) & (
                listed["initialization"] == first["initialization"]
            )
            folds = ours if COMPARISONS[corpus].nested else trials.loc[listed.index[chosen]]
            text = folds[["fold", *COMPARISONS[corpus].metrics]].to_csv(index=False, float_format="%.6g")
            write_text(ZOO / name / "cross_validation.csv", text)
        if fusion == "low_rank":
            for other, change in COMPARISONS[corpus].derived.items():
                write_recipe(change(built), other)


def write_floor(corpus: str) -> None:
    """The constant predictions' metrics on "test", mean over the folds."""
    floors = []
    for fold in COMPARISONS[corpus].folds:
        data = corpora.load(COMPARISONS[corpus].corpus, **COMPARISONS[corpus].options(fold))
        anything = np.zeros((len(data["test"]), data.target.size))
        report = evaluate(anything, data["test"], train_labels=data["train"].labels, resamples=0)
        floors.append(report.table["floor"])
    table = pd.DataFrame(floors).mean().to_frame().T
    write_text(RESULTS / f"{corpus}_floor.csv", table.to_csv(index=False, float_format="%.6g"))


def write_intervals(corpus: str, table: pd.DataFrame) -> None:
    """95 % bootstrap intervals of the tables' means (over seeds and folds): units of the test split (see
    `Comparison.units`) drawn with replacement."""
    tests = {
        fold: corpora.load(COMPARISONS[corpus].corpus, **COMPARISONS[corpus].options(fold))["test"]
        for fold in COMPARISONS[corpus].folds
    }
    named = protocols(next(iter(tests.values())).target)
    random = np.random.default_rng(0)
    draws: dict[int, list[np.ndarray]] = {}
    for fold, test in tests.items() if COMPARISONS[corpus].nested else [(min(tests), tests[min(tests)])]:
        units = COMPARISONS[corpus].units(test)
        rows_of = [np.flatnonzero(units == unit) for unit in np.unique(units)]
        chosen = random.integers(len(rows_of), size=(RESAMPLES, len(rows_of)))
        draws[fold] = [np.concatenate([rows_of[group] for group in draw]) for draw in chosen]
    if not COMPARISONS[corpus].nested:  # one test split for all folds, so one draw of it
        draws = dict.fromkeys(tests, draws[min(tests)])
    rows = []
    for (fusion, fitted), runs in table.groupby(["fusion", "fitted"]):
        predictions = [
            (fold, np.array(run["predictions"].split(), labels.dtype).reshape(labels.shape))
            for run in runs.to_dict("records")
            for fold in [run["fold"]]
            for labels in [tests[fold].labels]
        ]
        for name in COMPARISONS[corpus].metrics:
            means = []
            for i in range(RESAMPLES):
                scores = [
                    named[name].score(tests[fold].labels[draws[fold][i]], predicted[draws[fold][i]])
                    for fold, predicted in predictions
                ]
                means.append(np.mean(scores))
            low, high = np.percentile(means, [2.5, 97.5])
            rows.append({"fusion": fusion, "fitted": fitted, "metric": name, "low": low, "high": high})
    write_text(
        RESULTS / f"{corpus}_intervals.csv", pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")
    )


# -- commands -------------------------------------------------------------------------------------------------
@click.group(help=__doc__)
def main() -> None:
    """The help is the module's docstring."""


CORPUS = click.argument("corpus", type=click.Choice(list(COMPARISONS)))
JOBS = click.option("--jobs", default=1, show_default=True, help="Processes at a time.")


@main.command()
@CORPUS
@JOBS
def search(corpus: str, jobs: int) -> None:
    """Every trial on "valid"."""
    plan = [
        dict(zip(JOB, (fold, fusion, trial, seed, initialization)))
        for trial, seed, fold, fusion in itertools.product(
            range(COMPARISONS[corpus].trials),
            COMPARISONS[corpus].search_seeds,
            COMPARISONS[corpus].folds,
            COMPARISONS[corpus].fusions,
        )
        for initialization in initializations(corpus, fusion)
    ]
    run_jobs(corpus, search_job, plan, RESULTS / f"{corpus}_search.csv", jobs)


@main.command("test")
@CORPUS
@JOBS
def test_command(corpus: str, jobs: int) -> None:
    """The chosen trials on "test", their intervals, the floor, and the recipes in zoo/."""
    trials = pd.read_csv(RESULTS / f"{corpus}_search.csv", keep_default_na=False)
    chosen = best_trials(trials, corpus)
    write_floor(corpus)
    plan = [
        dict(zip(JOB, (fold, fusion, int(trial), seed, INITIALIZATION if fusion == "low_rank" else "")))
        for (fold, fusion), trial in chosen.items()
        for seed in COMPARISONS[corpus].test_seeds
    ]
    table = run_jobs(corpus, test_job, plan, RESULTS / f"{corpus}_test.csv", jobs)
    write_intervals(corpus, table)
    write_entries(corpus, trials, table)


if __name__ == "__main__":
    main()
