"""Of a film, one track alone: what it holds, its clock, and that the other one is not decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_files import numbered, numbers, tone, write

from keras_lmf.data import decode, windows
from keras_lmf.errors import LMFError

FRAMES = [numbered(number) for number in range(25)]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """One second of frames, and of a tone that begins at 0.4 s."""
    return write(
        tmp_path / "film.mkv", sound=tone(0.6, 48000), sound_start=0.4, sound_codec="pcm_s16le", frames=FRAMES
    )


def test_the_sound_alone_begins_with_itself(film: Path) -> None:
    both, sound = decode(film), decode(film, tracks=("sound",))
    assert both.has_picture
    assert not sound.has_picture
    assert len(sound.waveform) == pytest.approx(0.6 * 16000, abs=16)
    assert np.abs(both.waveform[:6000]).max() < 0.01  # 0.375 s of nothing before the tone
    assert np.abs(sound.waveform[:400]).max() > 0.4


def test_the_picture_alone(film: Path) -> None:
    picture = decode(film, tracks=("picture",))
    assert not picture.has_sound
    assert numbers(picture.frames) == list(range(25))


def test_a_track_that_is_not_asked_for_is_not_held_against_the_limits(tmp_path: Path) -> None:
    film = write(
        tmp_path / "film.mkv",
        sound=tone(1.0, 48000),
        sound_codec="pcm_s16le",
        frames=FRAMES,
    )
    with pytest.raises(LMFError, match="pixels, the limit is"):
        decode(film, max_pixels=100)
    pieces = list(windows(film, 0.5, max_pixels=100, tracks=("sound",)))
    np.testing.assert_array_equal(
        np.concatenate([piece.waveform for piece in pieces]), decode(film, tracks=("sound",)).waveform
    )


def test_a_track_that_the_file_lacks(tmp_path: Path) -> None:
    mute = write(tmp_path / "mute.mp4", frames=FRAMES)
    with pytest.raises(LMFError, match=r"it has no sound that can be decoded\. Its streams: video"):
        decode(mute, tracks=("sound",))


@pytest.mark.parametrize("tracks", [(), ("voice",), ("sound", "text"), "sound"])
def test_unknown_tracks(film: Path, tracks) -> None:
    with pytest.raises(LMFError, match="it must hold one or both of sound, picture"):
        decode(film, tracks=tracks)
