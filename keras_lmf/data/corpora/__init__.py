"""The corpora by name. One module a corpus, each with `load(root=None, **options) -> Dataset`."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from keras_lmf.data.corpora._root import LABELS, is_clips
from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, unknown_name

CORPORA = {
    "clips": "keras_lmf.data.corpora.clips_folder",
    "cmu_mosi": "keras_lmf.data.corpora.cmu_mosi",
    "emodb": "keras_lmf.data.corpora.emodb",
    "enterface05_landmarks": "keras_lmf.data.corpora.enterface05_landmarks",
    "fer2013": "keras_lmf.data.corpora.fer2013",
    "iemocap": "keras_lmf.data.corpora.iemocap",
    "pom": "keras_lmf.data.corpora.pom",
    "ravdess": "keras_lmf.data.corpora.ravdess",
    "synthetic": "keras_lmf.data.corpora.synthetic",
    "voices_and_faces": "keras_lmf.data.corpora.voices_and_faces",
}


PICKLE = "keras_lmf.data.corpora.pickled_splits"


def load(name: str | Path, root: str | Path | None = None, **options: object) -> Dataset:
    """The corpus `name`, or the dataset of your own file.

    Args:
        name: a key of `CORPORA`; the path of an .npz (layout: `Dataset.save`); or the path of a .pkl as MMSA and MulT
            read them (layout and options: `corpora.pickled_splits.load`, which runs none of the file's code); or the
            path of a folder of your own clips (layout and options: `corpora.clips_folder.load`).
        root: the folder that holds the corpora; None takes the environment variable KERAS_LMF_DATA. A relative path
            of a file or folder is then one in this folder. For "clips" it is the folder of the clips itself.
        options: what the corpus's own `load` accepts, for example `fold=2` for "ravdess", `target=…` for a .pkl.
    """
    suffix = Path(name).suffix.lower()
    if suffix in (".npz", ".pkl", ".pickle"):
        path = name if root is None else Path(root) / name
        if suffix != ".npz":
            return _call(PICKLE, ".pkl", path, options)
        if options:
            raise LMFError(f"{name}: a file takes no options, received {', '.join(sorted(options))}.")
        return Dataset.load(path)
    if name not in CORPORA:
        folder = Path(name) if root is None else Path(root) / name
        if is_clips(folder):
            return _call(CORPORA["clips"], "clips", folder, options)
        hint = f"Or give the path of your own .npz or .pkl, or of a folder of clips that holds {LABELS}."
        raise unknown_name("corpus", name, CORPORA, hint=hint)
    return _call(CORPORA[name], str(name), root, options)


def _call(module: str, name: str, place: str | Path | None, options: dict[str, object]) -> Dataset:
    """The module's `load(place, **options)`, with its options' names checked."""
    corpus_load = importlib.import_module(module).load
    allowed = list(inspect.signature(corpus_load).parameters)[1:]
    for option in options:
        if option not in allowed:
            raise unknown_name(f"{name} option", option, allowed)
    return corpus_load(place, **options)
