"""What a model's answers are made of: the contribution of each subset of modalities, over time, and where it looks."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_lmf.backend import layer_calls, mask_of, run_watched
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.evaluation.subsets import only
from keras_lmf.evaluation.terms import Subset, contributions, every_subset
from keras_lmf.layers import (
    CrossModalAttention,
    DecisionFusion,
    EstimateFusion,
    ModalityPresence,
    Stacking,
)
from keras_lmf.layers.modality_fusion import ModalityFusion

ROWS_AT_ONCE = 32  # as `Model.predict`: what is between the layers is held
OF_ANSWERS = (DecisionFusion, EstimateFusion, Stacking)
LINEAR = (keras.layers.Dropout, keras.layers.Identity)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Of N rows.

    Attributes:
        logits: (N, K), the model's answer: logits of classes, or values.
        terms: subset of modalities → (N, K), its contribution to `logits`; the empty subset's, the biases, is the same
            in each row. They add up to `logits`. Empty where the model can't be asked without a modality.
        linear: whether the answer is a linear map of the fused vector. Then `terms` are `fused` through that map: exact
            parts of the answer. Else hidden layers mix the parts, and a term says how the answer changes when the
            subset's modalities are there together, beyond what all smaller ones in it change.
        fused: subset → (N, units), its exact contribution to the fused vector; of fusion at each step (N, steps,
            units). They add up to that vector. Empty without a fusion layer.
        attention: name of each `CrossModalAttention` → (N, steps, other steps), how much each step looks at each of the
            other sequence.
    """

    logits: np.ndarray
    terms: dict[Subset, np.ndarray] = field(repr=False)
    linear: bool
    fused: dict[Subset, np.ndarray] = field(repr=False)
    attention: dict[str, np.ndarray] = field(repr=False)


def explain(model: keras.Model, inputs: Any, *, target: str | None = None) -> Explanation:
    """What the model's answers are made of: which modalities, alone and together, how much, and when.

    A subset's contribution is the answer as if only its modalities were there, less the contributions of all smaller
    subsets in it (`evaluation.terms`). Of `LowRankFusion` these are the terms of its product (`interactions`); of
    `EarlyFusion` what needs two modalities is 0.

    An absent modality is one whose embedding the fusion layer takes as absent. Where the answer depends on modalities
    past that layer too (attention), it is one whose input is zero, and there are `terms` only if the model has learnt
    that (`ModalityPresence`; in recipes `[presence]`).

    Args:
        model: functional, as from `build`, `load`, `Run.model`, `fusion_model` or of your own, with one layer
            `TensorFusion`, `LowRankFusion`, `EarlyFusion` or one that joins answers, or with attention.
        inputs: as the model takes them; arrays of N ≥ 1 rows.
        target: the output; None: the only one.

    Raises:
        LMFError: a model as not described, or inputs that don't fit.

    >>> import keras_lmf as klmf
    >>> parts = {name: klmf.backbones.mlp((4,), units=[8], seed=0) for name in ("voice", "face")}
    >>> model = klmf.models.fusion_model(parts, klmf.layers.LowRankFusion(8, seed=0), {"emotion": 3})
    >>> found = klmf.explain(model, {"voice": np.ones((2, 4), "float32"), "face": np.ones((2, 4), "float32")})
    >>> list(found.terms)
    [(), ('voice',), ('face',), ('voice', 'face')]
    >>> bool(np.allclose(sum(found.terms.values()), found.logits, atol=1e-5))
    True
    """
    if not isinstance(model, keras.Model) or not isinstance(model, keras.Function):
        raise LMFError(f"explain takes a functional Keras model, received a {type(model).__name__}.")
    output = _output(model, target)
    fusion = _fusion(model)
    arrays = _checked(model, inputs)
    rows = {len(array) for array in keras.tree.flatten(arrays)}
    if len(rows) > 1 or not min(rows):
        raise LMFError(
            f"{model.name}: its inputs need the same number of rows, one or more; received {sorted(rows)}."
        )
    watched = _Watched(model, fusion, output)
    starts = range(0, rows.pop(), ROWS_AT_ONCE)
    parts = []
    for start in tqdm(starts, desc="explain", unit="batch", delay=2, leave=False, disable=None):
        parts.append(
            watched.explanation(
                keras.tree.map_structure(lambda x, at=start: x[at : at + ROWS_AT_ONCE], arrays)
            )
        )
    return Explanation(
        np.concatenate([part.logits for part in parts]),
        _joined([part.terms for part in parts]),
        watched.linear,
        _joined([part.fused for part in parts]),
        _joined([part.attention for part in parts]),
    )


