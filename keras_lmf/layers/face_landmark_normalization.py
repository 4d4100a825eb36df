"""Face landmarks without the face's place, size and roll."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_lmf.errors import LMFError
from keras_lmf.layers.base import Float32Layer, Shape, Tensor, is_shape

LANDMARKS = 68
# Corners of the eye on the left of the picture, then of the other (counted from 0).
LEFT_EYE, RIGHT_EYE = (36, 39), (42, 45)


@keras.saving.register_keras_serializable("keras_lmf")
class FaceLandmarkNormalization(Float32Layer):
    """68 landmarks in pixels → the same, normalised for position, scale and roll, in each frame by itself.

    Bookstein's shape coordinates ("Size and shape spaces for landmark data in two dimensions", Statistical Science
    1986) with the line between the eyes as the baseline. With the points as complex numbers p = x + iy, the centres l
    and r of the eyes in the picture, each midway between an eye's two corners (a blink moves the lids, not them),

        q = (p − (l + r) / 2) / (r − l)

    so the point between the eyes is 0, the inter-ocular distance 1 and the eyes are level; y still grows downwards.
    What turns in depth (yaw, pitch) stays. A frame of zeros, or one whose eyes coincide, gives zeros. Always computed
    in float32.

    Landmarks are in the order of Multi-PIE and 300-W, which dlib, OpenFace and OpenCV share (Sagonas et al. 2013).

    Input and output: (batch, time, 68, 2), or (batch, time, 136): x_0, y_0, x_1, y_1, …. Masks are passed on.

    >>> import numpy as np
    >>> face = np.random.default_rng(0).uniform(100, 200, (1, 1, 68, 2)).astype("float32")
    >>> same = FaceLandmarkNormalization()(2 * face + 30) - FaceLandmarkNormalization()(face)
    >>> bool(abs(np.asarray(same)).max() < 1e-4)
    True
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def require_shape(self, shape: Shape) -> None:
        if not is_shape(shape) or tuple(shape[2:]) not in ((LANDMARKS, 2), (2 * LANDMARKS,)) or not shape[1]:
            raise LMFError(
                f"{self.name} takes landmarks of shape (batch, time, {LANDMARKS}, 2) or (batch, time, "
                f"{2 * LANDMARKS}), one frame or more, received {shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, "float32")
        points = (
            inputs if len(inputs.shape) == 4 else ops.reshape(inputs, (-1, inputs.shape[1], LANDMARKS, 2))
        )
        left, right = (
            (points[:, :, first : first + 1] + points[:, :, last : last + 1]) / 2
            for first, last in (LEFT_EYE, RIGHT_EYE)
        )
        baseline = right - left
        squared = ops.sum(ops.square(baseline), axis=-1, keepdims=True)
        # Not even the gradient divides by zero.
        present = squared > 0
        baseline = baseline / ops.where(present, squared, ops.ones_like(squared))
        centred = ops.where(present, points - (left + right) / 2, ops.zeros_like(points))
        x, y = centred[..., :1], centred[..., 1:]
        along, across = baseline[..., :1], baseline[..., 1:]
        level = ops.concatenate([x * along + y * across, y * along - x * across], axis=-1)
        return ops.reshape(level, (-1, *inputs.shape[1:]))
