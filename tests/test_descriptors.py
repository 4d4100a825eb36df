"""Descriptors against sounds, poses, pictures and skins whose numbers are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from media_files import write

from keras_lmf import descriptors
from keras_lmf.cli import main
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.data.openface import COLUMNS, GAZE, POSE
from keras_lmf.descriptors.description import lip_voice_correlation
from keras_lmf.descriptors.face import FaceReader, mouth_darkness, pose_of_points
from keras_lmf.descriptors.table import DESCRIPTORS, STEP
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.series import series
from keras_lmf.media.detectors import YuNet

RATE = 16000


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE)) / RATE


def voiced(seconds: float, hertz: float = 200.0) -> np.ndarray:
    """A tone with four overtones, as a voice has."""
    return sum(0.3 / k * np.sin(2 * np.pi * k * hertz * times(seconds)) for k in range(1, 6))


def middle(values: np.ndarray) -> np.ndarray:
    return values[10:-10]


@pytest.mark.slow
def test_pitch_energy_and_centroid_of_known_tones():
    found = descriptors.voice_descriptors(voiced(2.0, 220.0), RATE)
    assert {len(values) for values in found.values()} == {50}
    np.testing.assert_allclose(middle(found["f0"]), 220, rtol=0.01)
    np.testing.assert_allclose(middle(found["f0_variation"]), 0, atol=0.1)
    hum = np.concatenate([voiced(1.0, 220.0), 0.005 * voiced(1.0, 100.0)])
    assert np.isnan(descriptors.voice_descriptors(hum, RATE)["f0"][28:]).all()
    tone = descriptors.voice_descriptors(0.5 * np.sin(2 * np.pi * 1000 * times(2.0)), RATE)
    np.testing.assert_allclose(tone["energy"], 20 * np.log10(0.5 / 2**0.5), atol=0.01)
    np.testing.assert_allclose(middle(tone["spectral_centroid"]), 1000, rtol=0.01)
    nothing = descriptors.voice_descriptors(np.zeros(2 * RATE), RATE)
    assert set(nothing["energy"]) == {-200.0}
    assert np.isnan(nothing["spectral_centroid"]).all()
    assert set(nothing["pause_share"]) == {1.0}
    assert set(nothing["speech_rate"]) == {0.0}


@pytest.mark.slow
def test_pauses_and_syllables_of_known_signals():
    # Half a second on, half a second off: half of every window of 4 s is pause. Gaps of .12 s are none.
    on = (times(8.0) % 1.0) < 0.5
    share = descriptors.voice_descriptors(voiced(8.0) * on, RATE, window=4.0)["pause_share"]
    np.testing.assert_allclose(share[50:-50], 0.5, atol=0.06)
    gaps = (times(4.0) % 0.5) < 0.38
    assert set(descriptors.voice_descriptors(voiced(4.0) * gaps, RATE)["pause_share"]) == {0.0}
    # Four syllables a second.
    swells = np.square(np.sin(np.pi * 4 * times(6.0))) + 0.01
    rate = descriptors.voice_descriptors(voiced(6.0) * swells, RATE, window=2.0)["speech_rate"]
    np.testing.assert_allclose(rate[25:-25], 4, atol=0.51)


def test_voices_that_cant_be_described_are_refused():
    for waveform in (np.zeros(100), np.zeros((2, RATE))):
        with pytest.raises(LMFError, match="voice_descriptors takes"):
            descriptors.voice_descriptors(waveform, RATE)


def turned(roll: float, yaw: float) -> np.ndarray:
    """(5, 2): a head's points seen from far away; the nose .6 eye distances before the eyes."""
    points = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.5, 0.6], [-0.4, 1, 0.1], [0.4, 1, 0.1]])
    turn, tilt = np.radians([yaw, roll])
    x = np.cos(turn) * points[:, 0] + np.sin(turn) * points[:, 2]
    y = points[:, 1]
    # The nose's height would tilt too; the yaw is measured along the line between the eyes.
    return 100 + 50 * np.stack(
        [np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y], axis=1
    )


def test_head_pose_of_turned_heads():
    angles = [(0, 0), (15, 0), (-20, 0), (0, 25), (0, -40), (10, 20)]
    found = pose_of_points(np.stack([turned(roll, yaw) for roll, yaw in angles]))
    np.testing.assert_allclose(found["head_roll"], [roll for roll, _ in angles], atol=1e-6)
    np.testing.assert_allclose(found["head_yaw"], [yaw for _, yaw in angles], atol=1e-6)


