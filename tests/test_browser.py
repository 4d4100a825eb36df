"""The page of serve-demo in a real browser: its answers are Python's, and it is used by keyboard and on a phone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import av
import browser_page
import cv2
import numpy as np
import pytest
import soundfile
from browser_page import FRAMES, RATE, SIZE, devices, drawn_clip

import keras_lmf as klmf
from keras_lmf.recognition import Recognizer

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(browser_page.missing() is not None, reason=f"needs {browser_page.missing()}"),
]
Clip = tuple[np.ndarray, np.ndarray]  # of `drawn_clip`


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return drawn_clip(tmp_path_factory.mktemp("clips"))


def play(model: str, *steps: dict, flags: tuple[str, ...] = ()) -> list:
    """What the steps gave; no error was told, and nothing reached beyond the page's own server."""
    told = browser_page.play(model, *steps, flags=flags)
    assert told["problems"] == []
    places = {urlsplit(url.removeprefix("blob:")).netloc for url in told["requests"]}
    assert places == {urlsplit(told["address"]).netloc}
    return told["results"]


def write_wav(path: Path, sound: np.ndarray) -> Path:
    soundfile.write(path, sound, RATE, "PCM_16")
    return path


def write_film(path: Path, sound: np.ndarray, frames: np.ndarray) -> Path:
    """Without any loss, so that Python decodes these samples and pixels."""
    with av.open(path, "w") as container:
        picture = container.add_stream("png", rate=FRAMES)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "rgb24"
        voice = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        block = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        block.sample_rate, block.pts = RATE, 0
        container.mux(voice.encode(block))
        container.mux(voice.encode(None))
        mux_frames(container, picture, frames)
    return path


def write_silent_film(path: Path, frames: np.ndarray, codec: str = "libvpx") -> Path:
    """A film with no track of sound, as browsers play it."""
    with av.open(path, "w") as container:
        picture = container.add_stream(codec, rate=FRAMES)
        picture.height, picture.width, picture.pix_fmt = *frames.shape[1:3], "yuv420p"
        mux_frames(container, picture, frames)
    return path


def mux_frames(container: av.container.OutputContainer, stream: av.VideoStream, frames: np.ndarray) -> None:
    for index, array in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def test_a_dropped_sound_gets_pythons_answer(clip: Clip, tmp_path: Path):
    """Windows, silence that is cut at the ends, temperature and weights by seconds among it."""
    pause = np.zeros(RATE, np.int16)
    file = write_wav(tmp_path / "voice.wav", np.concatenate([pause, clip[0], clip[0], pause]))
    mute = write_wav(tmp_path / "mute.wav", pause)
    heard, silent, text = play(
        "ge2e-emodb-voice",
        {"step": "drop", "path": str(file), "type": "audio/wav"},
        {"step": "choose", "path": str(mute)},
        {"step": "choose", "path": __file__},
    )
    expected = Recognizer("ge2e-emodb-voice", runtime="tflite")(file)
    assert len(expected.timeline) > 2
    assert expected.cut
    assert heard["probabilities"] == pytest.approx(expected.probabilities, abs=1e-3)
    assert heard["emotion"].split()[0] == expected.emotion
    assert heard["spoken"] == heard["emotion"]
    assert silent["emotion"] == "–"
    assert "nothing to judge by: no voice" in silent["status"]
    assert Path(__file__).name in text["status"]
    assert text["emotion"] == "–"


