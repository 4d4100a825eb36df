"""How a file's outputs compare with the Keras model's."""

from __future__ import annotations

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.target import Target


def require_finite(outputs: dict[str, np.ndarray], name: str) -> None:
    """Refuse outputs with NaN or infinity, naming the first row."""
    for target, values in outputs.items():
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
        if len(bad):
            raise LMFError(
                f"{name} returns NaN or infinity for output {target!r} in {len(bad)} of {len(values)} rows, "
                f"first in row {bad[0]}. It was not exported."
            )


def agreement(
    outputs: dict[str, np.ndarray], expected: dict[str, np.ndarray], target: Target
) -> float | None:
    """Share of the rows with the same class; None for a regression."""
    if target.classes is None:
        return None
    return float(np.mean(outputs[target.name].argmax(axis=1) == expected[target.name].argmax(axis=1)))


def differences_to(
    expected: dict[str, np.ndarray], outputs: dict[str, np.ndarray], label: str, tolerance: float
) -> np.ndarray:
    """|outputs − expected| of all outputs in one vector; an error where one exceeds tolerance · max(1, |y|)."""
    if outputs.keys() != expected.keys():
        raise LMFError(
            f"{label} names its outputs {', '.join(sorted(outputs))}; the model's are "
            f"{', '.join(sorted(expected))}."
        )
    differences = []
    for target, values in expected.items():
        difference = np.abs(outputs[target] - values)
        relative = difference / np.maximum(1, np.abs(values))
        if relative.max() > tolerance:
            row = int(np.unravel_index(relative.argmax(), relative.shape)[0])
            raise LMFError(
                f"{label} differs from the Keras model: output {target!r}, row {row}, by "
                f"{relative.max():.2g} · max(1, |y|), allowed {tolerance:g}. It was not kept. Call "
                f"export_model(…, tolerance=…) if that is good enough."
            )
        differences.append(difference.ravel())
    return np.concatenate(differences)
