"""A published corpus as a dataset: found, read into recordings, and from those into arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_lmf.data import extraction
from keras_lmf.data.corpora.files import base_folder, find, root_or_default
from keras_lmf.data.corpora.published import listing, read
from keras_lmf.data.corpora.published.counts import counted, missing
from keras_lmf.data.corpora.published.description import PublishedCorpus
from keras_lmf.data.corpora.published.options import Chosen, choose
from keras_lmf.data.corpora.published.rows import Rows, holds, rows
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError
from keras_lmf.media.sound import SAMPLE_RATE, number_of_samples, read_waveforms
from keras_lmf.sources import RecordedInput, Sound

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
    if inputs is None:
        inputs = {"voice": RecordedInput(shape=(samples,), rate=SAMPLE_RATE, source=Sound())}
    if not inputs:
        raise LMFError(
            f"Corpus {word!r}: recordings fill inputs that are sound, pictures or have a source; there are none."
        )
    found = recordings(corpus, word, root, chosen)
    if absent := missing(corpus, chosen, found):
        warnings.warn(
            f"Corpus {word!r}: {len(absent)} recordings are missing ({_listed(absent)}). "
            f"'keras-lmf check {name}' names all.",
            stacklevel=3,
        )
    return extraction.dataset(found.recordings, inputs)


def called(name: str | Path) -> str:
    """What a corpus is called: of one's own, the TOML's name without suffix."""
    return Path(name).stem if Path(name).suffix == ".toml" else str(name)


def recordings(corpus: PublishedCorpus, name: str, root: str | Path | None, chosen: Chosen) -> Rows:
    """The corpus's recordings under `root`; errors as of `load`."""
    folder, files, layout = _place(corpus, name, root)
    found = rows(corpus, name, folder, files, layout, chosen)
    if not found.recordings.rows:
        options = ", ".join(f"{option} {word!r}" for option, word in chosen.words.items()) or "none"
        hint = f" Other options would take {found.other} recordings." if found.other else ""
        refused = "".join(f"\n  {row.where}: {row.why}" for row in found.recordings.refused[:_SHOWN])
        raise LMFError(
            f"{folder}: no recording of {name} can be used with the options {options}.{hint}{refused}"
        )
    return found


def is_there(corpus: PublishedCorpus, name: str, root: str | Path | None) -> bool:
    """Whether recordings of the corpus lie under `root`."""
    base = root_or_default(root)
    folder = base and _folder(base, name, root)
    return folder is not None and folder.is_dir() and holds(corpus, listing.files(folder)) is not None


def _folder(base: Path, name: str, root: str | Path | None) -> Path:
    """The folder of the corpus's name in `base`, else `base` itself; KERAS_LMF_DATA has a folder for each corpus."""
    return base if root is not None and not (base / name).is_dir() else base / name


def _place(
    corpus: PublishedCorpus, name: str, root: str | Path | None
) -> tuple[Path, list[listing.Found], str]:
    examples = [what.example for what in corpus.layouts.values()]
    base = base_folder(name, f"the folder that holds {name}/{examples[0]}", root)
    folder = _folder(base, name, root)
    files = listing.files(folder) if folder.is_dir() else []
    if (layout := holds(corpus, files)) is None:
        place = folder if folder.name == name else folder / name
        raise LMFError(
            f"Corpus {name!r}: {place / examples[0]} does not exist. "
            f"{'root' if root is not None else 'KERAS_LMF_DATA'} must be the folder that holds {name}, as it was "
            f"downloaded: files such as {' or '.join(examples)}, in a .zip or not."
        )
    return folder, files, layout


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
