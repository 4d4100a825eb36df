"""Writes the tables of benchmarks/results into the pages of docs/, between their markers, and the fusions' picture.

python benchmarks/report.py            # rewrite
python benchmarks/report.py --check    # exit code 1 when a page is stale
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import clip_tables
import fusion_figure
import measured_tables
import pandas as pd
import paper_tables
import recurrent_tables
from comparison import COMPARISONS
from measurements import RESULTS

from keras_lmf.evaluation import paired_difference, summarise
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.files import write_text
from keras_lmf.zoo.cards import fill_marked
from keras_lmf.zoo.description import corpus_title

REPOSITORY = Path(__file__).parents[1]
FIGURE = "docs/figures/fusion.svg"
FUSIONS = {
    "early": "early",
    "tensor": "tensor",
    "low_rank": "low-rank",
    "step_by_step": "step by step",
    "multimodal_transformer": "MulT",
}
MARKERS = {
    "cmu_mosi": "mosi",
    "ravdess": "ravdess",
    "iemocap": "iemocap",
    "pom": "pom",
    "pom_steps": "pom-steps",
}
BASELINES = ("cmu_mosi", "ravdess", "iemocap", "pom")
PROTOCOLS = {"inductive": "inductive", "enrolled": "speaker-enrolled, transductive"}
MEMORY = {"running_mib": "peak while running, MiB", "starting_mib": "peak while starting, MiB"}
FITS = ("train", "train + valid")


def results(corpus: str, kind: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / f"{corpus}_{kind}.csv", keep_default_na=False)


def test_runs(corpus: str) -> pd.DataFrame:
    """The test metrics by fit, fusion and repetition: the folds where each has a test split of its own, else the seeds,
    each the mean over its runs, which share the test split and most of the training data."""
    repetition = "fold" if COMPARISONS[corpus].nested else "seed"
    return (
        results(corpus, "test").groupby(["fitted", "fusion", repetition])[COMPARISONS[corpus].metrics].mean()
    )


def fusion_table(corpus: str) -> str:
    """Mean ± standard deviation over seeds or folds, and the mean's bootstrap interval."""
    runs = test_runs(corpus)
    intervals = results(corpus, "intervals").set_index(["fitted", "fusion", "metric"])
    rows = {}
    for fitted in FITS:
        for fusion in COMPARISONS[corpus].fusions:
            summary = summarise(runs.loc[fitted, fusion].to_dict("records"))
            rows[(FUSIONS[fusion], fitted)] = {
                name: f"{summary.loc[name, 'mean']:.3f} ± {summary.loc[name, 'sd']:.3f} "
                "[{low:.2f}, {high:.2f}]".format(**intervals.loc[(fitted, fusion, name)])
                for name in COMPARISONS[corpus].metrics
            }
    floor = results(corpus, "floor").iloc[0]
    rows[("floor", "train")] = {name: f"{floor[name]:.3f}" for name in COMPARISONS[corpus].metrics}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.names = ["fusion", "fitted on"]
    return table.reset_index().rename(columns=metric_name).to_markdown(index=False)


def difference_table(corpus: str) -> str:
    """Low-rank fusion, or that at each step, minus the others, paired by seed and fold."""
    runs, fusions = test_runs(corpus), COMPARISONS[corpus].fusions
    ours = "step_by_step" if "step_by_step" in fusions else "low_rank"
    rows = []
    for fitted in FITS:
        for other in fusions:
            if other == ours:
                continue
            change = paired_difference(
                *(
                    runs.loc[(fitted, fusion), COMPARISONS[corpus].metrics].to_dict("records")
                    for fusion in (ours, other)
                )
            )
            rows.append(
                {f"{FUSIONS[ours]} minus": FUSIONS[other], "fitted on": fitted}
                | {
                    name: f"{change.loc[name, 'difference']:+.3f} ± {change.loc[name, 'standard_error']:.3f}"
                    for name in COMPARISONS[corpus].metrics
                }
            )
    return pd.DataFrame(rows).rename(columns=metric_name).to_markdown(index=False)


