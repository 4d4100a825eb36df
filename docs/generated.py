"""Pages that are written from the code: recipes, descriptors, the API reference. `hooks.py` puts them on the site."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

# The package itself, then its public modules: the order of the pages.
MODULES = (
    "keras_lmf",
    "keras_lmf.layers",
    "keras_lmf.backbones",
    "keras_lmf.models",
    "keras_lmf.decisions",
    "keras_lmf.recipe",
    "keras_lmf.spec",
    "keras_lmf.zoo",
    "keras_lmf.data",
    "keras_lmf.media",
    "keras_lmf.descriptors",
    "keras_lmf.training",
    "keras_lmf.evaluation",
    "keras_lmf.metrics",
    "keras_lmf.export",
    "keras_lmf.runtime",
    "keras_lmf.inspection",
    "keras_lmf.recognition",
)


# -- the descriptors -----------------------------------------------------------------------------------------
def descriptors() -> str:
    """A row for each: name, unit, meaning, source."""
    from keras_lmf.descriptors import DESCRIPTORS

    rows = [f"| `{row.name}` | {row.unit} | {row.meaning} | {row.source} |" for row in DESCRIPTORS.values()]
    return "\n".join(
        ["| descriptor | unit | what it says | where it comes from |", "|---|---|---|---|", *rows]
    )


# -- the published corpora -----------------------------------------------------------------------------------
def corpora() -> str:
    """A row for each: what it is, hours, classes, options, licence, where to ask."""
    from keras_lmf.data.corpora import published

    rows = []
    for name in published.names():
        corpus = published.read(name)
        hours = "" if corpus.hours is None else f"{corpus.hours:g}"
        options = "; ".join(
            f"`{option}`: {', '.join(said.choices)}" for option, said in corpus.options.items()
        )
        classes = ", ".join(corpus.target.classes or [corpus.target.name])
        asked = f"[{corpus.ask}]({corpus.home})"
        cells = (f"`{name}`", corpus.what, hours, classes, options, corpus.licence, asked)
        rows.append(f"| {' | '.join(cells)} |")
    header = "| name | what | hours | classes | options | licence | where |"
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows])


# -- the API -------------------------------------------------------------------------------------------------
def short(module: str) -> str:
    return module.replace("keras_lmf", "klmf", 1)


def address(module: str) -> str:
    return f"api/{module.removeprefix('keras_lmf').strip('.') or 'index'}.md"


def public_names(module: ModuleType) -> list[str]:
    """`__all__`; of a module without it, what it defines itself."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    own = (
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    )
    return sorted(name for name in own if not name.startswith("_"))


def api_page(name: str) -> str:
    return "\n\n".join([f"# {short(name)}", *_api(importlib.import_module(name), name, name)]) + "\n"


def _api(module: ModuleType, shown: str, page: str) -> Iterator[str]:
    """The module's text, then each name: a line with a link where another page has it, else all that is said of it."""
    yield inspect.cleandoc(module.__doc__ or "")
    names = {name: getattr(module, name) for name in public_names(module)}
    elsewhere = {name: home for name, value in names.items() if (home := _home(value)) not in (page, None)}
    if elsewhere:
        rows = [
            f"| [`{short(shown)}.{name}`]({address(home)[4:]}) | {_first_line(names[name])} |"
            for name, home in elsewhere.items()
        ]
        yield "\n".join(["| name | what it is |", "|---|---|", *rows])
    for name in (name for name in names if name not in elsewhere):
        value = names[name]
        if isinstance(value, ModuleType):
            yield f"## {short(shown)}.{name}"
            yield from _api(value, f"{shown}.{name}", page)
            continue
        # Found where it is defined, shown under the name by which users reach it.
        defined = hasattr(value, "__qualname__") and not hasattr(value, "__origin__")
        place = f"{value.__module__}.{value.__qualname__}" if defined else f"{module.__name__}.{name}"
        yield f"::: {place}\n    options:\n      heading: {short(shown)}.{name}\n      toc_label: {name}"


def _home(value: object) -> str | None:
    """The page that has a name: that of the public module in which it is defined; None: it doesn't say where."""
    place = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    around = [module for module in MODULES[1:] if f"{place}.".startswith(f"{module}.")]
    return max(around, key=len, default=None)


