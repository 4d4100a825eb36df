"""The one exception type of this package, and how it tells an unknown name, a wrong field and a missing extra."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class LMFError(ValueError):
    """A mistake in the input that the caller can mend; the message says what, received, allowed and the fix."""


def unknown_name(what: str, received: object, allowed: Iterable[str], hint: str = "") -> LMFError:
    """The error for a name that is not one of `allowed`, with the nearest allowed one.

    >>> print(unknown_name("fusion", "lowrank", ["early", "tensor", "low_rank"]))
    Unknown fusion 'lowrank'. Did you mean 'low_rank'? Allowed: early, tensor, low_rank.
    """
    names, received = [_short(name) for name in allowed], _short(str(received))
    guess = _guess("Did you mean", received, names)
    allowed_names = f"Allowed: {', '.join(names) or 'none'}. {hint}".rstrip()
    return LMFError(f"Unknown {what} {received!r}.{guess} {allowed_names}")


def missing_name(what: str, name: str, present: Iterable[str], hint: str = "") -> LMFError:
    """The error for a name that must be there and isn't, with the nearest of those that are.

    >>> print(missing_name("key", "group", ["groups", "label"]))
    key 'group' is missing. Did you mean it by 'groups'? There are: groups, label.
    """
    names, name = [_short(other) for other in present], _short(name)
    guess = _guess("Did you mean it by", name, names)
    return LMFError(
        f"{what} {name!r} is missing.{guess} There are: {', '.join(names) or 'none'}. {hint}".rstrip()
    )


def _guess(question: str, received: str, names: list[str]) -> str:
    nearest = difflib.get_close_matches(received, names, n=1, cutoff=0.5)
    return f" {question} {nearest[0]!r}?" if nearest else ""


def invalid(error: ValidationError, model: type[BaseModel], where: str) -> LMFError:
    """The first problem that pydantic found, as a sentence: where, which field, what was received, what is allowed.

    Args:
        error: pydantic's.
        model: what was validated: its fields, and those of its parts, are the allowed ones.
        where: what the fields stand in, for example a file's path.
    """
    problem = error.errors(include_url=False)[0]
    steps = [_short(str(step)) for step in problem["loc"]]
    field, context = ".".join(steps), problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            allowed = {
                field.alias or name: None
                for part in _parts_at(model, steps[:-1])
                for name, field in part.model_fields.items()
            }
            message = str(unknown_name("field", steps[-1], allowed))
            field = ".".join(steps[:-1])
        case "missing":
            return LMFError(f"{where}: the field {field!r} is missing.")
        case "union_tag_invalid":
            allowed = context["expected_tags"].replace("'", "").split(", ")
            message = str(unknown_name(steps[-1], _short(context["tag"]), allowed))
        case "literal_error":
            message = str(unknown_name("word", problem["input"], re.findall("'(.*?)'", context["expected"])))
        case "union_tag_not_found":
            message = f"it needs a {context['discriminator']}"
        case _:
            message, received = problem["msg"].removeprefix("Value error, "), problem["input"]
            if field and not isinstance(received, dict) and not hasattr(received, "model_fields"):
                message = f"{message.removesuffix('.')}, received {_short(repr(received))}."
    return LMFError(": ".join(part for part in (where, field, message) if part))


def _parts_at(model: type[BaseModel], steps: list[str]) -> list[type[BaseModel]]:
    """The classes that may stand at these steps: names of fields, keys of dicts, words that choose one of several."""
    parts = [model]
    for step in steps:
        inner = [
            found
            for part in parts
            if step in part.model_fields
            for found in _models_in(part.model_fields[step].annotation)
        ]
        chosen = [part for part in parts if step in _words(part)]
        parts = inner or chosen or parts
    return parts


def _words(part: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(part.model_fields["name"].annotation) if "name" in part.model_fields else ()


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"


def import_extra(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of keras-lmf installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing_extra(module, extra, f"can't be imported ({error})") from error


def require_extra(module: str, extra: str) -> None:
    """As `import_extra`, but only looked up: for what would take long to import, or load another framework."""
    if find_spec(module) is None:
        raise _missing_extra(module, extra, "is not installed")


def _missing_extra(module: str, extra: str, why: str) -> LMFError:
    package = module.partition(".")[0]
    return LMFError(f'This needs {package}, which {why}. Install it: pip install "keras-lmf[{extra}]"')
