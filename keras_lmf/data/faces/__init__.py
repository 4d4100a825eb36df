"""Frames in, the largest face out: its box, presence and crop; `cv2` (the extra `face`) is imported at the call."""

from __future__ import annotations

from keras_lmf.data.faces.detectors import DETECTORS, Detector, HaarCascade, YuNet, open_detector
from keras_lmf.data.faces.tracking import Faces, FaceTracker, track

__all__ = ["DETECTORS", "Detector", "FaceTracker", "Faces", "HaarCascade", "YuNet", "open_detector", "track"]
