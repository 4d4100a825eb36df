"""Without Keras's backend, every way in says which extra to install."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; "


@pytest.mark.parametrize(
    "statement",
    [
        "import keras_lmf.layers",
        "import keras_lmf.backbones",
        "import keras_lmf.models",
        "import keras_lmf.metrics",
        "import keras_lmf.training",
        "import keras_lmf.export",
        "import keras_lmf; keras_lmf.data.Batches",
        "import keras_lmf; keras_lmf.train",
        "from keras_lmf.cli import main; main(['quickstart'])",
    ],
)
def test_the_extra_is_named(statement: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW + statement],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert 'pip install "keras-lmf[tf]"' in result.stderr
    assert ("Traceback" in result.stderr) == ("cli" not in statement)
