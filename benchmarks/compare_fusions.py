"""Early, tensor and low-rank fusion on CMU-MOSI and RAVDESS: the same search budget for each, then the test split.

    python benchmarks/compare_fusions.py search cmu_mosi --jobs 2
    python benchmarks/compare_fusions.py test cmu_mosi --jobs 2
    KERAS_BACKEND=tensorflow python benchmarks/compare_fusions.py files cmu_mosi

`search` trains every trial on "train" and judges it on "valid"; trial t draws the same settings for every fusion.
`test` takes each fusion's best trial (per fold on RAVDESS: nested), trains it with several seeds, judges each once on
"test", once more after a last fit on train + valid for the same number of epochs ("refit"), and compares both
initialisations of low-rank fusion on "valid". Both commands skip what their CSV in benchmarks/results already
holds, so they resume. The tables in the README: `python benchmarks/report.py`.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from keras_lmf.data import corpora
from keras_lmf.evaluation import evaluate
from keras_lmf.files import write_text
from keras_lmf.recipe import Recipe

RESULTS = Path(__file__).parent / "results"
ZOO = Path(__file__).parents[1] / "zoo"
ENTRIES = {"cmu_mosi": "lmf-mosi-avt", "ravdess": "lmf-ravdess-av"}
FUSIONS = ("early", "tensor", "low_rank")
JOB = ["fold", "fusion", "trial", "seed", "initialization", "data"]

# Every value a trial can draw. Settings of low-rank fusion alone are drawn last, so that the shared ones of a trial
# are the same for all three fusions.
SPACES: dict[str, dict[str, list[Any]]] = {
    "cmu_mosi": {
        "text_units": [(32,), (64,), (64, 64)],
        "other_units": [(4,), (8,), (16,), (32,)],
        "text_input_dropout": [0.0, 0.2, 0.4],
        "other_input_dropout": [0.0, 0.3, 0.6],
        "dropout": [0.1, 0.3, 0.5],
        "head_units": [(), (32,)],
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "weight_decay": [0.0, 0.1, 1.0],
        "batch_size": [32, 128],
        "loss": ["mae", "huber"],
        "units": [16, 32, 64],
        "rank": [1, 2, 4, 8],
        "initialization": ["variance_preserving", "reference"],
        "fusion_rate": [0.3, 1.0],
    },
    "ravdess": {
        "audio_units": [(64,), (128,), (64, 64)],
        "video_units": [(64,), (128,), (64, 64)],
        "input_noise": [0.0, 0.3, 0.6],
        "input_dropout": [0.0, 0.2, 0.4],
        "dropout": [0.2, 0.35, 0.5],
        "head_units": [(), (64,)],
        "learning_rate": [1e-3, 2e-3],
        "weight_decay": [0.0, 0.1, 1.0],
        "batch_size": [32, 64],
        "units": [64, 128],
        "rank": [2, 4, 8],
        "initialization": ["variance_preserving", "reference"],
        "fusion_rate": [0.3, 1.0],
    },
}
FOLDS = {"cmu_mosi": [0], "ravdess": [0, 1, 2, 3, 4]}
# One seed per fold on RAVDESS: there the five folds are the repetitions.
SEARCH_SEEDS = {"cmu_mosi": range(2), "ravdess": range(1)}
TEST_SEEDS = {"cmu_mosi": range(5), "ravdess": range(2)}
# What chooses a trial on "valid", and whether more is better.
CRITERION = {"cmu_mosi": ("mae", False), "ravdess": ("war", True)}


def draw(corpus: str, trial: int) -> dict[str, Any]:
    """The settings of a trial, a pure function of its number."""
    generator = np.random.default_rng(trial)
    return {name: values[generator.integers(len(values))] for name, values in SPACES[corpus].items()}


def fusion_section(fusion: str, settings: dict[str, Any]) -> dict[str, Any]:
    if fusion != "low_rank":
        return {"name": fusion}
    return {"name": fusion, **{key: settings[key] for key in ("units", "rank", "initialization")}}


def cmu_mosi_inputs(settings: dict[str, Any]) -> dict[str, Any]:
    def mlp(kind: str) -> dict[str, Any]:
        return {
            "name": "mlp",
            "units": settings[f"{kind}_units"],
            "input_dropout": settings[f"{kind}_input_dropout"],
            "dropout": settings["dropout"],
        }

    return {
        "audio": {"shape": (73,), "backbone": mlp("other")},
        "video": {"shape": (100,), "backbone": mlp("other")},
        "text": {"shape": (100,), "backbone": mlp("text")},
    }


def ravdess_inputs(settings: dict[str, Any]) -> dict[str, Any]:
    def mlp(modality: str) -> dict[str, Any]:
        regularisation = {key: settings[key] for key in ("input_noise", "input_dropout", "dropout")}
        return {"name": "mlp", "units": settings[f"{modality}_units"], **regularisation}

    return {
        "audio_statistics": {"shape": (75,), "backbone": mlp("audio")},
        "video": {"shape": (35,), "backbone": mlp("video")},
    }


INPUTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "cmu_mosi": cmu_mosi_inputs,
    "ravdess": ravdess_inputs,
}


def recipe(corpus: str, fold: int, fusion: str, trial: int, seed: int, initialization: str = "") -> Recipe:
    """The recipe of one trial. `initialization` overrides the trial's own."""
    settings = draw(corpus, trial)
    settings["initialization"] = initialization or settings["initialization"]
    options = {"fold": fold} if corpus == "ravdess" else {"split": "split"}
    rate = settings["learning_rate"]
    return Recipe(
        name=f"{fusion.replace('_', '-')}-{corpus.replace('_', '-')}",
        seed=seed,
        corpus={"name": corpus, "options": options},
        target=corpora.load(corpus).target.model_dump(exclude_none=True),
        inputs=INPUTS[corpus](settings),
        fusion=fusion_section(fusion, settings),
        head={"units": settings["head_units"], "dropout": settings["dropout"]},
        training={
            "epochs": 100,
            "patience": 10,
            "batch_size": settings["batch_size"],
            "learning_rate": rate,
            "fusion_learning_rate": rate * settings["fusion_rate"],
            "weight_decay": settings["weight_decay"],
            "loss": settings.get("loss", "cross_entropy"),
        },
    )


