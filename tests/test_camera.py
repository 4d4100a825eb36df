"""A camera, or a film in its place: what is seen when, on slow cameras and slow machines, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from face_model import BOX, FACE_ONLY, PICTURE, RATE, Model, brightness, film, frame
from media_files import tone, write

from keras_lmf import recognition
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.media import camera as camera_module


class Camera:
    """In OpenCV's place: a picture every `step` seconds of a clock of its own, `count` of them."""

    def __init__(self, step: float, count: int) -> None:
        self.step, self.left = step, count
        self.now, self.number, self.released = 100.0, 0, False

    def __call__(self, number: int) -> Camera:
        assert number == 0
        return self

    def isOpened(self) -> bool:
        return True

    def set(self, *_: object) -> bool:
        return False

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        self.left -= 1
        # The next picture that the camera takes, whenever it is asked.
        self.number = max(self.number + 1, int(np.ceil((self.now - 100) / self.step - 1e-9)))
        self.now = 100 + self.number * self.step
        return True, cv2.cvtColor(frame(self.number), cv2.COLOR_RGB2BGR)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch):
    def plugged(step: float, count: int) -> Camera:
        camera = Camera(step, count)
        monkeypatch.setattr(cv2, "VideoCapture", camera)
        monkeypatch.setattr(camera_module, "time", SimpleNamespace(monotonic=lambda: camera.now))
        return camera

    return plugged


@pytest.mark.parametrize("hop", [None, 0.7])
def test_a_film_in_a_cameras_place_gives_its_whole_windows(tmp_path: Path, hop: float | None) -> None:
    clip = film(tmp_path / "film.mkv", 5.3, (0.7, 4.1), sound=tone(5.3, RATE), rate=RATE)
    of_file, watched = Model(**FACE_ONLY), Model(**FACE_ONLY)
    timeline = of_file.recognizer(hop=hop)(clip).timeline
    whole = timeline[timeline["end"] - timeline["start"] > 2.99]
    moments = list(watched.recognizer(hop=hop).watch(clip))
    assert [moment.time for moment in moments] == pytest.approx(whole["end"].tolist())
    for moment, (_, row) in zip(moments, whole.iterrows(), strict=True):
        assert moment.probabilities == pytest.approx(row.drop(["start", "end"]).to_dict())
        assert moment.emotion == max(moment.probabilities, key=moment.probabilities.get)
        assert moment.box == (BOX if moment.time <= 4.1 else None)
    for seen, expected in zip(watched.seen, of_file.seen[0]["face"]):
        np.testing.assert_array_equal(seen["face"][0], expected)


def test_single_pictures_may_be_far_apart(tmp_path: Path) -> None:
    clip = film(tmp_path / "film.mkv", 3.1)
    moments = list(Model(**PICTURE).recognizer(hop=1.0).watch(clip))
    assert [moment.time for moment in moments] == pytest.approx([0.2, 1.2, 2.2])
    model = Model(**PICTURE)
    answer = model.recognizer(hop=1.0)(clip)
    assert answer.timeline["start"].tolist() == [0, 1, 2, 3]
    seen = np.concatenate([inputs["face"].mean(axis=(1, 2, 3)) for inputs in model.seen])
    expected = [brightness(number) / 255 for number in (2, 25, 50, 75)]  # the very first is not sure yet
    np.testing.assert_allclose(seen, expected, atol=0.008)
    with pytest.raises(LMFError, match=r"'hop' takes 0\.1 to 60 seconds; received 61"):
        Model(**PICTURE).recognizer(hop=61)


def test_the_voice_is_absent(tmp_path: Path) -> None:
    model = Model()
    list(model.recognizer().watch(film(tmp_path / "film.mkv", 3.1, sound=tone(3.1, RATE), rate=RATE)))
    assert not any(inputs["voice"].any() for inputs in model.seen)


def test_without_a_face_there_is_no_emotion(tmp_path: Path) -> None:
    (moment,) = Model().recognizer().watch(film(tmp_path / "film.mkv", 3.1, (9, 9)))
    assert (moment.emotion, moment.probabilities, moment.box) == (None, {}, None)