def test_a_film_gets_pythons_answer_window_by_window(clip: Clip, tmp_path: Path):
    """The same pixels and samples: detection, tracking, crops, absent modalities and shares among it."""
    sound, frames = clip
    sound, frames = sound.copy(), frames.copy()
    sound[: RATE // 2] = 0
    frames[15:25] = 128  # the face is gone for a second
    np.concatenate([frames, np.full_like(frames[..., :1], 255)], axis=3).tofile(tmp_path / "frames")
    (sound / np.float32(32768)).tofile(tmp_path / "sound")
    given = {name: str(tmp_path / name) for name in ("sound", "frames")}
    film = write_film(tmp_path / "film.mov", sound, frames)
    (exact,) = klmf.export_model(klmf.load("lmf-media-av"), tmp_path / "exported", ["tflite"])
    # The weights in the entry's own file are int8: its sums are rounded otherwise in the browser than here.
    for model, tolerance in ((str(exact.path), 1e-3), ("lmf-media-av", 2e-2)):
        (windows,) = play(model, {"step": "judge", **given, "height": SIZE, "width": SIZE})
        expected = Recognizer(model, runtime="tflite")(film)
        bounds = expected.timeline[["start", "end"]].to_numpy()
        np.testing.assert_allclose([[window["start"], window["end"]] for window in windows], bounds)
        shares = expected.timeline[list(expected.probabilities)].to_numpy()
        found = [window["answer"]["probabilities"] for window in windows]
        np.testing.assert_allclose(found, shares, rtol=0, atol=tolerance)
        weights = [window["end"] - window["start"] for window in windows]
        for name, alone in expected.by_modality.items():
            rows = [window["answer"]["alone"][name] for window in windows]
            mean = list(alone.values())
            np.testing.assert_allclose(np.average(rows, 0, weights), mean, rtol=0, atol=tolerance)
        for name in expected.shares:
            rows = [window["answer"]["contributions"][name] for window in windows]
            mean = list(expected.contributions[name].values())
            np.testing.assert_allclose(np.average(rows, 0, weights), mean, rtol=0, atol=10 * tolerance)


def test_a_photo_gets_pythons_answer(clip: Clip, tmp_path: Path):
    frame = cv2.resize(clip[1][0], (480, 480), interpolation=cv2.INTER_CUBIC)
    file = tmp_path / "photo.png"
    cv2.imwrite(str(file), frame[..., ::-1])
    (seen,) = play("distilled-ferplus-face", {"step": "choose", "path": str(file)})
    expected = Recognizer("distilled-ferplus-face", runtime="tflite")(file)
    assert seen["probabilities"] == pytest.approx(expected.probabilities, abs=1e-3)


def test_what_a_file_lacks_is_told(clip: Clip, tmp_path: Path):
    film = write_silent_film(tmp_path / "silent.webm", clip[1])
    empty = write_silent_film(tmp_path / "empty.webm", np.full_like(clip[1][:5], 90))
    broken = tmp_path / "broken.webm"
    broken.write_bytes(film.read_bytes()[:100])
    photo = tmp_path / "broken.png"
    photo.write_bytes(b"\x89PNG")
    seen, *nothing = play(
        "lmf-media-av", *({"step": "choose", "path": str(file)} for file in (film, empty, broken, photo))
    )
    assert seen["parts"] == ["face"]
    assert "face alone" in seen["status"]
    assert [answer["emotion"] for answer in nothing] == ["–"] * 3
    for answer, file in zip(nothing, (empty, broken, photo)):
        assert answer["status"].startswith(f"{file.name}: no")


def test_a_film_that_is_damaged_in_its_middle_is_told(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 192, 192, 3), dtype=np.uint8)
    film = write_silent_film(tmp_path / "damaged.mp4", noise, "libx264")
    content = bytearray(film.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = np.random.default_rng(1).bytes(20_000)
    film.write_bytes(content)
    (seen,) = play("lmf-media-av", {"step": "choose", "path": str(film)})
    assert seen["status"].startswith(f"{film.name}: no picture")


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--use-fake-ui-for-media-stream=deny", ["microphone and camera", "llow"]),
        ("--use-fake-device-for-media-stream=device-count=0", ["no camera", "Untick"]),
    ],
    ids=["refused", "no camera"],
)
def test_devices_that_cannot_be_had_are_told(flag: str, told: list[str]):
    (answer,) = play("lmf-media-av", {"step": "refused"}, flags=(flag,))
    assert all(words in answer["status"] for words in told)
    assert answer["emotion"] == "–"


def test_live_by_keyboard_and_on_a_phone(clip: Clip, tmp_path: Path):
    phone = {"width": 390, "height": 844}
    keys, live, *widths = play(
        "lmf-media-av",
        {"step": "tab", "times": 4},
        {"step": "listen", "answers": 5, "parts": 3},
        *({"step": "look", **phone, "colors": colors} for colors in ("light", "dark")),
        flags=devices(tmp_path, *clip),
    )
    assert keys == [[name, True] for name in ("start", "microphone", "camera", "file")]
    assert sum(live["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert live["parts"] == ["voice", "face", "voice × face"]
    assert len(live["speed"]) == 3
    assert live["stopped"] == "Stopped."
    assert widths == [390, 390]
