"""Media files that the tests encode: what is known to be in them comes out, at its time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from media_files import numbered, numbers, tone, with_matrix, write
from PIL import ExifTags, Image, ImageOps

from keras_lmf.data import decode

RATE = 16000
FREQUENCY = 440.0


def frequency(wave: np.ndarray) -> float:
    """Of the strongest component, Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * RATE))
    return np.argmax(spectrum) / 8


def delay(wave: np.ndarray) -> float:
    """By how many samples the tone comes late, from its phase; within half a period."""
    inside = np.arange(RATE // 4, RATE // 4 + 200 * RATE // 440)
    phase = np.angle(np.sum(wave[inside] * np.exp(-2j * np.pi * FREQUENCY * inside / RATE))) + np.pi / 2
    return -phase * RATE / (2 * np.pi * FREQUENCY)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout", "codec_frame"),
    [
        ("a.wav", "pcm_s16le", 8000, "mono", 1),
        ("a.wav", "pcm_s16le", 44100, "stereo", 1),
        ("a.wav", "pcm_f32le", 48000, "5.1", 1),
        ("a.wav", "pcm_s24le", 16000, "mono", 1),
        ("a.flac", "flac", 44100, "mono", 1),
        ("a.m4a", "aac", 48000, "stereo", 1024),
        ("a.m4a", "aac", 44100, "5.1", 1024),
        ("a.mkv", "aac", 48000, "mono", 1024),
        ("a.mp3", "mp3", 44100, "stereo", 1152),
        ("a.mp3", "mp3", 16000, "mono", 1152),
        ("a.ogg", "libopus", 48000, "mono", 960),
    ],
)
def test_tone(tmp_path: Path, name: str, codec: str, rate: int, layout: str, codec_frame: int) -> None:
    channels = av.AudioLayout(layout).nb_channels
    sound = tone(1.5, rate, channels)
    clip = decode(write(tmp_path / name, sound=sound, rate=rate, layout=layout, sound_codec=codec))
    assert clip.waveform.dtype == np.float32
    assert abs(len(clip.waveform) - 1.5 * RATE) <= np.ceil(codec_frame * RATE / rate)
    assert clip.has_sound
    assert not clip.has_picture
    assert clip.duration == len(clip.waveform) / RATE
    assert frequency(clip.waveform) == pytest.approx(FREQUENCY, abs=0.25)
    assert abs(delay(clip.waveform)) < 0.1
    inside = clip.waveform[2000:-2000]
    assert np.sqrt(2 * np.mean(inside**2)) == pytest.approx(0.5, rel=0.06)  # LAME lowers it by 5 %


def test_sound_is_what_soundfile_reads(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    for name, subtype in [
        ("a.wav", "PCM_16"),
        ("a.flac", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.aiff", "PCM_16"),
    ]:
        soundfile.write(tmp_path / name, noise, RATE, subtype=subtype)
        expected, _ = soundfile.read(tmp_path / name, dtype="float32")
        np.testing.assert_array_equal(decode(tmp_path / name).waveform, expected)


def test_channels_are_mixed_without_clipping(tmp_path: Path) -> None:
    left = tone(1, RATE, 2) * [2, 0]
    clip = decode(write(tmp_path / "a.wav", sound=left.astype(np.float32), rate=RATE, layout="stereo",
                        sound_codec="pcm_f32le"))  # fmt: skip
    np.testing.assert_allclose(clip.waveform, left[:, 0] / 2, atol=1e-6)
    for layout in ("stereo", "5.1", "7.1", "quad"):
        full = np.ones((RATE, av.AudioLayout(layout).nb_channels), np.float32)
        path = write(tmp_path / "b.wav", sound=full, rate=RATE, layout=layout, sound_codec="pcm_f32le")
        np.testing.assert_allclose(decode(path).waveform, 1, atol=1e-6)


def test_numbers_beyond_the_range(tmp_path: Path) -> None:
    wild = tone(1, RATE) * 8
    wild[100:105, 0] = np.nan, np.inf, -np.inf, 1e30, -3
    clip = decode(write(tmp_path / "a.wav", sound=wild, rate=RATE, sound_codec="pcm_f32le"))
    assert np.abs(clip.waveform).max() == 1
    np.testing.assert_array_equal(clip.waveform[100:105], [0, 1, -1, 1, -1])


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"),
                                             ("a.webm", "libvpx"), ("a.mpg", "mpeg1video")])  # fmt: skip
