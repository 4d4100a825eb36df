"""Recipes that ask for any amount of memory: refused before it is taken, as an entry and as a run."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import keras
import pytest
from word_recipes import recipe, two

from keras_lmf.errors import LMFError
from keras_lmf.models import build, foretold_shapes
from keras_lmf.recipe import MAX_PARAMETERS
from keras_lmf.training import Run
from keras_lmf.zoo import load

MOST = 2**20  # of one number in a recipe


HOSTILE = {
    "dense": recipe({"input": {"shape": [MOST], "backbone": {"name": "mlp", "units": [MOST] * 32}}}),
    "lstm": recipe({"input": {"shape": [MOST, MOST], "backbone": {"name": "lstm", "units": MOST}}}),
    "convolution": recipe(
        {
            "input": {
                "shape": [MOST, MOST],
                "backbone": {"name": "temporal_convolution", "filters": [MOST] * 32, "kernel_size": MOST},
            }
        }
    ),
    "pictures": recipe(
        {"input": {"shape": [MOST] * 3, "backbone": {"name": "image_cnn", "filters": [MOST] * 9}}}
    ),
    "video": recipe({"input": {"shape": [MOST, MOST, MOST, 3], "backbone": {"name": "i3d", "units": MOST}}}),
    "spectrum": recipe(
        {
            "input": {
                "shape": [MOST],
                "front_end": {"name": "log_mel", "sample_rate": 10**6, "bands": 256},
                "backbone": {"name": "bilstm", "units": MOST},
            }
        }
    ),
    "network": recipe(
        {
            "input": {
                "shape": [MOST, 32, 32, 3],
                "front_end": {"name": "application", "network": "ConvNeXtXLarge"},
                "backbone": {"name": "gru", "units": 3},
            }
        }
    ),
    "networks": recipe(
        {f"input{i}": {"shape": [8, 32, 32, 3], "backbone": {"name": "i3d"}} for i in range(16)},
        {"name": "early"},
    ),
    "low_rank": two({"name": "low_rank", "units": MOST, "rank": MOST}, presence={}),
    "head": two({"name": "tensor"}, head={"units": [MOST] * 32}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_recipe_that_asks_for_too_much_is_refused_before_memory_is_taken(name):
    build(two({"name": "early"}))  # what Keras loads once
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(LMFError, match=rf"builds \d+ weights or more, allowed here are {MAX_PARAMETERS}"):
        foretold_shapes(HOSTILE[name])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB
    assert time.process_time() - began < 10
    # And nothing is left that Keras would make later.
    with keras.StatelessScope():
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000


@pytest.mark.parametrize("opened", [lambda folder: load(folder), lambda folder: Run.open(folder).model])
def test_a_run_that_asks_for_too_much_is_refused_as_an_entry_is(tmp_path: Path, opened):
    small = two({"name": "early"})
    build(small).save_weights(tmp_path / "model.weights.h5")
    small.write(tmp_path / "recipe.toml")
    assert opened(tmp_path).count_params() == build(small).count_params()
    HOSTILE["dense"].write(tmp_path / "recipe.toml")
    began = time.process_time()
    with pytest.raises(LMFError, match=r"builds \d+ weights or more"):
        opened(tmp_path)
    assert time.process_time() - began < 10
