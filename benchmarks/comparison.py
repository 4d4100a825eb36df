"""What `compare_fusions.py` compares: the search spaces and the budgets. `trials.py` makes recipes of them.

A search's space and budget were fixed before the rows it is judged by; docs/results.md says where that was not so.
A change here makes the CSVs in benchmarks/results stale; they hold each
recipe's fingerprint, and `compare_fusions.py` refuses to mix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_lmf.data import Split
from keras_lmf.recipe import LowRank, Recipe

POOLED = ("early", "tensor", "low_rank")
INITIALIZATIONS = ("variance_preserving", "reference")
INITIALIZATION = LowRank.model_fields["initialization"].default

Settings = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Fusions compared on one corpus, with the same budget for each.

    Attributes:
        corpus: its name.
        space: every value a trial can draw. Settings of one fusion alone come last, so that the shared ones of a trial
            are the same for all fusions.
        inputs: the recipe's inputs with a trial's settings.
        trials: how many; with the seeds, the budget. The seed of a trial draws its weights and batches.
        metrics: what the tables show.
        criterion: what chooses a trial on "valid", and whether more is better.
        headline: the fit that counts, named before the test runs.
        options: the loader's, of a fold.
        folds: those that are run. Where there are folds, they are the repetitions.
        nested: whether every fold has its own test split: then each chooses its own trial; else all choose one.
        initializations: those that low-rank fusion is searched with.
        units: what the bootstrap draws: videos, actors, reviews.
        entries: fusion → the zoo's entry that `compare_fusions.py test` writes the recipe of.
        derived: entry → its change to the low-rank recipe, not searched for by itself.
    """

    corpus: str
    space: Mapping[str, list[Any]]
    inputs: Callable[[Settings], dict[str, Any]]
    trials: int
    metrics: list[str]
    criterion: tuple[str, bool]
    headline: str
    options: Callable[[int], dict[str, Any]] = lambda fold: {}
    fusions: tuple[str, ...] = POOLED
    search_seeds: range = range(1)
    test_seeds: range = range(5)
    folds: range = range(1)
    nested: bool = False
    initializations: tuple[str, ...] = (INITIALIZATION,)
    units: Callable[[Split], np.ndarray] = lambda test: test.groups
    entries: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, Callable[[Recipe], Recipe]] = field(default_factory=dict)


def cmu_mosi_inputs(settings: Settings) -> dict[str, Any]:
    def mlp(kind: str) -> dict[str, Any]:
        return {
            "name": "mlp",
            "units": settings[f"{kind}_units"],
            "input_noise": settings[f"{kind}_noise"],
            "input_dropout": settings[f"{kind}_input_dropout"],
            "dropout": settings["dropout"],
        }

    return {
        "audio": {"shape": (73,), "backbone": mlp("other")},
        "video": {"shape": (100,), "backbone": mlp("other")},
        "text": {"shape": (100,), "backbone": mlp("text")},
    }


def ravdess_inputs(settings: Settings) -> dict[str, Any]:
    regularisation = _regularisation(settings)
    convolution = {"filters": settings["audio_filters"], "units": settings["audio_units"], **regularisation}
    return {
        "audio": {"shape": (64, 45), "backbone": {"name": "temporal_convolution", **convolution}},
        "audio_statistics": {
            "shape": (75,),
            "backbone": {"name": "mlp", "units": settings["statistics_units"], **regularisation},
        },
        "video": {
            "shape": (35,),
            "backbone": {"name": "mlp", "units": settings["video_units"], **regularisation},
        },
    }


def iemocap_inputs(settings: Settings) -> dict[str, Any]:
    def mlp(modality: str) -> dict[str, Any]:
        return {"name": "mlp", "units": settings[f"{modality}_units"], **_regularisation(settings)}

    return {
        "audio": {"shape": (12,), "backbone": mlp("audio")},
        "text": {"shape": (100,), "backbone": mlp("text")},
    }


def pom_inputs(settings: Settings) -> dict[str, Any]:
    def recurrent(modality: str) -> dict[str, Any]:
        network = {"name": settings.get("backbone", "lstm"), "units": settings[f"{modality}_units"]}
        return network | _regularisation(settings)

    return {
        "audio": {"shape": (20, 43), "backbone": recurrent("audio")},
        "video": {"shape": (20, 41), "backbone": recurrent("video")},
    }


def _regularisation(settings: Settings) -> dict[str, Any]:
    return {key: settings[key] for key in ("input_noise", "input_dropout", "dropout")}


