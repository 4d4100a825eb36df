"""The figures of attacks that run too long for a test: benchmarks/results/attacks.csv, a row for each."""

from __future__ import annotations

import csv
from pathlib import Path

FIGURES = Path(__file__).parents[2] / "benchmarks" / "results" / "attacks.csv"
COLUMNS = ("attack", "tried", "wrong", "command")


def record(attack: str, tried: int, wrong: int, command: str) -> None:
    """Writes the row of the attack, in place of the one that was there."""
    rows = {row["attack"]: row for row in read()}
    rows[attack] = dict(zip(COLUMNS, (attack, tried, wrong, command)))
    with FIGURES.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def read() -> list[dict[str, str]]:
    """The rows that are there."""
    if not FIGURES.is_file():
        return []
    with FIGURES.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