class _Watched:
    """A model whose fusion can be told that a modality is absent."""

    def __init__(self, model: keras.Model, fusion: ModalityFusion | None, output: int) -> None:
        self._model, self._fusion, self._output = model, fusion, output
        # The layer may be in other models, too.
        ways = (
            [_operations(outputs, model.outputs[output]) for _, outputs in layer_calls(fusion)]
            if fusion
            else []
        )
        between = next((way for way in ways if way is not None), None)
        self._through_fusion = between is not None
        # What a hidden modality changes; the rest is run once.
        self._changing = {fusion, *between} if between is not None else set(model.operations)
        self._inputs_may_lack = isinstance(model.input, dict) and any(
            isinstance(operation, ModalityPresence) for operation in model.operations
        )
        linear = self._through_fusion and not isinstance(fusion, DecisionFusion)
        self.linear = linear and all(_is_linear(operation) for operation in between)
        attends = any(isinstance(operation, CrossModalAttention) for operation in model.operations)
        if fusion is None and not attends and not (self._inputs_may_lack and len(model.inputs) > 1):
            raise LMFError(
                f"{model.name} has nothing to take apart: no TensorFusion, LowRankFusion or EarlyFusion and no "
                f"CrossModalAttention among its layers ({', '.join(layer.name for layer in model.layers)})."
            )

    def explanation(self, inputs: Any) -> Explanation:
        """Of rows that are run at once; `linear` is not theirs to say."""
        attention: dict[str, np.ndarray] = {}
        kept: dict[str, deque[Any]] = defaultdict(deque)
        logits, _ = self._run(inputs, kept, attention=attention)
        answers, vectors = {}, {}
        if self._fusion is not None:
            names = self._fusion.modalities or tuple(range(len(self._fusion.widths)))
            for subset in every_subset(map(str, names)):
                there = np.array([[str(name) in subset for name in names]] * len(logits), "float32")
                answers[subset], vectors[subset] = self._run(inputs, kept, there=there)
        if not self._through_fusion:
            answers = {}
            if self._inputs_may_lack:
                for subset in every_subset(inputs):
                    answers[subset], _ = self._run(only(inputs, subset), kept)
        return Explanation(logits, contributions(answers), self.linear, contributions(vectors), attention)

    def _run(
        self,
        inputs: Any,
        kept: dict[str, deque[Any]],
        *,
        there: np.ndarray | None = None,
        attention: dict[str, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The answer and the fused vector.

        Args:
            inputs: rows.
            kept: name of an operation that no hidden modality changes → what its calls gave; the first run fills it.
            there: (N, M), what the fusion is told.
            attention: gets the weights of each attention.
        """
        fused: list[Any] = []

        def watch(operation: keras.Operation) -> Callable[..., Any]:
            if operation is self._fusion:
                return fuse
            run: Callable[..., Any] = operation
            if attention is not None and isinstance(operation, CrossModalAttention):
                run = partial(attend, operation)
            return run if operation in self._changing else partial(once, operation.name, run)

        def fuse(embeddings: Any, presence: Any = None, **options: Any) -> Any:
            if there is not None:
                presence = there if presence is None else keras.ops.where(there > 0, presence, 0 * presence)
            fused.append(self._fusion(embeddings, presence=presence, **options))
            return fused[0]

        def attend(layer: CrossModalAttention, sequences: Any, *rest: Any, **options: Any) -> Any:
            weights = layer.attention(sequences, [mask_of(sequence) for sequence in sequences])
            attention[layer.name] = _numpy(weights)
            return layer(sequences, *rest, **options)

        def once(name: str, run: Callable[..., Any], *rest: Any, **options: Any) -> Any:
            if there is None:
                kept[name].append(run(*rest, **options))
            else:
                kept[name].rotate(-1)  # a layer that is called again gave the next
            return kept[name][-1]

        answer = keras.tree.flatten(run_watched(self._model, inputs, watch))[self._output]
        return _numpy(answer), _numpy(fused[0]) if fused else None


def _fusion(model: keras.Model) -> ModalityFusion | None:
    """The model's only fusion layer; None without one, or where it joins answers of networks that share inputs: then no
    input is absent to it alone."""
    layers = [operation for operation in model.operations if isinstance(operation, ModalityFusion)]
    if len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise LMFError(f"{model.name} has several fusion layers, {names}: explain takes a model with one.")
    for layer in layers:
        if not isinstance(layer, OF_ANSWERS) or set(layer.modalities or ()) == set(model.input):
            return layer
    return None


def _output(model: keras.Model, target: str | None) -> int:
    """The place of an output among all."""
    # Keras keeps the outputs of a dict in the order of its sorted names.
    outputs = (
        model.output if isinstance(model.output, Mapping) else dict(zip(model.output_names, model.outputs))
    )
    names = list(outputs)
    if target is None and len(names) > 1:
        raise LMFError(f"{model.name} has several outputs, {', '.join(names)}: say which with target=….")
    if target is not None and target not in names:
        raise unknown_name(f"output of {model.name}:", target, names)
    return next(i for i, output in enumerate(model.outputs) if output is outputs[target or names[0]])


def _operations(start: list[Any], end: Any) -> list[keras.Operation] | None:
    """Those from one symbolic tensor to another; None where the other depends on more than the one."""
    if end is start[0]:
        return []
    try:
        return keras.Function(start, end).operations
    except ValueError:  # "Graph disconnected"
        return None


def _is_linear(operation: keras.Operation) -> bool:
    dense = isinstance(operation, keras.layers.Dense) and operation.activation is keras.activations.linear
    return dense or isinstance(operation, LINEAR)


def _checked(model: keras.Model, inputs: Any) -> Any:
    """The inputs as arrays in the structure that the model takes."""
    wanted = model.input
    if isinstance(wanted, Mapping):
        if not isinstance(inputs, Mapping):
            raise LMFError(
                f"{model.name} takes a dict of {', '.join(wanted)}, received a {type(inputs).__name__}."
            )
        for name in inputs:
            if name not in wanted:
                raise unknown_name(f"input of {model.name}:", name, wanted)
        if missing := [name for name in wanted if name not in inputs]:
            received = ", ".join(inputs) or "none"
            raise LMFError(f"{model.name} lacks its input {', '.join(missing)}. Received: {received}.")
        inputs = {name: inputs[name] for name in wanted}
    arrays = keras.tree.map_structure(np.asarray, inputs)
    received, allowed = (
        [tuple(part.shape[1:]) for part in keras.tree.flatten(parts)] for parts in (arrays, wanted)
    )
    fits = len(received) == len(allowed) and all(
        len(shape) == len(other) and all(b in (None, a) for a, b in zip(shape, other))
        for shape, other in zip(received, allowed)
    )
    if not fits:
        raise LMFError(f"{model.name} takes rows of the shapes {allowed}, received {received}.")
    return arrays


def _numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def _joined(parts: list[dict[Any, np.ndarray]]) -> dict[Any, np.ndarray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
