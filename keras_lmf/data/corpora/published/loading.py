"""A published corpus as a dataset: found, read into recordings, and from those into arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_lmf.data import extraction
from keras_lmf.data.corpora.files import base_folder, find, root_or_default
from keras_lmf.data.corpora.published import features, listing, read
from keras_lmf.data.corpora.published.counts import counted, missing
from keras_lmf.data.corpora.published.description import PublishedCorpus
from keras_lmf.data.corpora.published.options import Chosen, choose
from keras_lmf.data.corpora.published.rows import Rows, holds, rows
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.media.sound import SAMPLE_RATE, number_of_samples, read_waveforms
from keras_lmf.sources import RecordedInput, Source, resolved

_SHOWN = 5


def load(
    name: str | Path,
    root: str | Path | None,
    inputs: Mapping[str, RecordedInput] | None,
    options: Mapping[str, Any],
) -> Dataset:
    """A corpus as it was downloaded.

    Args:
        name: of a published corpus, or the path of a TOML of one's own.
        root: the folder that holds it, in a folder of its name or itself; None takes KERAS_LMF_DATA.
        inputs: what its recordings are to fill; None: "voice", `seconds` of sound at 16 kHz.
        options: `fold`, `seconds`, and those of its TOML.

    Raises:
        LMFError: no such corpus or option; nothing of it in the folder; what `extraction.dataset` refuses.
    """
    word = called(name)
    corpus = read(name)
    chosen = choose(corpus, word, options)
    samples = number_of_samples(chosen.seconds, f"Corpus {word!r}: seconds")
    at = find_layout(corpus, word, root, chosen, inputs)
    if at.layout in corpus.features:
        return features.load(corpus, word, at.folder, at.files, at.layout, chosen)
    if inputs is None:
        inputs = {"voice": RecordedInput(shape=(samples,), rate=SAMPLE_RATE, media="waveform")}
    inputs = resolved(inputs, sources(corpus))
    found = recordings(corpus, word, at, chosen)
    if absent := missing(corpus, chosen, found):
        warnings.warn(
            f"Corpus {word!r}: {len(absent)} recordings are missing ({_listed(absent)}). "
            f"'keras-lmf check {name}' names all.",
            stacklevel=3,
        )
    return extraction.dataset(found.recordings, inputs)


def sources(corpus: PublishedCorpus) -> dict[str, Source | None]:
    """Input → what of a recording of the corpus fills it, where a recipe doesn't say."""
    return {name: known.source for name, known in corpus.inputs.items()}


def called(name: str | Path) -> str:
    """What a corpus is called: of one's own, the TOML's name without suffix."""
    return Path(name).stem if Path(name).suffix == ".toml" else str(name)


@dataclass(frozen=True)
class Place:
    """Where a corpus lies: its folder, all files in it, and the layout that is read."""

    folder: Path
    files: list[listing.Found]
    layout: str


def find_layout(
    corpus: PublishedCorpus,
    name: str,
    root: str | Path | None,
    chosen: Chosen,
    inputs: Mapping[str, RecordedInput] | None = None,
) -> Place:
    """Where the corpus lies under `root`, in the chosen layout, or in the first one that can fill the inputs.

    Raises:
        LMFError: nothing of the corpus in this folder, or nothing in such a layout.
    """
    examples = {layout: what.example for layout, what in (corpus.layouts | corpus.features).items()}
    base = base_folder(name, f"the folder that holds {name}/{next(iter(examples.values()))}", root)
    folder = _folder(base, name, root)
    files = listing.files(folder) if folder.is_dir() else []
    there = holds(corpus, files)
    if not there:
        place = folder if folder.name == name else folder / name
        raise LMFError(
            f"Corpus {name!r}: {place / next(iter(examples.values()))} does not exist. "
            f"{'root' if root is not None else 'KERAS_LMF_DATA'} must be the folder that holds {name}, as it was "
            f"downloaded: files such as {' or '.join(examples.values())}"
            f"{', in a .zip or not' if corpus.layouts else ''}."
        )
    if chosen.layout is not None and chosen.layout not in there:
        raise LMFError(
            f"Corpus {name!r}: nothing in {folder} has the layout {chosen.layout!r} "
            f"(such files as {examples[chosen.layout]}); there is {', '.join(there)}."
        )
    fitting = [chosen.layout] if chosen.layout is not None else there
    if inputs is not None:
        known = sources(corpus)
        recorded = [name for name, given in inputs.items() if given.media or given.source or known.get(name)]
        fitting = [layout for layout in fitting if (layout in corpus.layouts) == bool(recorded)]
    if not fitting:
        raise LMFError(
            f"Corpus {name!r}: {folder} holds features ({', '.join(there)}), and these inputs are filled by "
            f"recordings: {', '.join(recorded)}."
            if recorded
            else f"Corpus {name!r}: recordings fill inputs that are sound, pictures or have a source; there are none."
        )
    return Place(folder, files, fitting[0])


