"""What the README and the pages of docs/ say is true: their snippets and commands run, and the site builds."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from real_corpora import needs_data

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
# They train, export or decode.
SLOW = {"README", "recipes"}
LONG = {"clips", "compose", "descriptors", "device", "evaluate", "export", "train", "zoo"}
FENCED = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', flags=re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"^<!-- table ([\w-]+) -->\n(.*?)^<!-- end \1 -->$", flags=re.DOTALL | re.MULTILINE)
# How a page's `keras-lmf …` lines are run: in the process of its Python snippets, where they stand.
COMMAND = """
def _command(line):
    import shlex
    from click.testing import CliRunner
    from keras_lmf.cli import main

    result = CliRunner().invoke(main, shlex.split(line)[1:])
    assert result.exit_code == 0, f"{line}: {result.output}{result.exception!r}"
    assert result.output.strip(), f"{line} says nothing"

"""


def pages() -> list[object]:
    names = ["README", *sorted(path.stem for path in DOCS.glob("*.md"))]
    marks = dict.fromkeys(SLOW, pytest.mark.slow) | dict.fromkeys(LONG, pytest.mark.long)
    return [pytest.param(name, marks=marks.get(name, ())) for name in names]


def text_of(page: str) -> str:
    return README if page == "README" else (DOCS / f"{page}.md").read_text(encoding="utf-8")


def script_of(page: str) -> str:
    """A page's Python snippets and commands, in its order; a block with a title is a file, written where it stands."""
    parts = []
    for language, title, body in FENCED.findall(text_of(page)):
        if title:
            parts.append(f"__import__('pathlib').Path({title!r}).write_text({body!r}, encoding='utf-8')\n")
        elif language == "python":
            parts.append(body)
        elif language in ("", "sh"):
            lines = [line for line in body.splitlines() if line.startswith("keras-lmf ")]
            parts += [f"_command({line!r})\n" for line in lines]
    return "".join(parts)


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("page", pages())
def test_snippets_and_commands_run(page: str, tmp_path: Path) -> None:
    """All of a page in one fresh process, in an empty folder that holds the reader's own clips."""
    script = script_of(page)
    if not script:
        pytest.skip("the page has no snippets")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MPLBACKEND": "agg",
        "KERAS_LMF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    if "clip.mp4" in script:  # the reader's own
        writing = (
            "from keras_lmf.data.corpora import synthetic_clips\n"
            "synthetic_clips.write('own', clips=1, speakers=1, seconds=3, size=(192, 192))\n"
        )
        subprocess.run(
            [sys.executable, "-c", writing], cwd=tmp_path, env=environment, check=True, timeout=300
        )
        shutil.move(tmp_path / "own/00000.mp4", tmp_path / "clip.mp4")
    (tmp_path / "page.py").write_text(COMMAND + script, encoding="utf-8")
    ran = subprocess.run(  # not as __main__: a page's worker processes would run all of it again
        [sys.executable, "-c", "import runpy; runpy.run_path('page.py', run_name='page')"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_the_readme_is_short_and_has_both_commands() -> None:
    assert len(README.encode()) <= 10_000
    lines = README.splitlines()
    assert 'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/pytest' in lines
    assert any(line.endswith(".venv/bin/keras-lmf quickstart") for line in lines)


@pytest.mark.parametrize("page", ["README", *sorted(path.stem for path in DOCS.glob("*.md"))])
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    """In the repository; `mkdocs build --strict` sees to the site, anchors among it."""
    folder = REPOSITORY if page == "README" else DOCS
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(FENCED, "", text_of(page)))
    for target in targets:
        # The API's pages are made with the site.
        if not target.startswith(("https://", "api/", "docs/api/")):
            assert (folder / target).exists(), f"{page}: {target}"


@pytest.mark.slow
@needs_data
def test_tables_are_those_of_the_results() -> None:
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / "report.py", "--check"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_tables_are_filled() -> None:
    for page in ("README", *(path.stem for path in DOCS.glob("*.md"))):
        for name, body in TABLE.findall(text_of(page)):
            assert "|" in body or "```text" in body, f"{page}: the table {name} is empty"


# -- pages that are written from the code --------------------------------------------------------------------
@pytest.fixture(scope="module")
def generated() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("generated")
    finally:
        sys.path.remove(str(DOCS))


def test_every_word_of_a_recipe_is_on_its_page(generated: ModuleType) -> None:
    """Each key of each section of the schema, and each word that chooses a section."""
    from keras_lmf import Recipe

    page = generated.recipe_words()
    schema = Recipe.model_json_schema()
    for section in [schema, *schema["$defs"].values()]:
        name = section.get("properties", {}).get("name", {})
        words = name.get("enum", [name["const"]] if "const" in name else [])
        for word in words:
            assert f"`{word}`" in page
        for key, value in section.get("properties", {}).items():
            if key != "name" or not words:
                assert f"| `{key}` |" in page, key
                assert value.get("description"), f"{key} isn't described"


def test_every_descriptor_is_on_its_page(generated: ModuleType) -> None:
    from keras_lmf.descriptors import DESCRIPTORS

    page = generated.descriptors()
    for name in DESCRIPTORS:
        assert f"| `{name}` |" in page


def test_every_public_name_is_in_the_api(generated: ModuleType) -> None:
    import keras_lmf

    together = "\n".join(generated.api_page(module) for module in generated.MODULES)
    for name in keras_lmf.__all__:
        assert f"klmf.{name}" in together
    for module in generated.MODULES[1:]:
        for name in generated.public_names(importlib.import_module(module)):
            assert re.search(rf"klmf\.[\w.]*\b{name}\b", together), f"{module}.{name}"


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs isn't installed")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    card = (tmp_path / "site/zoo/lmf-media-av/CARD/index.html").read_text(encoding="utf-8")
    assert "Synthetic pairs" in card
    assert not re.search(r'(?:src|href)="https?://(?!localhost)[^"]*\.(?:js|css|woff2?)', card)


def test_python_m_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "keras_lmf", "list"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "lmf-media-av" in ran.stdout
