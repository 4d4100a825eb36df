"""The field's .pkl, as MMSA and MulT read it: one dict per split, of arrays and lists. None of its code is run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from keras_lmf.data.dataset import Dataset
from keras_lmf.data.pickles import read_pickle
from keras_lmf.data.validation import SPLITS
from keras_lmf.errors import LMFError, invalid, missing_name, unknown_name
from keras_lmf.target import Target

KEYS = {"audio": "audio", "video": "vision", "text": "text"}  # our name -> the file's
LONGEST_ID = 256
MATCHING_SECONDS = 10
NUL = "\0"


def load(
    path: str | Path,
    *,
    target: Target | Mapping[str, object] | None = None,
    labels: str | None = None,
    group_pattern: str | None = None,
    fill: float | None = None,
) -> Dataset:
    """A Dataset of the file {"train": {…}, "valid": {…}, "test": {…}}; a split that is missing has no rows.

    | key of a split | what it holds |
    |---|---|
    | `audio`, `vision`, `text` | (N, d) or (N, T, d) numbers: modalities "audio", "video", "text", where present |
    | `regression_labels` or `labels` | (N,) numbers, (N, K) for K dimensions; axes of length 1 are ignored |
    | `classification_labels` or `labels` | for classes: (N,) indices, one-hot (N, K), or (N, K, 2) as MulT has them |
    | `id` | N strings "video$_$clip" (MMSA), or N rows (video, start, end) (MulT) |
    | `audio_lengths`, `vision_lengths`, `text_lengths` | (N,) numbers of real steps; optional |

    Other keys are left alone. In a sequence a step of zeros alone is padding, and masked. Where lengths are given, the
    first so many steps are real, zero or not (the last so many, if it is the front that is padded).

    Groups are the videos. A file whose splits share videos is refused (CH-SIMS may be such a one);
    `group_pattern="(.*)"` makes every sample a group of its own, and then nothing keeps a speaker of train out of test.

    Args:
        path: the file; the dataset takes its name.
        target: what the labels mean: a Target, or its fields as a dict.
        labels: the key of the labels; None takes the first of the above that is there.
        group_pattern: regular expression, matched from the start of an id; what its first parentheses hold is the
            group. None takes the video as above. Needed where the ids are others, or missing (then they are "train_0",
            "train_1", …). The parts of a MulT id are joined by "_".
        fill: takes the place of -inf, inf and NaN in the features. None refuses them, with field and row. Published
            audio features hold -inf (a logarithm of 0); MulT and MMSA set it to 0.

    Raises:
        LMFError: a file that is damaged, hostile or another thing, or content that no Dataset can hold.
    """
    target = _target(target)
    if fill is not None and (not isinstance(fill, int | float) or not abs(fill) < 3e38):
        raise LMFError(f"fill must be a finite number of float32, for example 0, or None; received {fill!r}.")
    content = read_pickle(path)
    try:
        if not isinstance(content, dict) or not content:
            raise LMFError(
                f"holds a {type(content).__name__}, must be a dict of splits: {', '.join(SPLITS)}."
            )
        for name, fields in content.items():
            if name not in SPLITS:
                raise unknown_name("split", name, SPLITS)
            if not isinstance(fields, dict):
                raise LMFError(f"{name}: a {type(fields).__name__}, must be a dict of arrays.")
        parts = [_columns(name, fields, target, labels, fill) for name, fields in content.items()]
        columns = _joined(parts)
        return Dataset(
            name=Path(path).stem,
            target=target,
            inputs={name: columns[name] for name in KEYS if name in columns},
            labels=columns["label"],
            groups=_groups(columns["id"], columns["video of id"], group_pattern),
            ids=columns["id"],
            splits=np.repeat(list(content), [len(part["id"]) for part in parts]),
            masks={name: columns[f"mask/{name}"] for name in KEYS if f"mask/{name}" in columns},
        )
    except LMFError as error:
        raise LMFError(f"{path}: {error}") from None


def _target(target: Target | Mapping[str, object] | None) -> Target:
    if isinstance(target, Target):
        return target
    try:
        return Target.model_validate(target)
    except ValidationError as error:
        raise LMFError(
            "A .pkl doesn't say what its labels mean: pass target=Target(name=…, range=… or classes=…), or these as "
            f"a dict. {invalid(error, Target, f'Received {str(target)[:100]}')}"
        ) from None


def _columns(
    name: str, fields: dict, target: Target, label_key: str | None, fill: float | None
) -> dict[str, np.ndarray]:
    """The columns of one split: its modalities and their masks, "label", "id", and "video of id", "" where none is."""
    usual = ("classification_labels", "labels") if target.classes else ("regression_labels", "labels")
    keys = usual if label_key is None else (label_key,)
    key = next((key for key in keys if key in fields), None)
    if key is None:
        raise LMFError(
            f"{name}: {missing_name('key', keys[0], _shown(fields), 'Pass labels=… to name the labels.')}"
        )
    labels = _labels(f"{name}/{key}", fields[key], target)
    rows, columns = len(labels), {}
    for modality, key in KEYS.items():
        if key not in fields:
            continue
        values = _numbers(f"{name}/{key}", fields[key], rows)
        if fill is not None:
            values = np.where(np.isfinite(values), values, np.float32(fill))
        columns[modality] = values
        if values.ndim > 2:
            lengths = f"{key}_lengths"
            columns[f"mask/{modality}"] = _mask(f"{name}/{lengths}", values, fields.get(lengths))
    if not columns:
        raise LMFError(
            f"{name}: {missing_name('key', 'audio', _shown(fields))} None of {', '.join(KEYS.values())}."
        )
    if "id" in fields:
        ids, videos = _ids(f"{name}/id", fields["id"], rows)
    else:
        ids, videos = np.array([f"{name}_{row}" for row in range(rows)]), np.full(rows, "")
    return columns | {"label": labels, "id": ids, "video of id": videos}


def _shown(keys: Iterable[object]) -> list[str]:
    """The file's own keys, safe to print in one line."""
    return [repr(key)[:60].strip("'") for key in islice(keys, 30)]


