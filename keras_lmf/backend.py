"""Keras needs one of three backends; without one, say which extra to install."""

from __future__ import annotations

BACKENDS = ("tensorflow", "jax", "torch")


def require_backend() -> None:
    """Imports Keras.

    Raises:
        ImportError: the backend that Keras is set to isn't installed; the message names the extra.
    """
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in BACKENDS:
            raise
        raise ImportError(
            f"Keras is set to the backend {error.name!r}, which is not installed. Install one: "
            'pip install "keras-lmf[tf]" (TensorFlow, needed for export), or pip install "keras-lmf[backends]" '
            "(JAX and PyTorch) and set KERAS_BACKEND=jax or KERAS_BACKEND=torch."
        ) from None


def stateless() -> bool:
    """Whether weights are made without numbers now, inside a `keras.StatelessScope`: Keras doesn't say it in public."""
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    return in_stateless_scope()
