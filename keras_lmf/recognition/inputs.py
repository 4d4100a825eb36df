"""Windows of a clip as the arrays that a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.media.crops import face_input, frames_each
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.windows import Window, has_voice

WINDOWS_AT_ONCE = 16  # 32 take 100 MB more, and a tenth less time
BYTES_AT_ONCE = 2**26


def windows_at_once(model: Opened) -> int:
    """That are held for one run of the model."""
    face = model.face
    # What is held of a window are all crops that were followed.
    pictures = face.frames * frames_each(face) * face.size**2 * face.channels if face else 0
    size = 4 * (pictures + (model.sound.samples if model.sound else 0))
    return max(1, min(WINDOWS_AT_ONCE, BYTES_AT_ONCE // size))


def inputs_of(
    model: Opened, windows: Sequence[Window], features: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the model takes, a row per window; zeros where a window ends early and for absent modalities.

    Args:
        model: whose inputs they are.
        windows: fill its sound and its face.
        features: what isn't in windows, one clip's, as the model takes it; it is in each row.

    Raises:
        LMFError: features that don't fit.
    """
    sound, face, inputs = model.sound, model.face, {}
    for key in model.modalities:
        info = model.runtime.inputs[key]
        rows = inputs[key] = np.zeros((len(windows), *info.shape), info.dtype)
        if sound and key == sound.name:
            for row, window in zip(rows, windows):
                if has_voice(window.waveform, sound):
                    row[: len(window.waveform)] = window.waveform
        elif key in features:
            rows[:] = _checked(model, key, np.asarray(features[key]))
        elif face and key == face.name:
            for row, window in zip(rows, windows):
                row[:] = face_input(face, window.faces).reshape(info.shape)
    return inputs


def _checked(model: Opened, key: str, value: np.ndarray) -> np.ndarray:
    shape, face = model.runtime.inputs[key].shape, model.face
    if value.shape != shape or value.dtype.kind not in "fiu":
        raise LMFError(
            f"input {key!r}: received {value.dtype} of shape {value.shape}; {model.name} takes numbers of shape "
            f"{shape}."
        )
    if face and key == face.name and not 0 <= value.min() <= value.max() <= 1:
        raise LMFError(
            f"input {key!r}: pictures are numbers in [0, 1]; received {value.min():g} to {value.max():g}. Divide bytes "
            f"by 255."
        )
    return value