def test_frames_in_order(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, frames=[numbered(i) for i in range(50)], picture_codec=codec)
    clip = decode(path)
    assert clip.frames.dtype == np.uint8
    assert clip.frames.shape == (50, 48, 64, 3)
    assert numbers(clip.frames) == list(range(50))
    np.testing.assert_allclose(clip.timestamps, np.arange(50) / 25)
    assert (clip.start, clip.duration, clip.has_sound) == (0.0, 2.0, False)
    assert numbers(decode(path, frame_rate=12.5).frames) == list(range(0, 50, 2))
    assert numbers(decode(path, frame_rate=50).frames) == [i // 2 for i in range(100)]


def test_colours(tmp_path: Path) -> None:
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [120, 120, 120]])
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    clip = decode(write(tmp_path / "a.mp4", frames=frames))
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2)), colours, atol=4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("frame_rate", [25, 30, 7])
def test_variable_frame_rate(tmp_path: Path, name: str, frame_rate: int) -> None:
    steps = np.random.default_rng(1).integers(5, 200, 30)
    times = np.cumsum(steps) - steps[0]
    clip = decode(write(tmp_path / name, frames=[numbered(i) for i in range(30)], times=times.tolist()),
                  frame_rate=frame_rate)  # fmt: skip
    grid = np.arange(len(clip.frames)) / frame_rate * 1000
    expected = np.searchsorted(times, grid + 0.5, side="right") - 1  # the last whose time is not after it
    assert numbers(clip.frames) == expected.tolist()
    assert len(grid) >= times[-1] / 1000 * frame_rate


def test_times_that_the_container_rounds(tmp_path: Path) -> None:
    """30 frames a second are at 0, 33, 67, … ms in Matroska: none is shown twice for that."""
    times = [round(i * 1000 / 30) for i in range(60)]
    path = write(tmp_path / "a.mkv", frames=[numbered(i) for i in range(60)], times=times)
    assert numbers(decode(path, frame_rate=30).frames[:59]) == list(range(59))


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),  # a quarter turn clockwise, as phones write
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), np.fliplr),
        ((0, 1, 1, 0), lambda frame: frame.transpose(1, 0, 2)),
    ],
)
def test_rotation(tmp_path: Path, matrix: tuple[int, int, int, int], upright) -> None:
    frame = np.full((48, 64, 3), 20, np.uint8)
    frame[:24, :32] = 230
    frame[24:, 32:] = 120
    path = with_matrix(write(tmp_path / "a.mp4", frames=[frame] * 5), *matrix)
    expected = upright(frame).astype(int)
    clip = decode(path)
    assert clip.frames.shape[1:] == expected.shape
    assert np.abs(clip.frames - expected).mean() < 5
    small = decode(path, size=(32, 16)).frames
    assert small.shape[1:] == (32, 16, 3)
    corners = [(4, 4), (4, 12), (28, 4), (28, 12)]
    height, width = expected.shape[:2]
    for row, column in corners:
        seen = small[0, row, column].astype(int)
        assert np.abs(seen - expected[row * height // 32, column * width // 16]).max() < 25


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_photos_with_exif(tmp_path: Path, suffix: str, orientation: int | None) -> None:
    picture = np.full((48, 64, 3), 20, np.uint8)
    picture[:24, :32] = 230
    picture[24:, 32:] = 120
    photo = Image.fromarray(picture)
    tags = photo.getexif()
    tags[ExifTags.Base.Make] = "Camera"
    if orientation is not None:
        tags[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"photo.{suffix}"
    photo.save(path, exif=tags, quality=95)
    # Pillow turns it by the same tag.
    expected = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB")).astype(int)
    (frame,) = decode(path).frames
    assert frame.shape == expected.shape
    assert np.abs(frame - expected).mean() < 5


def test_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", frames=[numbered(i) for i in range(20)])
    clip = decode(path, size=(24, 32))
    assert clip.frames.shape == (20, 24, 32, 3)
    assert numbers(clip.frames) == list(range(20))