def run_job(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Trains one recipe and gives the rows for the CSV; in a process of its own."""
    from keras_lmf.training import train

    job = dict(job)
    corpus, data_kind = job.pop("corpus"), job["data"]
    built = recipe(corpus, *(job[key] for key in JOB[:5]))
    data = corpora.load(corpus, **built.corpus.options)
    with tempfile.TemporaryDirectory() as folder:
        run = train(built, data, Path(folder) / "run")
        epochs = run.best_epoch
        split = "valid" if data_kind == "valid" else "test"
        rows = [{**job, "epochs": epochs, **run.evaluate(split, resamples=0).metrics}]
        if data_kind == "test":
            again = built.replace(training={"epochs": epochs})
            refit = train(again, data.with_validation_in_training(), Path(folder) / "refit")
            rows.append(
                {**job, "data": "refit", "epochs": epochs, **refit.evaluate("test", resamples=0).metrics}
            )
    return rows


def run_jobs(corpus: str, name: str, jobs: list[dict[str, Any]], processes: int) -> pd.DataFrame:
    """Runs the jobs that the CSV doesn't hold yet; it is rewritten after every job."""
    path = RESULTS / f"{corpus}_{name}.csv"
    rows = pd.read_csv(path, keep_default_na=False).to_dict("records") if path.exists() else []
    done = {tuple(row[key] for key in JOB) for row in rows}
    missing = [job for job in jobs if tuple(job[key] for key in JOB) not in done]
    # Processes, not threads within one: the models are small.
    os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ["TQDM_DISABLE"] = "1"  # the workers' bars; this process has read it already
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    # A fresh process now and then: compiled programs pile up.
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=40) as pool:
        for result in tqdm(pool.imap_unordered(run_job, missing), total=len(missing), desc=path.stem):
            rows.extend(result)
            table = pd.DataFrame(rows).sort_values(JOB)
            write_text(path, table.to_csv(index=False, float_format="%.6g"))
    return pd.DataFrame(rows)


