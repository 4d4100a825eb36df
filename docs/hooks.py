"""What MkDocs makes while it builds: the recipe's words, the API pages, and the repository's files that pages link to.

- `<!-- recipe words -->` becomes the sections and keys of a recipe, as their own classes describe them.
- `api/*.md` has every public name, one page for each public module.
- A link that leaves docs/ (`../zoo/NAME/CARD.md`, `../examples/compose.py`) works on the site as it does in the
  repository: the file comes along. A script is shown as a page.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
RECIPE_WORDS = "<!-- recipe words -->"
LINK = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^):\s]+)\)")
ROW = re.compile(r"^\|.*$", flags=re.MULTILINE)
FIGURE = re.compile(r"(?<=[\d±,]) (?=[±\d])")  # inside "0.72 ± 0.05" and "[0.67, 0.77]", not between the two
DOCTEST = re.compile(r"^(>>> .*(?:\n(?!\s*$|\w+:$).+)*)", flags=re.MULTILINE)
# The package itself, then its public modules: the order of the pages.
MODULES = (
    "keras_lmf",
    "keras_lmf.layers",
    "keras_lmf.backbones",
    "keras_lmf.models",
    "keras_lmf.recipe",
    "keras_lmf.zoo",
    "keras_lmf.data",
    # "keras_lmf.media",
    "keras_lmf.training",
    "keras_lmf.evaluation",
    "keras_lmf.metrics",
    "keras_lmf.export",
    "keras_lmf.runtime",
    "keras_lmf.recognition",
)


# -- MkDocs's events -----------------------------------------------------------------------------------------
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    pages = [{_short(module): _address(module)} for module in MODULES]
    for item in config.nav:
        if item.get("API reference") == "api/":
            item["API reference"] = pages
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for module in MODULES:
        files.append(File.generated(config, _address(module), content=api_page(module)))
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            _bring(target, files, config)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    if RECIPE_WORDS in markdown:
        markdown = markdown.replace(RECIPE_WORDS, recipe_words())
    markdown = ROW.sub(lambda row: FIGURE.sub("\N{NO-BREAK SPACE}", row[0]), markdown)
    return LINK.sub(lambda link: _on_site(link[1]), markdown)


class Doctests(griffe.Extension):
    """An example in a docstring is a block of code: Markdown takes `>>>` for a quotation."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\1\n```", obj.docstring.value)


# -- files of the repository ---------------------------------------------------------------------------------
def _on_site(target: str) -> str:
    return f"{target}.md" if target.endswith(".py") else target


def _bring(target: str, files: Files, config: MkDocsConfig) -> None:
    """Add the repository's file `target`, and the pictures of a page, under their own paths."""
    source = REPOSITORY / target
    if not source.is_file() or files.get_file_from_path(_on_site(target)):
        return
    if source.suffix == ".py":
        text = f"# {source.name}\n\n```python\n{source.read_text(encoding='utf-8')}```\n"
        files.append(File.generated(config, _on_site(target), content=text))
        return
    files.append(File.generated(config, target, abs_src_path=str(source)))
    if source.suffix == ".md":
        for picture in PICTURE.findall(source.read_text(encoding="utf-8")):
            _bring(str(Path(target).parent / picture), files, config)


# -- the API -------------------------------------------------------------------------------------------------
def _short(module: str) -> str:
    return module.replace("keras_lmf", "klmf", 1)


def _address(module: str) -> str:
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
    return "\n\n".join([f"# {_short(name)}", *_api(importlib.import_module(name), name)]) + "\n"


def _api(module: ModuleType, shown: str) -> Iterator[str]:
    """The module's text, then each name: a line with a link where another page has it, else all that is said of it."""
    yield inspect.cleandoc(module.__doc__ or "")
    names = {name: getattr(module, name) for name in public_names(module)}
    homes = {name: _home(value, name) for name, value in names.items()} if shown == MODULES[0] else {}
    if homes := {name: home for name, home in homes.items() if home}:
        rows = [
            f"| [`{_short(shown)}.{name}`]({_address(home)[4:]}) | {_first_line(names[name])} |"
            for name, home in homes.items()
        ]
        yield "\n".join(["| name | what it is |", "|---|---|", *rows])
    for name, value in names.items():
        if name in homes:
            continue
        if isinstance(value, ModuleType):
            yield f"## {_short(shown)}.{name}"
            yield from _api(value, f"{shown}.{name}")
            continue
        # Found where it is defined, shown under the name by which users reach it.
        defined = hasattr(value, "__qualname__") and not hasattr(value, "__origin__")
        place = f"{value.__module__}.{value.__qualname__}" if defined else f"{module.__name__}.{name}"
        yield f"::: {place}\n    options:\n      heading: {_short(shown)}.{name}\n      toc_label: {name}"


def _first_line(value: object) -> str:
    return inspect.getdoc(value).partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _home(value: object, name: str) -> str | None:
    """The public module whose page has a name of the package itself."""
    if isinstance(value, ModuleType):
        return value.__name__
    for module in MODULES[1:]:
        if name in public_names(found := importlib.import_module(module)) and getattr(found, name) is value:
            return module
    return None


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
            f"| `{key}` | {_kind(value, classes)} | {_default(value, key in required)} | {_text(value)} |"
            for key, value in keys.items()
        ]
        yield "\n".join(["| key | takes | if left out | meaning |", "|---|---|---|---|", *rows])
    for key, value in keys.items():
        inside = [classes[name] for name in _references(value)]
        if _is_named(value):
            key = f"{key}.NAME"
        if not inside:
            continue
        place = f"{path}.{key}" if path else key
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


def _kind(value: dict[str, Any], classes: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if _references(value):
        return "a section for each, under its name" if _is_named(value) else "a section, below"
    if "const" in value:
        return f"`{_toml(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{_toml(word)}`" for word in value["enum"])
    if "anyOf" in value:
        return " or ".join(_kind(one, classes) for one in value["anyOf"] if one.get("type") != "null")
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