def test_of_a_slow_camera_the_last_picture_stands(camera) -> None:
    plugged, model = camera(0.25, 16), Model(**FACE_ONLY)
    watching = model.recognizer().watch(0)
    first = next(watching)
    # The first picture is number 1. A window of 3 s is whole at the 13th, 3 s later, and goes back from 3.1 s.
    assert first.time == pytest.approx(3.1)
    steps = 0.1 + 0.5 * np.arange(6)
    numbers = 1 + np.maximum(np.floor((steps + 0.05) / 0.25 + 1e-9).astype(int), [1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(
        model.seen[0]["face"].mean(axis=(2, 3, 4))[0], [brightness(n) / 255 for n in numbers], atol=0.005
    )
    with pytest.raises(LMFError, match="Camera 0 gives no more pictures"):
        list(watching)
    assert plugged.released


def test_a_slow_machine_leaves_windows_out(camera) -> None:
    plugged = camera(0.04, 400)
    times, behind = [], []
    for moment in Model(**FACE_ONLY).recognizer(hop=0.5).watch(0):
        times.append(moment.time)
        behind.append(plugged.now - 100.04 - moment.time)
        plugged.now += 2.0  # to think
        if len(times) == 5:
            break
    assert max(np.abs(behind)) < 0.2
    assert np.diff(times) == pytest.approx([2.0] * 4, abs=0.2)


def test_a_fast_camera_is_followed_ten_times_a_second(camera) -> None:
    camera(1 / 60, 600)
    found = []
    recognizer = Model(**FACE_ONLY).recognizer(face_detector=lambda pixels: found.append(1) or [BOX])
    next(recognizer.watch(0))
    assert len(found) == pytest.approx(30, abs=2)


def test_what_can_not_be_watched(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    short = film(tmp_path / "short.mkv", 2.5)
    cut = film(tmp_path / "cut.mkv", 4)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (tmp_path / "text.mp4").write_text("#EXTM3U\n")
    recognizer = Model().recognizer()
    capfd.readouterr()
    for words, camera in [
        ("There is no camera 77, or it is in use", 77),
        (r"missing\.mp4: no such file", tmp_path / "missing.mp4"),
        (r"short\.mkv: it ended before the first window of 3 s", short),
        (r"cut\.mkv: .*truncated", cut),
        (r"text\.mp4: no media file", str(tmp_path / "text.mp4")),
    ]:
        with pytest.raises(LMFError, match=words):
            list(recognizer.watch(camera))
    assert capfd.readouterr() == ("", ""), "no driver and no decoder writes of its own"
    voice = {"shapes": {"voice": (24000,)}, "sources": {"voice": Model().spec.inputs["voice"]}}
    with pytest.raises(LMFError, match="takes no face, so it can't watch"):
        Model(**voice).recognizer().watch(0)
    with pytest.raises(LMFError, match="needs voice too, which a camera doesn't give"):
        Model(presence="assumed").recognizer().watch(0)


def predict(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> Result:
    monkeypatch.setattr(recognition, "Recognizer", lambda _, hop, **__: Model().recognizer(hop=hop))
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_predict_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = film(tmp_path / "film.mkv", 6.1, (0, 2.5))
    done = predict(monkeypatch, "--camera", clip)
    assert done.exit_code == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["3.0", "s"], ["4.5", "s"], ["6.0", "s"]]
    assert lines[-1][2:] == ["no", "face"]
    assert lines[0][2] in ("low", "middle", "high")
    told = [json.loads(line) for line in predict(monkeypatch, "--camera", clip, "--json").stdout.splitlines()]
    assert [moment["time"] for moment in told] == pytest.approx([3, 4.5, 6])
    assert told[0].keys() == {"time", "emotion", "probabilities", "box"}
    assert (told[0]["emotion"], f"{told[0]['probabilities'][told[0]['emotion']]:.2f}") == tuple(lines[0][2:])
    assert told[-1] == {"time": told[-1]["time"], "emotion": None, "probabilities": {}, "box": None}
    missing = predict(monkeypatch, "--camera", tmp_path / "missing.mp4")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "no such file" in missing.stderr


def test_ctrl_c_ends_predict_camera(camera, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = camera(0.04, 10**6)
    taken = plugged.read

    def read() -> tuple[bool, np.ndarray | None]:
        if plugged.number > 100:
            raise KeyboardInterrupt
        return taken()

    plugged.read = read
    done = predict(monkeypatch, "--camera", "0")
    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == "Stopped."
    assert len(done.stdout.splitlines()) == 1
    assert plugged.released


def test_camera_goes_alone(tmp_path: Path) -> None:
    voice = write(tmp_path / "a.wav", sound=tone(1, RATE), rate=RATE, sound_codec="pcm_s16le")
    for words in (
        [voice],
        ["--csv", "a.csv"],
        ["--timeline", "a.png"],
        ["--annotate", "a.mp4"],
        ["--enrol", voice],
    ):
        done = CliRunner().invoke(main, ["predict", "--camera", "0", *map(str, words)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--camera goes without FILES" in done.stderr
