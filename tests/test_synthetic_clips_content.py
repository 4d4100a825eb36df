"""Clips of drawn faces: what was asked of voice and face is measured again on the decoded files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_lmf.data import decode
from keras_lmf.data.corpora.synthetic_clips import EMOTIONS, LABELS, performance, write

RATE = 16000
FRAMES = 25
SPEAKERS = 4
SECONDS = 1.6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every emotion twice of each of four speakers; not to be changed."""
    return write(
        tmp_path_factory.mktemp("clips") / "made", clips=40, speakers=SPEAKERS, seconds=SECONDS, seed=3
    )


@pytest.fixture(scope="module")
def clips(folder: Path) -> list:
    """(decoded clip, label, speaker) of every row."""
    return [(decode(folder / row["file"]), row["label"], row["speaker"]) for row in rows(folder)]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / LABELS).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def asked(index: int, label: str) -> performance.Performance:
    speaker = performance.draw_speaker(3, index % SPEAKERS)
    return performance.draw_performance(3, index, speaker, label, SECONDS)


def envelope(waveform: np.ndarray, rate: int = FRAMES) -> np.ndarray:
    """RMS of the 30 ms around each of `rate` times a second, from 0 on."""
    half = RATE * 15 // 1000
    padded = np.pad(waveform, half)
    starts = np.arange(len(waveform) * rate // RATE) * RATE // rate
    return np.array([np.sqrt(np.mean(padded[start : start + 2 * half] ** 2)) for start in starts])


def autocorrelation_pitch(window: np.ndarray) -> float:
    """Hz, between 60 and 500: the first lag at which the window repeats almost as well as anywhere."""
    window = window - window.mean()
    size = len(window)
    power = np.abs(np.fft.rfft(window, 2 * size)) ** 2
    # Fewer samples overlap at long lags.
    repeats = np.fft.irfft(power)[:size] / (size - np.arange(size))
    lags = np.arange(RATE // 500, RATE // 60)
    inside = repeats[lags]
    peaks = (inside >= repeats[lags - 1]) & (inside >= repeats[lags + 1])
    lag = lags[peaks & (inside > 0.85 * inside.max())][0]
    before, here, after = repeats[lag - 1 : lag + 2]
    return RATE / (lag + 0.5 * (before - after) / (before - 2 * here + after))


def features_of_voice(waveform: np.ndarray) -> list[float]:
    loud = envelope(waveform)
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    hertz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    bands = [spectrum[(hertz >= low) & (hertz < 2 * low)].sum() for low in (125, 250, 500, 1000, 2000)]
    above = loud > loud.max() / 2
    return [*np.log(bands), np.log(loud.max()), np.count_nonzero(np.diff(above.astype(int)) == 1)]


def mouth_of(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last row that is no skin, of the 16 columns across the mouth: two (T, 16), NaN where all is skin.

    Skin is the colour of the cheeks beside the nose. Teeth may be as bright, but lie between the lips.
    """
    skin = np.median(frames[:, 54:60, 30:38], axis=(1, 2))[:, None, None]
    ink = np.abs(frames[:, 60:80, 40:56] - skin).max(axis=3) > 0.25 * skin.max(axis=3)
    row = np.where(ink, np.arange(20.0)[:, None], np.nan)
    empty = ~ink.any(axis=1)
    first, last = np.where(ink, row, np.inf).min(axis=1), np.where(ink, row, -np.inf).max(axis=1)
    first[empty] = last[empty] = np.nan
    return first, last


def eye_white(frames: np.ndarray) -> np.ndarray:
    """Bright and grey pixels around the eyes, unlike any skin: (T, 26, 40) bool."""
    eyes = frames[:, 32:58, 28:68].astype(float)
    return (eyes.min(axis=3) > 140) & (np.ptp(eyes, axis=3) < 35)


def features_of_face(frames: np.ndarray) -> np.ndarray:
    """Outline of the mouth, white of the eyes, and where between the eyes and above them it is dark."""
    first, last = mouth_of(frames)
    outline = np.nan_to_num(np.nanmedian(np.stack([first, last]), axis=1)[:, 2:14:3], nan=10.0).ravel()
    skin = np.median(frames[:, 54:60, 30:38], axis=(1, 2))[:, None, None]
    brows = (frames[:, 20:44, 28:68].sum(axis=3) < 0.6 * skin.sum(axis=3)).mean(axis=0)
    blocks = brows.reshape(6, 4, 10, 4).mean(axis=(1, 3))
    return np.concatenate([outline, [eye_white(frames).mean() * 100], blocks.ravel()])


@pytest.mark.slow
def test_length(clips: list) -> None:
    for clip, _, _ in clips:
        assert clip.frames.shape == (40, 96, 96, 3)
        assert (clip.start, clip.duration) == (0.0, SECONDS)
        assert clip.waveform.shape == (SECONDS * RATE,)
        assert np.abs(clip.waveform).max() < 1


def test_pitch_is_the_one_asked(clips: list) -> None:
    size = RATE // 20
    for index, (clip, label, _) in enumerate(clips):
        want = asked(index, label)
        starts = np.arange(0, len(clip.waveform) - size, size // 2)
        middles = (starts + size / 2) / RATE
        loud = want.loudness(middles) > 0.6
        heard = [autocorrelation_pitch(clip.waveform[start : start + size]) for start in starts[loud]]
        error = 12 * np.log2(heard / want.pitch(middles[loud]))
        assert np.abs(np.median(error)) < 0.3, (index, label)
        assert np.mean(np.abs(error) < 1) > 0.8, (index, label)
        # Over the clip: the speaker's own pitch, moved by the emotion; its accents are random.
        moved = 12 * np.log2(np.median(heard) / want.speaker.pitch)
        assert abs(moved - want.voice.pitch) < 1 + want.voice.accents + abs(want.voice.contour) / 2


def test_louder_emotions_are_louder(clips: list) -> None:
    levels = {name: [] for name in EMOTIONS}
    for index, (clip, label, _) in enumerate(clips):
        level = 10 * np.log10(np.mean(clip.waveform**2))
        assert level == pytest.approx(asked(index, label).voice.level, abs=0.5)
        levels[label].append(level)
    mean = {name: np.mean(values) for name, values in levels.items()}
    assert mean["angry"] > mean["happy"] > mean["neutral"] > mean["sad"]
    assert mean["surprised"] > mean["neutral"]


def test_syllables_come_at_the_emotions_rate(clips: list) -> None:
    counts, right = {name: [] for name in EMOTIONS}, []
    for index, (clip, label, _) in enumerate(clips):
        loud = envelope(clip.waveform, 100)
        count = np.count_nonzero(np.diff((loud > 0.25 * loud.max()).astype(int)) == 1)
        counts[label].append(count)
        right.append(abs(count - len(asked(index, label).centres)) <= 1)
    assert np.mean(right) > 0.9
    mean = {name: np.mean(values) for name, values in counts.items()}
    assert mean["sad"] < mean["neutral"] < min(mean["happy"], mean["angry"])


def test_the_mouth_moves_with_the_voice(clips: list) -> None:
    together, late = [], []
    for clip, _, _ in clips:
        first, last = mouth_of(clip.frames)
        opened = (last - first)[5:-5, 6:10].mean(axis=1)
        loud = envelope(clip.waveform)
        shifted = [np.corrcoef(opened, loud[shift : shift + len(opened)])[0, 1] for shift in range(11)]
        together.append(shifted[5])
        late.append(np.argmax(shifted) - 5)
    assert np.median(together) > 0.7
    assert np.mean(np.array(together) > 0.5) > 0.8
    # By at most one frame.
    assert np.mean(np.abs(late) <= 1) > 0.9


def test_smiles_and_drooping_corners(clips: list) -> None:
    """How far the mouth's sides lie above its middle, in pixels."""
    smile = {name: [] for name in EMOTIONS}
    for clip, label, _ in clips:
        height = np.nanmedian(np.stack(mouth_of(clip.frames)), axis=1).mean(axis=0)
        smile[label].append(height[7:9].mean() - (height[2] + height[13]) / 2)
    assert min(smile["happy"]) > max(smile["sad"])
    assert np.mean(smile["happy"]) > 0.5
    assert np.mean(smile["sad"]) < -1
    assert np.mean(smile["angry"]) < -0.4


def test_eyes_open_wide_when_surprised(clips: list) -> None:
    white = {name: [] for name in EMOTIONS}
    for clip, label, _ in clips:
        white[label].append(np.median(eye_white(clip.frames).sum(axis=(1, 2))))
    mean = {name: np.mean(values) for name, values in white.items()}
    assert mean["surprised"] > 1.3 * mean["neutral"] > 1.3 * 1.3 * mean["sad"]


def test_emotions_are_learnable_from_either_modality(clips: list) -> None:
    """A linear model trained on three speakers, asked about the fourth, five emotions: chance is .2."""
    labels = np.array([label for _, label, _ in clips])
    speakers = np.array([speaker for _, _, speaker in clips])
    inputs = {
        "voice": np.array([features_of_voice(clip.waveform) for clip, _, _ in clips]),
        "face": np.array([features_of_face(clip.frames) for clip, _, _ in clips]),
    }
    for name, values in inputs.items():
        right = []
        for speaker in np.unique(speakers):
            out = speakers == speaker
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
            right += (model.fit(values[~out], labels[~out]).predict(values[out]) == labels[out]).tolist()
        assert np.mean(right) > 0.6, name
