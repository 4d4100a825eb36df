"""What layers must refuse and what they must answer, by the table of layer_inputs.py on three backends."""

from __future__ import annotations

import re
import subprocess
import sys

import layer_inputs
import pytest
from layer_check import problem
from layer_singles import ARGUMENTS, SINGLE
from other_backend import LONG_ON_OTHERS, environment

from keras_lmf import layers


def test_every_call_is_refused_or_right():
    found = layer_inputs.checks()
    assert len({check.name for check in found}) == len(found) > 671
    assert {check.name: trouble for check in found if (trouble := problem(check))} == {}


def test_every_public_layer_is_in_the_table():
    fusions = {"EarlyFusion", "TensorFusion", "LowRankFusion", "DecisionFusion", "EstimateFusion", "Stacking"}
    assert fusions | SINGLE.keys() | ARGUMENTS.keys() == set(layers.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("backend", LONG_ON_OTHERS)
def test_every_call_is_refused_or_right_on(backend):
    ran = subprocess.run(
        [sys.executable, layer_inputs.__file__], env=environment(backend), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(rf"{layer_inputs.count()} checks on {backend}, 0 wrong", ran.stdout)
