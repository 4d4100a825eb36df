"""Models of voice and face whose answer is known, and films of grey faces whose brightness and place are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from media_files import write

from keras_lmf.layers import LowRankFusion, ModalityPresence
from keras_lmf.recognition import Recognizer, opening, recognizer
from keras_lmf.runtime import Runtime, TensorInfo
from keras_lmf.spec import InputSpec, ModelSpec
from keras_lmf.target import Target

RATE, SECONDS, FRAMES, SIZE = 8000, 3, 6, 8  # two pictures a second
TARGET = Target(name="emotion", classes=("low", "middle", "high"))
SHAPES = {"voice": (SECONDS * RATE,), "face": (FRAMES, SIZE, SIZE, 1)}
SOURCES = {"voice": InputSpec(media="waveform", rate=RATE), "face": InputSpec(media="frames", rate=2)}
BOX = (16, 8, 32, 32)  # x, y, width, height in frames of 64 × 48 pixels
FPS = 25
STEP = 2.5  # frames of a film to one that is followed: 5 a picture, 10 a second
CLOSE = 0.008  # two levels of 255, by which colours are rounded on the way through a file


def keras_model() -> keras.Model:
    """Energy of the voice and brightness of each picture, fused; of random weights."""
    voice, face = (keras.Input(shape, name=name) for name, shape in SHAPES.items())
    squares = keras.ops.square(keras.layers.Reshape((100, SECONDS * RATE // 100))(voice))
    energy = keras.layers.Reshape((1,))(keras.ops.mean(squares, axis=(1, 2), keepdims=True))
    brightness = keras.ops.mean(face, axis=(2, 3, 4))
    presence = ModalityPresence()([voice, face])
    fusion = LowRankFusion(4, rank=2, seed=1, name="fusion")
    fused = fusion({"voice": energy, "face": brightness}, presence=presence)
    random = keras.initializers.RandomNormal(stddev=2.0, seed=2)
    logits = keras.layers.Dense(3, name="emotion", kernel_initializer=random, bias_initializer=random)(fused)
    return keras.Model({"voice": voice, "face": face}, {"emotion": logits})


def features(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the model above fuses: (N, 1) and (N, 6)."""
    return {
        "voice": np.square(inputs["voice"]).mean(axis=1, keepdims=True),
        "face": inputs["face"].mean(axis=(2, 3, 4)),
    }


def logits(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, 3) of energy e and brightness b: (3 e, b · (1 … 6) / 6, 4 e mean(b) − 1); of what isn't there, 0."""
    e = np.square(inputs["voice"]).mean(axis=1) if "voice" in inputs else 0
    b = inputs["face"].reshape(len(inputs["face"]), -1, SIZE * SIZE).mean(axis=2)
    weights = np.arange(1, b.shape[1] + 1) / b.shape[1]
    return np.stack(np.broadcast_arrays(3 * e, b @ weights, 4 * e * b.mean(axis=1) - 1), axis=1)


class Model:
    """A model in numpy as a Recognizer opens it; `seen` are the inputs of its runs."""

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]] = SHAPES,
        sources: Mapping[str, InputSpec] = SOURCES,
        answer: Callable[[Mapping[str, np.ndarray]], np.ndarray] = logits,
        presence: str = "derived",
        temperature: float = 1.0,
    ) -> None:
        self.seen: list[dict[str, np.ndarray]] = []

        def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            self.seen.append(inputs)
            return {"emotion": answer(inputs)}

        number = np.dtype("float32")
        inputs = {name: TensorInfo(shape, number) for name, shape in shapes.items()}
        self.runtime = Runtime("model", inputs, {"emotion": TensorInfo((3,), number)}, run)
        self.spec = ModelSpec(inputs=dict(sources), target=TARGET, temperature=temperature, presence=presence)

    def recognizer(self, **settings) -> Recognizer:
        return recognizer_of(self.runtime, self.spec, **settings)


def recognizer_of(runtime: Runtime, spec: ModelSpec, **settings) -> Recognizer:
    """Without a file; faces are found by `detector`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            recognizer, "open_model", lambda *_: opening._checked("model", runtime, spec, Path("model"))
        )
        return Recognizer("model", **{"face_detector": detector, **settings})


FACE_ONLY = {"shapes": {"face": SHAPES["face"]}, "sources": {"face": SOURCES["face"]}}
PICTURE = {"shapes": {"face": (SIZE, SIZE, 1)}, "sources": {"face": InputSpec(media="frames", rate=5)}}


def brightness(number: int) -> int:
    """Of the face in the frame of that number: two levels more than in the one before, up to frame 110."""
    return 20 + 2 * min(number, 110)


def frame(number: int, face: bool = True) -> np.ndarray:
    """(48, 64, 3): black, with a grey square where the face is; a white corner tells the detector of it."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    x, y, width, height = BOX
    pixels[y : y + height, x : x + width] = brightness(number)
    pixels[:8, :8] = 255 * face
    return pixels


def detector(pixels: np.ndarray) -> np.ndarray:
    return np.array([(*BOX, 0.75)] if pixels[:8, :8].mean() > 127 else [], float)


def film(path: Path, seconds: float, faces: tuple[float, float] = (0, 99), **settings) -> Path:
    """A film whose faces are in the seconds [from, to); of nearly lossless pictures."""
    frames = [frame(n, faces[0] <= n / FPS < faces[1]) for n in range(round(seconds * FPS))]
    picture_codec = "ffv1" if path.suffix == ".mkv" else "libx264"
    sound_codec = "pcm_s16le" if path.suffix == ".mkv" else "aac"
    return write(
        path, **{"frames": frames, "picture_codec": picture_codec, "sound_codec": sound_codec, **settings}
    )


def pictures(start: float, seconds: float, faces: tuple[float, float] = (0, 99)) -> np.ndarray:
    """(6,): what the model should see of such a film in a window: brightness / 255, 0 without a face."""
    # What is followed at step k is the last frame that isn't later; a face counts in the second step that has it.
    shown = np.floor(STEP * np.arange(round(10 * (start + seconds)))).astype(int)
    there = (faces[0] <= shown / FPS) & (shown / FPS < faces[1])
    counts = there & np.concatenate([[False], there[:-1]])
    seen = np.zeros(FRAMES)
    for picture in range(FRAMES):
        begin = round(10 * start) + 5 * picture
        found = [step for step in range(begin, begin + 5) if step < len(counts) and counts[step]]
        if found:
            seen[picture] = brightness(shown[found[0]]) / 255
    return seen


def steps(*levels: tuple[float, float]) -> np.ndarray:
    """(samples, 1) of constant amplitude, of half the rate in frequency: (amplitude, seconds) …"""
    sizes = np.concatenate([np.full(round(s * RATE), a, np.float32) for a, s in levels])
    return (sizes * np.where(np.arange(len(sizes)) % 2, -1, 1))[:, None].astype(np.float32)
