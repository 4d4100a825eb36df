"""What MkDocs makes while it builds: recipes, descriptors, API pages, and the repository's files that pages link to.

- `<!-- recipe words -->` becomes the sections and keys of a recipe, as their own classes describe them;
  `<!-- descriptors -->` the table of the descriptors, `<!-- corpora -->` that of the published corpora.
- `api/*.md` has every public name, one page for each public module.
- A link that leaves docs/ (`../zoo/NAME/CARD.md`, `../examples/compose.py`) works on the site as it does in the
  repository: the file comes along. A script is shown as a page.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.append(str(Path(__file__).parent))
from generated import MODULES, address, api_page, corpora, descriptors, recipe_words, short

REPOSITORY = Path(__file__).parents[1]
WRITTEN = {
    "<!-- recipe words -->": recipe_words,
    "<!-- descriptors -->": descriptors,
    "<!-- corpora -->": corpora,
}
LINK = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^):\s]+)\)")
ROW = re.compile(r"^\|.*$", flags=re.MULTILINE)
FIGURE = re.compile(r"(?<=[\d±,]) (?=[±\d])")  # inside "0.72 ± 0.05" and "[0.67, 0.77]", not between the two
DOCTEST = re.compile(r"^(>>> .*(?:\n(?!\s*$|\w+:$).+)*)", flags=re.MULTILINE)


# -- MkDocs's events -----------------------------------------------------------------------------------------
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    pages = [{short(module): address(module)} for module in MODULES]
    for item in config.nav:
        if item.get("API reference") == "api/":
            item["API reference"] = pages
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for module in MODULES:
        files.append(File.generated(config, address(module), content=api_page(module)))
    for page in list(files.documentation_pages()):
        for target in LINK.findall(page.content_string):
            _bring(target, files, config)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    for mark, write in WRITTEN.items():
        if mark in markdown:
            markdown = markdown.replace(mark, write())
    markdown = ROW.sub(lambda row: FIGURE.sub("\N{NO-BREAK SPACE}", row[0]), markdown)
    if page.file.src_uri.count("/"):  # a file of the repository, which links to these pages
        return markdown.replace("](../docs/", "](../")
    return LINK.sub(lambda link: _on_site(link[1]), markdown)


class Docstrings(griffe.Extension):
    """Docstrings as pages need them.

    An example is a block of code: Markdown takes `>>>` for a quotation. What pydantic's `Field(description=…)` says is
    an attribute's docstring.
    """

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\1\n```", obj.docstring.value)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: object) -> None:
        if not isinstance(attr.value, griffe.ExprCall) or str(attr.value.function) != "Field":
            return
        for argument in attr.value.arguments:
            if isinstance(argument, griffe.ExprKeyword) and argument.name == "description":
                attr.docstring = griffe.Docstring(ast.literal_eval(str(argument.value)), parent=attr)


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
