"""How an entry is told to a reader: the names of things, one sentence, figures, and the templates of all pages.

`keras-lmf list`, `keras-lmf show`, the cards and the tables of the zoo take their words from here.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.recipe import FUSIONS
from keras_lmf.spec import MEDIA
from keras_lmf.target import Target
from keras_lmf.zoo.entry import Entry
from keras_lmf.zoo.figures import Metric, Spread

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

# The three that matter: the first of these that an entry has.
MAIN = ("war", "uar", "f1_macro", "mae", "pearson", "acc2_nonneg", "concordance")
# Of a corpus: those that change what is learnt, not the split or an input's length.
TOLD_OPTIONS = ("labels", "merge")
KINDS = ("clip", "sound", "photo", "features")  # of what a model is given
SMALLEST = 1e-3  # half a prediction interval, where the seeds hardly differ


def metrics(entry: Entry) -> list[str]:
    """The metrics of an entry, each once: of three classes or more `recall`, which older entries have, is `uar`; of
    two, `f1_binary` is the F1 of the second."""
    size = entry.target.size if entry.target.classes else 0
    again = "recall" if size > 2 else "f1_binary" if size == 2 else None
    return [word for word in entry.metrics.get("weights", {}) if word != again]


def main_metrics(entry: Entry) -> list[str]:
    """The three that matter."""
    words = metrics(entry)
    return [word for word in MAIN if word in words][:3] or words[:3]


def spaced(name: str) -> str:
    """A name of a recipe as words: "audio_statistics" → "audio statistics"."""
    return name.replace("_", " ")


def identifier(name: str) -> str:
    """A name as programs can have it: "face-2.left" → "face_2_left"."""
    return re.sub(r"\W|^(?=\d)", "_", name)


def listed(words: Iterable[str]) -> str:
    """The words with commas, and "and" before the last."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def sentence(
    target: Target,
    inputs: Iterable[str],
    fusion: str,
    corpus: str | Sequence[str],
    options: Mapping[str, object],
) -> str:
    """What a model does, from the words of its recipe.

    >>> from keras_lmf.target import Target
    >>> print(sentence(Target(name="sentiment", range=(-3, 3)), ["audio", "text"], "low_rank", "cmu_mosi", {}))
    Sentiment (a number from -3 to 3) from audio and text by low-rank fusion, trained on CMU-MOSI.
    """
    name, sources = spaced(target.name), [spaced(word) for word in inputs]
    what = f"{target.size} classes" if target.classes else numbers(target)
    source = listed(sources) if len(sources) > 1 else f"the {sources[0]}"
    way = f" by {title}" if (title := FUSIONS[fusion].title) else ""
    values = {key: options[key] for key in TOLD_OPTIONS if options.get(key)}
    told = ", ".join(
        f"{spaced(key)}: {value if isinstance(value, str) else listed(value)}"
        for key, value in values.items()
    )
    end = corpus_title(corpus) + (f" ({told})" if told else "")
    return f"{name[:1].upper()}{name[1:]} ({what}) from {source}{way}, trained on {end}."


def corpus_title(corpus: str | Sequence[str]) -> str:
    """What readers call a corpus, or several; one of one's own is called by its name."""
    from keras_lmf.data import corpora  # takes a while, which `list` needn't wait

    return listed(corpora.title(name) for name in ([corpus] if isinstance(corpus, str) else corpus))


def numbers(target: Target) -> str:
    """What a regression gives: "a number from -3 to 3", "17 numbers from 1 to 7"."""
    low, high = target.range
    return f"{f'{target.size} numbers' if target.dimensions else 'a number'} from {low:g} to {high:g}"


def figure(value: Metric | Spread | float | None) -> str:
    """A metric with its interval, a mean ± standard deviation (one training has none), or a number."""
    if isinstance(value, Spread):
        return f"{value.mean:.3f}" + (f" ± {value.sd:.3f}" if value.runs > 1 else "")
    if isinstance(value, Metric):
        known = value.low is not None and value.high is not None
        return f"{value.value:.3f}" + (f" [{value.low:.3f}, {value.high:.3f}]" if known else "")
    return "" if value is None else f"{value:.3f}"


def kinds(entry: Entry) -> tuple[str, ...]:
    """Those of KINDS that the model takes: a clip has voice and face, or a face in several pictures."""
    media = {spec.media: len(spec.shape) for spec in entry.spec.media.values()}
    found = []
    if media:
        one_picture = media == {"frames": MEDIA["frames"].axes[0]}
        found.append("photo" if one_picture else "clip" if "frames" in media else "sound")
    return (*found, "features") if len(media) < len(entry.inputs) else tuple(found)


