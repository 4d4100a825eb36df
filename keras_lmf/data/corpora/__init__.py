"""The corpora by name. One module a corpus, each with `load(root=None, **options) -> Dataset`."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from keras_lmf.data.dataset import Dataset
from keras_lmf.errors import LMFError, unknown_name

CORPORA = {
    "cmu_mosi": "keras_lmf.data.corpora.cmu_mosi",
    "ravdess": "keras_lmf.data.corpora.ravdess",
    "synthetic": "keras_lmf.data.corpora.synthetic",
}


def load(name: str | Path, root: str | Path | None = None, **options: object) -> Dataset:
    """The corpus `name`, or the dataset of your own file if `name` ends in ".npz" (layout: `Dataset.save`).

    Args:
        name: "cmu_mosi", "ravdess", "synthetic", or the path of an .npz.
        root: the folder that holds the corpora; None takes the environment variable KERAS_LMF_DATA.
        options: what the corpus's own `load` accepts, for example `fold=2` for "ravdess".
    """
    if str(name).endswith(".npz"):
        if options:
            raise LMFError(f"{name}: a file takes no options, received {', '.join(sorted(options))}.")
        return Dataset.load(name if root is None else Path(root) / name)
    if name not in CORPORA:
        raise unknown_name("corpus", name, CORPORA, hint="Or give the path of your own .npz.")
    corpus_load = importlib.import_module(CORPORA[name]).load
    allowed = [option for option in inspect.signature(corpus_load).parameters if option != "root"]
    for option in options:
        if option not in allowed:
            raise unknown_name(f"{name} option", option, allowed)
    return corpus_load(root, **options)
