"""The streaming variant of a model: a clip comes chunk by chunk, and each answer is as if it ended there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.backend import interpreted, nested_layers
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.models.streaming.memory import Memory, Steps
from keras_lmf.models.streaming.rules import apply, found
from keras_lmf.spec import STATE, InputSpec, ModelSpec, attach, attached

TOLERANCE = 1e-4  # of max(1, |y|): how far the answer to a whole clip may be from the model's
_CLIPS = 8  # on which both are compared
_EXAMPLES = 32  # calls at most on which exported files are judged


def streaming_model(model: keras.Model, chunks: Mapping[str, int]) -> keras.Model:
    """The model for streams: one chunk of each input and a state in, the answer so far and the new state out.

    Its inputs are those of `model`, of which each in `chunks` is one chunk long, and "state", (batch, numbers), which
    is zeros at a stream's beginning and then what the call before gave under that name. After each call, its answers
    are those of `model` to all chunks so far. A stream may be longer than the model's clips. Weights are shared.

    What a clip's end changes is kept open: a convolution sees zeros after the last chunk, until there is another one.
    A chunk of zeros is silence, or no face, as zeros in a clip are. (Where sound ends inside a clip of `model`, windows
    of its spectrum reach over the end: so they do after one more chunk of zeros.)

    Works for LSTM and GRU, convolutions over time, log-mel spectrogram and MFCC with `dynamic_range=None`, networks of
    each frame, mean, deviation, last step and attention as pooling, fusion of embeddings and at each step. What looks
    at the whole clip is refused: bidirectional networks, attention between modalities, normalisation of a clip's level.

    Args:
        model: functional, a dict of inputs in and a dict of targets out, of fixed lengths.
        chunks: input → steps, samples or frames that a call takes of it. Where inputs meet step by step, equally long
            in time. Of sound, a multiple of the spectrum's hop. An input that is left out comes whole with each call.

    Returns:
        A functional keras.Model, which `export_model` takes as any other; `spec` says what it takes.

    Raises:
        LMFError: no dicts; half precision; an unknown input; a chunk of a length that doesn't fit; a part that needs
            the whole clip, by name; or an answer to a whole clip that differs by more than 1e-4 · max(1, |y|) from the
            model's: on the rows that it carries, else on random ones.
    """
    _require_fit(model, chunks)
    step = StreamingStep(model, dict(chunks), name="step")
    inputs = {
        name: keras.Input(
            (chunks.get(name, tensor.shape[1]), *tensor.shape[2:]), dtype=tensor.dtype, name=name
        )
        for name, tensor in model.input.items()
    }
    inputs[STATE] = keras.Input((step.size,), name=STATE)
    streaming = keras.Model(inputs, step(inputs), name=f"{model.name}_streaming")
    calls = _require_equal(streaming, model, chunks)
    return attach(streaming, _spec(model, inputs, chunks), calls)


@keras.saving.register_keras_serializable("keras_lmf")
class StreamingStep(keras.layers.Layer):
    """One call of a streaming model: a dict of chunks and the state → a dict of answers and the new state.

    Args:
        model: the model of whole clips, whose layers it calls.
        chunks: as of `streaming_model`.
    """

    def __init__(self, model: keras.Model, chunks: dict[str, int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})  # whatever the policy
        self.model, self.chunks = model, dict(chunks)
        empty = {
            name: ops.zeros((1, self.chunks.get(name, tensor.shape[1]), *tensor.shape[2:]), tensor.dtype)
            for name, tensor in model.input.items()
        }
        # Only a call tells how much there is to remember.
        self.size = int(self._stepped(empty, None)[STATE].shape[-1])

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._stepped({name: inputs[name] for name in self.model.input}, inputs[STATE])

    def _stepped(self, chunks: dict[str, Any], state: Any) -> dict[str, Any]:
        memory = Memory(state)
        values = {
            name: Steps(chunk, self.chunks[name]) if name in self.chunks else chunk
            for name, chunk in chunks.items()
        }
        answers = interpreted(self.model, values, self._watch(memory, self.model.name))
        if found(answers):
            raise LMFError(
                f"{self.model.name!r} answers at each step; only models with one answer to a clip can be streamed."
            )
        return {**answers, STATE: memory.state}

    def _watch(self, memory: Memory, within: str) -> Callable[[keras.Operation], Callable[..., Any]]:
        def watch(operation: keras.Operation) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                if not found((args, kwargs)):
                    return operation(*args, **kwargs)
                if isinstance(operation, keras.Model) and hasattr(operation, "operations"):
                    return interpreted(operation, args[0], self._watch(memory, operation.name))
                kwargs.pop("training", None)  # some layers leave it in the graph
                try:
                    return apply(memory, operation, *args, **kwargs)
                except LMFError as error:
                    place = f"{type(operation).__name__} {operation.name!r} in {within!r}"
                    raise LMFError(
                        f"{self.model.name!r} can't take a clip chunk by chunk. {place}: {str(error).rstrip('.')}."
                    ) from None

            return called

        return watch

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answers = {
            name: keras.KerasTensor(tensor.shape, tensor.dtype) for name, tensor in self.model.output.items()
        }
        return {**answers, STATE: keras.KerasTensor((None, self.size))}

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model, "chunks": self.chunks}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StreamingStep:
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)


def _require_fit(model: keras.Model, chunks: Mapping[str, int]) -> None:
    if not all(isinstance(getattr(model, end, None), dict) for end in ("input", "output")):
        raise LMFError(f"{model.name!r} is no functional model with a dict of inputs and a dict of outputs.")
    for layer in nested_layers(model):
        if "16" in layer.compute_dtype:
            raise LMFError(
                f"{model.name!r} computes in {layer.compute_dtype} (layer {layer.name!r}), in which chunks and whole "
                f"clips don't agree. Build it under the policy float32."
            )
    if STATE in model.input or STATE in model.output:
        raise LMFError(
            f"{model.name!r} has an input or output {STATE!r}, which a streaming model needs itself."
        )
    if not chunks:
        raise LMFError(
            f"'chunks' is empty. Give steps of one or more of the inputs: {', '.join(model.input)}."
        )
    for name, length in chunks.items():
        if name not in model.input:
            raise unknown_name("input in chunks", name, model.input)
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise LMFError(f"chunks: {name!r} takes a whole number of steps, 1 or more, received {length!r}.")
    for name, tensor in model.input.items():
        if None in tensor.shape[1:]:
            raise LMFError(f"Input {name!r} has the shape {tensor.shape[1:]}; streaming needs fixed lengths.")


def _spec(model: keras.Model, inputs: Mapping[str, Any], chunks: Mapping[str, int]) -> ModelSpec:
    """What the model's says, with the shapes of chunks, and the state."""
    spec = attached(model)[0] or ModelSpec()
    given = {name: spec.inputs.get(name, InputSpec()) for name in model.input}
    given[STATE] = InputSpec(
        description="What is remembered of the chunks before: zeros at the beginning, then the output of this name."
    )
    parts = {}
    for name, part in given.items():
        changes: dict[str, Any] = {"shape": tuple(inputs[name].shape[1:])}
        if part.description and name in chunks:
            changes["description"] = f"a chunk of {chunks[name]}; a whole clip is {part.description}"
        parts[name] = part.model_copy(update=changes)
    return spec.replace(inputs=parts)


