"""Sound as real programs write it: what is known to be in it comes out, or an error says why not."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from media_files import numbered, tone, write

from keras_lmf.data import decode, windows
from keras_lmf.errors import LMFError

RATE = 16000
FRAMES = [numbered(number) for number in range(50)]


def bits(data_length: int, riff_length: int | None = None) -> Callable[[bytes], bytes]:
    """Writes other lengths into a WAV's header."""

    def change(content: bytes) -> bytes:
        riff = len(content) - 8 if riff_length is None else riff_length
        return (
            content[:4]
            + struct.pack("<I", riff)
            + content[8:40]
            + struct.pack("<I", data_length)
            + content[44:]
        )

    return change


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """Two seconds of a WAV with a header of 44 bytes."""
    soundfile.write(tmp_path / "voice.wav", tone(2, RATE)[:, 0], RATE)
    return tmp_path / "voice.wav"


@pytest.mark.parametrize(
    "change",
    [
        bits(0xFFFFFFFF, 0xFFFFFFFF),  # ffmpeg into a pipe
        bits(0x7FFFF000, 0x7FFFF024),  # sox into a pipe
        bits(0, 0),  # a recorder that crashed
        bits(4 * RATE, 0),
        bits(4 * RATE + 8),
        bits(4 * RATE + 44),  # the whole file's length
        lambda content: content + b"LIST\x0a\x00\x00\x00INFOIART\x00\x00",
    ],
)
def test_a_wav_that_states_its_length_wrongly(voice: Path, change: Callable[[bytes], bytes]) -> None:
    whole = decode(voice).waveform
    voice.write_bytes(change(voice.read_bytes()))
    np.testing.assert_array_equal(decode(voice).waveform, whole)
    assert len(whole) == 2 * RATE


@pytest.mark.parametrize(("name", "form"), [("a.wav", "WAV"), ("a.aiff", "AIFF"), ("rf.wav", "RF64")])
def test_a_sound_that_was_cut_off(tmp_path: Path, name: str, form: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(2, RATE)[:, 0], RATE, format=form)
    assert len(decode(path).waveform) == 2 * RATE
    path.write_bytes(path.read_bytes()[: 2 * RATE])
    with pytest.raises(LMFError, match="truncated"):
        decode(path)


def channels(layout: str, gains: list[float], path: Path) -> np.ndarray:
    """Writes a voice that is in each channel with its gain, and returns it."""
    heard = tone(2.5, RATE)[:, 0] * np.linspace(0, 1, 40000, dtype=np.float32)
    write(path, sound=np.outer(heard, gains).astype("f4"), rate=RATE, layout=layout, sound_codec="pcm_f32le")
    return heard


@pytest.mark.parametrize(
    ("layout", "gains", "taken"),
    [
        ("stereo", [1, -1], 1),
        ("stereo", [0.9, -1], 2),
        ("5.1", [0, 0, 0, 1, 0, 0], 4),  # the channel that the mix leaves out
        ("stereo", [1, 0], None),
        ("stereo", [1, 0.5], None),
        ("stereo", [1, -0.5], None),
        ("5.1", [0, 0, 1, 0, 0, 0], None),
        ("7.1", [0, 0, 0, 0, 0, 0, 0, 1], None),
    ],
)
def test_a_voice_is_heard_whatever_its_channel(
    tmp_path: Path, layout: str, gains: list[float], taken
) -> None:
    heard = channels(layout, gains, tmp_path / "a.wav")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        waveform = decode(tmp_path / "a.wav").waveform
    assert np.corrcoef(waveform, heard)[0, 1] * (-1 if taken == 2 else 1) > 0.99
    assert [f"channel {taken} alone" in str(warning.message) for warning in told] == [True] * (
        taken is not None
    )