def initialization_table() -> str:
    """Both initialisations of low-rank fusion over all trials of the search: means, and reference minus default."""
    rows = []
    for corpus, compared in COMPARISONS.items():
        if len(compared.initializations) == 1:
            continue
        criterion, _ = COMPARISONS[corpus].criterion
        table = results(corpus, "search").query("fusion == 'low_rank'")
        means = table.groupby(["trial", "initialization"])[criterion].mean().unstack()
        difference = means["reference"] - means["variance_preserving"]
        epochs = table.groupby("initialization")["epochs"].mean()
        rows.append(
            {"corpus": corpus, "criterion": metric_name(criterion), "trials": len(means)}
            | {f"{name} (epochs)": f"{means[name].mean():.3f} ({epochs[name]:.0f})" for name in means}
            | {"reference − variance_preserving": f"{difference.mean():+.3f} ± {difference.sem():.3f}"}
        )
    return pd.DataFrame(rows).to_markdown(index=False)


def baseline_table(corpus: str) -> str:
    names = {"fitted": "fitted on", "split": "judged on"}
    table = results(corpus, "baseline").rename(columns=names).rename(columns=metric_name)
    return table.to_markdown(index=False, floatfmt=".3f")


def layer_table() -> str:
    tables = [pd.read_csv(path) for path in sorted(RESULTS.glob("fusion_layers_*.csv"))]
    return pd.concat(tables).to_markdown(index=False, floatfmt=".3g")


# -- speed: each table with a caption that says on what it was measured, and of what a ratio is the ratio ----------
def speed_csv(name: str) -> pd.DataFrame:
    """One of the tables that `fusion_speed.py` has written."""
    return pd.read_csv(RESULTS / "speed" / f"{name}.csv", keep_default_na=False)


def speed_machine() -> str:
    """What `fusion_speed.py` ran on."""
    settings = json.loads((RESULTS / "speed" / "speed.json").read_text(encoding="utf-8"))["settings"]
    environment = settings["environment"]
    packages = ", ".join(f"{name} {number}" for name, number in environment["packages"].items())
    machine = settings.get("processor", environment["platform"])
    return f"Measured on {machine}, one thread; python {environment['python']}, {packages}."


def captioned(caption: str, table: pd.DataFrame) -> str:
    return f"{caption}\n\n{table.to_markdown(index=False, floatfmt=',.4g')}"


def speed_tables() -> dict[str, str]:
    machine = speed_machine()
    ratios = (
        "`ratio` is the median of the ratios within a turn, with their quartiles: samples per CPU second of the first "
        f"over those of the second. {machine}"
    )
    heads = (
        "`ratio` is the median of the ratios within a turn, with their quartiles: CPU time over that of the low-rank "
        f"TFLite file; `cpu_us` and `wall_us` are medians of one call. {machine}"
    )
    memory = (
        "Resident memory above what the process held with the framework loaded and no network made. While starting: "
        "from there to the end of the second step, compilation among it; while running: over five steps more. "
        f"{machine}"
    )
    return {
        "speed-ratios": captioned(ratios, speed_csv("ratios")),
        "speed-tflite": captioned(heads, speed_csv("tflite")),
        "speed-memory": captioned(memory, speed_csv("memory").rename(columns=MEMORY)),
    }


def fold_table() -> str:
    """The voice models' cross-validation: one line per entry and protocol."""
    rows = []
    for path in sorted((RESULTS / "folds").glob("*.csv")):
        runs = pd.read_csv(path)
        for protocol, found in runs.groupby("protocol", sort=False):
            folds = found[found["fold"] != "all"].groupby("fold")[["war", "uar"]].mean()
            pooled = found[found["fold"] == "all"]
            line = {
                "entry": path.stem,
                "protocol": PROTOCOLS.get(protocol, f"inductive; {protocol}"),
                "folds × seeds": f"{len(folds)} × {len(pooled)}",
            }
            for metric in ("war", "uar"):
                word = metric_name(metric)
                line[f"{word}, mean ± sd over folds"] = (
                    f"{folds[metric].mean():.3f} ± {folds[metric].std():.3f}"
                )
                line[f"{word}, all folds together"] = f"{pooled[metric].mean():.3f}"
            rows.append(line)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def clear_faces_table() -> str:
    table = pd.read_csv(RESULTS / "clear_faces.csv")
    table["model"] = table["model"].map("`{}`".format)
    return table.to_markdown(index=False, floatfmt=".3f", intfmt=",")


