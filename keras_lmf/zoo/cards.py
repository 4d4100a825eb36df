"""The pages about the zoo, made from the entries: every CARD.md, README.md, results.csv, and the project's README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from keras_lmf.errors import LMFError
from keras_lmf.files import write_text
from keras_lmf.locate import BACKBONE, ENTRY, RECIPE, folders_with
from keras_lmf.zoo import backbones
from keras_lmf.zoo.entry import Entry, Metric, Spread
from keras_lmf.zoo.facts import facts

LIMITS = "limits.md"  # the one part of a card that is written by hand
TRIALS = "trials.csv"  # every trial of the search that chose the entry's recipe, on "valid"
REFIT = re.compile(r"^Fitted on train \+ valid")  # as `publish` notes it
ETHICS = (
    "A model of this kind names what raters or actors agreed on, not what a person feels. It errs more often on "
    "people, ages, accents and languages that its corpus lacks, and its score is easily misread as the truth. Ask "
    "the people who are filmed or recorded for their consent. Emotion recognition is restricted by law in some places "
    "and uses, workplaces and schools in the European Union among them."
)


def pages(zoo: Path) -> dict[Path, str]:
    """The text of every generated page of a folder of entries, by path.

    Where a README.md beside the folder has the lines `<!-- table zoo -->` and `<!-- end zoo -->`, it is one of them.

    Raises:
        LMFError: no entry, or one that lacks what a page tells.
    """
    entries = {folder: Entry.read(folder) for folder in folders_with(ENTRY, zoo).values()}
    if not entries:
        raise LMFError(f"There is no zoo entry in the folder {zoo}.")
    for folder, entry in entries.items():
        _require_figures(folder, entry)
    texts = {folder / "CARD.md": card(entry, _limits(folder)) for folder, entry in entries.items()}
    for file in sorted(zoo.glob(f"*/{BACKBONE}")):
        texts[file.parent / "CARD.md"] = backbones.card(backbones.Backbone.read(file.parent))
    texts[zoo / "README.md"] = overview(list(entries.values()))
    texts[zoo / "results.csv"] = results(entries).to_csv(index=False, float_format="%.6g")
    readme = zoo.resolve().parent / "README.md"
    if readme.is_file() and "<!-- table zoo -->" in (text := readme.read_text(encoding="utf-8")):
        texts[readme] = fill_marked(text, {"zoo": overview_table(list(entries.values()), f"{zoo.name}/")})
    return texts


def _require_figures(folder: Path, entry: Entry) -> None:
    """Every metric of the weights is there for every file, and over seeds."""
    names = list(entry.metrics.get("weights", {}))
    for field, blocks in (("metrics", entry.metrics), ("seeds", entry.seeds)):
        for key in ("weights", *entry.metrics):
            lacking = [name for name in names or ["a metric"] if name not in blocks.get(key, {})]
            if lacking:
                raise LMFError(
                    f"The entry in {folder} has no card yet: {field}.{key} lacks {', '.join(lacking)}."
                )


def fill_marked(text: str, tables: Mapping[str, str]) -> str:
    """`text` with each table put between its lines `<!-- table NAME -->` and `<!-- end NAME -->`.

    Raises:
        LMFError: the two lines of a table are not there exactly once.
    """
    for name, table in tables.items():
        begin, end = f"<!-- table {name} -->", f"<!-- end {name} -->"
        text, found = re.subn(
            f"{begin}.*?{end}", lambda _, t=table, b=begin, e=end: f"{b}\n\n{t}\n\n{e}", text, flags=re.DOTALL
        )
        if found != 1:
            raise LMFError(f"The page needs the markers {begin} … {end} once, found {found} times.")
    return text


def render(zoo: Path) -> list[Path]:
    """Writes the pages; returns those that changed."""
    stale = stale_pages(zoo)
    for path, text in pages(zoo).items():
        if path in stale:
            write_text(path, text)
    return stale


def stale_pages(zoo: Path) -> list[Path]:
    """The pages that are missing or are not what the entries say."""
    return [
        path
        for path, text in pages(zoo).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def results(entries: Mapping[Path, Entry]) -> pd.DataFrame:
    """One row per entry, file and metric on "test" (the shipped seed, and mean and deviation over seeds), then one per
    trial of the search on "valid"."""
    tables = []
    for folder, entry in entries.items():
        rows = []
        for key, block in entry.metrics.items():
            for name, metric in block.items():
                spread = entry.seeds.get(key, {}).get(name)
                rows.append(
                    {"entry": entry.name, "split": "test", "file": key, "metric": name}
                    | metric.model_dump()
                    | {"seeds_mean": spread and spread.mean, "seeds_sd": spread and spread.sd}
                    | {"seeds": spread and spread.runs}
                )
        tables.append(pd.DataFrame(rows))
        if (folder / TRIALS).is_file():
            trials = pd.read_csv(folder / TRIALS)
            tables.append(trials.assign(entry=entry.name, split="valid", file="weights"))
    return pd.concat(tables)


def overview_table(entries: list[Entry], link: str) -> str:
    """One line per entry with its headline metric; `link` leads to the folder of entries."""
    rows = []
    for entry in entries:
        name, metric = next(iter(entry.metrics["weights"].items()))
        spread = entry.seeds["weights"][name]
        floor = "" if metric.floor is None else f"{metric.floor:.3f}"
        rows.append(
            {
                "entry": f"[{entry.name}]({link}{entry.name}/CARD.md)",
                "what": entry.summary,
                "parameters": f"{entry.parameters:,}",
                "metric": name,
                "mean ± sd over seeds": f"{_mean(spread)} ({spread.runs})",
                "over folds": _mean(entry.cross_validation[name]) if name in entry.cross_validation else "",
                "fitted on": "train + valid" if any(map(REFIT.search, entry.protocol)) else "train",
                "shipped": f"{metric.value:.3f}",
                "floor": floor,
                "weights": entry.licences.weights,
            }
        )
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def overview(entries: list[Entry]) -> str:
    """zoo/README.md."""
    return (
        "# The zoo\n\n"
        "Trained models, one folder each. Test figures of the Keras model; the cards have those of every file. "
        "All of this page is made from the entries by `keras-lmf render`.\n\n"
        f"{overview_table(entries, '')}\n\n"
        "Over folds: the same recipe on each fold of the corpus, or of the search, as the card says. `results.csv` has "
        "every metric of every file, and the trials of those searches that were recorded. `testvectors.npz` holds "
        "inputs that were drawn by a random generator, nobody's voice or face and no row of a corpus, and the model's "
        "answers, which every load compares. `keras-lmf list` lists the entries, `keras-lmf show NAME` one entry, and "
        "`klmf.load(NAME)` gives the model.\n"
    )


def card(entry: Entry, limits: str) -> str:
    """CARD.md of an entry; its Python blocks run."""
    target = entry.target
    answer = f"logits of {', '.join(target.classes)}" if target.classes else f"values in {list(target.range)}"
    inputs = pd.DataFrame(
        {"input": name, "a row": str(spec.shape), "unit": spec.unit, "what it is": spec.description}
        for name, spec in entry.inputs.items()
    )
    arrays = "\n".join(
        f'        "{name}": numpy.zeros((1, {", ".join(map(str, spec.shape))}), "float32"),'
        for name, spec in entry.inputs.items()
    )
    temperature = f"\n    temperature={entry.calibration.temperature:.3f}," if entry.calibration else ""
    sections = [
        f"# {entry.name}\n\n{_warning(entry)}{entry.summary}. {entry.parameters:,} parameters. "
        f"Output `{target.name}`, (batch, {target.size}): {answer}.",
        f"## Inputs\n\n{inputs.to_markdown(index=False)}\n\n"
        f"{_bulleted(facts(entry))}Features are standardised inside the model. Zeros below stand for your features.",
        "## Load, predict, convert\n\n```python\nimport numpy\nimport keras_lmf as klmf\n\n"
        f'model = klmf.load("{entry.name}")\n'
        f'answer = model(\n    {{\n{arrays}\n    }}\n)["{target.name}"]\n'
        f'files = klmf.export_model(\n    model,\n    "exported",\n    formats=["tflite-float16"],\n'
        f'    recipe=klmf.zoo.recipe("{entry.name}"),{temperature}\n)\n```',
        f"## Metrics\n\n{_metrics(entry)}\n\n{_costs(entry)}\n\n{_cross_validation(entry)}"
        f"{_alone(entry)}"
        "![the first metric of every file against its bytes and latency](files.png)",
        f"## Training\n\n{_bullets(entry.protocol)}"
        f"\n- `{RECIPE}` says all of the architecture and the training; `keras-lmf train {entry.name} --check` does it "
        "again and compares.",
        f"## Limits\n\n{limits}",
        f"## Ethics\n\n{ETHICS}",
        f"## Licences\n\nCode: {entry.licences.code}. Weights: {entry.licences.weights}. Training data: "
        f"{entry.licences.data}.",
        f"## Citation\n\n{_bullets(entry.citations)}",
    ]
    return "\n\n".join(sections) + "\n"


def _metrics(entry: Entry) -> str:
    """Two tables, a row per metric and a column per file: the shipped seed, and all seeds."""
    names = list(entry.metrics["weights"])
    floors = {name: metric.floor for name, metric in entry.metrics["weights"].items()}
    shipped = pd.DataFrame(
        {
            **{key: {name: _value(block[name]) for name in names} for key, block in entry.metrics.items()},
            "floor": {name: "" if floor is None else f"{floor:.3f}" for name, floor in floors.items()},
        }
    )
    seeds = pd.DataFrame(
        {key: {name: _mean(block[name]) for name in names} for key, block in entry.seeds.items()}
    )[list(entry.metrics)]
    runs = next(iter(entry.seeds["weights"].values())).runs
    return (
        "The shipped files on the test split; brackets: 95 % bootstrap interval over its rows; floor: a constant "
        f"prediction chosen from the training labels. `weights` is the Keras model.\n\n{shipped.to_markdown()}\n\n"
        f"Mean ± standard deviation over {runs} seeds, each trained, exported and measured:\n\n{seeds.to_markdown()}"
    )


def _mean(spread: Spread) -> str:
    """One training has no deviation."""
    return f"{spread.mean:.3f}" + (f" ± {spread.sd:.3f}" if spread.runs > 1 else "")


def _cross_validation(entry: Entry) -> str:
    """One line of figures over folds, where there are any."""
    if not entry.cross_validation:
        return ""
    runs = next(iter(entry.cross_validation.values())).runs
    figures = {name: _mean(spread) for name, spread in entry.cross_validation.items()}
    table = pd.DataFrame([figures]).to_markdown(index=False, disable_numparse=True)
    return f"Cross-validation, mean ± standard deviation over {runs} folds:\n\n{table}\n\n"


def _alone(entry: Entry) -> str:
    """One row per modality, where the model can do without the others."""
    if not entry.alone:
        return ""
    runs = next(iter(next(iter(entry.alone.values())).values())).runs
    both = {name: _mean(entry.seeds["weights"][name]) for name in entry.metrics["weights"]}
    rows = {"all": both} | {
        modality: {name: _mean(spread) for name, spread in block.items()}
        for modality, block in entry.alone.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").reset_index(names="what is there")
    return (
        f"The Keras model with each modality alone, mean ± standard deviation over {runs} seeds:\n\n"
        f"{table.to_markdown(index=False, disable_numparse=True)}\n\n"
    )


def _warning(entry: Entry) -> str:
    return f"**{entry.warning}**\n\n" if entry.warning else ""


def _costs(entry: Entry) -> str:
    """One row per file: size, distance to Keras, latency, and whether it is here."""
    shipped = {key: f"`{file.name}`" for key, file in entry.files.items()}
    rows = [
        {
            "file": key,
            "here": shipped.get(
                key, "made by a command" if key == "saved_model" else "not shipped, see Training"
            ),
            "bytes": f"{cost.bytes:,}",
            "largest difference to Keras": f"{cost.difference_max:.1e}",
            "same class as Keras": "" if cost.agreement is None else f"{cost.agreement:.1%}",
            "latency p50 / p95, ms": f"{cost.latency_p50_ms:.3g} / {cost.latency_p95_ms:.3g}",
        }
        for key, cost in entry.costs.items()
    ]
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return f"Each written file; latency of one row on one thread of the machine that made it:\n\n{table}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _bulleted(lines: list[str]) -> str:
    """The lines as a list with an empty line after it; nothing for no lines."""
    return f"{_bullets(lines)}\n\n" if lines else ""


def _value(metric: Metric) -> str:
    interval = "" if metric.low is None else f" [{metric.low:.3f}, {metric.high:.3f}]"
    return f"{metric.value:.3f}{interval}"


def _limits(folder: Path) -> str:
    path = folder / LIMITS
    if not path.is_file():
        raise LMFError(f"{path} is missing: the limits of an entry are written by hand.")
    return path.read_text(encoding="utf-8").strip()
