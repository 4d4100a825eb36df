"""A video with answers drawn over it: its frames, its clock, its sound, and which mark is on which frame."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import tone, with_matrix, write

from keras_lmf.data import decode
from keras_lmf.errors import LMFError
from keras_lmf.media import Mark, annotate

HEIGHT, WIDTH = 96, 128
GREY = [np.full((HEIGHT, WIDTH, 3), 128, np.uint8)] * 12
BOX = (40, 40, 48, 40)
RED = (255, 0, 0)


def shown(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Seconds and pictures of every frame, as FFmpeg tells them."""
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [time for time, _ in frames], [pixels for _, pixels in frames]


def heard(path: Path) -> tuple[str, int, np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        pieces = [frame.to_ndarray() for frame in container.decode(stream)]
        return stream.codec_context.codec.canonical_name, stream.rate, np.concatenate(pieces, axis=-1)


def is_red(pixel: np.ndarray) -> bool:
    # A thin line's colour is halved by 4:2:0.
    red, *others = pixel.astype(int)
    return red > max(others) + 40


def test_frames_keep_their_times_and_copied_sound_its_samples(tmp_path: Path) -> None:
    # Uneven times, as of a camera.
    times = [0, 40, 95, 120, 160, 230, 240, 290, 320, 360, 400, 455]
    source = write(tmp_path / "film.mp4", frames=GREY, times=times, sound=tone(0.5, 48000))
    target = annotate(source, tmp_path / "out.mp4", [Mark(0.0, BOX)], box_colour=RED)
    assert shown(target)[0] == pytest.approx(np.array(times) / 1000, abs=1e-4)
    codec, rate, samples = heard(target)
    assert (codec, rate) == ("aac", 48000)
    np.testing.assert_array_equal(samples, heard(source)[2])


def test_a_mark_stands_until_the_next(tmp_path: Path) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY)
    marks = [Mark(0.12, BOX), Mark(0.20, (np.nan,) * 4), Mark(0.28, (10, 10, 20, 20))]
    _, frames = shown(annotate(source, tmp_path / "out.mp4", marks, box_colour=RED))
    x, y, w, h = BOX
    sides = [(y, x + 4), (y + h, x + w - 4), (y + 4, x), (y + h - 4, x + w)]
    for number, frame in enumerate(frames):
        # 25 frames a second: 0.12 s is frame 3, 0.20 s frame 5, 0.28 s frame 7.
        assert [is_red(frame[at]) for at in sides] == 4 * [number in (3, 4)], number
        assert is_red(frame[10, 13]) == (number >= 7), number
        assert np.abs(frame[60, 64].astype(int) - 128).max() < 12, "inside the box nothing is drawn"


def test_sound_that_mp4_lacks_becomes_aac(tmp_path: Path) -> None:
    wave = tone(1.0, 16000)
    source = write(
        tmp_path / "film.mkv", frames=[*GREY, *GREY], sound=wave, rate=16000, sound_codec="pcm_s16le"
    )
    target = annotate(source, tmp_path / "out.mp4", [])
    assert heard(target)[:2] == ("aac", 16000)
    original, kept = decode(source).waveform, decode(target).waveform
    assert len(kept) == pytest.approx(len(original), abs=1024)
    inside = slice(2000, 12000)
    assert np.corrcoef(original[inside], kept[inside])[0, 1] > 0.99


def test_sound_that_begins_late_stays_late(tmp_path: Path) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY, sound=tone(0.3, 48000), sound_start=0.15)
    original, kept = decode(source), decode(annotate(source, tmp_path / "out.mp4", []))
    np.testing.assert_allclose(kept.waveform, original.waveform, atol=1e-6)
    assert len(kept.frames) == len(original.frames)


