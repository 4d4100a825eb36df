"""Pictures as real programs write them: what is known to be in them comes out, or an error says why not."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import numbered, numbers, tone, write
from PIL import Image, features

from keras_lmf.data import decode, load, windows
from keras_lmf.errors import LMFError
from keras_lmf.target import Target

RATE = 16000
CASES = Path(os.environ.get("KERAS_LMF_DATA", "/none"), "../cases")
FRAMES = [numbered(number) for number in range(50)]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx")])
def test_a_picture_that_stands_still(tmp_path: Path, name: str, codec: str) -> None:
    """A recorder that writes a frame only where the picture changes: nothing from 0.4 to 1.4 s, and after 2 s."""
    times = [40 * number for number in range(11)] + [1400 + 40 * number for number in range(15)]
    sound_codec = "aac" if name == "a.mp4" else "libopus"
    path = write(tmp_path / name, frames=FRAMES[:26], times=times, picture_codec=codec, sound=tone(3, 48000),
                 sound_codec=sound_codec)  # fmt: skip
    seen = numbers(decode(path).frames)
    assert seen[:75] == [*range(10), *[10] * 25, *range(11, 25), *[25] * 26]
    assert set(seen[75:]) <= {25}


@pytest.mark.parametrize(("aspect", "width"), [("64/45", 91), ("4/3", 85), ("2", 128), ("8/9", 57)])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_pixels_become_square(tmp_path: Path, name: str, aspect: str, width: int) -> None:
    with av.open(tmp_path / name, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for frame in FRAMES[:3]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    clip = decode(tmp_path / name)
    assert clip.frames.shape == (3, 48, width, 3)
    assert decode(tmp_path / name, size=(48, 64)).frames.shape == (3, 48, 64, 3)
    if width > 64:
        with pytest.raises(LMFError, match=rf"{width} × 48 pixels"):
            decode(tmp_path / name, max_pixels=64 * 48)


@pytest.mark.parametrize("upper_first", [True, False])
def test_interlaced_frames_become_whole(tmp_path: Path, upper_first: bool) -> None:
    """An edge that moves by 4 pixels from field to field; in each frame it is in one place."""
    path = tmp_path / "tape.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"crf": "4", "x264-params": "tff=1" if upper_first else "bff=1"}
        for number in range(20):
            fields = [np.arange(320)[None, :] >= 40 + 4 * (2 * number + late) for late in (0, 1)]
            rows = np.arange(240)[:, None] % 2 == (1 if upper_first else 0)
            lines = np.where(rows, fields[1], fields[0])
            frame = np.repeat(lines[..., None] * np.uint8(220), 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    clip = decode(path)
    edges = (clip.frames[..., 0] > 110).argmax(axis=2).astype(int)
    assert np.abs(np.diff(edges[1:-1, 4:-4], axis=1)).max() <= 1
    np.testing.assert_allclose(edges.mean(axis=1), 40 + 8 * np.arange(20), atol=4.5)
    assert len(list(windows(path, 0.1))) == 8


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "libx264", {"x264-params": "b-adapt=0:bframes=3:b-pyramid=normal"}),
        ("a.avi", "libx264", {"x264-params": "b-adapt=0:bframes=7:b-pyramid=none"}),
        ("a.asf", "libx264", {"x264-params": "b-adapt=0:bframes=3"}),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.mkv", "libx264", {"x264-params": "b-adapt=0:bframes=3"}),
        ("a.h264", "libx264", {"x264-params": "b-adapt=0:bframes=3"}),
    ],
)
def test_times_that_the_container_makes_up(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """AVI and its like have one time a packet; frames that depend on later ones are shown in another order."""
    path = tmp_path / name
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 2_000_000
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    assert numbers(decode(path).frames) == list(range(50))


def test_a_photo_is_one_frame(tmp_path: Path) -> None:
    """Also with what phones write behind it: a second picture, or a film."""
    large, small = Image.fromarray(numbered(5)), Image.fromarray(np.full((24, 32, 3), 99, np.uint8))
    for picture, name in (
        (large, "a.jpg"),
        (small, "b.jpg"),
        (large, "a.png"),
        (large, "a.tiff"),
        (large, "a.webp"),
    ):
        picture.save(tmp_path / name, quality=95)
    film = write(tmp_path / "film.mp4", frames=FRAMES[:5])
    photo = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "two.jpg").write_bytes(photo + (tmp_path / "b.jpg").read_bytes())
    (tmp_path / "live.jpeg").write_bytes(photo + film.read_bytes())
    names = ["a.jpg", "two.jpg", "live.jpeg", "a.png", "a.tiff", "a.webp"]
    if features.check("avif"):
        large.save(tmp_path / "a.avif", quality=95)
        names.append("a.avif")
    for name in names:
        assert numbers(decode(tmp_path / name).frames) == [5], name
        assert len(list(windows(tmp_path / name, 0.1))) == 1


@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_that_was_cut_off_is_refused(tmp_path: Path, progressive: bool) -> None:
    """Also where a small picture in its head has an end of its own."""
    small, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (48, 64, 3), "uint8")
    Image.new("RGB", (16, 12)).save(small, "JPEG")
    Image.fromarray(noise).save(
        tmp_path / "a.jpg", quality=95, progressive=progressive, comment=small.getvalue()
    )
    whole = (tmp_path / "a.jpg").read_bytes()
    assert decode(tmp_path / "a.jpg").frames.shape == (1, 48, 64, 3)
    for size in (len(whole) // 2, 9 * len(whole) // 10, len(whole) - 2):
        (tmp_path / "cut.jpg").write_bytes(whole[:size])
        with pytest.raises(LMFError, match=r"cut\.jpg: truncated"):
            decode(tmp_path / "cut.jpg")


def chart_error(frame: np.ndarray) -> int:
    """How far a frame is from the chart of the cases: 2 × 4 patches."""
    colours = [[200, 60, 60], [60, 180, 60], [60, 60, 200], [128, 128, 128],
               [230, 210, 190], [30, 25, 40], [210, 160, 130], [20, 120, 160]]  # fmt: skip
    height, width = frame.shape[:2]
    seen = frame[[height // 4, 3 * height // 4]][:, [width * (2 * n + 1) // 8 for n in range(4)]]
    return int(np.abs(seen.reshape(8, 3).astype(int) - colours).max())


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")
def test_the_cases() -> None:
    """Files of other programs, some of which can't be written here."""
    for path in CASES.glob("wav_*.wav"):
        np.testing.assert_array_equal(decode(path).waveform, decode(CASES / "wav_list_after.wav").waveform)
    for path in [*CASES.glob("photo_*.jpg"), CASES / "plain.heic"]:
        (frame,) = decode(path).frames
        assert chart_error(frame) < 10, path.name
    for path in CASES.glob("tiled*.heic"):
        with pytest.raises(LMFError, match=r"8 tiles.*Convert it: heif-convert"):
            decode(path)
    for path in CASES.glob("pixels_*"):
        disc = decode(path).frames[0].mean(axis=2) > 110
        disc ^= disc[0, 0]
        assert np.ptp(np.flatnonzero(disc.any(axis=0))) == pytest.approx(
            np.ptp(np.flatnonzero(disc.any(axis=1))), rel=0.04
        )
    for path in CASES.glob("joined*.mp3"):
        assert len(decode(path).waveform) == pytest.approx(4 * RATE, abs=0.15 * RATE)
    for path in CASES.glob("splits.p*"):
        data = load(path, target=Target(name="sentiment", range=(-3, 3)))
        assert len(data) == 12
