"""Regular expressions that never end, or take any memory: told within seconds."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from keras_lmf.data import load
from keras_lmf.data.corpora import pickled_splits
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

SENTIMENT = Target(name="sentiment", range=(-3, 3))
ENDLESS = ["((a+)+)b", "((a|a)*)b", "((a|aa)+)$", "(a*a*a*a*a*a*a*a*a*a*a*a*)b", r"(?=((a+)+b))", r"((.*)*)x"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    content = {
        "audio": np.ones((3, 2)),
        "labels": np.zeros(3),
        "id": ["a" * 250 + f"!_{row}" for row in range(3)],
    }
    path = tmp_path / "mine.pkl"
    path.write_bytes(pickle.dumps({"train": content}))
    return path


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_without_end_is_stopped(file: Path, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled_splits, "MATCHING_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(LMFError, match=r"mine\.pkl: group_pattern .* takes more than 0\.5 s on 3 ids"):
        load(file, target=SENTIMENT, group_pattern=pattern)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "pattern", ["(" * 5000, "(a", "(a){99999999999999999999}", "[b-a]", "(?P<1>a)", "\\"]
)
def test_a_pattern_that_is_none_is_refused(file: Path, pattern: str) -> None:
    with pytest.raises(LMFError, match=r"mine\.pkl: group_pattern .* is no regular expression"):
        load(file, target=SENTIMENT, group_pattern=pattern)


def test_a_pattern_is_matched_as_python_matches_it(file: Path) -> None:
    data = load(file, target=SENTIMENT, group_pattern=r"a+(.)_\d(?!\d)")
    assert data.groups.tolist() == ["!"] * 3
