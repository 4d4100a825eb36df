"""CONTRIBUTING.md's walk through a new backbone works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from package_modules import ROOT

WALK = re.compile(
    r"^\d\. .*?`(?P<file>keras_lmf/[\w/]+\.py)`.*?^    ```python\n(?P<code>.*?)^    ```",
    re.DOTALL | re.MULTILINE,
)
USE = """
import numpy as np
import keras_lmf as klmf

recipe = klmf.Recipe(
    name="walk",
    corpus={"name": "synthetic"},
    target={"name": "emotion", "classes": ["calm", "excited"]},
    inputs={"steps": {"shape": [5, 3], "backbone": {"name": "max_pooling", "units": 4}}},
    fusion={"name": "none"},
    training={"loss": "cross_entropy"},
)
model = klmf.build(recipe)
rows = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
kernel, bias, *rest = model.get_weights()
embedding = rows.max(axis=1) @ kernel + bias
np.testing.assert_allclose(model({"steps": rows})["emotion"], embedding @ rest[0] + rest[1], atol=1e-5)
assert klmf.backbones.max_pooling((5, 3)).output_shape == (None, 64)
try:
    recipe.replace(inputs={"steps": {"backbone": {"name": "max_poling"}}})
except klmf.LMFError as error:
    assert "max_pooling" in str(error)
else:
    raise AssertionError("the typo went through")
"""


@pytest.mark.long
def test_the_walk_through_a_new_backbone_works(tmp_path: Path) -> None:
    package = tmp_path / "keras_lmf"
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns("_zoo", "__pycache__"))
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walk = text.split("## Add a backbone")[1].split("\n## ")[0]
    steps = {step["file"]: textwrap.dedent(step["code"]) for step in WALK.finditer(walk)}
    assert len(steps) == 3
    for name, code in steps.items():
        path = tmp_path / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        head, union, tail = before.partition("Backbone = Annotated[")
        line = re.search(r"in that union: `(.*?)`", walk)[1]
        tail = tail.replace(",\n    Field(discriminator", f"\n    {line},\n    Field(discriminator")
        path.write_text(f"{head}\n\n{code}\n\n{union}{tail}", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, env=environment, check=True, timeout=240)
