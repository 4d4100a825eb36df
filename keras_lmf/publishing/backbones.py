"""From somebody else's weights to a backbone of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

import keras_lmf
from keras_lmf.errors import LMFError
from keras_lmf.files import write_atomically
from keras_lmf.locate import TESTVECTORS, WEIGHTS
from keras_lmf.runtime import open_artifact
from keras_lmf.zoo import Backbone, Licences, file_records, weight_shapes, write_testvectors

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-4
FILES = {"weights": WEIGHTS, "testvectors": TESTVECTORS}


def publish_backbone(
    model: keras.Model,
    folder: Path,
    *,
    inputs: np.ndarray,
    expected: np.ndarray,
    summary: str,
    source: str,
    licences: Licences,
    citations: tuple[str, ...],
) -> Backbone:
    """Writes weights, test vectors and backbone.json to `folder`, which names the backbone.

    Weights that were published in float16 are stored in it: in half the bytes, and nothing is lost.

    Args:
        model: of `models.pretrained.published_model`, with the converted weights.
        inputs: (rows, …), drawn.
        expected: (rows, width), what the original network answers to them: the test vectors, so that every load
            compares ours with it.
        summary: one sentence without its full stop.
        source: where the weights come from, with the SHA-256 of the file.

    Raises:
        LMFError: the model answers otherwise than the original, by more than 1e-4.
    """
    (modality,) = model.input
    answers = open_artifact(model).predict({modality: inputs})["embedding"]
    difference = np.abs(answers - expected).max()
    if not difference <= TOLERANCE:
        raise LMFError(f"The converted weights answer otherwise than the original: {difference:.2g} apart.")
    print(f"largest difference from the original: {difference:.2g}")
    write_atomically(folder / FILES["weights"], lambda path: _save(model, path))
    write_testvectors(folder / FILES["testvectors"], {modality: inputs}, {"embedding": expected})
    backbone = Backbone(
        name=folder.name,
        summary=summary,
        front_end=model.name,
        shape=inputs.shape[1:],
        parameters=model.count_params(),
        files=file_records(folder, FILES),
        weights=weight_shapes(model),
        source=source,
        licences=licences,
        citations=citations,
        keras_lmf_version=keras_lmf.__version__,
    )
    backbone.write(folder)
    return backbone


def _save(model: keras.Model, path: Path) -> None:
    """`model.save_weights`, in float16 where that holds every weight exactly."""
    model.save_weights(path)
    with h5py.File(path) as whole:
        arrays: dict[str, np.ndarray] = {}
        attributes = {"": dict(whole.attrs)}

        def read(name: str, item: h5py.Group | h5py.Dataset) -> None:
            attributes[name] = dict(item.attrs)
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        whole.visititems(read)
    with np.errstate(over="ignore"):
        halves = {name: array.astype("float16") for name, array in arrays.items()}
    if any((halves[name] != array).any() for name, array in arrays.items()):
        return
    with h5py.File(path, "w") as half:
        for name, own in attributes.items():
            item = (
                half.create_dataset(name, data=halves[name])
                if name in halves
                else half.require_group(name or "/")
            )
            item.attrs.update(own)
