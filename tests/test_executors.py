"""What does the work of an extraction: this process, or a pool of them."""

from __future__ import annotations

import os

import pytest

from keras_lmf.errors import LMFError
from keras_lmf.executors import Here, Pool


def test_pool_gives_results_in_order_and_ends_with_a_worker():
    assert list(Pool(2).map(abs, [-3, 2, -1])) == [3, 2, 1]
    assert list(Here().map(abs, [-3, 2])) == [3, 2]
    with pytest.raises(LMFError, match="A worker process died"):
        list(Pool(1).map(os._exit, [3]))
    with pytest.raises(LMFError, match="workers=0"):
        Pool(0)
