"""The ways of fusing that were not searched for, on CMU-MOSI and IEMOCAP: one word of a recipe apart.

    KERAS_BACKEND=jax python benchmarks/family.py cmu_mosi
    KERAS_BACKEND=jax python benchmarks/family.py iemocap

All else is the zoo's low-rank recipe, whose settings were searched for low-rank fusion. What is trained already is not
trained again, so it resumes. The tables: `python benchmarks/report.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import keras
import pandas as pd
from measurements import RESULTS
from tqdm import tqdm

from keras_lmf.data import corpora
from keras_lmf.files import write_text
from keras_lmf.recipe import Recipe
from keras_lmf.training import train

ZOO = Path(__file__).parents[1] / "zoo"
BASES = {"cmu_mosi": "lmf-mosi-avt", "iemocap": "lmf-iemocap-at"}
SEEDS = range(2)
COMPONENTS = 12  # at most of what a modality has


def with_fusion(**fusion: object) -> Callable[[Recipe], Recipe]:
    return lambda recipe: recipe.replace(fusion=fusion)


def projected(method: str) -> Callable[[Recipe], Recipe]:
    """Each modality reduced, then side by side."""

    def change(recipe: Recipe) -> Recipe:
        inputs = {
            name: {"backbone": {"name": method, "components": min(COMPONENTS, section.shape[-1])}}
            for name, section in recipe.inputs.items()
        }
        return recipe.replace(inputs=inputs, fusion={"name": "early"})

    return change


WAYS: dict[str, Callable[[Recipe], Recipe]] = {
    "PCA, then early": projected("principal_components"),
    "SVD, then early": projected("truncated_svd"),
    "decision": with_fusion(name="decision"),
    "stacking": with_fusion(name="stacking"),
    "hybrid": with_fusion(name="hybrid", features={"name": "low_rank"}),
}


CONTEXT = 8  # utterances of the speaker before and after


def in_dialogue(recipe: Recipe) -> Recipe:
    """IEMOCAP with the utterances around: two more inputs, each step a small network, then the mean."""
    sections = recipe.model_dump(exclude_none=True)
    backbone = {"name": "average_pooling", "units": [32], "dropout": 0.4, "input_noise": 0.3}
    for name, section in list(sections["inputs"].items()):
        shape = (2 * CONTEXT, *section["shape"])
        sections["inputs"][f"{name}_context"] = {"shape": shape, "backbone": backbone}
    sections["corpus"]["options"]["context"] = CONTEXT
    return Recipe(**sections)


OF_CORPUS = {"iemocap": {"low-rank, in its dialogue": in_dialogue}}


@click.command(help=__doc__)
@click.argument("corpus", type=click.Choice(list(BASES)))
def main(corpus: str) -> None:
    path = RESULTS / f"family_{corpus}.csv"
    rows = pd.read_csv(path, keep_default_na=False).to_dict("records") if path.exists() else []
    known = {(row["way"], row["seed"]) for row in rows}
    base = Recipe.read(ZOO / BASES[corpus] / "recipe.toml")
    ways = WAYS | OF_CORPUS.get(corpus, {})
    for seed, way in tqdm([(s, w) for s in SEEDS for w in ways if (w, s) not in known]):
        keras.backend.clear_session()
        recipe = ways[way](base).replace(seed=seed)
        data = corpora.load(corpus, **recipe.corpus.options)
        with tempfile.TemporaryDirectory() as folder:
            run = train(recipe, data, Path(folder) / "run")
            report, parameters = run.evaluate("test", resamples=0), run.model.count_params()
        predictions = " ".join(f"{value:.6g}" for value in report.predictions.ravel())
        facts = {"way": way, "seed": seed, "parameters": parameters}
        rows.append({**facts, **report.metrics, "predictions": predictions})
        write_text(path, pd.DataFrame(rows).to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main()
