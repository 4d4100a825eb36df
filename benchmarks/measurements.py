"""How measured numbers are written in tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"
READERS_WORDS = {"war": "accuracy", "uar": "balanced accuracy"}


def measured_on(table: pd.DataFrame) -> str:
    """The machine and the versions that the rows of a script's CSV name."""
    return "Measured on " + " and ".join(
        f"{machine}; {versions}"
        for machine, versions in table[["machine", "versions"]].drop_duplicates().to_numpy()
    )


def short(number: float) -> str:
    """Three digits: "1,230", "12.3", "0.0123"."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def spread(table: pd.DataFrame, middle: str, low: str, high: str) -> list[str]:
    """Median and range of each row; the one number where there was one call, a dash where there was none."""
    texts = []
    for numbers in table[[middle, low, high]].to_numpy(float):
        median, least, most = map(short, numbers)
        texts.append(median if numbers[1] == numbers[2] else f"{median} [{least}, {most}]")
    return ["–" if pd.isna(number) else text for number, text in zip(table[middle], texts)]
