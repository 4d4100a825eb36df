"""A file cut in the network of one frame and the rest: both together answer as the whole file, in LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_lmf.errors import LMFError
from keras_lmf.frame_network import FrameNetwork, frame_network
from keras_lmf.operators import operators

ZOO = Path(__file__).parents[1] / "zoo"
FRAMES, SIDE, CHANNELS = 3, 8, 2
RNG = np.random.default_rng(0)
KERNELS = [RNG.normal(size=shape).astype("float32") for shape in ((3, 3, 2, 4), (3, 3, 4, 1), (1, 1, 4, 4))]
WEIGHTS = RNG.normal(size=(4, 5)).astype("float32")
HEAVY = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def network(pictures):
    """(frames, SIDE, SIDE, CHANNELS) → (frames, 5)."""
    hidden = tf.image.resize(pictures, (12, 12)) - tf.constant([0.3, 0.4])
    hidden = tf.nn.relu(tf.nn.conv2d(hidden, KERNELS[0], 2, "SAME"))
    deeper = tf.nn.conv2d(tf.nn.depthwise_conv2d(hidden, KERNELS[1], [1] * 4, "SAME"), KERNELS[2], 1, "SAME")
    mirrored = tf.reverse(tf.nn.max_pool2d(hidden, 3, 1, "SAME"), [2])
    joined = tf.concat([tf.nn.relu(deeper + hidden) * mirrored, mirrored], axis=-1)
    return tf.reduce_mean(joined, axis=(1, 2))[:, 2:6] @ WEIGHTS


def frames_of(face):
    return network(tf.reshape(face, face.shape[1:]))


def mean_of_those_there(face, voice):
    there = tf.reduce_any(face != 0, axis=(2, 3, 4))[..., None]
    rows = tf.where(there, frames_of(face)[None], 0.0)
    return tf.reduce_sum(rows, axis=1) + voice @ WEIGHTS


def mean_of_all(face, voice):
    return tf.reduce_mean(frames_of(face), axis=0)[None] + voice @ WEIGHTS


def one_after_the_other(face, voice):
    """With a loop behind the network."""
    rows = frames_of(face)
    _, total = tf.while_loop(
        lambda i, _: i < FRAMES, lambda i, total: (i + 1, tf.tanh(total + rows[i])), (0, tf.zeros(5))
    )
    return total[None] + voice @ WEIGHTS


def against_the_mean_frame(face, voice):
    """Frames meet before the network ends."""
    pictures = tf.reshape(face, face.shape[1:])
    hidden = tf.nn.conv2d(pictures, KERNELS[0], 1, "SAME")
    hidden = tf.nn.relu(hidden - tf.reduce_mean(hidden, axis=0))
    return tf.reduce_mean(hidden, axis=(0, 1, 2))[None] @ WEIGHTS + voice @ WEIGHTS


def deep_and_shallow(face, voice):
    """The rest takes two tensors of the network."""
    hidden = tf.nn.conv2d(tf.reshape(face, face.shape[1:]), KERNELS[0], 2, "SAME")
    ends = [tf.reduce_mean(tf.sin(part), axis=(0, 1, 2))[None] for part in (hidden, tf.nn.relu(hidden))]
    return (ends[0] + ends[1] + voice) @ WEIGHTS


def in_reverse(face, voice):
    """The rest takes the frames backwards, and the network's rows as they are."""
    pictures = tf.reshape(face, face.shape[1:])
    return (
        tf.reduce_mean(network(pictures) - network(tf.reverse(pictures, [0])), axis=0)[None] + voice @ WEIGHTS
    )


def unknown_op(face, voice):
    rows = tf.sin(tf.reshape(face, face.shape[1:]))
    return tf.reduce_mean(rows, axis=(0, 1, 2))[None] @ WEIGHTS[:2] + voice @ WEIGHTS


