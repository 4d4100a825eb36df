"""A stream of sound, or of sound and pictures: what is told when, from what came before alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from face_model import BOX, FACE_ONLY, RATE, SHAPES, SOURCES, Model, film, frame, logits
from media_files import write
from scipy.special import softmax

from keras_lmf.errors import LMFError

VOICE_ONLY = {"shapes": {"voice": SHAPES["voice"]}, "sources": {"voice": SOURCES["voice"]}}
LABELS = ["low", "middle", "high"]


def waveform(seconds: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.9, 0.9, round(seconds * RATE)).astype("float32")


def loudness(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """(N, 3), of the voice alone."""
    energy = np.square(inputs["voice"]).mean(axis=1)
    return np.stack([3 * energy, 1 - energy, 0 * energy], axis=1)


@pytest.mark.parametrize("hop", [None, 0.7])
def test_a_film_gives_its_whole_windows_of_sound_and_face(tmp_path: Path, hop: float | None) -> None:
    sound = waveform(5.3)[:, None]
    clip = film(tmp_path / "film.mkv", 5.3, (0.7, 4.1), sound=sound, rate=RATE)
    model = Model(temperature=2.0)
    moments = list(model.recognizer(hop=hop).stream(clip))
    steps = hop or 1.5
    assert [moment.time for moment in moments] == pytest.approx(3 + steps * np.arange(int(2.3 / steps) + 1))
    for moment, seen in zip(moments, model.seen, strict=True):
        start = round((moment.time - 3) * RATE)
        np.testing.assert_allclose(seen["voice"][0], sound[start : start + 3 * RATE, 0], atol=1e-4)
        shares = softmax(logits(seen)[0] / 2)
        assert moment.probabilities == pytest.approx(dict(zip(LABELS, shares)), abs=1e-6)
        assert moment.emotion == LABELS[shares.argmax()]
        assert moment.box == (BOX if moment.time <= 4.1 else None)


def test_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    early, late = [frame(n) for n in range(115)], [np.zeros((48, 64, 3), np.uint8)] * 60
    sound = np.concatenate([waveform(4.6), waveform(2.4, seed=1) / 9])[:, None]
    kind = {"rate": RATE, "picture_codec": "ffv1", "sound_codec": "pcm_s16le"}
    long = write(tmp_path / "long.mkv", frames=early + late, sound=sound, **kind)
    short = write(tmp_path / "short.mkv", frames=early, sound=sound[: round(4.6 * RATE)], **kind)
    first, second = (list(Model().recognizer(hop=0.5).stream(clip)) for clip in (long, short))
    assert len(first) > len(second) == 4
    for moment, other in zip(first, second):
        assert moment == other


def test_blocks_of_sound_are_judged_as_soon_as_a_window_is_whole() -> None:
    given = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal given
        for block in np.split(sound, np.cumsum([100, 5000, 1, 8 * RATE // 10, 30000])):
            given += len(block)
            yield block

    sound = waveform(9.1)
    model = Model(**VOICE_ONLY, answer=loudness, presence="assumed")
    times = []
    for moment in model.recognizer(hop=0.9).stream(blocks()):
        times.append(moment.time)
        start = round((moment.time - 3) * RATE)
        expected = sound[None, start : start + 3 * RATE]
        np.testing.assert_array_equal(model.seen[-1]["voice"], expected)
        shares = softmax(loudness({"voice": expected})[0])
        assert list(moment.probabilities.values()) == pytest.approx(shares, abs=1e-6)
        assert moment.box is None
        if moment.time == 3.0:
            assert given < 6 * RATE, "the rest is not waited for"
    assert times == pytest.approx(3 + 0.9 * np.arange(7))


def test_silence_is_not_cut_as_what_comes_is_not_known(tmp_path: Path) -> None:
    sound = np.concatenate([np.zeros(2 * RATE), waveform(2), np.zeros(2 * RATE)]).astype("float32")
    clip = write(tmp_path / "a.wav", sound=sound[:, None], rate=RATE, sound_codec="pcm_s16le")
    for source in (clip, [sound]):
        assert [moment.time for moment in Model().recognizer().stream(source)] == pytest.approx([3, 4.5, 6])


def test_a_window_may_lack_the_sample_that_rounding_takes() -> None:
    recognizer = Model(**VOICE_ONLY, answer=loudness, presence="assumed").recognizer()
    (moment,) = recognizer.stream([waveform(3)[:-1]])
    assert moment.time == pytest.approx(3, abs=1.1 / RATE)
    with pytest.raises(LMFError, match="ended before the first window"):
        list(recognizer.stream([waveform(3)[:-2]]))


def test_without_an_end(tmp_path: Path) -> None:
    def blocks() -> Iterator[np.ndarray]:
        while True:
            yield np.zeros(RATE // 2, np.float32)

    stream = Model().recognizer().stream(blocks())
    quiet = [next(stream) for _ in range(20)]
    assert [moment.time for moment in quiet] == pytest.approx(3 + 1.5 * np.arange(20))
    assert {(moment.emotion, len(moment.probabilities), moment.box) for moment in quiet} == {(None, 0, None)}


def test_what_can_not_be_streamed(tmp_path: Path) -> None:
    voice = write(tmp_path / "a.wav", sound=waveform(2)[:, None], rate=RATE, sound_codec="pcm_s16le")
    for words, source in [
        (r"a\.wav: it ended before the first window of 3 s", voice),
        ("the stream: it ended before the first window of 3 s", [waveform(2.9)]),
        (r"missing\.mp4: no such file", tmp_path / "missing.mp4"),
        (r"a block of the stream: received dtype int16", [np.ones(9, "int16")]),
        (r"a block of the stream: received \(9, 2\)", [np.ones((9, 2), "float32")]),
    ]:
        with pytest.raises(LMFError, match=words):
            list(Model().recognizer().stream(source))
    with pytest.raises(LMFError, match="takes no sound"):
        Model(**FACE_ONLY).recognizer().stream([waveform(9)])
    with pytest.raises(LMFError, match="needs face too, which blocks of sound don't give"):
        Model(presence="assumed").recognizer().stream([waveform(9)])
