"""The smallest interesting inputs that fuzzing found, and the seeds: each is read, or refused in our words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from targets import FUZZ, TARGETS, clean, tried

FOUND = [
    pytest.param(name, path, id=f"{name}/{path.name[:12]}")
    for name in TARGETS
    for path in sorted((FUZZ / "corpus" / name).glob("*"))
]


@pytest.fixture(scope="module", autouse=True)
def scratch() -> Iterator[None]:
    yield
    clean()


@pytest.mark.parametrize(("name", "path"), FOUND)
def test_what_was_found_is_read_or_refused(name, path):
    tried(TARGETS[name], path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_read_and_its_first_half_is_not(name):
    seeds = list(TARGETS[name].seeds())
    assert any(tried(TARGETS[name], seed) for seed in seeds)
    for seed in seeds:
        tried(TARGETS[name], seed[: len(seed) // 2])
