"""The layer contract on TensorFlow in this process, on JAX and PyTorch in their own, and every layer as TFLite."""

from __future__ import annotations

import subprocess
import sys

import contract
import keras
import numpy as np
import pytest
from exporting import exported_here
from other_backend import LONG_ON_OTHERS, OTHER_BACKENDS, environment

from keras_lmf import layers
from keras_lmf.export import export_model
from keras_lmf.runtime import open_artifact

CASES = {case.name: case for case in contract.CASES}


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CASES)
def test_contract(name, check, tmp_path):
    check(CASES[name], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [LONG_ON_OTHERS[0], OTHER_BACKENDS[1]])
def test_contract_on(backend):
    ran = subprocess.run(
        [sys.executable, contract.__file__], env=environment(backend), capture_output=True, text=True
    )
    passed = [line for line in ran.stdout.splitlines() if line.startswith(f"passed {backend} ")]
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(passed) == len(contract.CASES) * len(contract.CHECKS), ran.stdout


def test_the_table_holds_every_public_layer():
    covered = {type(case.make()).__name__ for case in contract.CASES}
    # Flags pass no gradient, so `fit` can't be asked of them: tests/test_modality_presence.py, tests/test_steps.py.
    assert covered | {"ModalityPresence", "PresentSteps"} == set(layers.__all__)


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    """All layers as branches of one model, so that one conversion serves them all: outputs, file and Keras."""
    symbols, branches, arrays = {}, {}, {}
    for case in CASES.values():
        own = case.symbols(f"{case.name}_")
        symbols |= {f"{case.name}_{name}": tensor for name, tensor in own.items()}
        arrays |= {f"{case.name}_{name}": array for name, array in case.inputs().items()}
        branches[case.name] = keras.layers.Identity(name=f"{case.name}_answer")(case.apply(case.make(), own))
    model = keras.Model(symbols, branches, name="all_layers")
    folder = tmp_path_factory.mktemp("tflite")
    with exported_here():
        (artifact,) = export_model(model, folder, formats=("tflite",))
    return open_artifact(artifact.path).predict(arrays), model.predict(arrays, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_tflite_parity(name, lite):
    """With padding and absent modalities among the inputs; export itself compares on standard-normal ones."""
    written, expected = (outputs[name] for outputs in lite)
    assert written.shape == expected.shape
    assert np.isfinite(expected).all()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(written, expected, rtol=1e-5, atol=1e-5)
