"""Keras and its backend: what is installed, and all private parts that this package uses, each with the reason."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

BACKENDS = ("tensorflow", "jax", "torch")


def require_backend() -> None:
    """Imports Keras.

    Raises:
        ImportError: the backend that Keras is set to isn't installed; the message names the extra.
    """
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        raise with_extra(error) from None


def with_extra(error: ImportError) -> ImportError:
    """The error itself; where it is of a backend that isn't installed, one that names the extra."""
    backend = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or backend not in BACKENDS:
        return error
    return ImportError(
        f"Keras is set to the backend {backend!r}, which is not installed. Install one: "
        'pip install "keras-lmf[tf]" (TensorFlow, needed for export), or pip install "keras-lmf[backends]" '
        "(JAX and PyTorch) and set KERAS_BACKEND=jax or KERAS_BACKEND=torch."
    )


def nested_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layer, the layers in it, those in these, and so on.

    `Model.layers` stops at the first level, and no public name reaches into layers that hold layers (`Bidirectional`,
    `MirrorAverage`).
    """
    return list(layer._flatten_layers())


def layer_calls(layer: keras.layers.Layer) -> list[tuple[list[Any], list[Any]]]:
    """(input tensors, output tensors) of each call of the layer in functional models.

    `Layer.input` and `Layer.output` are of one call alone, and raise where there were more.
    """
    return [(node.input_tensors, node.output_tensors) for node in layer._inbound_nodes]


def calls_within(model: keras.Model, layer: keras.layers.Layer) -> list[tuple[list[Any], list[Any]]]:
    """`layer_calls` in this functional model alone: others may have called the same layer."""
    nodes = [node for level in model._nodes_by_depth.values() for node in level if node.operation is layer]
    return [(node.input_tensors, node.output_tensors) for node in nodes]


def maker(tensor: Any) -> keras.Operation:
    """The layer or operation that gave a symbolic tensor; no public name leads from the one to the other."""
    return tensor._keras_history.operation


def run_watched(
    model: keras.Model, inputs: Any, watch: Callable[[keras.Operation], Callable[..., Any]]
) -> Any:
    """What a functional model gives, with `watch(operation)` called instead of each of its operations.

    The public way, a second model that ends at the tensors of interest, leaves nodes behind in the user's layers, and
    loses the masks that travel with the tensors.
    """
    return model._run_through_graph(model._standardize_inputs(inputs), operation_fn=watch)


def interpreted(
    model: keras.Model, values: Any, watch: Callable[[keras.Operation], Callable[..., Any]]
) -> Any:
    """As `run_watched`, with any values in the place of tensors, in the structure of the model's inputs."""
    return model._run_through_graph(values, operation_fn=watch)


def mask_of(tensor: Any) -> Any:
    """The mask that Keras keeps with a tensor, or None; no public name reads it."""
    from keras.src.backend.common.masking import get_keras_mask

    return get_keras_mask(tensor)


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """The place of a variable among those the optimizer was built with.

    In `update_step`, TensorFlow hands over its own variable, which is not among `Optimizer.variables`.
    """
    return optimizer._get_variable_index(variable)


class LargerIsBetter:
    """Of a metric: what `EarlyStopping(mode="auto")` asks of one whose name Keras does not know."""

    _direction = "up"


def stateless() -> bool:
    """Whether weights are made without numbers now, inside a `keras.StatelessScope`: Keras doesn't say it in public."""
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    return in_stateless_scope()


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Within it, Keras on another backend takes TensorFlow for not installed.

    To serialise a model it would load it, for types of its own: that takes seconds, and PyTorch's optimizers crash in
    a process that holds TensorFlow.
    """
    from keras.src.utils.module_utils import tensorflow

    before, tensorflow._available = tensorflow._available, False
    try:
        yield
    finally:
        tensorflow._available = before


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(
            metadata.PackageNotFoundError
        ):  # one of TensorFlow's two wheels, for instance
            found[name] = metadata.version(name)
    return found