def _first_line(value: object) -> str:
    return inspect.getdoc(value).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


# -- the recipe's words --------------------------------------------------------------------------------------
def recipe_words() -> str:
    """All sections and keys of a recipe as Markdown, from the classes that read it."""
    from keras_lmf import Recipe

    schema = Recipe.model_json_schema()
    return "\n\n".join(_section(schema, schema["$defs"], "", 2))


def _section(section: dict[str, Any], classes: dict[str, Any], path: str, level: int) -> Iterator[str]:
    """A section's text, its table of keys, and the sections inside it."""
    if text := _first(section.get("description", "")):
        yield text
    keys = {
        key: value
        for key, value in section.get("properties", {}).items()
        if key != "name" or not _words(section)
    }
    if keys:
        required = section.get("required", ())
        rows = [
            f"| `{key}` | {_linked(key, value, classes, path)} | {_default(value, key in required)} | {_text(value)} |"
            for key, value in keys.items()
        ]
        yield "\n".join(["| key | takes | if left out | meaning |", "|---|---|---|---|", *rows])
    for key, value in keys.items():
        inside = [classes[name] for name in _references(value)]
        if not inside:
            continue
        place = _place(key, value, path)
        yield f"{'#' * level} `[{place}]`"
        if any(_words(one) for one in inside):
            yield "One of these, by its `name`:"
        for one in inside:
            if words := _words(one):
                yield f"{'#' * (level + 1)} " + ", ".join(f"`{word}`" for word in words)
            yield from _section(one, classes, place, level + 1)


def _first(text: str) -> str:
    """A docstring up to its list of attributes or its example."""
    return re.split(r"\n\s*(?:Attributes:|Args:|Raises:|>>> )", text)[0].strip()


def _text(value: dict[str, Any]) -> str:
    return " ".join(value.get("description", "").split()).replace("|", "\\|")


def _words(section: dict[str, Any]) -> list[str]:
    """What `name` may be in a section that is chosen by it."""
    name = section.get("properties", {}).get("name", {})
    return name.get("enum", []) or ([name["const"]] if "const" in name else [])


def _references(value: dict[str, Any]) -> list[str]:
    """The classes that a key's value may be."""
    found = re.findall(
        r'"\$ref": "#/\$defs/(\w+)"', json.dumps({k: v for k, v in value.items() if k != "discriminator"})
    )
    return list(dict.fromkeys(found))


def _is_named(value: dict[str, Any]) -> bool:
    """Whether a key holds sections under names of the reader's own."""
    return value.get("type") == "object"


def _place(key: str, value: dict[str, Any], path: str) -> str:
    """A section's name in TOML, as "inputs.NAME.backbone"."""
    return ".".join(filter(None, (path, key, "NAME" if _is_named(value) else "")))


def _linked(key: str, value: dict[str, Any], classes: dict[str, Any], path: str) -> str:
    """What a key takes; of a section, with a link to its heading."""
    kind = _kind(value, classes)
    if not _references(value):
        return kind
    return f"[{kind}](#{_place(key, value, path).replace('.', '').lower()})"


def _kind(value: dict[str, Any], classes: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if _references(value):
        if value.get("type") == "array":
            return "a list of sections, below"
        return "a section for each, under its name" if _is_named(value) else "a section, below"
    if "const" in value:
        return f"`{_toml(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{_toml(word)}`" for word in value["enum"])
    if either := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(_kind(one, classes) for one in either if one.get("type") != "null")
    kind = value.get("type")
    if kind == "array" and "prefixItems" in value:
        return "[" + "; ".join(_kind(one, classes) for one in value["prefixItems"]) + "]"
    if kind == "array":
        return f"a list: {_kind(value.get('items', {}), classes)}"
    if kind in ("integer", "number"):
        return ("whole number" if kind == "integer" else "number") + _bounds(value)
    return {"boolean": "`true` or `false`", "string": "text", "object": "a table"}.get(kind, "any value")


def _bounds(value: dict[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f", {sign} {value[word]:,.10g}" for word, sign in words.items() if word in value)


def _default(value: dict[str, Any], required: bool) -> str:
    if required:
        return "**needed**"
    if _references(value) or value.get("default") is None:
        return "–"
    return f"`{_toml(value['default'])}`"


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
