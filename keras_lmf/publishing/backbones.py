"""From somebody else's weights to a backbone of the zoo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    write_atomically(folder / FILES["weights"], model.save_weights)
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
