"""Writes the tables of benchmarks/results into the README, between its markers.

python benchmarks/report.py            # rewrite
python benchmarks/report.py --check    # exit code 1 when the README is stale
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pandas as pd

from keras_lmf.evaluation import paired_difference, summarise
from keras_lmf.files import write_text

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
FUSIONS = {"early": "early", "tensor": "tensor", "low_rank": "low-rank"}
PROTOCOLS = {
    "cmu_mosi": ["mae", "pearson", "acc2_nonneg", "acc2_nonzero", "acc7", "f1_weighted"],
    "ravdess": ["war", "uar", "f1_macro", "cohen_kappa"],
}
CRITERION = {"cmu_mosi": "mae", "ravdess": "war"}


def per_repetition(corpus: str, kind: str) -> pd.DataFrame:
    """One row per fusion and repetition: a seed on CMU-MOSI; on RAVDESS a seed's mean over the five folds."""
    table = pd.read_csv(RESULTS / f"{corpus}_test.csv", keep_default_na=False)
    table = table[table["data"] == kind]
    return table.groupby(["fusion", "seed"])[PROTOCOLS[corpus]].mean()


def records(table: pd.DataFrame, fusion: str) -> list[dict[str, float]]:
    return table.loc[fusion].to_dict("records")


def fusion_table(corpus: str) -> str:
    """Mean ± standard deviation over the repetitions, without and with the last fit on train + valid."""
    rows = {}
    for kind, words in (("test", "train"), ("refit", "train + valid")):
        repetitions = per_repetition(corpus, kind)
        for fusion, label in FUSIONS.items():
            summary = summarise(records(repetitions, fusion))
            rows[(label, words)] = {
                name: f"{summary.loc[name, 'mean']:.3f} ± {summary.loc[name, 'sd']:.3f}"
                for name in PROTOCOLS[corpus]
            }
    rows[("floor", "train")] = floor(corpus)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.names = ["fusion", "fitted on"]
    return table.reset_index().to_markdown(index=False)


def floor(corpus: str) -> dict[str, str]:
    values = pd.read_csv(RESULTS / f"{corpus}_floor.csv").iloc[0]
    return {name: f"{values[name]:.3f}" for name in PROTOCOLS[corpus]}


def difference_table(corpus: str) -> str:
    """Low-rank fusion minus the others, paired by seed and, on RAVDESS, by fold."""
    table = pd.read_csv(RESULTS / f"{corpus}_test.csv", keep_default_na=False)
    pairs = table.set_index(["data", "fusion", "fold", "seed"]).sort_index()[PROTOCOLS[corpus]]
    rows = []
    for kind, words in (("test", "train"), ("refit", "train + valid")):
        for other in ("early", "tensor"):
            # Seeds of one fold share its data: the folds' means are the independent pairs there.
            level = "fold" if corpus == "ravdess" else "seed"
            ours, theirs = (
                pairs.loc[kind, fusion].groupby(level).mean().to_dict("records")
                for fusion in ("low_rank", other)
            )
            change = paired_difference(ours, theirs)
            rows.append(
                {"low-rank minus": FUSIONS[other], "fitted on": words}
                | {
                    name: f"{change.loc[name, 'difference']:+.3f} ± {change.loc[name, 'standard_error']:.3f}"
                    for name in PROTOCOLS[corpus]
                }
            )
    return pd.DataFrame(rows).to_markdown(index=False)


def initialization_table() -> str:
    """Both initialisations of the chosen low-rank recipes, on the validation split."""
    rows = []
    for corpus, criterion in CRITERION.items():
        table = pd.read_csv(RESULTS / f"{corpus}_initialization.csv", keep_default_na=False)
        for initialization, group in table.groupby("initialization"):
            rows.append(
                {
                    "corpus": corpus,
                    "initialization": initialization,
                    "criterion": criterion,
                    "mean ± sd": f"{group[criterion].mean():.3f} ± {group[criterion].std():.3f}",
                    "epochs to the best": f"{group['epochs'].mean():.1f}",
                    "runs": len(group),
                }
            )
    return pd.DataFrame(rows).to_markdown(index=False)


def file_table() -> str:
    """The zoo's recipes, one seed, exported: what each written file answers on the test split."""
    rows = []
    for corpus, names in PROTOCOLS.items():
        for row in pd.read_csv(RESULTS / f"{corpus}_files.csv").to_dict("records"):
            metrics = ", ".join(f"{name} {row[name]:.3f}" for name in names[:4])
            difference = f"{row['difference_max']:.1e}"
            rows.append(
                {"corpus": corpus, "file": row["file"], "bytes": f"{row['bytes']:,}"}
                | {"metrics": metrics, "largest difference to Keras": difference}
            )
    return pd.DataFrame(rows).to_markdown(index=False)


def speed_table() -> str:
    tables = [pd.read_csv(path) for path in sorted(RESULTS.glob("fusion_layers_*.csv"))]
    return pd.concat(tables).to_markdown(index=False, floatfmt=".3g")


def rendered(text: str) -> str:
    """The README with every marked table made anew."""
    tables = {
        "mosi": fusion_table("cmu_mosi"),
        "mosi-differences": difference_table("cmu_mosi"),
        "ravdess": fusion_table("ravdess"),
        "ravdess-differences": difference_table("ravdess"),
        "files": file_table(),
        "initialization": initialization_table(),
        "speed": speed_table(),
    }
    for name, table in tables.items():
        begin, end = f"<!-- table {name} -->", f"<!-- end {name} -->"
        text, found = re.subn(
            f"{begin}.*?{end}", lambda _, t=table, b=begin, e=end: f"{b}\n\n{t}\n\n{e}", text, flags=re.DOTALL
        )
        if found != 1:
            raise click.ClickException(f"README.md needs the markers {begin} … {end} once, found {found}")
    return text


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when the README is stale.")
def main(check: bool) -> None:
    text = README.read_text(encoding="utf-8")
    fresh = rendered(text)
    if check and fresh != text:
        sys.exit("README.md is stale: run python benchmarks/report.py")
    if not check:
        write_text(README, fresh)


if __name__ == "__main__":
    main()