def best_trials(corpus: str) -> pd.Series:
    """Trial with the best criterion on "valid", mean over the search's seeds, per fold and fusion."""
    table = pd.read_csv(RESULTS / f"{corpus}_search.csv", keep_default_na=False)
    metric, more_is_better = CRITERION[corpus]
    runs = table.groupby(["fold", "fusion", "trial"])[metric].count().unstack("trial")
    if not (runs == len(SEARCH_SEEDS[corpus])).all(axis=None):
        raise click.ClickException(f"The search is incomplete; run it again to finish it:\n{runs}")
    means = table.groupby(["fold", "fusion", "trial"])[metric].mean().unstack("trial")
    return means.idxmax(axis=1) if more_is_better else means.idxmin(axis=1)


def write_floor(corpus: str) -> None:
    """The constant predictions' metrics on "test", mean over the folds."""
    floors = []
    for fold in FOLDS[corpus]:
        built = recipe(corpus, fold, "early", 0, seed=0)
        data = corpora.load(corpus, **built.corpus.options)
        anything = np.zeros((len(data["test"]), data.target.size))
        report = evaluate(anything, data["test"], train_labels=data["train"].labels, resamples=0)
        floors.append(report.table["floor"])
    table = pd.DataFrame(floors).mean().to_frame().T
    write_text(RESULTS / f"{corpus}_floor.csv", table.to_csv(index=False, float_format="%.6g"))


@click.group(help=__doc__)
def main() -> None:
    """The help is the module's docstring."""


CORPUS = click.argument("corpus", type=click.Choice(list(SPACES)))
JOBS = click.option("--jobs", default=1, show_default=True, help="Processes at a time.")


@main.command()
@CORPUS
@JOBS
@click.option("--trials", default=10, show_default=True, help="Trials per fusion and fold.")
def search(corpus: str, jobs: int, trials: int) -> None:
    """Every trial on "valid"."""
    plan = [
        {"corpus": corpus, "fold": fold, "fusion": fusion, "trial": trial, "seed": seed}
        | {"initialization": "", "data": "valid"}
        for trial, seed, fold, fusion in itertools.product(
            range(trials), SEARCH_SEEDS[corpus], FOLDS[corpus], FUSIONS
        )
    ]
    run_jobs(corpus, "search", plan, jobs)


@main.command("test")
@CORPUS
@JOBS
def test_command(corpus: str, jobs: int) -> None:
    """The chosen trials on "test", both initialisations on "valid", the floor, and the recipe in zoo/."""
    chosen = best_trials(corpus)
    main_recipe = recipe(corpus, 0, "low_rank", int(chosen[0, "low_rank"]), seed=0)
    main_recipe.replace(name=ENTRIES[corpus]).write(ZOO / ENTRIES[corpus] / "recipe.toml")
    write_floor(corpus)
    common = [
        {"corpus": corpus, "fold": fold, "fusion": fusion, "trial": int(trial), "seed": seed}
        for (fold, fusion), trial in chosen.items()
        for seed in TEST_SEEDS[corpus]
    ]
    plan = [{**job, "initialization": "", "data": "test"} for job in common]
    run_jobs(corpus, "test", plan, jobs)
    plan = [
        {**job, "initialization": initialization, "data": "valid"}
        for job in common
        if job["fusion"] == "low_rank"
        for initialization in ("variance_preserving", "reference")
    ]
    run_jobs(corpus, "initialization", plan, jobs)


@main.command()
@CORPUS
def files(corpus: str) -> None:
    """The zoo's recipe trained and exported (on the TensorFlow backend): the metrics of the written files."""
    from keras_lmf.export import export_model, report
    from keras_lmf.training import train

    built = Recipe.read(ZOO / ENTRIES[corpus] / "recipe.toml")
    data = corpora.load(corpus, **built.corpus.options)
    with tempfile.TemporaryDirectory() as folder:
        run = train(built, data, Path(folder) / "run")
        table = report(
            export_model(run.model, Path(folder) / "exported", evaluation=data["test"], resamples=0)
        )
    write_text(RESULTS / f"{corpus}_files.csv", table.to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main()