def recordings(corpus: PublishedCorpus, name: str, at: Place, chosen: Chosen) -> Rows:
    """The corpus's recordings at `at`; an LMFError where none can be used."""
    found = rows(corpus, name, at.folder, at.files, at.layout, chosen)
    if not found.recordings.rows:
        options = ", ".join(f"{option} {word!r}" for option, word in chosen.words.items()) or "none"
        hint = f" Other options would take {found.other} recordings." if found.other else ""
        refused = "".join(f"\n  {row.where}: {row.why}" for row in found.recordings.refused[:_SHOWN])
        raise LMFError(
            f"{at.folder}: no recording of {name} can be used with the options {options}.{hint}{refused}"
        )
    return found


def is_there(corpus: PublishedCorpus, name: str, root: str | Path | None) -> bool:
    """Whether anything of the corpus, as it was published, lies under `root`."""
    base = root_or_default(root)
    folder = base and _folder(base, name, root)
    return folder is not None and folder.is_dir() and bool(holds(corpus, listing.files(folder)))


def _folder(base: Path, name: str, root: str | Path | None) -> Path:
    """The folder of the corpus's name in `base`, else `base` itself; KERAS_LMF_DATA has a folder for each corpus."""
    return base if root is not None and not (base / name).is_dir() else base / name


def sounds(name: str, root: str | Path | None, fold: int, seconds: float) -> Dataset:
    """The voices of a corpus from the arrays of ours: a folder of files that are mono at 16 kHz already, all there.

    Args:
        name: of a published corpus whose `arrays` are a folder and its first layout.
        root, fold, seconds: as of `load`.

    Raises:
        LMFError: an option out of its range; a file that is missing, damaged or no recording of the corpus.
    """
    corpus = read(name)
    chosen = choose(corpus, name, {"fold": fold, "seconds": seconds})
    samples = number_of_samples(seconds, f"Corpus {name!r}: seconds")
    folder = find(name, corpus.arrays, root)
    layout = next(iter(corpus.layouts))
    found = rows(corpus, name, folder.parent, listing.files(folder.parent), layout, chosen)
    example = Path(corpus.layouts[layout].example)
    for stranger in (*found.strangers, *(row.where for row in found.recordings.refused)):
        raise LMFError(
            f"{folder.parent / stranger}: no file of {name} has this name ({example.name}, …). Move it elsewhere."
        )
    taken = found.recordings.rows
    published = counted(corpus, layout, chosen).recordings
    if len(taken) != published:
        raise LMFError(
            f"{folder}: {len(taken)} files ({example.suffix}), {name} has {published}. Copy it again."
        )
    return Dataset(
        name=name,
        target=chosen.target,
        inputs={"voice": read_waveforms([recording.path for recording in taken], samples)},
        labels=[chosen.target.classes.index(recording.label) for recording in taken],
        groups=[recording.group for recording in taken],
        ids=[recording.id for recording in taken],
        splits=[recording.split for recording in taken],
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
