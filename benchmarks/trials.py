"""The trials of `compare_fusions.py`: what a number draws from a search space, and the recipe of that."""

from __future__ import annotations

from typing import Any

import numpy as np
from comparison import COMPARISONS, Settings

from keras_lmf.data import corpora
from keras_lmf.recipe import Recipe


def draw(comparison: str, trial: int) -> Settings:
    """The settings of a trial, a pure function of its number."""
    generator = np.random.default_rng(trial)
    space = COMPARISONS[comparison].space
    return {name: values[generator.integers(len(values))] for name, values in space.items()}


def fusion_section(settings: Settings, fusion: str, initialization: str) -> dict[str, Any]:
    """A fusion's settings; those of sequences are as wide as each other."""
    low_rank = {"units": settings["units"], "rank": settings["rank"], "initialization": initialization}
    if fusion == "low_rank":
        return low_rank
    sequence = {key: settings[key] for key in ("pooling", "dropout") if key in settings}
    if fusion == "step_by_step":
        each = {"name": "low_rank", "units": settings["units"], "rank": settings["rank"]}
        return sequence | {
            "each": each,
            "filters": (settings["units"],),
            "attention": settings["attention"],
        }
    if fusion == "multimodal_transformer":
        return sequence | {"units": settings["units"]}
    return {}


def initializations(comparison: str, fusion: str) -> tuple[str, ...]:
    """Those that a fusion is searched with; empty where it has none."""
    return COMPARISONS[comparison].initializations if fusion == "low_rank" else ("",)


def recipe(comparison: str, fold: int, fusion: str, trial: int, seed: int, initialization: str) -> Recipe:
    """The recipe of one trial. `initialization` is low-rank fusion's, and empty for the others."""
    settings, compared = draw(comparison, trial), COMPARISONS[comparison]
    rate = settings["learning_rate"]
    return Recipe(
        name=f"{fusion.replace('_', '-')}-{comparison.replace('_', '-')}",
        seed=seed,
        corpus={
            "name": compared.corpus,
            "options": compared.options(fold),
        },
        target=corpora.load(compared.corpus).target.model_dump(exclude_none=True),
        inputs=compared.inputs(settings),
        fusion={"name": fusion, **fusion_section(settings, fusion, initialization)},
        head={"units": settings.get("head_units", ()), "dropout": settings["dropout"]},
        training={
            "epochs": 100,
            "patience": settings.get("patience", 10),
            "monitor": settings.get("monitor", "loss"),
            "batch_size": settings["batch_size"],
            "learning_rate": rate,
            "fusion_learning_rate": rate * settings["fusion_rate"],
            "weight_decay": settings["weight_decay"],
            "loss": settings.get("loss", "cross_entropy"),
            "class_weights": settings.get("class_weights", "none"),
            "output_bias": settings.get("output_bias", "zeros"),
        },
    )