POM = Comparison(
    corpus="pom",
    space={
        "audio_units": [32, 64],
        "video_units": [8, 16],
        "input_noise": [0.0, 0.3],
        "input_dropout": [0.0, 0.2],
        "dropout": [0.2, 0.4],
        "learning_rate": [5e-4, 1e-3],
        "weight_decay": [0.0, 0.1],
        "batch_size": [32],
        "loss": ["mae", "mse", "huber"],
        "output_bias": ["label_mean"],
        "patience": [30],
        "monitor": ["pearson"],
        "units": [16, 32, 64],
        "rank": [2, 4, 8],
        "fusion_rate": [0.3, 1.0],
    },
    inputs=pom_inputs,
    trials=4,
    metrics=["mae", "pearson"],
    criterion=("pearson", True),
    headline="train",
    search_seeds=range(2),
    entries={"low_rank": "lmf-pom-av"},
)
COMPARISONS = {
    "cmu_mosi": Comparison(
        corpus="cmu_mosi",
        space={
            "text_units": [(16,), (32,), (64,), (64, 64)],
            "other_units": [(4,), (8,), (16,)],
            "text_noise": [0.0, 0.5, 1.0],
            "other_noise": [0.0, 1.0],
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
            "fusion_rate": [0.3, 1.0],
        },
        inputs=cmu_mosi_inputs,
        trials=20,
        metrics=["mae", "pearson", "acc2_nonneg", "acc2_nonzero", "acc7", "f1_weighted"],
        criterion=("mae", False),
        headline="train",
        options=lambda fold: {"split": "split"},
        search_seeds=range(3),
        initializations=INITIALIZATIONS,
        entries={"early": "early-mosi-avt", "tensor": "tfn-mosi-avt", "low_rank": "lmf-mosi-avt"},
        derived={"lmf-mosi-av": lambda recipe: recipe.select(["audio", "video"])},
    ),
    "ravdess": Comparison(
        corpus="ravdess",
        space={
            "audio_filters": [(64,), (64, 64)],
            "audio_units": [32, 64],
            "statistics_units": [(32,), (64,)],
            "video_units": [(32,), (64,)],
            "input_noise": [0.3, 0.5, 0.8],
            "input_dropout": [0.0, 0.2, 0.4],
            "dropout": [0.2, 0.3, 0.4],
            "learning_rate": [5e-4, 1e-3, 2e-3],
            "weight_decay": [0.0, 0.1, 1.0],
            "batch_size": [32],
            "units": [64, 128],
            "rank": [2, 4, 8],
            "fusion_rate": [0.3, 1.0],
        },
        inputs=ravdess_inputs,
        trials=4,
        metrics=["war", "uar", "f1_macro", "cohen_kappa"],
        criterion=("war", True),
        headline="train + valid",
        options=lambda fold: {"fold": fold},
        test_seeds=range(1),
        folds=range(5),  # actor-independent
        nested=True,
        initializations=INITIALIZATIONS,
        entries={"early": "early-ravdess-av", "tensor": "tfn-ravdess-av", "low_rank": "lmf-ravdess-av"},
    ),
    "iemocap": Comparison(
        corpus="iemocap",
        space={
            "audio_units": [(32,), (64,)],
            "text_units": [(64,), (128,)],
            "input_noise": [0.0, 0.3],
            "input_dropout": [0.0, 0.2],
            "dropout": [0.2, 0.4],
            "learning_rate": [5e-4, 1e-3],
            "weight_decay": [0.0, 0.1],
            "batch_size": [32, 128],
            "class_weights": ["none", "balanced"],
            "units": [32, 64, 128],
            "rank": [2, 4, 8],
            "fusion_rate": [0.3, 1.0],
        },
        inputs=iemocap_inputs,
        trials=5,
        metrics=["war", "uar", "f1_macro", "f1_weighted"],
        criterion=("f1_macro", True),
        headline="train + valid",
        # A fold is the session that is left out of sessions 1 to 4.
        options=lambda fold: {"labels": "merged", "validation_session": fold},
        test_seeds=range(2),
        folds=range(1, 5),
        # Two speakers are too few, so the dialogues.
        units=lambda test: np.array([name.rpartition("_")[0] for name in test.ids]),
        entries={"low_rank": "lmf-iemocap-at"},
        derived={
            "lmf-iemocap-at-strict": lambda recipe: recipe.replace(corpus={"options": {"labels": "strict"}})
        },
    ),
    "pom": POM,
    "pom_steps": replace(
        POM,
        space={
            "backbone": ["lstm", "gru"],
            "audio_units": [16, 32, 64],
            "video_units": [8, 16, 32],
            "input_noise": [0.0, 0.3],
            "input_dropout": [0.0, 0.2],
            "dropout": [0.2, 0.4],
            "learning_rate": [5e-4, 1e-3],
            "weight_decay": [0.0, 0.1],
            "batch_size": [32],
            "loss": ["mae", "mse", "huber"],
            "output_bias": ["label_mean"],
            "patience": [30],
            "monitor": ["pearson"],
            "units": [16, 32, 64],
            "pooling": ["mean", "last", "attention"],
            "rank": [2, 4, 8],
            "fusion_rate": [1.0],
            "attention": ["to_modalities", "from_modalities"],
        },
        trials=8,
        fusions=("low_rank", "step_by_step", "multimodal_transformer"),
        entries={"step_by_step": "lmf-steps-pom-av", "multimodal_transformer": "mult-pom-av"},
    ),
}
