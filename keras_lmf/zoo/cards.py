"""The pages about the zoo, made from the entries: every CARD.md, README.md, files.md, results.csv, tables in other
pages, and the pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_lmf.errors import LMFError
from keras_lmf.files import write_text
from keras_lmf.locate import BACKBONE, ENTRY, RECIPE, folders_with
from keras_lmf.records import Backbone
from keras_lmf.zoo import description, fetching, files
from keras_lmf.zoo.description import rendered
from keras_lmf.zoo.entry import Entry
from keras_lmf.zoo.synopsis import Limits, synopsis

if TYPE_CHECKING:
    import pandas as pd

    from keras_lmf.zoo.pictures import Picture

TRIALS = "trials.csv"  # every trial of the search that chose the entry's recipe, on "valid"
# The short table: for those who have clips (both, a voice, a face), features, or an app.
SIX = (
    "lmf-media-av", "ge2e-ravdess-voice", "expression-ferplus-face", "lmf-mosi-avt", "lmf-ravdess-av", "whisper-voice",
)  # fmt: skip
LANGUAGES = ("kotlin", "swift")  # of apps


def pages(zoo: Path) -> dict[Path, str]:
    """The text of every generated page of a folder of entries, by path.

    README.md beside the folder and the pages in docs/ beside it are among them where they have the lines
    `<!-- table zoo -->` and `<!-- end zoo -->` (all entries), or the same with `six` (a few, for a first look) or
    `files` (those that a microphone or a camera can fill); and where they have `<!-- listing ENTRY.kotlin -->` (or
    .swift) and `<!-- end ENTRY.kotlin -->`, of an entry of the folder.

    Raises:
        LMFError: no entry, or one that lacks what a page tells.
    """
    entries = read_entries(zoo)
    texts = {folder / "CARD.md": card(folder, entry) for folder, entry in entries.items()}
    published = folders_with(BACKBONE, zoo)
    texts |= {folder / "CARD.md": backbone_card(folder) for folder in published.values()}
    texts[zoo / "README.md"] = rendered("zoo", table=overview(entries, ""), backbones=published)
    told = entries.values()
    texts[zoo / "files.md"], texts[zoo / "files.csv"] = files.to_markdown(told), files.to_csv(told)
    texts[zoo / "files.json"] = files.to_json(told)
    texts[zoo / "results.csv"] = results(entries).to_csv(index=False, float_format="%.6g")
    beside = zoo.resolve().parent
    for page in (beside / "README.md", *sorted((beside / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        link = f"{'' if page.parent == beside else '../'}{zoo.name}/"
        tables = {
            "zoo": overview(entries, link),
            "six": short_overview(entries, link),
            "files": media_files(entries, link),
        }
        listings = {
            f"{entry.name}.{language}": app_code(entry, language)
            for entry in entries.values()
            for language in LANGUAGES
            if f"<!-- listing {entry.name}.{language} -->" in text
        }
        here = {name: table for name, table in tables.items() if f"<!-- table {name} -->" in text}
        if here or listings:
            texts[page] = fill_marked(fill_marked(text, here), listings, "listing")
    return texts


def read_entries(zoo: Path) -> dict[Path, Entry]:
    """The entries of a folder by their own folders; errors as of `pages`."""
    entries = {folder: Entry.read(folder) for folder in folders_with(ENTRY, zoo).values()}
    if not entries:
        raise LMFError(f"There is no zoo entry in the folder {zoo}.")
    for folder, entry in entries.items():
        _require_figures(folder, entry)
    return entries


def _require_figures(folder: Path, entry: Entry) -> None:
    """Every metric of the weights is there for every file, and over seeds; and of several corpora, what one is worth
    that was left out."""
    names = list(entry.metrics.get("weights", {})) or ["a metric"]
    for field, blocks in (("metrics", entry.metrics), ("seeds", entry.seeds)):
        for key in ("weights", *entry.metrics):
            if lacking := [name for name in names if name not in blocks.get(key, {})]:
                raise LMFError(
                    f"The entry in {folder} has no card yet: {field}.{key} lacks {', '.join(lacking)}."
                )
    if len(entry.corpora) > 1 and not entry.left_out:
        raise LMFError(
            f"The entry in {folder} has no card yet: of several corpora it tells each one's figure without it in "
            "training (left_out). 'keras-lmf evaluate --leave-one-corpus-out' measures it."
        )


def fill_marked(text: str, tables: Mapping[str, str], kind: str = "table") -> str:
    """`text` with each table put between its lines `<!-- table NAME -->` (or another `kind`) and `<!-- end NAME -->`.

    Raises:
        LMFError: the two lines of a table are not there exactly once.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {kind} {name} -->", f"<!-- end {name} -->"
        filled = f"{begin}\n\n{table}\n\n{end}"
        text, found = re.subn(f"{begin}.*?{end}", lambda _, filled=filled: filled, text, flags=re.DOTALL)
        if found != 1:
            raise LMFError(f"The page needs the markers {begin} … {end} once, found {found} times.")
    return text