def _require_equal(
    streaming: keras.Model, model: keras.Model, chunks: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Compares both on whole clips; what some of the first clip's calls took, (calls, …) each."""
    clips = _clips(model, chunks)
    calls = list(_streamed(streaming, chunks, clips))
    answers = calls[-1][1]
    for name, expected in model.predict_on_batch(clips).items():
        difference = np.abs(answers[name] - expected) / np.maximum(1, np.abs(expected))
        if not difference.max() <= TOLERANCE:
            raise LMFError(
                f"Chunk by chunk {model.name!r} answers otherwise than at once: {name!r} of a whole clip differs by "
                f"{difference.max():.2g} · max(1, |y|), allowed {TOLERANCE:g}. Chunks that divide a clip evenly may "
                f"help."
            )
    some = calls[:: -(-len(calls) // _EXAMPLES)]
    return {name: np.concatenate([call[name][:1] for call, _ in some]) for name in streaming.input}


def _clips(model: keras.Model, chunks: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The rows that the model carries, else random ones; padding behind them, where a chunk reaches over the end."""
    rows = attached(model)[1]
    if rows is None or rows.keys() != model.input.keys():
        generator = np.random.default_rng(0)
        rows = {
            name: generator.standard_normal((_CLIPS, *tensor.shape[1:]))
            for name, tensor in model.input.items()
        }
    clips = {name: np.array(rows[name][:_CLIPS], tensor.dtype) for name, tensor in model.input.items()}
    if any(clips[name].shape[1] % length for name, length in chunks.items()):
        for name in chunks:
            clips[name][:, clips[name].shape[1] * 3 // 4 :] = 0
    return clips


def _streamed(
    streaming: keras.Model, chunks: Mapping[str, int], clips: Mapping[str, np.ndarray]
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """What each call takes and answers; clips are followed by zeros until all are over."""
    rows = len(next(iter(clips.values())))
    state = np.zeros((rows, streaming.input[STATE].shape[1]), "float32")
    for i in range(max(-(-clips[name].shape[1] // length) for name, length in chunks.items())):
        call = {STATE: state}
        for name, clip in clips.items():
            piece = clip[:, i * chunks[name] : (i + 1) * chunks[name]] if name in chunks else clip
            missing = (chunks[name] if name in chunks else clip.shape[1]) - piece.shape[1]
            call[name] = np.pad(piece, [(0, 0), (0, missing)] + [(0, 0)] * (piece.ndim - 2))
        answers = streaming.predict_on_batch(call)
        state = answers[STATE]
        yield call, answers
