"""Tables of backbones, files and trainings, from what the measuring scripts have written into benchmarks/results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from measurements import RESULTS

from keras_lmf.evaluation.metric_names import metric_name

ZOO = Path(__file__).parents[1] / "zoo"
LARGE = 500_000  # bytes in float32: of smaller files the weights are too small a part


def markdown() -> dict[str, str]:
    """The tables of docs/results.md by their marker's name."""
    return {
        **backbone_tables(),
        "alone": alone_tables(),
        "sequences": sequence_table(),
        "robustness": robustness_tables(),
    }


def backbones_in_few_words() -> dict[str, str]:
    """That of docs/compose.md."""
    table = pd.read_csv(RESULTS / "backbones.csv")
    file = table[table["runtime"] == "TFLite float32"]
    few = pd.DataFrame(
        {
            "backbone": [f"`{name}`" for name in file["backbone"]],
            "paper": file["paper"],
            "parameters": [f"{number:,}" for number in file["parameters"]],
            "MFLOPs": [f"{number:.0f}" for number in file["mflops"]],
            "TFLite, kB": [f"{number / 1e3:,.0f}" for number in file["bytes"]],
            "TFLite, ms": [f"{number:.1f}" for number in file["wall_ms"]],
            "weights": file["weights"],
        }
    )
    return {"backbones": few.to_markdown(index=False, disable_numparse=True)}


def measured_on(table: pd.DataFrame) -> str:
    """The machine and the versions that the rows of a script's CSV name."""
    return "Measured on " + " and ".join(
        f"{machine}; {versions}"
        for machine, versions in table[["machine", "versions"]].drop_duplicates().to_numpy()
    )


def file_ratios() -> dict[str, str]:
    """That of docs/export.md: bytes of the zoo's large files against float32; and time against Keras, once measured."""
    files = pd.read_csv(ZOO / "files.csv")
    sizes = files.pivot(index="entry", columns="format", values="bytes")
    large = sizes[sizes["tflite"] > LARGE]
    shown = pd.DataFrame({"entry": [f"`{name}`" for name in large.index]})
    shown["tflite, bytes"] = [f"{size:,.0f}" for size in large["tflite"]]
    for key in ("tflite-float16", "tflite-dynamic", "tflite-int8"):
        shown[key] = [f"{share:.3f}" for share in large[key] / large["tflite"]]
    text = shown.to_markdown(index=False, disable_numparse=True)
    measured = RESULTS / "predict_on_batch.csv"
    if measured.is_file():
        text += f"\n\n{_against_keras(pd.read_csv(measured))}"
    return {"file-ratios": text}


def _against_keras(table: pd.DataFrame) -> str:
    """How many times faster than `predict_on_batch`, by entry and format."""
    times = table.pivot(index="entry", columns="format", values="times_faster").map(short, na_action="ignore")
    times.insert(0, "Keras, ms", table.groupby("entry")["keras_ms"].first().map(short))
    shown = times.fillna("–").reset_index()
    shown["entry"] = shown["entry"].map("`{}`".format)
    caption = (
        "Milliseconds of the Keras model's `predict_on_batch` for one row of features, and how many times faster each "
        f"shipped file answers it. {measured_on(table)}."
    )
    return f"{caption}\n\n{shown.to_markdown(index=False, disable_numparse=True)}"


def short(number: float) -> str:
    """Three digits: "1,230", "12.3", "0.0123"."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def training_tables() -> dict[str, str]:
    """Those of docs/train.md: clips into arrays, and trainings that start from an entry."""
    table = pd.read_csv(RESULTS / "extraction.csv", keep_default_na=False)
    lines = {"what": table["what"], "measured": table["value"].map(short) + " " + table["unit"]}
    shown = pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
    return {"extraction": f"{shown}\n\n{measured_on(table)}", "fine-tuning": fine_tuning()}


def fine_tuning() -> str:
    """Another speaker's clips, learnt from nothing and from an entry: means over the speakers that are judged."""
    runs = pd.read_csv(RESULTS / "fine_tuning" / "ge2e-ravdess-voice_test.csv")
    of_speakers = runs.groupby(["corpus", "way", "speaker"], sort=False)[["war", "nll"]].mean()
    lines = []
    for (corpus, way), found in of_speakers.groupby(["corpus", "way"], sort=False):
        line = {"corpus": corpus, "speakers": len(found), "way": way}
        for metric, heading in (("war", "accuracy"), ("nll", "negative log-likelihood")):
            line[heading] = f"{found[metric].mean():.3f} ± {found[metric].std():.3f}"
        lines.append(line)
    return pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)


def large_data() -> dict[str, str]:
    """That of docs/data.md: trainings on sound that is larger than memory."""
    table = pd.concat([pd.read_csv(path) for path in sorted(RESULTS.glob("large_data_*.csv"))])
    lines = {
        "backend": table["backend"],
        "model": table["model"].str.replace("_", "-"),
        "clips": table["clips"].map(short),
        "on disk, GB": table["disk_gb"].map(short),
        "peak memory, MiB": table["peak_mib"].map(short),
        "of which before the training": table["starting_mib"].map(short),
    }
    shown = pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True)
    return {"large-data": f"{shown}\n\n{measured_on(table)}"}


