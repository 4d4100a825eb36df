"""Every module keeps to the import rules, and the rules catch what they should."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest
from import_rules import imports, part_of, violations
from package_modules import MODULES


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_who_imports_whom(module):
    assert part_of(module), f"say in ALLOWED what {module} may import"
    if module != "__init__":  # the lazy front door names every part
        assert violations(module, parsed(MODULES[module])) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("layers.x", "import tensorflow as tf", 2),
        ("layers.x", "def f():\n    from keras_lmf.data.dataset import Split", 1),
        ("layers.x", "import keras.ops, math\nfrom keras_lmf.layers.y import z", 0),
        ("models.x", "from keras_lmf import data, layers", 1),
        ("evaluation.report", "import matplotlib.pyplot", 1),
        ("evaluation.plots", "import matplotlib.pyplot", 0),
        ("evaluation.report", "if TYPE_CHECKING:\n    from keras_lmf.data.dataset import Split", 0),
        ("runtime", "import tensorflow", 1),
        ("runtime", "def f():\n    import tensorflow", 0),
        ("recipe.x", "import keras", 1),
        ("recipe.x", "def f():\n    from keras_lmf.backbones import mlp", 0),
        ("data.dataset", "def f():\n    importlib.import_module('tensorflow')", 1),
    ],
)
def test_the_rules_catch_what_they_should(module, source, expected):
    assert len(violations(module, ast.parse(source))) == expected


def test_data_takes_only_the_utilities_of_keras():
    for module, path in MODULES.items():
        if part_of(module).startswith("data"):
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "keras":
                    assert node.attr == "utils", f"{module} uses keras.{node.attr}"


def test_tensorflow_is_named_where_it_is_the_subject_only():
    for module, path in MODULES.items():
        names = {name.split(".")[0] for name, _ in imports(parsed(path))}
        if "tensorflow" in names:
            assert part_of(module) in ("export", "runtime", "saved_model", "models.published_networks"), (
                module
            )


def test_nothing_climbs_to_the_command_line():
    for module, path in MODULES.items():
        if part_of(module) not in ("cli", "__main__"):
            names = [name for name, _ in imports(parsed(path))]
            assert not [name for name in names if name.startswith("keras_lmf.cli")], module


def test_private_parts_of_other_packages_are_reached_in_one_file():
    public = {"_asdict", "_replace", "_fields", "_missing_", "_exit"}  # documented
    public |= {"_experimental_enable_dynamic_update_slice"}  # of a script that runs alone, without `backend`
    for module, path in MODULES.items():
        tree = parsed(path)
        if module != "backend":
            assert not [name for name, _ in imports(tree) if name.startswith("keras.src")], module
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr.startswith("_") and node.attr[1] != "_":
                    owner = ast.unparse(node.value)
                    assert owner in ("self", "cls") or node.attr in public, f"{module}: {owner}.{node.attr}"


def test_no_modules_import_each_other():
    """Not even inside functions: what imports none of the rest is taken away, again and again; nothing is left."""
    known = {f"keras_lmf.{name}": name for name in MODULES}
    left = {
        name: {known[found] for found, _ in imports(parsed(path)) if found in known}
        for name, path in MODULES.items()
        if not path.name.startswith("__")  # a package's face hands names on
    }
    while done := {name for name, others in left.items() if not others & left.keys() - {name}}:
        left = {name: others for name, others in left.items() if name not in done}
    assert not left