@pytest.mark.parametrize(
    ("tracks", "first"), [(("picture",), 5), (("sound", "picture"), 5), (("sound",), 10), ((), 5)]
)
def test_marks_are_on_the_clock_of_the_tracks_that_were_read(tmp_path: Path, tracks, first: int) -> None:
    """A mark at 0.2 s, in a film whose sound begins 0.2 s after its picture."""
    sound = {"sound": tone(0.3, 48000), "sound_start": 0.2, "sound_codec": "pcm_s16le"}
    source = write(tmp_path / "film.mkv", frames=GREY, **sound)
    target = annotate(source, tmp_path / "out.mp4", [Mark(0.2, BOX)], box_colour=RED, tracks=tracks)
    assert [is_red(frame[40, 44]) for frame in shown(target)[1]] == [number >= first for number in range(12)]


def test_packets_of_sound_at_one_time_are_kept(tmp_path: Path) -> None:
    """As of files that lost their timestamps to rounding: .mp4 holds no two packets of one time."""
    source = tmp_path / "film.mkv"
    exact = write(tmp_path / "film.mp4", frames=GREY, sound=tone(0.4, 48000))
    with av.open(exact) as film, av.open(source, "w") as rounded:
        copies = {stream: rounded.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            if packet.dts is not None:
                if packet.stream.type == "audio":
                    packet.pts = packet.dts = packet.pts // 2048 * 2048
                packet.stream = copies[packet.stream]
                rounded.mux(packet)
    assert packets(annotate(source, tmp_path / "out.mp4", [])) == packets(source)


def packets(path: Path) -> list[bytes]:
    """Of the sound."""
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_a_turned_film_is_upright_and_odd_sizes_grow(tmp_path: Path) -> None:
    frames = [np.full((50, 70, 3), 128, np.uint8)] * 3
    frames[0][:, :35] = 255
    source = with_matrix(write(tmp_path / "film.mp4", frames=frames), 0, 1, -1, 0)
    before = decode(source).frames[0]
    assert before.shape == (70, 50, 3)
    after = decode(annotate(source, tmp_path / "out.mp4", [])).frames[0]
    assert np.abs(before.astype(int) - after).mean() < 4
    odd = write(tmp_path / "odd.mkv", frames=[np.full((51, 71, 3), 90, np.uint8)], picture_codec="ffv1")
    assert decode(annotate(odd, tmp_path / "even.mp4", [])).frames.shape[1:] == (52, 72, 3)


def test_without_libx264_the_older_codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY)
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    target = annotate(source, tmp_path / "out.mp4", [Mark(0, BOX)], box_colour=RED)
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "mpeg4"
    times, frames = shown(target)
    assert times == pytest.approx(np.arange(12) / 25, abs=1e-3)
    assert is_red(frames[-1][40, 44])


def test_marks_are_taken_as_the_picture_proceeds(tmp_path: Path) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY)
    taken = []
    endless = (taken.append(number) or Mark(number * 0.04) for number in itertools.count())
    annotate(source, tmp_path / "out.mp4", endless)
    assert len(taken) <= len(GREY) + 2


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_writer_leaves_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY, sound=tone(0.4, 48000))
    target = tmp_path / "out.mp4"
    target.write_bytes(b"before")

    def marks():
        yield Mark(0.0)
        yield Mark(0.1)
        raise failure

    with pytest.raises(failure):
        annotate(source, target, marks())
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "out.mp4"}


def test_what_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "film.mp4", frames=GREY)
    mute = write(tmp_path / "voice.wav", sound=tone(0.2, 16000), rate=16000, sound_codec="pcm_s16le")
    for words, path, target, marks in [
        ("is written as .mp4", source, "out.avi", []),
        ("this is the video itself", source, "film.mp4", []),
        ("no picture that can be decoded", mute, "out.mp4", []),
        ("no such file", tmp_path / "missing.mp4", "out.mp4", []),
        ("in order of time", source, "out.mp4", [Mark(0.2), Mark(0.1)]),
    ]:
        with pytest.raises(LMFError, match=words):
            annotate(path, tmp_path / target, marks)
    assert not (tmp_path / "out.mp4").exists()