def spread(table: pd.DataFrame, middle: str, low: str, high: str) -> list[str]:
    """Median and range of each row; the one number where there was one call, a dash where there was none."""
    texts = []
    for numbers in table[[middle, low, high]].to_numpy(float):
        median, least, most = map(short, numbers)
        texts.append(median if numbers[1] == numbers[2] else f"{median} [{least}, {most}]")
    return ["–" if pd.isna(number) else text for number, text in zip(table[middle], texts)]


def backbone_tables() -> dict[str, str]:
    """What each backbone is, and how large and fast on every runtime."""
    table = pd.read_csv(RESULTS / "backbones.csv")
    facts = table.drop_duplicates("backbone").set_index("backbone")
    what = pd.DataFrame(
        {
            "parameters": [f"{number:,}" for number in facts["parameters"]],
            "MFLOPs": [f"{number:.0f}" for number in facts["mflops"]],
            "embedding": facts["embedding"],
            "receptive field": facts["receptive_field"],
            "code": facts["code"],
            "weights": facts["weights"],
            "paper": facts["paper"],
        },
        index=facts.index,
    )
    table["ms"] = spread(table, "wall_ms", "wall_ms_first_quartile", "wall_ms_third_quartile")
    times = table.pivot(index="backbone", columns="runtime", values="ms")
    runtimes = list(table["runtime"].unique())
    sizes = table.pivot(index="backbone", columns="runtime", values="bytes")[runtimes] / 1e3
    sizes = sizes.dropna(axis=1, how="all").add_suffix(", kB")
    sizes = sizes.map(lambda size: "–" if pd.isna(size) else f"{size:,.0f}")
    times = times[runtimes].join(sizes).reindex(facts.index)
    caption = (
        f"Milliseconds for one clip of {facts['clip_seconds'].iloc[0]:g} s (of image_cnn, one picture): wall clock, "
        f"median and quartiles over the turns. {measured_on(table)}. A dash: the export refuses to call a file int8 in "
        "which nothing computes in int8."
    )
    return {
        "backbones": what.reset_index().to_markdown(index=False, disable_numparse=True),
        "backbones-speed": f"{caption}\n\n"
        + times.reset_index().to_markdown(index=False, disable_numparse=True),
    }


def sequence_table() -> str:
    """Fusion at each step against MulT, by number of modalities."""
    speeds = pd.read_csv(RESULTS / "sequences_speed.csv")
    trained = pd.read_csv(RESULTS / "sequences_accuracy.csv").groupby(["modalities", "fusion"])["accuracy"]
    accuracy, seeds = trained.agg(["mean", "std"]), trained.count().max()
    rows = []
    for row in speeds.to_dict("records"):
        place = (row["modalities"], row["fusion"])
        found = accuracy.loc[place] if place in accuracy.index else None
        line = {key: row[key] for key in ("modalities", "fusion")}
        line["parameters"] = f"{row['parameters']:,} ({row['parameters_share']:.2f})"
        for phase in ("training", "inference"):
            line[f"{phase}, ms"] = f"{short(row[f'{phase}_ms'])} ({row[f'{phase}_ratio']:.1f} ×)"
        text = "" if found is None else f"{found['mean']:.3f} ± {found['std']:.3f}"
        rows.append(line | {"accuracy": text})
    caption = (
        "In brackets: the parameters' share of MulT's, and how many times faster than MulT a step is (CPU time, median "
        "of the ratios within a turn; batch 32, 20 steps of 32 features, width 32). Accuracy: on the corpus "
        f"`synthetic_steps`, mean ± standard deviation over {seeds} seeds, width 16. {measured_on(speeds)}."
    )
    return f"{caption}\n\n{pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)}"


def robustness_tables() -> str:
    """What is left of each entry's figure without some of its modalities, and under noise."""
    parts = []
    for folder in sorted((RESULTS / "robustness").iterdir()):
        subsets, summary = (pd.read_csv(folder / f"{name}.csv") for name in ("subsets", "summary"))
        names = {"value": "metric", "ece": "calibration error"}
        shown = subsets.rename(columns=names).to_markdown(index=False, floatfmt=".3f")
        areas = summary.pivot(index="modality", columns="damage", values="relative").loc[
            summary["modality"].unique()
        ]
        areas = areas.add_prefix("area, ").reset_index().to_markdown(index=False, floatfmt=".3f")
        parts.append(f"`{folder.name}`:\n\n{shown}\n\n{areas}")
    return "\n\n".join(parts)


def alone_tables() -> str:
    """Fused models with what is there, beside models of each modality."""
    parts = []
    for path in sorted((RESULTS / "alone").glob("*.csv")):
        table = pd.read_csv(path)
        rows = [
            {"model": model, "there": there}
            | {
                metric: f"{found[metric].mean():.3f}"
                + (f" ± {found[metric].std():.3f}" if len(found) > 1 else "")
                for metric in ("war", "uar", "f1_macro", "nll")
            }
            for (model, there), found in table.groupby(["model", "there"], sort=False)
        ]
        seeds = table["seed"].nunique()
        parts.append(
            f"`{path.stem}`, mean ± standard deviation over {seeds} seeds:\n\n"
            + pd.DataFrame(rows).rename(columns=metric_name).to_markdown(index=False, disable_numparse=True)
        )
    return "\n\n".join(parts)
