"""What importing does, seen in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from package_modules import MODULES, ROOT

# Importing keras loads its backend, so of data only what needs no keras is asked.
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch"}
LIGHT = {
    "errors",
    "files",
    "target",
    "spec",
    "sidecar",
    "locate",
    "recipe",
    "zoo",
    "evaluation",
    "recognition",
    "runtime",
    "data",
    "media",
    "quantization",
    "failures",
}
LIGHT_MODULES = [name for name in MODULES if name.split(".")[0] in LIGHT and name != "data.batches"]

# Loads modules while Python itself reports environment look-ups of ours, opened files and made folders.
SPY = f"""
import os, sys
root = {str(ROOT)!r}
standard_library = os.path.dirname(os.__file__)
def ours():
    # Who asked is the innermost frame outside the standard library; the import system is nobody's.
    frame = sys._getframe(2)
    while frame:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return False
        outside = "site-packages" in file or not file.startswith(("<frozen", standard_library))
        if outside and file != "<string>":
            return file.startswith(root)
        frame = frame.f_back
    return False
def spied(name):
    real = getattr(type(os.environ), name)
    def spy(self, *arguments):
        if ours():
            print("environment", arguments[:1])
        return real(self, *arguments)
    setattr(type(os.environ), name, spy)
for name in ("__getitem__", "__contains__", "__iter__"):
    spied(name)
def audit(event, arguments):
    if event in ("open", "os.mkdir") and ours():
        print(event, arguments[0])
sys.addaudithook(audit)
"""


def run(code: str) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.split("\n")[:-1]


def loaded(modules: list[str]) -> str:
    names = ["keras_lmf" if name == "__init__" else f"keras_lmf.{name}" for name in modules]
    return f"import importlib\nfor name in {names!r}: importlib.import_module(name)\n"


def test_the_package_and_its_light_modules_load_no_framework():
    ask = f"import sys\nprint(sorted({FRAMEWORKS!r} & set(sys.modules)))"
    assert run(loaded(["__init__"]) + ask) == ["[]"]
    assert run(loaded(LIGHT_MODULES) + ask) == ["[]"]


@pytest.mark.slow
def test_importing_reads_no_variable_opens_no_file_and_makes_no_folder():
    modules = [name for name in MODULES if name not in ("export.convert", "__main__")]
    assert run(SPY + loaded(modules)) == []


def test_the_spy_sees():
    (line,) = run(SPY + f"exec(compile('os.environ.get(\"HOME\")', {str(ROOT / 'x.py')!r}, 'exec'))")
    assert line.startswith("environment")
    (line,) = run(SPY + f"exec(compile('open(__import__(\"os\").devnull)', {str(ROOT / 'x.py')!r}, 'exec'))")
    assert line.startswith("open")