def _numbers(field: str, values: object, rows: int | None = None) -> np.ndarray:
    """`values` as an array of one axis or more, and of so many rows; its numbers are checked by Dataset."""
    try:
        plain = isinstance(values, np.ndarray) and values.dtype.kind != "O"
        array = values if plain else np.asarray(values, np.float64)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise LMFError(f"{field}: not a rectangular array of numbers ({error}).") from None
    if array.dtype.kind not in "biuf" or array.ndim == 0 or array.size == 0:
        raise LMFError(
            f"{field}: dtype {array.dtype}, shape {array.shape}; must be one row of numbers or more."
        )
    if rows is not None and len(array) != rows:
        raise LMFError(f"{field}: {len(array)} rows, but {rows} labels.")
    return array


def _labels(field: str, values: object, target: Target) -> np.ndarray:
    """(N, *target.label_shape) from the shapes that the field uses; values are checked by Dataset."""
    labels = _numbers(field, values)
    labels = labels.reshape(len(labels), *(size for size in labels.shape[1:] if size != 1))
    if target.classes and labels.shape[1:] == (target.size, 2):  # for each class, in this order: no, yes
        labels = labels.argmax(axis=-1)
    if target.classes and labels.shape[1:] == (target.size,):
        one_hot = ((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)
        if not one_hot.all():
            row = int(np.argmin(one_hot))
            raise LMFError(
                f"{field}, row {row}: {labels[row].tolist()} does not name one of {target.size} classes."
            )
        labels = labels.argmax(axis=1)
    if labels.shape[1:] != target.label_shape:
        raise LMFError(f"{field}: shape {np.shape(values)} holds no label of {target!r} in each row.")
    return labels


def _mask(field: str, steps: np.ndarray, lengths: object) -> np.ndarray:
    """(N, T), True at the real steps of (N, T, …, d)."""
    count, last = steps.shape[:2]
    filled = (steps != 0).reshape(count, last, -1).any(axis=-1)
    if lengths is None:
        return filled
    real = _numbers(field, lengths, count).reshape(count, -1)
    if real.shape[1] != 1 or not (real >= 0).all():
        raise LMFError(f"{field}: must be a number of steps ≥ 0 for each row.")
    step = np.arange(last)
    for mask in (step < real, step >= last - real):
        if not (filled & ~mask).any():
            return mask
    row = int(np.argmax((filled & (step >= real)).any(axis=1)))
    raise LMFError(
        f"{field}, row {row}: {real[row, 0]:g} real steps, but the steps that are not zero are neither the first nor "
        "the last ones. Remove the key, and the steps of zeros alone are the padding."
    )


def _ids(field: str, values: object, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and their videos, both (N,) str."""
    if isinstance(values, np.ndarray) and values.ndim:
        values = values.reshape(len(values), -1).tolist()
    if not isinstance(values, list | tuple) or len(values) != rows:
        raise LMFError(f"{field}: must hold an id for each of the {rows} labels.")
    ids, videos = [], []
    for row, value in enumerate(values):
        parts = [_text(part) for part in (value if isinstance(value, list | tuple) else [value])]
        name = "_".join(parts)
        if not 0 < len(name) <= LONGEST_ID:
            raise LMFError(f"{field}, row {row}: an id of {len(name)} characters, must be 1 … {LONGEST_ID}.")
        ids.append(name)
        video, separator, _ = name.partition("$_$")
        videos.append(parts[0] if len(parts) > 1 else video if separator else "")
    return np.array(ids), np.array(videos)


def _text(part: object) -> str:
    text = part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
    return text.replace(NUL, "")


def _groups(ids: np.ndarray, videos: np.ndarray, pattern: str | None) -> np.ndarray:
    if pattern is None:
        if (videos == "").any():
            raise LMFError(
                f"id {str(ids[np.argmax(videos == '')])!r} names no video. Pass group_pattern, a regular expression "
                r"whose first parentheses hold the speaker or video, for example r'(.*)_\d+'; '(.*)' takes every "
                "sample as a group of its own."
            )
        return videos
    groups = _matched(pattern, ids.tolist())
    if not all(groups):
        missed = str(ids[[bool(group) for group in groups].index(False)])
        raise LMFError(
            f"group_pattern {pattern[:200]!r} finds no group in the id {missed!r}; it needs one pair of parentheses."
        )
    return np.array(groups)


# A pattern can take longer than the universe will last, and Python's matching can't be interrupted: only a process can.
_MATCHING = """import json, re, sys
pattern, names = json.load(sys.stdin)
found = [re.match(pattern, name) for name in names]
json.dump([match.group(1) if match and match.re.groups else None for match in found], sys.stdout)"""


def _matched(pattern: str, names: list[str]) -> list[str | None]:
    """What the first parentheses of `pattern` hold in each name; None where it doesn't match."""
    what, command = f"group_pattern {pattern[:200]!r}", [sys.executable, "-I", "-c", _MATCHING]
    options = {"capture_output": True, "text": True, "timeout": MATCHING_SECONDS}
    try:
        done = subprocess.run(command, input=json.dumps([pattern, names]), check=True, **options)
    except subprocess.TimeoutExpired:
        raise LMFError(
            f"{what} takes more than {MATCHING_SECONDS} s on {len(names)} ids: repeat nothing that is repeated itself."
        ) from None
    except subprocess.CalledProcessError as error:
        raise LMFError(
            f"{what} is no regular expression: {error.stderr.strip().rpartition(chr(10))[2][:200]}."
        ) from None
    return json.loads(done.stdout)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The rows of all splits under one another."""
    columns = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        shapes = [part[name].shape[1:] if name in part else None for part in parts]
        if len(set(shapes)) > 1:
            received = ", ".join("missing" if shape is None else str(shape) for shape in shapes)
            raise LMFError(f"{KEYS.get(name, name)}: rows of one shape in all splits, received {received}.")
        columns[name] = np.concatenate([part[name] for part in parts])
    return columns