def test_head_movement_is_in_eye_distances_a_second():
    points = turned(0, 0) + 5 * np.arange(4)[:, None, None] * np.array([1, 0])
    moved = pose_of_points(points)["head_movement"]
    assert np.isnan(moved[0])
    np.testing.assert_allclose(moved[1:], 5 / 50 / STEP)
    assert np.isnan(pose_of_points(np.full((2, 5, 2), np.nan))["head_roll"]).all()


def test_mouth_darkness_is_the_share_of_dark_pixels():
    picture = np.full((120, 120, 3), 200, np.uint8)
    points = np.array([[40, 40], [80, 40], [60, 60], [50, 80], [70, 80]], float)
    assert mouth_darkness(picture, points) == 0
    picture[80:95] = 20  # of the rows 74 to 94
    assert mouth_darkness(picture, points) == pytest.approx(15 / 21)
    assert np.isnan(mouth_darkness(picture, points + 500))


def test_body_movement_is_the_mean_change_of_a_pixel():
    frames = np.zeros((3, 100, 100, 3), np.uint8)
    frames[1, :20, :50] = 100  # a tenth of the picture
    found = FaceReader()(frames, np.arange(3) * STEP)
    assert np.isnan(found["points"]).all()
    assert np.isnan(found["body_movement"][0])
    np.testing.assert_allclose(found["body_movement"][1:], 10)


def test_lips_against_voice():
    draw = np.random.default_rng(0)
    energy = draw.standard_normal(200)
    np.testing.assert_allclose(lip_voice_correlation(energy, energy), 1)
    np.testing.assert_allclose(lip_voice_correlation(-energy, energy), -1)
    assert abs(lip_voice_correlation(draw.standard_normal(2000), draw.standard_normal(2000), 60).mean()) < 0.1
    assert np.isnan(lip_voice_correlation(np.ones(200), energy)).all()
    other = 0.5 * energy + draw.standard_normal(200)
    whole = lip_voice_correlation(energy, other, 200 * STEP)[100]  # the window around it is all there is
    assert whole == pytest.approx(np.corrcoef(energy, other)[0, 1])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "clips"
    synthetic_clips.write(folder, clips=1, speakers=1, seconds=4, size=(192, 192))
    return folder / "00000.mp4"


def openface_table(path: Path, count: int, opening: float, degrees: float) -> Path:
    """A face whose lips are `opening` mouth widths apart, and whose pose and gaze are all `degrees`."""
    row = dict.fromkeys((*COLUMNS, *POSE, *GAZE), "0")
    row |= {"success": "1", "confidence": "1", "AU04_r": "2.5"}
    row |= {"x_48": "10", "x_54": "50", "y_62": "0", "y_66": str(40 * opening)}
    row |= {f"x_{point}": "10" for point in range(36, 42)} | {f"x_{point}": "30" for point in range(42, 48)}
    row |= dict.fromkeys((*POSE, *GAZE), str(np.radians(degrees)))
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(row))
        table.writeheader()
        for frame in range(count):
            table.writerow(row | {"frame": str(frame + 1), "timestamp": str(frame * STEP)})
    return path


@pytest.mark.slow
def test_a_drawn_speaker(clip: Path, tmp_path: Path):
    table = descriptors.describe(clip)
    np.testing.assert_allclose(table.index, np.arange(100) * STEP)
    assert list(table) == [name for name in DESCRIPTORS if name in table]
    # Its lips follow its voice; half a syllable later they don't.
    assert table["lip_voice_correlation"].mean() > 0.6
    late = lip_voice_correlation(table["mouth_darkness"].shift(8).to_numpy(), table["energy"].to_numpy())
    assert np.nanmean(late) < 0.4
    assert table["head_roll"].notna().mean() > 0.9

    # With OpenFace's table beside it, the face comes from there.
    beside = openface_table(clip.with_suffix(".csv"), 50, 0.25, 12)
    seen = descriptors.describe(clip)
    beside.unlink()
    for name, value in {"mouth_opening": 0.25, "head_pitch": 12, "gaze_y": 12, "brow_lowering": 2.5}.items():
        np.testing.assert_allclose(seen[name].iloc[:50], value, rtol=1e-5)
        assert seen[name].iloc[52:].isna().all()

    path = descriptors.write_csv(table, tmp_path / "out.csv")
    read = pd.read_csv(path, index_col="time [s]")
    assert list(read) == [DESCRIPTORS[name].heading for name in table]
    np.testing.assert_allclose(read.to_numpy(), table.to_numpy(), rtol=1e-4)

    told = CliRunner().invoke(main, ["describe", str(clip), "--plot", str(tmp_path / "a.png"), "--json"])
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert facts["descriptors"]["f0"]["unit"] == "Hz"
    assert facts["descriptors"]["energy"]["mean"] == pytest.approx(table["energy"].mean())
    assert (tmp_path / "a.png").stat().st_size > 10_000


