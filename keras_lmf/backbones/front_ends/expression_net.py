"""The expression network of face-api as a front end: what a face shows, in each frame or in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_lmf.backbones.front_ends.frames import by_frame, pictures_of
from keras_lmf.backbones.parts import FRONT_END, frozen, require_different, side_by_side
from keras_lmf.layers import MirrorAverage

SIDE = 112
WIDTHS = (32, 64, 128, 256)
MEANS = (122.782, 117.001, 104.298)  # of red, green and blue, 0 to 255, on the pictures it was trained on
# In the order of the published logits.
EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
TAPS = {f"block_{i}": width for i, width in enumerate(WIDTHS, 1)} | {"logits": len(EMOTIONS)}


def expression_net(
    shape: Sequence[int] = (75, 112, 112, 3),
    *,
    taps: Sequence[str] = ("block_4",),
    mirror: bool = False,
    name: str = FRONT_END,
) -> keras.Model:
    """The expression network of face-api of each frame: (batch, frames, height, width, channels) → (batch, frames, n).

    Of one picture, without the axis of frames, (batch, height, width, channels) → (batch, n).

    The picture is resized to 112 × 112, bilinearly, and the mean colour is taken away. Then four blocks of 32, 64, 128
    and 256 maps. A block halves the picture in a 3 × 3 convolution, which is followed by three more; each takes the sum
    of all before it in the block. All but the first are separable, and there is no batch normalisation. 323,687
    parameters with all taps, 52 M multiplications and additions for a picture.

    Random weights; those published in the package `@vladmandic/face-api` (MIT) come with
    `klmf.zoo.load_backbone("face-api-expression")`. On what they were trained is not documented.

    Args:
        shape: ([frames,] height, width, channels) of pictures in [0, 1]: 3 channels (red, green, blue), or 1 (grey),
            which is taken for all three. Blocks above the highest tapped one are left out.
        taps: "block_1" … "block_4": mean over the picture of the block's 32, 64, 128, 256 maps; "logits": of neutral,
            happy, sad, angry, fearful, disgusted, surprised, before the softmax.
        mirror: the features are the mean of those of the picture and of its mirror image, which
            takes twice as long, but in training (`layers.MirrorAverage`).
        name: the model's name.
    """
    taps = tuple(taps)
    require_different("taps of expression_net", taps, TAPS)
    frames, pictures = pictures_of(shape, (1, 3))
    network = _network(shape[-3:], taps)
    if mirror:
        network = MirrorAverage(network, name="mirror")
    return frozen(frames, by_frame(network(pictures), frames), name)


def _network(shape: Sequence[int], taps: Sequence[str]) -> keras.Model:
    """(batch, height, width, channels) → (batch, n)."""
    pictures = keras.Input(tuple(shape), name="pictures")
    hidden = pictures
    if tuple(shape[:2]) != (SIDE, SIDE):
        hidden = ops.image.resize(hidden, (SIDE, SIDE), interpolation="bilinear")
    hidden = hidden - ops.array(MEANS, "float32") / 255.0  # of grey pictures it makes three channels
    found: dict[str, Any] = {}
    for i, width in enumerate(WIDTHS, 1):
        if set(taps) <= set(found):
            break
        hidden = _block(hidden, width, f"block_{i}", first=i == 1)
        found[f"block_{i}"] = ops.mean(hidden, axis=(1, 2))
    if "logits" in taps:
        found["logits"] = keras.layers.Dense(len(EMOTIONS), name="logits")(found[f"block_{len(WIDTHS)}"])
    return keras.Model(pictures, side_by_side([found[tap] for tap in taps]), name="network")


def _block(hidden: Any, width: int, name: str, first: bool) -> Any:
    total = None
    for i in range(4):
        kind = keras.layers.Conv2D if first and i == 0 else keras.layers.SeparableConv2D
        layer = kind(width, 3, strides=1 if i else 2, padding="same", name=f"{name}_convolution_{i}")
        out = layer(hidden)
        if i == 0:
            out = ops.relu(out)
        total = out if total is None else total + out
        hidden = ops.relu(total) if i else total
    return hidden
