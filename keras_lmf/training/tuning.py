"""tune: KerasTuner picks rank, width and learning rate of low-rank fusion, on "valid" alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, import_extra
from keras_lmf.files import write_text
from keras_lmf.locate import RECIPE
from keras_lmf.recipe import Recipe
from keras_lmf.training.checkpoint import NotFiniteLoss
from keras_lmf.training.train import train

RANKS, WIDTHS = (1, 2, 4, 8, 16), (16, 32, 64, 128)
RATES = (1e-4, 1e-2)  # of learning, in the logarithm
TRIALS = "trials.csv"


def tune(recipe: Recipe, data: Dataset, folder: str | Path, *, trials: int = 20) -> pd.DataFrame:
    """Random search (KerasTuner's; Bergstra & Bengio, JMLR 2012) of rank, units and learning rate by the best value on
    "valid".

    Each trial is a run in `folder`. Called again, the same search is made again, as it is seeded by the recipe, but
    what is trained already isn't trained again: so it goes on where it was interrupted, and more `trials` prolong it.
    "test" is never read. `recipe.toml` in `folder` is the best recipe, `trials.csv` has all trials.

    Args:
        recipe: whose fusion is `low_rank`.
        data: its corpus, with a split "valid".
        folder: for the runs and the best recipe.
        trials: settings to try.

    Returns:
        A row per trial, the best first: `rank`, `units`, `learning_rate`, `valid` (what the recipe's `monitor` watches,
        smaller is better), `epoch` (the best) and `folder`.

    Raises:
        LMFError: another fusion, no "valid", no trial, or no KerasTuner (extra "tune").
    """
    folder = Path(folder)
    if recipe.fusion.name != "low_rank":
        raise LMFError(
            f"tune picks rank and width of the fusion 'low_rank'; {recipe.name!r} has {recipe.fusion.name!r}."
        )
    if "valid" not in data.split_names:
        raise LMFError(f"tune chooses on the split 'valid', and {data.name} has none.")
    if trials < 1:
        raise LMFError(f"'trials' takes 1 or more, received {trials}.")
    import_extra("keras_tuner", "tune")
    import keras_tuner

    base, rows = recipe.replace(training={"fit_on": "train"}), []

    class Search(keras_tuner.Tuner):
        def run_trial(self, trial: Any, **options: Any) -> dict[str, float]:
            chosen = _with(base, trial.hyperparameters.values)
            try:
                run = train(chosen, data, folder / f"run-{chosen.fingerprint[:12]}")
            except NotFiniteLoss as error:  # of these settings: the search goes on
                raise keras_tuner.errors.FailedTrialError(str(error)) from error
            except Exception as error:  # else KerasTuner would count it as a trial, too
                raise keras_tuner.errors.FatalError(str(error)) from error
            value = float(run.watched.min())
            facts = {"valid": value, "epoch": run.best_epoch, "folder": run.folder.name}
            rows.append(trial.hyperparameters.values | facts)
            return {"valid": value}

    space = keras_tuner.HyperParameters()
    space.Choice("rank", RANKS)
    space.Choice("units", WIDTHS)
    space.Float("learning_rate", *RATES, sampling="log")
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective=keras_tuner.Objective("valid", "min"),
        max_trials=trials,
        hyperparameters=space,
        seed=recipe.seed + 1,  # 0 would be another one each time
    )
    # What it writes is of no use here: the runs are what a search goes on from.
    search = Search(oracle=oracle, directory=str(folder), project_name="search", overwrite=True)
    try:
        search.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ from None
    except RuntimeError as error:  # several trials in a row whose loss was not finite
        raise LMFError(f"The search ended: {str(error).strip().splitlines()[0]}") from error
    if not rows:
        raise LMFError("The search ended without a result: the loss of every trial became NaN or infinite.")
    table = pd.DataFrame(rows).sort_values("valid", kind="stable", ignore_index=True)
    _with(base, table.iloc[0].to_dict()).write(folder / RECIPE)
    write_text(folder / TRIALS, table.to_csv(index=False))
    return table


def _with(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    fusion = {name: int(values[name]) for name in ("rank", "units")}
    rate = float(f"{values['learning_rate']:.3g}")
    return recipe.replace(fusion=fusion, training={"learning_rate": rate})