RISE, FALL = 0.75, 2.0  # seconds, of a skin's response
LATE = np.log(FALL / RISE) * FALL * RISE / (FALL - RISE)  # from its onset to its peak
EVENTS = (8.0, 21.0, 40.0, 52.0)


def skin(seconds: float = 64, rate: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A slow drift, and a response at each of `EVENTS`."""
    at = np.arange(round(seconds * rate)) / rate
    since = np.maximum(at[:, None] - np.array(EVENTS), 0)
    responses = (np.exp(-since / FALL) - np.exp(-since / RISE)).sum(axis=1)
    return at, 4 + 0.01 * at + responses


def test_the_skins_responses_are_found_at_their_times():
    at, eda = skin()
    found = descriptors.skin_descriptors(at, eda, 1600)
    peaks = np.flatnonzero(found["eda_response"] > 0.1) * STEP
    assert len(peaks) == len(EVENTS)
    np.testing.assert_allclose(peaks, np.array(EVENTS) + LATE, atol=0.6)
    height = (RISE / FALL) ** (RISE / (FALL - RISE)) - (RISE / FALL) ** (FALL / (FALL - RISE))
    sizes = found["eda_response"][found["eda_response"] > 0.1]
    np.testing.assert_allclose(sizes, height, rtol=0.35)
    # Both parts add up to the recording, but for its filtering.
    whole = found["eda_tonic"] + found["eda_phasic"]
    np.testing.assert_allclose(whole[50:-50], np.interp(np.arange(1600) * STEP, at, eda)[50:-50], atol=0.05)
    longer = descriptors.skin_descriptors(at, eda, 2000)
    assert np.isnan(longer["eda_tonic"][1610:]).all()


def test_a_table_of_the_skin_is_read_or_refused(tmp_path: Path):
    def table(*lines: str) -> Path:
        (tmp_path / "eda.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / "eda.csv"

    at, eda = descriptors.read_eda(table("time,eda,event", "0,1.5,", "0.1,1.6,loud"))
    assert (at.tolist(), eda.tolist()) == ([0, 0.1], [1.5, 1.6])
    with pytest.raises(LMFError, match="'eda'"):
        descriptors.read_eda(table("time,edda", "0,1"))
    with pytest.raises(LMFError, match="line 2: eda must be a number"):
        descriptors.read_eda(table("time,eda", "0,-1"))
    with pytest.raises(LMFError, match="line 3: time 0 follows 0"):
        descriptors.read_eda(table("time,eda", "0,1", "0,1"))
    with pytest.raises(LMFError, match="needs 10 s"):
        descriptors.skin_descriptors(np.arange(3.0), np.ones(3), 10)


@pytest.mark.long
def test_sound_and_skin_without_a_picture(tmp_path: Path):
    sound = write(
        tmp_path / "a.wav", sound=voiced(64)[::2].astype("float32"), rate=8000, sound_codec="pcm_s16le"
    )
    at, eda = skin()
    lines = [f"{a:.3f},{b:.5f}" for a, b in zip(at, eda)]
    (tmp_path / "skin.csv").write_text("\n".join(["time,eda", *lines]), encoding="utf-8")
    table = descriptors.describe(sound, eda=tmp_path / "skin.csv")
    assert (table["eda_response"] > 0.1).sum() == len(EVENTS)
    assert not {"head_roll", "body_movement", "lip_voice_correlation"} & set(table)
    with pytest.raises(LMFError, match="max_seconds"):
        descriptors.describe(sound, max_seconds=30)
    with pytest.raises(LMFError, match="window"):
        descriptors.describe(sound, window=0.1)


def test_every_descriptor_says_what_it_is():
    for name, row in DESCRIPTORS.items():
        assert row.name == name
        assert row.of in ("voice", "face", "body", "skin")
        assert row.source
        assert row.meaning


def test_the_points_of_yunet_lie_in_its_box(clip: Path):
    from keras_lmf.media import decode

    frame = decode(clip, tracks=("picture",)).frames[40]
    (row,) = YuNet().with_points(frame)
    box, points = row[:4], row[4:14].reshape(5, 2)
    assert (points > box[:2]).all()
    assert (points < box[:2] + box[2:]).all()
    right_eye, left_eye, nose, *corners = points
    assert right_eye[0] < nose[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(corner[1] for corner in corners)
    np.testing.assert_array_equal(YuNet()(frame)[0], row[[0, 1, 2, 3, 14]])


def test_series_draws_what_is_known():
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}, index=[0.0, 0.04])
    figure = series(table, {"a": "a [Hz]"}, "title")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a [Hz]"]
    with pytest.raises(LMFError, match="nothing to draw"):
        series(table[["b"]], {}, "title")