def written(
    answer: Callable, shape: tuple[int, ...] = (1, FRAMES, SIDE, SIDE, CHANNELS), bits: int = 32
) -> bytes:
    module = tf.Module()
    specs = [tf.TensorSpec(shape, name="face"), tf.TensorSpec((1, 4), name="voice")]
    module.serve = tf.function(lambda face, voice: {"emotion": answer(face, voice)}, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.serve.get_concrete_function()], module
    )
    if bits == 16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def asked(content: bytes, **inputs: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content, num_threads=1)
    (answer,) = interpreter.get_signature_runner()(**inputs).values()
    return answer


def together(halves: FrameNetwork, inputs: dict[str, np.ndarray]) -> np.ndarray:
    rows = [asked(halves.network, picture=picture[None]) for picture in inputs["face"][0]]
    given = inputs | {"features": np.concatenate(rows)}
    assert {name: given[name].shape for name in halves.inputs} == halves.inputs
    return asked(halves.rest, **{name: given[name] for name in halves.inputs})


def with_absent_frame(face: tuple[int, ...], voice: tuple[int, ...]) -> dict[str, np.ndarray]:
    inputs = {"face": RNG.random(face, np.float32), "voice": 0.1 * RNG.normal(size=voice).astype("float32")}
    inputs["face"][0, 1] = 0
    return inputs


@pytest.mark.parametrize("bits", [32, 16])
@pytest.mark.parametrize(
    ("answer", "inputs"),
    [
        (mean_of_those_there, {"face", "voice", "features"}),
        (mean_of_all, {"voice", "features"}),
        (one_after_the_other, {"voice", "features"}),
        (against_the_mean_frame, {"voice", "features"}),
    ],
)
def test_both_halves_answer_as_the_whole_file(answer: Callable, inputs: set[str], bits: int):
    content = written(answer, bits=bits)
    halves = frame_network(content, "face")
    assert halves.inputs.keys() == inputs
    assert halves.picture == (1, SIDE, SIDE, CHANNELS)
    given = with_absent_frame((1, FRAMES, SIDE, SIDE, CHANNELS), (1, 4))
    np.testing.assert_allclose(together(halves, given), asked(content, **given), rtol=1e-5, atol=1e-5)
    assert not HEAVY & {operator.name for operator in operators(halves.rest)}


def test_an_entry_answers_alike_from_halves():
    """Weights of 8 bits, whose sums are rounded by the largest activation: of a frame, not of all."""
    content = (ZOO / "lmf-media-av" / "model-dynamic.tflite").read_bytes()
    halves = frame_network(content, "face")
    given = with_absent_frame((1, 6, 48, 48, 1), (1, 48000))
    np.testing.assert_allclose(together(halves, given), asked(content, **given), rtol=1e-5, atol=1e-5)
    assert len(halves.network) + len(halves.rest) < 1.1 * len(content)


@pytest.mark.parametrize(
    ("answer", "shape"),
    [
        (
            lambda face, voice: tf.reduce_mean(network(face), axis=0)[None] + voice @ WEIGHTS,
            (1, SIDE, SIDE, CHANNELS),
        ),
        (mean_of_all, (1, 1, SIDE, SIDE, CHANNELS)),
        (lambda face, voice: tf.reduce_mean(face, axis=(1, 2, 3)) @ WEIGHTS[:2] + voice @ WEIGHTS, None),
        (deep_and_shallow, None),
        (in_reverse, None),
        (unknown_op, None),
    ],
    ids=["a picture", "one frame", "no network", "two tensors", "frames in reverse", "unknown op"],
)
def test_what_has_no_network_of_a_frame_stays_whole(answer: Callable, shape: tuple[int, ...] | None):
    content = written(answer, shape) if shape else written(answer)
    assert frame_network(content, "face") is None


def test_an_unknown_input_is_told_with_the_nearest():
    with pytest.raises(LMFError, match=r"'faces'.*'face'.*face, voice"):
        frame_network(written(mean_of_all), "faces")
