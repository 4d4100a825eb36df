"""Writes the tables of benchmarks/results into benchmarks/README.md, between its markers.

python benchmarks/report.py            # rewrite
python benchmarks/report.py --check    # exit code 1 when the page is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pandas as pd
import paper_tables
from comparison import CRITERION, INITIALIZATIONS_COMPARED, METRICS, NESTED

from keras_lmf.evaluation import paired_difference, summarise
from keras_lmf.files import write_text
from keras_lmf.zoo.cards import fill_marked

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).with_name("README.md")
FUSIONS = {"early": "early", "tensor": "tensor", "low_rank": "low-rank"}
MARKERS = {"cmu_mosi": "mosi", "ravdess": "ravdess", "iemocap": "iemocap", "pom": "pom"}
SPEED = ("ratios", "tflite", "memory")
FITS = ("train", "train + valid")


def results(corpus: str, kind: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / f"{corpus}_{kind}.csv", keep_default_na=False)


def test_runs(corpus: str) -> pd.DataFrame:
    """The test metrics by fit, fusion and repetition: the folds where each has a test split of its own, else the seeds,
    each the mean over its runs, which share the test split and most of the training data."""
    repetition = "fold" if corpus in NESTED else "seed"
    return results(corpus, "test").groupby(["fitted", "fusion", repetition])[METRICS[corpus]].mean()


def fusion_table(corpus: str) -> str:
    """Mean ± standard deviation over seeds or folds, and the mean's bootstrap interval."""
    runs = test_runs(corpus)
    intervals = results(corpus, "intervals").set_index(["fitted", "fusion", "metric"])
    rows = {}
    for fitted in FITS:
        for fusion, label in FUSIONS.items():
            summary = summarise(runs.loc[fitted, fusion].to_dict("records"))
            rows[(label, fitted)] = {
                name: f"{summary.loc[name, 'mean']:.3f} ± {summary.loc[name, 'sd']:.3f} "
                "[{low:.2f}, {high:.2f}]".format(**intervals.loc[(fitted, fusion, name)])
                for name in METRICS[corpus]
            }
    floor = results(corpus, "floor").iloc[0]
    rows[("floor", "train")] = {name: f"{floor[name]:.3f}" for name in METRICS[corpus]}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.names = ["fusion", "fitted on"]
    return table.reset_index().to_markdown(index=False)


def difference_table(corpus: str) -> str:
    """Low-rank fusion minus the others, paired by seed and fold."""
    runs = test_runs(corpus)
    rows = []
    for fitted in FITS:
        for other in ("early", "tensor"):
            change = paired_difference(
                *(
                    runs.loc[(fitted, fusion), METRICS[corpus]].to_dict("records")
                    for fusion in ("low_rank", other)
                )
            )
            rows.append(
                {"low-rank minus": FUSIONS[other], "fitted on": fitted}
                | {
                    name: f"{change.loc[name, 'difference']:+.3f} ± {change.loc[name, 'standard_error']:.3f}"
                    for name in METRICS[corpus]
                }
            )
    return pd.DataFrame(rows).to_markdown(index=False)


def initialization_table() -> str:
    """Both initialisations of low-rank fusion over all trials of the search: means, and reference minus default."""
    rows = []
    for corpus in INITIALIZATIONS_COMPARED:
        criterion, _ = CRITERION[corpus]
        table = results(corpus, "search").query("fusion == 'low_rank'")
        means = table.groupby(["trial", "initialization"])[criterion].mean().unstack()
        difference = means["reference"] - means["variance_preserving"]
        epochs = table.groupby("initialization")["epochs"].mean()
        rows.append(
            {"corpus": corpus, "criterion": criterion, "trials": len(means)}
            | {f"{name} (epochs)": f"{means[name].mean():.3f} ({epochs[name]:.0f})" for name in means}
            | {"reference − variance_preserving": f"{difference.mean():+.3f} ± {difference.sem():.3f}"}
        )
    return pd.DataFrame(rows).to_markdown(index=False)


def baseline_table(corpus: str) -> str:
    table = results(corpus, "baseline").rename(columns={"fitted": "fitted on", "split": "judged on"})
    return table.to_markdown(index=False, floatfmt=".3f")


def layer_table() -> str:
    tables = [pd.read_csv(path) for path in sorted(RESULTS.glob("fusion_layers_*.csv"))]
    return pd.concat(tables).to_markdown(index=False, floatfmt=".3g")


def speed_table(name: str) -> str:
    """One of the tables that `keras-lmf benchmark` has written."""
    return pd.read_csv(RESULTS / "speed" / f"{name}.csv", keep_default_na=False).to_markdown(
        index=False, floatfmt=",.4g"
    )


def rendered(text: str) -> str:
    """The page with every marked table made anew."""
    tables = {"initialization": initialization_table(), "layers": layer_table(), **paper_tables.markdown()}
    for corpus, name in MARKERS.items():
        tables[name] = fusion_table(corpus)
        tables[f"{name}-differences"] = difference_table(corpus)
        tables[f"{name}-baseline"] = baseline_table(corpus)
    tables |= {f"speed-{name}": speed_table(name) for name in SPEED}
    return fill_marked(text, tables)


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when the page is stale.")
def main(check: bool) -> None:
    text = README.read_text(encoding="utf-8")
    fresh = rendered(text)
    if check and fresh != text:
        sys.exit("benchmarks/README.md is stale: run python benchmarks/report.py")
    if not check:
        write_text(README, fresh)


if __name__ == "__main__":
    main()