def what_goes_in(entry: Entry) -> str:
    """The inputs in words: "voice, 3 s; face, 6 pictures"."""
    told, features = [], []
    for name, spec in entry.inputs.items():
        if not spec.media:
            features.append(spaced(name))
        elif spec.media == "waveform":
            told.append(spaced(name) + (f", {spec.shape[0] / spec.rate:g} s" if spec.rate else ""))
        else:
            one = len(spec.shape) == MEDIA[spec.media].axes[0]
            told.append(f"{spaced(name)}, {'a picture' if one else f'{spec.shape[0]} pictures'}")
    return "; ".join([*told, f"features of {listed(features)}"] if features else told)


def best_file(entry: Entry) -> str:
    """The key of the smallest `.tflite` file that is shipped; else of the float32 one, which a command makes (the file
    of weights lacks published front ends, so it tells no size); else of the weights."""
    ready = [key for key, file in entry.files.items() if file.name.endswith(".tflite") and key in entry.costs]
    shipped = {key: entry.costs[key].bytes for key in ready}
    return min(shipped, key=shipped.get, default="tflite" if "tflite" in entry.costs else "weights")


def size(entry: Entry, key: str) -> int:
    """Bytes of a file of the entry, shipped or measured."""
    return (entry.costs.get(key) or entry.files[key]).bytes


def amount(number: float) -> str:
    """Two figures of a size or a time: "62", "4.1", "0.41", "<0.1"."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}" if number >= 0.1 else "<0.1"


def worth(metric: str, value: float | None) -> str:
    """A metric in words: "84% right", "0.92 off", else its number."""
    if value is None:
        return ""
    words = {"war": f"{value:.0%} right", "mae": f"{value:.2f} off"}
    return words.get(metric, f"{value:.2f}")


def shape(sizes: Sequence[int | None]) -> str:
    """The shape of a row: "(20, 43)"; an axis of any length is "any"."""
    return f"({', '.join('any' if width is None else str(width) for width in sizes)})"


def table(rows: Sequence[Sequence[object]], header: Sequence[str], style: str) -> str:
    """Rows of cells as a table, in a style of tabulate's; an empty column is left out."""
    from tabulate import tabulate

    columns = [(name, cells) for name, *cells in zip(header, *rows) if any(cells)]
    cells = {name: [str(cell) for cell in cells] for name, cells in columns}
    if style == "pipe":  # Markdown
        cells = {name: [cell.replace("|", "\\|") for cell in column] for name, column in cells.items()}
    return tabulate(cells, headers="keys", tablefmt=style, disable_numparse=True)


def printable(text: str) -> str:
    """The text without control characters, which a terminal obeys: names inside a file may hold anything."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else "\N{REPLACEMENT CHARACTER}" for mark in text
    )


def rendered(template: str, **facts: object) -> str:
    """A template of this package with the facts in it. What entries say is data: none of it is read as a template."""
    return _templates().get_template(f"{template}.md.j2").render(facts)


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2  # takes a while, which `list` needn't wait

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown and text for a terminal, no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do"],
    )
    named = (
        *(metric_name, spaced, identifier, listed, corpus_title, numbers, figure, shape, table, repr),
        *(kinds, what_goes_in, best_file, size, metrics, main_metrics),
    )
    environment.filters |= {function.__name__: function for function in named}
    environment.globals["MEDIA"] = MEDIA
    environment.filters["json"] = functools.partial(json.dumps, ensure_ascii=False)
    return environment


def new_seed(entry: Entry) -> int:
    """A seed that the entry's n trainings, with the seeds 0 … n − 1, didn't have.

    Raises:
        LMFError: the entry has no figures over at least two seeds, so there is nothing to compare with.
    """
    runs = [spread.runs for spread in entry.seeds.get("weights", {}).values()]
    if not runs or min(runs) < 2:
        raise LMFError(f"The zoo entry {entry.name!r} has no figures over several seeds to compare with.")
    return max(runs)


def compare(metrics: Mapping[str, float], entry: Entry) -> pd.DataFrame:
    """The test metrics of a new training beside those of the entry's seeds.

    Returns:
        a table indexed by metric, the task's main one first: `value` (of the new training), `mean` and `sd` (over
        the n seeds), `low` and `high` (mean ± t · sd · √(1 + 1/n), in which a further seed lies with 95 %
        probability), `agrees` (it does).
    """
    import pandas as pd
    from scipy.stats import t  # both take a second, which no page needs

    spreads = entry.seeds["weights"]
    rows = {
        name: {"value": value, **spreads[name].model_dump()}
        for name, value in metrics.items()
        if name in spreads
    }
    if not rows:
        raise LMFError(
            f"The zoo entry {entry.name!r} has figures of {', '.join(spreads)}, not of {', '.join(metrics)}."
        )
    found = pd.DataFrame.from_dict(rows, orient="index")
    runs, mean = found.pop("runs"), found["mean"]
    half = (t.ppf(0.975, runs - 1) * found["sd"] * (1 + 1 / runs) ** 0.5).clip(lower=SMALLEST)
    found = found.assign(low=mean - half, high=mean + half)
    return found.assign(agrees=found["value"].between(found["low"], found["high"]))
