"""Sound and picture on one clock, present or not; windows are parts of the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import numbered, numbers, open_files, tone, write

from keras_lmf.data import Clip, decode, windows
from keras_lmf.errors import LMFError

RATE = 16000
DATA = os.environ.get("KERAS_LMF_DATA")
FILES = sorted(path for path in Path(DATA, "clips").rglob("*.*")) if DATA else []
TRUNCATED = "eamm_sad.mp4"  # its index reaches beyond its end


def dark(count: int) -> list[np.ndarray]:
    return [np.zeros((48, 64, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize(("sound_start", "picture_start"), [(0, 0), (0.3, 0), (0, 500)])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "pcm_s16le"), ("a.ts", "mp2")])
def test_flash_and_click(
    tmp_path: Path, name: str, codec: str, sound_start: float, picture_start: int
) -> None:
    """A flash and a click at 1.2 s come out together, whichever track begins first."""
    frames = dark(50)
    flash = 30 - picture_start // 40
    frames[flash] += 255
    sound = np.zeros((96000, 1), np.float32)
    click = round((1.2 - sound_start) * 48000)
    sound[click : click + 10] = 0.9
    times = [picture_start + 40 * i for i in range(50)]
    clip = decode(write(tmp_path / name, sound=sound, sound_codec=codec, sound_start=sound_start,
                        frames=frames, times=times))  # fmt: skip
    shown = clip.timestamps[clip.frames.mean(axis=(1, 2, 3)).argmax()]
    heard = np.abs(clip.waveform).argmax() / RATE
    assert -0.002 < shown - heard < 0.042  # the frame that is on when it clicks, or the first that is
    if name != "a.ts":  # MPEG-TS starts its clock with the encoder's delay
        assert heard == pytest.approx(1.2, abs=0.002)


def test_where_a_track_is_missing(tmp_path: Path) -> None:
    frames = [numbered(i) for i in range(50)]
    sound = tone(0.5, RATE)
    late = decode(write(tmp_path / "a.mkv", sound=sound, rate=RATE, sound_codec="pcm_s16le", sound_start=1,
                        frames=frames))  # fmt: skip
    assert len(late.waveform) == 2 * RATE
    np.testing.assert_allclose(late.waveform[RATE : RATE + RATE // 2], sound[:, 0], atol=1e-4)
    assert not late.waveform[:RATE].any()
    assert not late.waveform[RATE + RATE // 2 :].any()
    short = decode(write(tmp_path / "b.mkv", sound=tone(2, RATE), rate=RATE, sound_codec="pcm_s16le",
                         frames=frames[5:15], times=[600 + 40 * i for i in range(10)]))  # fmt: skip
    # Half a second before the picture its first frame stands, after it the last one to the end.
    assert numbers(short.frames[3:]) == [5] * 12 + list(range(5, 15)) + [14] * 25
    assert not short.frames[:3].any()
    assert len(short.waveform) == 2 * RATE


def test_gap_in_the_sound(tmp_path: Path) -> None:
    sound = tone(2, RATE)
    clip = decode(
        write(tmp_path / "a.mkv", sound=sound, rate=RATE, sound_codec="pcm_s16le", sound_gap=(0.5, 1.2))
    )
    expected = sound[:, 0].copy()
    expected[8000:19200] = 0
    np.testing.assert_allclose(clip.waveform, expected, atol=1e-4)


def test_silent_short_and_single(tmp_path: Path) -> None:
    silent = decode(write(tmp_path / "a.mp4", sound=tone(1, 48000) * 0, frames=dark(25)))
    assert (silent.has_sound, silent.has_picture) == (True, True)
    assert not silent.waveform.any()
    short = decode(write(tmp_path / "b.mp4", sound=tone(0.1, 48000), frames=[numbered(i) for i in range(3)]))
    assert numbers(short.frames) == [0, 1, 2]
    assert len(short.waveform) == 0.12 * RATE
    short = decode(write(tmp_path / "c.wav", sound=tone(0.1, 48000), sound_codec="pcm_s16le"))
    assert (short.waveform.shape, short.frames.shape, short.timestamps.shape) == ((1600,), (0, 0, 0, 3), (0,))
    single = decode(write(tmp_path / "d.mp4", frames=[numbered(77)]))
    assert numbers(single.frames) == [77]
    assert (single.has_sound, single.waveform.shape, single.duration) == (False, (0,), 0.04)
    held = decode(write(tmp_path / "e.mkv", frames=[numbered(77)], sound=tone(1, RATE), rate=RATE,
                        sound_codec="pcm_s16le"))  # fmt: skip
    assert numbers(held.frames) == [77] * 25


def test_the_default_sound_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(3)]
        kinds = av.stream.Disposition
        for stream, kind in zip(streams, (kinds(0), kinds.default, kinds(0))):
            stream.disposition = kind
        for stream, gain in zip(streams, (0, 1, 0)):
            wave = (tone(1, RATE).T * gain * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave, layout="mono")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
    np.testing.assert_allclose(decode(path).waveform, tone(1, RATE)[:, 0], atol=1e-4)


def test_a_cover_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(path, "w") as container:
        sound = container.add_stream("mp3", rate=RATE, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(3))))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(1, RATE).T.copy(), format="flt", layout="mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(path) as container:
        assert [stream.type for stream in container.streams] == ["audio", "video"]
    clip = decode(path)
    assert (clip.has_sound, clip.has_picture) == (True, False)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.52 s of sound and of 30 frames a second."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write(path, sound=tone(4.52, 48000, 2), layout="stereo", frames=[numbered(i) for i in range(130)],
                 frame_rate=30)  # fmt: skip


def assert_part(part: Clip, whole: Clip) -> None:
    """`part` is what `whole` has from its start on."""
    first = round(part.start * RATE)
    np.testing.assert_array_equal(part.waveform, whole.waveform[first : first + len(part.waveform)])
    if whole.has_picture:
        first = round(part.start * whole.frame_rate)
        np.testing.assert_array_equal(part.frames, whole.frames[first : first + len(part.frames)])
        np.testing.assert_array_equal(part.timestamps, whole.timestamps[first : first + len(part.frames)])


@pytest.mark.parametrize("seconds", [0.04, 0.2, 1, 3.0, 4.52, 60])
def test_windows_add_up_to_the_whole(film: Path, seconds: float) -> None:
    whole = decode(film)
    parts = list(windows(film, seconds))
    for name in ("waveform", "frames", "timestamps"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert [part.start for part in parts] == pytest.approx([i * seconds for i in range(len(parts))])
    assert {len(part.waveform) for part in parts[:-1]} <= {round(seconds * RATE)}


@pytest.mark.parametrize(("seconds", "hop"), [(1, 0.4), (2, 0.04), (0.4, 1), (0.2, 0.1), (3, 2.99)])
def test_windows_that_overlap_or_leave_gaps(film: Path, seconds: float, hop: float) -> None:
    whole = decode(film)
    parts = list(windows(film, seconds, hop))
    for index, part in enumerate(parts):
        assert part.start == pytest.approx(np.floor(index * hop * 25 + 0.5) / 25)
        assert_part(part, whole)
    for part in parts[:-1]:
        assert (len(part.waveform), len(part.frames)) == (round(seconds * RATE), round(seconds * 25))
    assert parts[-1].start + parts[-1].duration == pytest.approx(whole.duration) or hop > seconds


def test_windows_of_sound_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", sound=tone(3, RATE), rate=RATE, sound_codec="flac")
    parts = list(windows(path, 0.975, 0.5))
    assert [part.start for part in parts] == [0, 0.5, 1.0, 1.5, 2.0, 2.5][: len(parts)]
    assert [len(part.waveform) for part in parts] == [15600] * 5 + [8000]
    for part in parts:
        assert_part(part, decode(path))


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path.name if path else "none")
def test_real_files(path: Path | None) -> None:
    if path is None:
        pytest.skip("KERAS_LMF_DATA is not set")
    if path.name == TRUNCATED:
        with pytest.raises(LMFError, match="truncated: its index reaches to byte"):
            decode(path)
        return
    size = (90, 120)  # the large ones are needed once only
    clip = decode(path, size=size)
    with av.open(str(path)) as container:
        kinds = {stream.type for stream in container.streams}
        length = max(float(s.duration * s.time_base) for s in container.streams if s.duration)
    assert (clip.has_sound, clip.has_picture) == ("audio" in kinds, "video" in kinds)
    assert clip.duration == pytest.approx(length, abs=0.041)  # a frame, or an edit list that drops one
    if clip.has_picture:
        assert clip.frames.shape[1:] == (*size, 3)
        assert clip.frames.std() > 20
        assert len(clip.waveform) in (0, len(clip.frames) * RATE // 25)
    if path.suffix == ".wav":
        assert 0.005 < np.abs(clip.waveform).max() <= 1
    joined = list(windows(path, 1.0, size=size))
    np.testing.assert_array_equal(np.concatenate([part.frames for part in joined]), clip.frames)
    np.testing.assert_array_equal(np.concatenate([part.waveform for part in joined]), clip.waveform)


LONG = """
import resource, sys
from pathlib import Path
import numpy as np
from media_files import tone, write
from keras_lmf.data import windows
path = Path(sys.argv[1])
count, before, seconds = 0, None, 0.0
for clip in windows(path, 3.0, 1.5):
    count, seconds = count + 1, clip.start + clip.duration
    if count == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_the_window(tmp_path: Path) -> None:
    """Ten minutes, decoded 380 MB: no more is held at the end than after the first windows."""
    frame = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    path = write(tmp_path / "long.avi", sound=tone(600, RATE), rate=RATE, sound_codec="pcm_s16le",
                 frames=[frame] * 3000, frame_rate=5, picture_codec="mpeg4")  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        [sys.executable, "-c", LONG, path], capture_output=True, text=True, env=environment, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    count, seconds, before, after = map(float, ran.stdout.split())
    assert (count, seconds) == (399, pytest.approx(600, abs=0.3))
    assert after - before < 20_000  # KiB


def test_files_are_closed(film: Path) -> None:
    before = open_files()
    parts = windows(film, 1.0)
    assert open_files() == before  # opened at the first clip
    next(parts)
    assert open_files() > before
    parts.close()
    assert open_files() == before
    parts = windows(film, 1.0)
    next(parts)
    with pytest.raises(KeyboardInterrupt):
        parts.throw(KeyboardInterrupt)
    assert open_files() == before
    decode(film)
    assert len(list(windows(film, 2.0))) == 3
    assert open_files() == before