def test_of_windows_each_sample_and_frame_is_in_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", sound=tone(2, RATE), rate=RATE, sound_codec="pcm_s16le", frames=FRAMES)
    for rate in (25, 10, 29.97):
        whole = decode(path, frame_rate=rate)
        for seconds in (0.5, 0.7, 0.13, 1 / 3, 1.5, 1.999):
            parts = list(windows(path, seconds, frame_rate=rate))
            for name in ("frames", "waveform", "timestamps"):
                joined = np.concatenate([getattr(part, name) for part in parts])
                np.testing.assert_array_equal(joined, getattr(whole, name))
            assert {len(part.frames) for part in parts[:-1]} <= {int(seconds * rate), int(seconds * rate) + 1}
    for seconds in (0.7, 1 / 3, 0.05):
        parts = [part.waveform for part in windows(path, seconds, tracks=("sound",), sample_rate=11025)]
        np.testing.assert_array_equal(
            np.concatenate(parts), decode(path, tracks=("sound",), sample_rate=11025).waveform
        )


def test_joined_mp3_files_are_read_to_the_end(tmp_path: Path) -> None:
    for other_rate in (44100, 22050):
        parts = [(440.0, 44100), (1000.0, other_rate)]
        content = b"".join(
            write(
                tmp_path / "part.mp3", sound=tone(2, rate, frequency=pitch), rate=rate, sound_codec="mp3"
            ).read_bytes()
            for pitch, rate in parts
        )
        (tmp_path / "joined.mp3").write_bytes(content)
        waveform = decode(tmp_path / "joined.mp3").waveform
        assert len(waveform) == pytest.approx(4 * RATE, abs=0.15 * RATE)
        for (pitch, _), half in zip(parts, (waveform[4000:28000], waveform[-28000:-4000])):
            spectrum = np.abs(np.fft.rfft(half))
            assert spectrum.argmax() * RATE / len(half) == pytest.approx(pitch, abs=2)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.aiff", "pcm_s16be"), ("a.m4a", "aac"), ("a.mka", "aac"), ("a.flac", "flac"),
     ("v.mp4", "libx264"), ("v.mov", "libx264"), ("v.mkv", "libx264"), ("v.flv", "flv"), ("v.mpg", "mpeg1video")],
)  # fmt: skip
def test_a_joined_file_is_never_read_in_part(tmp_path: Path, name: str, codec: str) -> None:
    content = {"frames": FRAMES[:10], "picture_codec": codec}
    if name[0] == "a":
        content = {"sound": tone(0.5, 48000), "sound_codec": codec}
    path = write(tmp_path / name, **content)
    decode(path)
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(LMFError, match="as in files joined byte by byte"):
        decode(path)


MARKS = av.stream.Disposition


@pytest.mark.parametrize(
    ("marks", "chosen"),
    [
        ([MARKS.default | MARKS.comment, MARKS(0)], 1),
        ([MARKS.visual_impaired | MARKS.descriptions, MARKS(0)], 1),
        ([MARKS.default | MARKS.dub, MARKS.original], 1),
        ([MARKS.dub, MARKS.comment, MARKS(0)], 2),
        ([MARKS(0), MARKS.original, MARKS.default], 1),
        ([MARKS(0), MARKS.default], 1),
        ([MARKS(0), MARKS(0)], 0),
        ([MARKS.comment, MARKS.comment | MARKS.default], 1),
        ([MARKS.hearing_impaired, MARKS.visual_impaired, MARKS.dub], 2),
    ],
)
def test_which_track_is_heard(tmp_path: Path, marks: list[MARKS], chosen: int) -> None:
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in marks]
        for stream, mark in zip(streams, marks):
            stream.disposition = mark
        for number, stream in enumerate(streams):
            samples = (tone(0.5, RATE, frequency=300.0 * (number + 1)).T * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, layout="mono")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
    spectrum = np.abs(np.fft.rfft(decode(path).waveform))
    assert spectrum.argmax() * 2 == 300 * (chosen + 1)
