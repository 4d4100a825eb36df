"""Exports for tests of what the files answer; the processes of an export are for test_export_conversion.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_lmf.export import exporter, tflite
from keras_lmf.export.artifact import Latency
from keras_lmf.export.convert import convert
from keras_lmf.export.source import Source


def _convert(source: Source, saved_model: Path, path: Path) -> None:
    path.write_bytes(convert(str(saved_model)))


@contextlib.contextmanager
def converted_here() -> Iterator[None]:
    """The same conversion, in this process, which has TensorFlow: starting it takes longer than a small model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite, "_convert", _convert)
        yield


@contextlib.contextmanager
def exported_here() -> Iterator[None]:
    """So converted, and no latency measured, which takes a process of its own, too."""
    with converted_here(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "_latency", lambda *_: Latency(1.0, 2.0))
        yield