def unmet_corpora_table() -> str:
    """Balanced accuracy on corpora that a model never met, by clips enrolled, and its mean over the corpora."""
    found = pd.read_csv(RESULTS / "unmet_corpora.csv")
    found["corpus"] = found["corpus"].map(corpus_title)
    table = found.pivot_table(index=["model", "clips"], columns="corpus", values="uar", sort=False)
    table["mean"] = table.mean(axis=1)
    table = table.reset_index().rename(columns={"clips": "clips of the speaker enrolled"})
    table["model"] = table["model"].map("`{}`".format)
    return table.to_markdown(index=False, floatfmt=".3f")


def small_voices_table() -> str:
    """The networks of a voice that fit a phone, each by what it learnt from."""
    ways = {"": "labels", "_taught": "answers, too", "_matched": "and vectors, too"}
    parts = [
        pd.read_csv(RESULTS / f"small_voices{part}.csv").assign(learns_from=way) for part, way in ways.items()
    ]
    found = pd.concat(parts).sort_values("parameters", ascending=False, kind="stable")
    found.loc[found["accuracy, valid"].isna(), "learns_from"] = "is the teacher"
    found = found.drop_duplicates(["model", "learns_from"])
    figures = [column for column in found if column.endswith(", test")]
    table = found[["model", "learns_from", "parameters", *figures]]
    table = table.rename(columns=lambda name: name.removesuffix(", test").replace("_", " "))
    table["model"] = table["model"].map("`{}`".format)
    return table.to_markdown(index=False, floatfmt=".3f", intfmt=",")


def small_av_table() -> str:
    """The files of both entries that take a voice and a face, on the same pairs."""
    table = pd.read_csv(RESULTS / "small_av.csv").rename(columns=metric_name)
    table["entry"] = table["entry"].map("`{}`".format)
    return table.to_markdown(index=False, floatfmt=".3f", intfmt=",")


def attack_table() -> str:
    """What was tried on files, downloads and trainings, and how often something went wrong."""
    figures = pd.read_csv(RESULTS / "attacks.csv")
    figures["tried"] = figures["tried"].map("{:,}".format)
    figures["command"] = figures["command"].map("`{}`".format)
    return figures.rename(columns={"wrong": "went wrong"}).to_markdown(index=False)


def tables() -> dict[str, dict[str, str]]:
    """The marked tables of each page."""
    page = {"initialization": initialization_table(), "layers": layer_table()}
    page |= paper_tables.markdown() | measured_tables.markdown() | clip_tables.markdown()
    for corpus, name in MARKERS.items():
        page[name] = fusion_table(corpus)
        page[f"{name}-differences"] = difference_table(corpus)
        if corpus in BASELINES:
            page[f"{name}-baseline"] = baseline_table(corpus)
    page |= {**speed_tables(), "folds": fold_table(), "clear-faces": clear_faces_table()}
    page["published-network"] = recurrent_tables.published_network()
    page |= {"unmet-corpora": unmet_corpora_table(), "small-voices": small_voices_table()}
    page |= {"small-av": small_av_table()}
    return {
        "docs/results.md": page,
        "docs/compose.md": measured_tables.backbones_in_few_words(),
        "docs/clips.md": clip_tables.real_clip() | clip_tables.speech_table() | clip_tables.sample_answers(),
        "docs/data.md": measured_tables.large_data(),
        "docs/train.md": measured_tables.training_tables(),
        "docs/export.md": {
            "compression": (RESULTS / "compression" / "tfn-mosi-avt.md").read_text("utf-8").strip(),
            "loops": recurrent_tables.loops(),
            **measured_tables.file_ratios(),
        },
        "docs/security.md": {"attacks": attack_table()},
    }


def read(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 when a page is stale.")
def main(check: bool) -> None:
    after = {page: fill_marked(read(page), filled) for page, filled in tables().items()}
    after[FIGURE] = fusion_figure.svg()
    stale = {page: text for page, text in after.items() if text != read(page)}
    if check and stale:
        sys.exit(f"{', '.join(stale)} is stale: run python benchmarks/report.py")
    for page, text in stale.items():
        write_text(REPOSITORY / page, text)


if __name__ == "__main__":
    main()
