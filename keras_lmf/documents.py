"""The one reader of JSON and TOML that describe a model, a run or a corpus. No file does harm."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from keras_lmf.errors import LMFError, invalid
from keras_lmf.files import require_content
from keras_lmf.spec import MAX_TEXT_BYTES

MAX_DEPTH = 32
Model = TypeVar("Model", bound=BaseModel)


def read(path: Path, model: type[Model], *, strict: bool = False) -> Model:
    """What a file says, as a `model`; TOML where its name ends in .toml, else JSON.

    Raises:
        LMFError: no such file, an empty one, one of more than 1 MiB, one that can't be read; no JSON or TOML in UTF-8,
            a key that is there twice, a number that is none or of more than 64 bits, more than 32 levels; a field that
            is missing, unknown or wrong. It names the file.
    """
    if path.suffix != ".toml":
        return parse(content(path), model, str(path), strict=strict)
    try:
        return model.model_validate(toml(path))
    except ValidationError as error:
        raise invalid(error, model, str(path)) from None


def parse(
    content: bytes, model: type[Model], where: str, *, strict: bool = False, finite: bool = True
) -> Model:
    """What the JSON in `content` says; `where` names it in errors, which are those of `read`.

    Args:
        strict: whether a number written as text is none.
        finite: whether NaN and infinity are errors.
    """
    plain(content, where, finite)
    try:
        return model.model_validate_json(content, strict=strict)
    except ValidationError as error:
        raise invalid(error, model, where) from None


def plain(content: bytes, where: str, finite: bool = True) -> Any:
    """The values in JSON, not yet held against a model; errors as of `read`."""
    if len(content) > MAX_TEXT_BYTES:
        raise LMFError(f"{where} is larger than {MAX_TEXT_BYTES} bytes, so it does not describe a model.")
    try:
        # Pydantic's parser would take the last of two equal keys.
        values = json.loads(content.decode("utf-8"), object_pairs_hook=_no_duplicates)
        _require_plain(values, finite)
    except (ValueError, RecursionError) as error:
        raise LMFError(f"{where} is not plain JSON: {error}") from None
    return values


def toml(path: Path) -> dict[str, Any]:
    """The values in a TOML file; errors as of `read`."""
    try:
        values = tomllib.loads(content(path).decode("utf-8"))
        _require_plain(values)
    except LMFError:
        raise
    except (ValueError, RecursionError) as error:
        raise LMFError(f"{path} is not a readable TOML file: {error}") from None
    return values


def content(path: Path) -> bytes:
    """The bytes of the file; errors as of `read`."""
    try:
        with require_content(path).open("rb") as stream:
            found = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise LMFError(f"{path} can't be read: {error.strerror}.") from None
    if len(found) > MAX_TEXT_BYTES:
        raise LMFError(f"{path} is larger than {MAX_TEXT_BYTES} bytes, so it does not describe a model.")
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return fields


def _require_plain(values: object, finite: bool = True) -> None:
    """A ValueError for numbers beyond 64 bits, and for deeper nesting than what follows can walk through."""
    level = [values]
    for _ in range(MAX_DEPTH):
        for value in level:
            if isinstance(value, int) and abs(value) >= 2**64:
                raise ValueError("a number of more than 64 bits")
            if finite and isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{value} is no number")
        lists = [value for value in level if isinstance(value, list)]
        level = [*itertools.chain(*lists, *(value.values() for value in level if isinstance(value, dict)))]
    if level:
        raise ValueError(f"nested too deeply: more than {MAX_DEPTH} levels")
