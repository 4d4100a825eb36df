"""Features that were published of a corpus, instead of its recordings, as a dataset."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from keras_lmf.data.corpora import computational_sequences, pickled_splits
from keras_lmf.data.corpora.published import listing
from keras_lmf.data.corpora.published.description import FIELD, Pickle, PublishedCorpus, whole
from keras_lmf.data.corpora.published.options import Chosen
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError


def load(
    corpus: PublishedCorpus, name: str, folder: Path, files: list[listing.Found], layout: str, chosen: Chosen
) -> Dataset:
    """The features in `folder`.

    Args:
        corpus: its description.
        name: what it is called.
        folder: where it lies.
        files: what lies there.
        layout: a name of `corpus.features`.
        chosen: which labels, and how many steps.

    Raises:
        LMFError: a file that is packed, damaged, hostile or of another thing; a label that isn't in it.
    """
    what = corpus.features[layout]
    if isinstance(what, Pickle):
        if chosen.label is not None or chosen.steps is not None:
            given = "steps" if chosen.steps is not None else "label"
            raise LMFError(
                f"Corpus {name!r}: a .pkl takes no option {given!r}; its features and labels are made."
            )
        found = pickled_splits.load(_path(what.file, files), target=corpus.target, fill=what.fill)
        return dataclasses.replace(found, name=name)
    modalities = {
        modality: _path(expression, files)
        for modality, expression in what.modalities.items()
        if _matching(expression, files)
    }
    if not modalities:
        raise LMFError(
            f"{folder}: beside the labels there are no features. Give one of "
            f"{', '.join(what.modalities.values())}."
        )
    label = chosen.label or what.label
    return computational_sequences.load(
        name,
        labels=_path(what.file, files),
        modalities=modalities,
        target=chosen.target,
        columns=what.columns,
        label=[
            name
            for template in ((label,) if isinstance(label, str) else label)
            for name in FIELD.findall(template)
        ],
        split_of=chosen.split_of,
        steps=chosen.steps,
    )


def _matching(expression: str, files: list[listing.Found]) -> list[listing.Found]:
    match = re.compile(whole(expression)).fullmatch
    return [found for found in files if match(found.name)]


def _path(expression: str, files: list[listing.Found]) -> Path:
    """The first file of this name, which must not be in an archive."""
    first = _matching(expression, files)[0]
    if first.member is not None:
        raise LMFError(f"{first.path}: unpack {first.member}. Features are not read from an archive.")
    return Path(first.path)
