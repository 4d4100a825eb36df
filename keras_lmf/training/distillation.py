"""Distillation: a share of each training label is what trained models, the teachers, answer (Hinton et al. 2015); the
vectors of which they make their answers go along, for `training.matching`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from keras_lmf.data.corpora import unlabelled
from keras_lmf.data.dataset import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.calibration import softmax
from keras_lmf.evaluation.subsets import presence
from keras_lmf.lazy import Array, joined
from keras_lmf.models.embedding import with_embedding
from keras_lmf.models.start import Source, trained
from keras_lmf.recipe import Modality, Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.sources import DEFAULTS, RecordedInput, resolved
from keras_lmf.target import EMBEDDING

KEY = "training.distillation"
ROWS = 32  # that a teacher is asked about at once


def teachers_of(recipe: Recipe) -> tuple[Source, ...]:
    """The teachers that the recipe names, not yet read; none without its section.

    Of a recipe that leaves its target to the corpus, classes are not compared.

    Raises:
        LMFError: a fusion that trains its parts by themselves, a target without classes, a teacher that is not on this
            machine, takes an input that the recipe doesn't have, or has other classes.
    """
    section = recipe.training.distillation
    if section is None:
        return ()
    if recipe.parts():
        raise LMFError(
            f"{KEY} is for a recipe that trains as one; fusion {recipe.fusion.name!r} trains its parts by themselves."
        )
    if recipe.target and not recipe.target.classes:
        raise LMFError(f"{KEY} needs a target with classes; {recipe.target.name!r} has a range.")
    found = tuple(trained(word, f"{KEY}.teacher") for word in section.teacher)
    for teacher in found:
        _require_fit(teacher, recipe)
    return found


def _require_fit(teacher: Source, recipe: Recipe) -> None:
    theirs, where = teacher.recipe, f"{KEY}: the teacher {teacher.name}"
    if recipe.target and set(theirs.target.classes or ()) != set(recipe.target.classes):
        answers = ", ".join(theirs.target.classes or ()) or "a number"
        raise LMFError(
            f"{where} answers {answers}; it must answer the classes of {recipe.name!r}, in any order: "
            f"{', '.join(recipe.target.classes)}."
        )
    for name, section in theirs.inputs.items():
        if name not in recipe.inputs:
            raise LMFError(
                f"{where} takes {name!r}, which is no input of {recipe.name!r}: it may take "
                f"{', '.join(recipe.inputs)}."
            )
        wanted, given = _recorded(section), _recorded(recipe.inputs[name])
        for field in RecordedInput.model_fields:
            if (its := getattr(wanted, field)) != (mine := getattr(given, field)):
                raise LMFError(
                    f"{where} takes another input {name!r}: its {field} is {its}, that of {recipe.name!r} {mine}. "
                    "A teacher answers about the same rows: both must be equal."
                )


def _recorded(section: Modality) -> RecordedInput:
    recorded = section.recorded
    return recorded.model_copy(update={"source": recorded.source or DEFAULTS.get(recorded.media)})


def with_unlabelled(data: Dataset, recipe: Recipe, teachers: Sequence[Source]) -> Dataset:
    """`data` with the clips of the folder that the recipe names, as further rows of "train".

    The soft label of such a row is the teachers' answer alone, its label the class that they say first. A clip that no
    teacher can answer is left out.

    Raises:
        LMFError: as `corpora.unlabelled.load`; a clip that no teacher can answer, where none is left.
    """
    section = recipe.training.distillation
    if section is None or section.unlabelled is None:
        return data
    found = unlabelled.load(section.unlabelled, resolved(recipe.recorded))
    told = _told(found["train"], recipe, teachers)
    if not told.count.any():
        raise LMFError(f"{KEY}: no teacher can answer a clip in {section.unlabelled}.")
    found = found.take(told.count > 0)
    both = (data, found)
    soft = told.answers[told.count > 0]
    return dataclasses.replace(
        data,
        inputs={name: joined([part.inputs[name] for part in both]) for name in data.inputs},
        masks={name: np.concatenate([_mask(part, name) for part in both]) for name in data.masks},
        labels=np.concatenate([data.labels, soft.argmax(axis=1)]),
        soft_labels=np.concatenate([_labels(data), soft]),
        groups=np.concatenate([data.groups, found.groups]),
        ids=np.concatenate([data.ids, found.ids]),
        splits=np.concatenate([data.splits, found.splits]),
        corpora=data.corpora
        if data.corpora is None
        else np.concatenate([data.corpora, np.repeat(unlabelled.NAME, len(found))]),
    )


def _mask(data: Dataset, modality: str) -> np.ndarray:
    return data.masks.get(modality, np.ones(data.inputs[modality].shape[:2], bool))


def taught(splits: Mapping[str, Split], recipe: Recipe, teachers: Sequence[Source]) -> dict[str, Split]:
    """The splits with soft labels: of "train" (1 − weight) · label + weight · answer, of the others their labels.

    The answer to a row is softmax(logits / temperature), the mean over the teachers that can answer it. One can't where
    an input of its is all zeros, that is absent, or all are, where it can do without some; with none, the label stays.

    With `features` in the recipe's section the vectors of the teachers, side by side, each column standardised over the
    rows that have one, are the column `embeddings` of "train"; zeros where there is none, and in the other splits.

    Args:
        splits: by name, with the recipe's raw inputs, as they are before any front end.
        recipe: with the section `training.distillation`.
        teachers: `teachers_of` the recipe.

    Raises:
        LMFError: files of a teacher that are damaged, or that don't answer its test vectors.
    """
    told = _told(splits["train"], recipe, teachers)
    found = {name: dataclasses.replace(split, soft_labels=_labels(split)) for name, split in splits.items()}
    weight, labels = recipe.training.distillation.weight, found["train"].soft_labels
    mixed = (1 - weight) * labels + weight * told.answers
    soft = np.where(told.count[:, None] > 0, mixed, labels).astype(np.float32)
    found["train"] = dataclasses.replace(found["train"], soft_labels=soft)
    if told.embeddings is None:
        return found
    width = told.embeddings.shape[1]
    nothing = {name: np.zeros((len(split), width), np.float32) for name, split in splits.items()}
    vectors = nothing | {"train": told.embeddings}
    return {name: dataclasses.replace(split, embeddings=vectors[name]) for name, split in found.items()}


def _labels(rows: Split | Dataset) -> np.ndarray:
    """(N, classes) float32: the soft labels, or 1 at the class."""
    if rows.soft_labels is not None:
        return rows.soft_labels
    return np.eye(rows.target.size, dtype=np.float32)[rows.labels]


@dataclasses.dataclass(frozen=True)
class _Told:
    """What teachers say of N rows.

    Attributes:
        answers: (N, classes), the mean of those that can answer.
        count: (N,) int, how many can.
        embeddings: (N, width) float32, their vectors, standardised, side by side; None: not wanted.
    """

    answers: np.ndarray
    count: np.ndarray
    embeddings: np.ndarray | None


def _told(split: Split, recipe: Recipe, teachers: Sequence[Source]) -> _Told:
    section, classes = recipe.training.distillation, recipe.target.classes
    answers, count = np.zeros((len(split), len(classes))), np.zeros(len(split), int)
    vectors = []
    for teacher in teachers:
        inputs = {name: split.inputs[name] for name in teacher.recipe.inputs}
        rows = np.flatnonzero(_answerable(teacher.recipe, inputs))
        outputs = _outputs(teacher, inputs, rows, recipe)
        order = [teacher.recipe.target.classes.index(name) for name in classes]
        answers[rows] += softmax(outputs[teacher.recipe.target.name][:, order], section.temperature)
        count[rows] += 1
        if section.features:
            vectors.append(_standardized(outputs[EMBEDDING], rows, len(split)))
    answers /= np.maximum(count, 1)[:, None]
    return _Told(answers, count, np.concatenate(vectors, axis=1) if vectors else None)


def _answerable(recipe: Recipe, inputs: Mapping[str, Array]) -> np.ndarray:
    """(N,) bool: whether what a model of the recipe needs of the row is there."""
    there = np.stack([*presence(inputs).values()])
    return there.any(axis=0) if recipe.presence else there.all(axis=0)


def _outputs(
    teacher: Source, inputs: Mapping[str, Array], rows: np.ndarray, recipe: Recipe
) -> dict[str, np.ndarray]:
    """Its logits by its target's name, (len(rows), classes) in its own order; with features its embedding, too."""
    model = teacher.model()
    if recipe.training.distillation.features:
        model = with_embedding(model, teacher.recipe.target.name)
    runtime, title = open_artifact(model), f"{recipe.name}: answers of {teacher.name}"
    outputs = {name: np.zeros((len(rows), *info.shape), info.dtype) for name, info in runtime.outputs.items()}
    for start in tqdm(range(0, len(rows), ROWS), desc=title, disable=None):
        place = slice(start, start + ROWS)
        asked = {name: values[rows[place]] for name, values in inputs.items()}
        for name, values in runtime.predict(asked).items():
            outputs[name][place] = values
    return outputs


def _standardized(vectors: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """(count, width): `vectors` in these rows, each column with mean 0 and deviation 1; zeros elsewhere."""
    placed = np.zeros((count, vectors.shape[1]), np.float32)
    if len(rows):
        deviation = vectors.std(axis=0)
        placed[rows] = (vectors - vectors.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return placed
