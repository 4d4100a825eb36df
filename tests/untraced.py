"""TensorFlow without graphs: to trace a few steps takes longer than the steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Trainings of a few steps take half as long; compiled ones are for test_training.py and test_resume.py."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