def render(zoo: Path) -> list[Path]:
    """Writes pages and pictures; returns those that changed."""
    from keras_lmf.zoo import pictures

    texts, drawn = _stale(zoo)
    for path, text in texts.items():
        write_text(path, text)
    for path, picture in drawn.items():
        pictures.write(path, picture)
    return [*texts, *drawn]


def stale_pages(zoo: Path) -> list[Path]:
    """The pages and pictures that are missing or are not what the entries say."""
    texts, drawn = _stale(zoo)
    return [*texts, *drawn]


def _stale(zoo: Path) -> tuple[dict[Path, str], dict[Path, Picture]]:
    from keras_lmf.zoo import pictures  # with pandas, which `show` needn't wait

    texts, drawn = pages(zoo), pictures.pictures(zoo, read_entries(zoo))
    return (
        {
            path: text
            for path, text in texts.items()
            if not path.is_file() or path.read_text(encoding="utf-8") != text
        },
        {path: picture for path, picture in drawn.items() if pictures.is_stale(path, picture)},
    )


def results(entries: Mapping[Path, Entry]) -> pd.DataFrame:
    """One row per entry, file and metric on "test" (the shipped seed, and mean and deviation over seeds), then one per
    trial of the search on "valid"."""
    import pandas as pd  # takes a second, which `show` needn't wait

    tables = []
    for folder, entry in entries.items():
        rows = [
            {"entry": entry.name, "split": "test", "file": key, "metric": name, **metric.model_dump()}
            | entry.seeds[key][name].model_dump()
            for key, block in entry.metrics.items()
            for name, metric in block.items()
        ]
        over_seeds = {"mean": "seeds_mean", "sd": "seeds_sd", "runs": "seeds"}
        tables.append(pd.DataFrame(rows).rename(columns=over_seeds))
        if (folder / TRIALS).is_file():
            trials = pd.read_csv(folder / TRIALS)
            tables.append(trials.assign(entry=entry.name, split="valid", file="weights"))
    return pd.concat(tables)


def overview(entries: Mapping[Path, Entry], link: str) -> str:
    """One line per entry with its first metric; `link` leads to the folder of entries."""
    told = [(entry, summary(folder, entry)) for folder, entry in entries.items()]
    return rendered("overview", entries=told, link=link).strip()


def short_overview(entries: Mapping[Path, Entry], link: str) -> str:
    """A line for each of the SIX that is there, or for every entry where none is."""
    known = {entry.name: entry for entry in entries.values()}
    chosen = [known[name] for name in SIX if name in known] or list(known.values())
    return rendered("six", entries=chosen, link=link).strip()


def media_files(entries: Mapping[Path, Entry], link: str) -> str:
    """A line for each shipped `.tflite` whose inputs a recording fills, those that take the same together."""
    filled = [entry for entry in entries.values() if entry.spec.media == entry.inputs]
    return rendered("files", entries=sorted(filled, key=description.what_goes_in), link=link).strip()


def app_code(entry: Entry, language: str) -> str:
    """Markdown with a class that runs one of the entry's files in an app; of files with float32 inputs and outputs.

    Args:
        entry: whose inputs, labels and temperatures are in it.
        language: one of LANGUAGES.
    """
    return rendered(language, entry=entry).strip()


def card(folder: Path, entry: Entry) -> str:
    """CARD.md of an entry; its Python blocks run.

    Raises:
        LMFError: as of `Limits.read`.
    """
    return rendered("card", **told(folder, entry, Limits.read(folder)))


def told(folder: Path, entry: Entry, limits: Limits | None) -> dict[str, Any]:
    """What the templates of card and `show` tell."""
    return {
        "entry": entry,
        "summary": summary(folder, entry),
        "synopsis": synopsis(entry, limits),
        "limits": limits.text if limits else None,
    }


def backbone_card(folder: Path) -> str:
    """CARD.md of published weights that recipes start from."""
    return rendered("backbone", backbone=Backbone.read(folder))


def summary(folder: Path, entry: Entry) -> str:
    """What the entry does. Options of the corpus are told where the folder has the entry's recipe."""
    try:
        options = fetching.read_recipe(folder / RECIPE, entry).corpus.options
    except LMFError:  # `load` says what is wrong with it
        options = {}
    return description.sentence(entry.target, entry.modalities, entry.fusion, entry.corpus, options)
