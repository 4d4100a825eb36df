"""An entry in a dozen lines: the box at the top of its card, and what `keras-lmf show` prints."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.zoo.description import (
    amount,
    best_file,
    corpus_title,
    figure,
    kinds,
    numbers,
    size,
    spaced,
    what_goes_in,
    worth,
)
from keras_lmf.zoo.entry import Entry

LIMITS = "limits.md"  # the one part of a card that is written by hand
USE, AVOID = "Use it for: ", "Not for: "
# What a licence in a word means for those who want to sell.
TERMS = {
    "research-only": "not for anything that is sold",
    "non-commercial": "not for anything that is sold",
    "attribution": "name the source, and read its terms before you sell",
}


class Limits(NamedTuple):
    """What limits.md says: what the entry is for and not for, a line each, and its limits (Markdown)."""

    use: str
    avoid: str
    text: str

    @classmethod
    def read(cls, folder: Path) -> Limits:
        """That of the entry in `folder`.

        Raises:
            LMFError: no limits.md, or one that does not begin with the two lines.
        """
        path = folder / LIMITS
        if not path.is_file():
            raise LMFError(f"{path} is missing: the limits of an entry are written by hand.")
        first, second, *rest = [*path.read_text(encoding="utf-8").splitlines(), "", ""]
        if not (first.startswith(USE) and second.startswith(AVOID)):
            raise LMFError(
                f"{path} must begin with two lines, '{USE}…' and '{AVOID}…', received {first!r:.60} and "
                f"{second!r:.60}. What follows them are the limits."
            )
        return cls(first.removeprefix(USE), second.removeprefix(AVOID), "\n".join(rest).strip())

    @classmethod
    def find(cls, folder: Path) -> Limits | None:
        """As `read`, but None where there is no limits.md: a mirror gives none."""
        return cls.read(folder) if (folder / LIMITS).is_file() else None


def synopsis(entry: Entry, limits: Limits | None) -> dict[str, str]:
    """What a stranger asks first → the answer, each a line; the figures are those of the best file.

    Args:
        entry: the record.
        limits: what it is for; None: not known.
    """
    key = best_file(entry)
    rows = {
        "use it for": limits.use if limits else "",
        "not for": limits.avoid if limits else "",
        "takes": (f"{' and '.join(kinds(entry))}: " if entry.spec.media else "") + what_goes_in(entry),
        "answers": ", ".join(entry.target.classes or [numbers(entry.target)]),
        **_figures(entry, key),
        "weak on": _weak(entry, key),
        "elsewhere": _elsewhere(entry),
        "best file": _file(entry, key),
        "licence": _licence(entry),
    }
    return {label: text for label, text in rows.items() if text}


def _figures(entry: Entry, key: str) -> dict[str, str]:
    """The first metric beside the floor, and how far it could be by chance."""
    block = entry.metrics.get(key, {})
    if not block:
        return {}
    word, metric = next(iter(block.items()))
    name, seeds = metric_name(word), entry.seeds.get("weights", {}).get(word)
    told = worth(word, metric.value) + ("" if word == "war" else f" ({name})")
    if metric.floor is not None:
        told += f"; always the same answer: {worth(word, metric.floor)} (the floor)"
    sure = [f"{name} {metric.value:.3f}"]
    if metric.low is not None and metric.high is not None:
        sure += [f"95 % interval {metric.low:.3f} to {metric.high:.3f}"]
    if seeds and seeds.runs > 1:
        sure += [f"{seeds.runs} trainings of the Keras model {figure(seeds)}"]
    elif seeds:
        sure += ["one training, so how far another would differ is not known"]
    if folds := entry.cross_validation.get(word):
        sure += [f"{folds.runs} folds {figure(folds)}"]
    return {"on test": told, "how sure": "; ".join(sure)}


def _weak(entry: Entry, key: str) -> str:
    """The classes whose F1 is below half of their mean (of ratings: the correlation); else the weakest alone."""
    mean, prefix, parts = "f1_macro", "f1_", entry.target.classes or ()
    if entry.target.dimensions:
        mean, prefix, parts = "pearson", "pearson_", entry.target.dimensions
    block = entry.metrics.get(key, {})
    found = {spaced(name): block[prefix + name].value for name in parts if prefix + name in block}
    if not found or mean not in block:
        return ""
    middle, what = block[mean].value, "F1" if entry.target.classes else "correlation"
    weak = sorted((name for name in found if found[name] < middle / 2), key=found.get)
    if weak:
        told = ", ".join(f"{name} ({what} {found[name]:.2f})" for name in weak)
        return f"{told}: below half of the mean over all ({middle:.2f})"
    least = min(found, key=found.get)
    return f"none below half of the mean {what} ({middle:.2f}); the weakest is {least} ({found[least]:.2f})"


def _elsewhere(entry: Entry) -> str:
    """How it does on a corpus that it never met."""
    word = next(iter(entry.metrics.get("weights", {})), None)
    told = [
        f"{corpus_title(corpus)} {block[word].others.mean:.2f} ({block[word].all.mean:.2f})"
        for corpus, block in entry.left_out.items()
        if word in block
    ]
    if not told:
        return "not measured on any other corpus"
    return f"{metric_name(word)} on a corpus left out of training (in brackets: trained on it, too): {', '.join(told)}"


def _file(entry: Entry, key: str) -> str:
    """The best file, whose figures the box has, what it costs, and how near it is to the Keras model."""
    cost, megabytes = entry.costs.get(key), f"{amount(size(entry, key) / 1e6)} MB"
    name = entry.files[key].name if key in entry.files else f"{key}, which keras-lmf export writes"
    told = [name, megabytes]
    if cost:
        told += [f"{amount(cost.latency_p50_ms)} ms an answer on one thread"]
    if cost and cost.agreement is not None:
        told += [f"same class as the Keras model in {cost.agreement:.1%} of rows"]
    return ", ".join(told) + ("; the figures above are its" if entry.metrics.get(key) else "")


def _licence(entry: Entry) -> str:
    """That of the weights: in a word, what it means for a seller, and its text."""
    word, text = entry.licences.word, entry.licences.weights
    meant = f"{word}: {TERMS[word]}" if word in TERMS else word
    return meant if text == word else f"{meant} ({text})"
