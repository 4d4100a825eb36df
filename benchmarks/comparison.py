"""What `compare_fusions.py` compares: the search spaces, the budgets, and the recipe of every trial.

A search's space and budget were fixed before the rows it is judged by; docs/results.md says where that was not so.
A change here makes the CSVs in benchmarks/results stale; they hold each
recipe's fingerprint, and `compare_fusions.py` refuses to mix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_lmf.data import Split, corpora
from keras_lmf.recipe import LowRank, Recipe

POOLED = ("early", "tensor", "low_rank")
INITIALIZATIONS = ("variance_preserving", "reference")
INITIALIZATION = LowRank.model_fields["initialization"].default

# Every value a trial can draw. Settings of low-rank fusion alone are drawn last, so that the shared ones of a trial
# are the same for all three fusions.
SPACES: dict[str, dict[str, list[Any]]] = {
    "cmu_mosi": {
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
    "ravdess": {
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
    "iemocap": {
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
    "pom": {
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
    "pom_steps": {
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
}
# What is compared, and on which corpus, where the name isn't the corpus's.
FUSIONS: dict[str, tuple[str, ...]] = dict.fromkeys(SPACES, POOLED) | {
    "pom_steps": ("low_rank", "step_by_step", "multimodal_transformer")
}
CORPORA = {name: name for name in SPACES} | {"pom_steps": "pom"}
# The budget. The seed of a trial draws its weights and batches; where there are folds, they are the repetitions.
TRIALS = {"cmu_mosi": 20, "ravdess": 4, "iemocap": 5, "pom": 4, "pom_steps": 12}
SEARCH_SEEDS = {
    "cmu_mosi": range(3),
    "ravdess": range(1),
    "iemocap": range(1),
    "pom": range(2),
    "pom_steps": range(2),
}
TEST_SEEDS = {
    "cmu_mosi": range(5),
    "ravdess": range(1),
    "iemocap": range(2),
    "pom": range(5),
    "pom_steps": range(5),
}
# RAVDESS: five actor-independent folds. IEMOCAP: the session that is left out of sessions 1 to 4.
FOLDS = {
    "cmu_mosi": range(1),
    "ravdess": range(5),
    "iemocap": range(1, 5),
    "pom": range(1),
    "pom_steps": range(1),
}
# Where every fold has its own test split, each chooses its own trial (nested); else all folds choose one together.
NESTED = ("ravdess",)
# Where low-rank fusion runs with both initialisations.
INITIALIZATIONS_COMPARED = ("cmu_mosi", "ravdess")
# What the bootstrap draws: videos, actors, reviews; two speakers are too few, so IEMOCAP's dialogues.
UNITS: dict[str, Callable[[Split], np.ndarray]] = {
    "cmu_mosi": lambda test: test.groups,
    "ravdess": lambda test: test.groups,
    "iemocap": lambda test: np.array([name.rpartition("_")[0] for name in test.ids]),
    "pom": lambda test: test.groups,
    "pom_steps": lambda test: test.groups,
}
# The fit that counts, named before the test runs.
HEADLINE = {
    "cmu_mosi": "train",
    "ravdess": "train + valid",
    "iemocap": "train + valid",
    "pom": "train",
    "pom_steps": "train",
}
# What the tables show.
METRICS = {
    "cmu_mosi": ["mae", "pearson", "acc2_nonneg", "acc2_nonzero", "acc7", "f1_weighted"],
    "ravdess": ["war", "uar", "f1_macro", "cohen_kappa"],
    "iemocap": ["war", "uar", "f1_macro", "f1_weighted"],
    "pom": ["mae", "pearson"],
    "pom_steps": ["mae", "pearson"],
}
# What chooses a trial on "valid", and whether more is better.
CRITERION = {
    "cmu_mosi": ("mae", False),
    "ravdess": ("war", True),
    "iemocap": ("f1_macro", True),
    "pom": ("pearson", True),
    "pom_steps": ("pearson", True),
}
# The zoo's entries that `compare_fusions.py test` writes the recipes of.
ENTRIES = {
    "cmu_mosi": {"early": "early-mosi-avt", "tensor": "tfn-mosi-avt", "low_rank": "lmf-mosi-avt"},
    "ravdess": {"early": "early-ravdess-av", "tensor": "tfn-ravdess-av", "low_rank": "lmf-ravdess-av"},
    "iemocap": {"low_rank": "lmf-iemocap-at"},
    "pom": {"low_rank": "lmf-pom-av"},
    "pom_steps": {"step_by_step": "lmf-steps-pom-av", "multimodal_transformer": "mult-pom-av"},
}
# Entries whose recipe is the low-rank one with a change, not searched for by themselves.
DERIVED: dict[str, dict[str, Callable[[Recipe], Recipe]]] = {
    "cmu_mosi": {"lmf-mosi-av": lambda recipe: recipe.select(["audio", "video"])},
    "iemocap": {
        "lmf-iemocap-at-strict": lambda recipe: recipe.replace(corpus={"options": {"labels": "strict"}})
    },
}


def draw(corpus: str, trial: int) -> dict[str, Any]:
    """The settings of a trial, a pure function of its number."""
    generator = np.random.default_rng(trial)
    return {name: values[generator.integers(len(values))] for name, values in SPACES[corpus].items()}


def cmu_mosi_inputs(settings: dict[str, Any]) -> dict[str, Any]:
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


def ravdess_inputs(settings: dict[str, Any]) -> dict[str, Any]:
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


def iemocap_inputs(settings: dict[str, Any]) -> dict[str, Any]:
    def mlp(modality: str) -> dict[str, Any]:
        return {"name": "mlp", "units": settings[f"{modality}_units"], **_regularisation(settings)}

    return {
        "audio": {"shape": (12,), "backbone": mlp("audio")},
        "text": {"shape": (100,), "backbone": mlp("text")},
    }


def pom_inputs(settings: dict[str, Any]) -> dict[str, Any]:
    def recurrent(modality: str) -> dict[str, Any]:
        network = {"name": settings.get("backbone", "lstm"), "units": settings[f"{modality}_units"]}
        return network | _regularisation(settings)

    return {
        "audio": {"shape": (20, 43), "backbone": recurrent("audio")},
        "video": {"shape": (20, 41), "backbone": recurrent("video")},
    }


def _regularisation(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in ("input_noise", "input_dropout", "dropout")}


INPUTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "cmu_mosi": cmu_mosi_inputs,
    "ravdess": ravdess_inputs,
    "iemocap": iemocap_inputs,
    "pom": pom_inputs,
    "pom_steps": pom_inputs,
}


def fusion_section(settings: dict[str, Any], fusion: str, initialization: str) -> dict[str, Any]:
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


def options(corpus: str, fold: int) -> dict[str, Any]:
    """The loader's options: what a fold is."""
    all_options: dict[str, dict[str, Any]] = {
        "cmu_mosi": {"split": "split"},
        "ravdess": {"fold": fold},
        "iemocap": {"labels": "merged", "validation_session": fold},
        "pom": {},
    }
    return all_options[CORPORA[corpus]]


def initializations(corpus: str, fusion: str) -> tuple[str, ...]:
    """Those that a fusion is searched with; empty where it has none."""
    if fusion != "low_rank":
        return ("",)
    return INITIALIZATIONS if corpus in INITIALIZATIONS_COMPARED else (INITIALIZATION,)


def recipe(corpus: str, fold: int, fusion: str, trial: int, seed: int, initialization: str) -> Recipe:
    """The recipe of one trial. `initialization` is low-rank fusion's, and empty for the others."""
    settings = draw(corpus, trial)
    rate = settings["learning_rate"]
    return Recipe(
        name=f"{fusion.replace('_', '-')}-{corpus.replace('_', '-')}",
        seed=seed,
        corpus={
            "name": CORPORA[corpus],
            "options": options(corpus, fold),
        },
        target=corpora.load(CORPORA[corpus]).target.model_dump(exclude_none=True),
        inputs=INPUTS[corpus](settings),
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
