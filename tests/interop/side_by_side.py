"""One printed line per comparison; NumPy alone, for it runs in every environment."""

from __future__ import annotations

import sys

import numpy as np


class Comparison:
    """Prints the largest difference of each pair, relative to the reference's largest number where that is over 1."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def __call__(self, name: str, theirs: object, reference: np.ndarray, tolerance: float) -> None:
        theirs, reference = np.asarray(theirs, "float64"), np.asarray(reference, "float64")
        if theirs.shape != reference.shape:
            difference = np.inf
            print(f"{name}: shape {theirs.shape}, the reference has {reference.shape}")
        else:
            difference = np.abs(theirs - reference).max() / max(1, np.abs(reference).max())
        good = difference <= tolerance  # False for NaN too
        print(
            f"{name}: largest difference {difference:.1e}, allowed {tolerance:.0e}: {'ok' if good else 'FAILED'}"
        )
        if not good:
            self.failed.append(name)

    def finish(self) -> None:
        """Ends the program: exit code 1 where anything was out of tolerance."""
        sys.exit(f"Out of tolerance: {', '.join(self.failed)}" if self.failed else 0)
