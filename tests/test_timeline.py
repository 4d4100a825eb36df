"""The picture of a clip: what is drawn is what was given, where it was."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.patches import Rectangle, StepPatch

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.timeline import emotion_timeline
from keras_lmf.media.thumbnails import MOST, Strip

LABELS = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "$x_1$"]


def windows(count: int, labels: list[str] = LABELS) -> pd.DataFrame:
    """Windows of two seconds, one every second."""
    starts = np.arange(float(count))
    shares = np.random.default_rng(0).dirichlet(np.ones(len(labels)), count)
    table = pd.DataFrame(shares, columns=labels)
    table.insert(0, "start", starts)
    table.insert(1, "end", starts + 2)
    return table


def sound(seconds: float, rms: np.ndarray | float = 0.1) -> pd.DataFrame:
    starts = np.arange(round(seconds / 0.02)) * 0.02
    return pd.DataFrame({"start": starts, "peak": 2.0 * rms, "rms": rms}, index=range(len(starts)))


def steps(figure: Figure, panel: int) -> dict[str, StepPatch]:
    return {part.get_label(): part for part in figure.axes[panel].patches if isinstance(part, StepPatch)}


def spans(figure: Figure, panel: int) -> list[tuple[float, float]]:
    boxes = [part for part in figure.axes[panel].patches if type(part) is Rectangle]
    return [(box.get_x(), box.get_x() + box.get_width()) for box in boxes]


def test_each_emotion_is_drawn_from_middle_to_middle_of_the_windows() -> None:
    table = windows(4)
    figure = emotion_timeline(table, sound(5), "a_$b$.mp4: sad (50%)")
    drawn = steps(figure, 2)
    assert set(drawn) == set(LABELS)
    for label, patch in drawn.items():
        values, edges, _ = patch.get_data()
        np.testing.assert_array_equal(values, table[label])
        np.testing.assert_allclose(edges, [0, 1.5, 2.5, 3.5, 5])
    styles = {(patch.get_edgecolor(), patch.get_linestyle()) for patch in drawn.values()}
    assert len(styles) == len(LABELS)
    assert figure.axes[2].get_xlim() == (0, 5)


def test_the_legend_is_outside_in_the_order_of_strength() -> None:
    table = windows(4)
    figure = emotion_timeline(table, sound(5), "title")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == table[LABELS].mean().sort_values(ascending=False).index.tolist()
    box = legend.get_window_extent()
    assert all(not box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
    assert box.x1 <= figure.bbox.width + 1


def test_silence_is_grey_where_it_is() -> None:
    rms = np.full(250, 0.1)
    rms[50:100] = 0.0  # 1 to 2 s
    rms[150:159] = 0.0  # 0.18 s: a pause inside speech
    rms[200:210] = 0.0005  # 4.0 to 4.2 s, −66 dB
    figure = emotion_timeline(windows(4), sound(5, rms), "title")
    for panel in range(3):
        np.testing.assert_allclose(spans(figure, panel), [(1, 2), (4, 4.2)])
    assert figure.legends[0].get_texts()[-1].get_text() == "silence (below −60 dB)"


def test_what_was_cut_is_grey_and_the_rest_stays_at_its_time() -> None:
    rms = np.full(250, 0.1)
    rms[50:100] = 0.0  # from 1 s of the sound on, which begins at 3 s
    late, heard = windows(4), sound(5, rms)
    late[["start", "end"]] += 3
    heard["start"] += 3
    figure = emotion_timeline(late, heard, "title", cut=[(0, 3), (8, 9.5)])
    for panel in range(3):
        np.testing.assert_allclose(sorted(spans(figure, panel)), [(0, 3), (4, 5), (8, 9.5)])
        assert figure.axes[panel].get_xlim() == (0, 9.5)
    for panel in range(2):
        (drawn,) = steps(figure, panel).values()
        np.testing.assert_allclose(drawn.get_data().edges[[0, -1]], [3, 8])
    np.testing.assert_allclose(steps(figure, 2)["sad"].get_data().edges, [3, 4.5, 5.5, 6.5, 8])
    assert figure.legends[0].get_texts()[-1].get_text() == "silence"


def test_energy_is_in_decibels_and_the_waveform_up_to_its_peaks() -> None:
    rms = np.repeat([0.1, 0.01], 50)
    figure = emotion_timeline(windows(1, ["a", "b"]), sound(2, rms), "title")
    (waveform,) = steps(figure, 0).values()
    (energy,) = steps(figure, 1).values()
    np.testing.assert_allclose(energy.get_data().values, np.repeat([-20, -40], 50))
    np.testing.assert_allclose(waveform.get_data().values, 2 * rms)
    np.testing.assert_allclose(waveform.get_data().baseline, -2 * rms)


def test_windows_without_an_answer_are_gaps() -> None:
    table = windows(4)
    table.loc[2, LABELS] = np.nan
    values = steps(emotion_timeline(table, sound(5), "title"), 2)["sad"].get_data().values
    assert np.isnan(values).tolist() == [False, False, True, False]


def test_an_hour_keeps_its_peaks_and_its_energy() -> None:
    rms = np.full(180_000, 0.1)
    rms[77_777] = 0.4
    figure = emotion_timeline(windows(3599), sound(3600, rms), "title")
    (waveform,) = steps(figure, 0).values()
    values, edges, _ = waveform.get_data()
    assert len(values) <= 2000
    assert values.max() == pytest.approx(0.8)
    place = int(np.argmax(values))
    assert edges[place] <= 77_777 * 0.02 < edges[place + 1]
    (energy,) = steps(figure, 1).values()
    # 90 steps become one: 89 of 0.01 and one of 0.16 in the mean square.
    assert energy.get_data().values.max() == pytest.approx(10 * np.log10((89 * 0.01 + 0.16) / 90))
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in figure.axes[2].get_xticklabels()]
    assert ticks[0] == "0:00"
    assert "30:00" in ticks


def test_no_sound_is_said() -> None:
    empty = pd.DataFrame({"start": [], "peak": [], "rms": []})
    figure = emotion_timeline(windows(2), empty, "title")
    assert [text.get_text() for text in figure.axes[0].texts] == ["no sound"]


@pytest.mark.parametrize("table", [windows(0), windows(2)[["start", "end"]]])
def test_nothing_to_draw(table: pd.DataFrame) -> None:
    with pytest.raises(LMFError, match="one or more windows and one or more emotions"):
        emotion_timeline(table, sound(1), "title")


@pytest.mark.parametrize("count", [1, 24, 25, 49, 1000, 36_000])
def test_a_strip_is_bounded_and_evenly_over_the_clip(count: int) -> None:
    pytest.importorskip("cv2", reason="needs the extra face")
    strip, nowhere = Strip(), np.full(4, np.nan)
    for number in range(count):
        strip.add(number / 10, np.zeros((6, 8, 3), np.uint8), nowhere)
    times = np.array([time for time, _ in strip.thumbnails])
    assert min(count, MOST / 2) <= len(times) <= MOST == 24
    steps = np.diff(times)
    assert times[0] == 0
    if count > 1:
        np.testing.assert_allclose(steps, steps[0])
        assert (count - 1) / 10 - times[-1] < steps[0]


def test_a_thumbnail_shows_the_frame_and_the_faces_box() -> None:
    pytest.importorskip("cv2", reason="needs the extra face")
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:, 320:] = 200
    strip = Strip()
    strip.add(0.5, frame, np.array([100.0, 120.0, 160.0, 200.0]))
    ((time, picture),) = strip.thumbnails
    assert (time, picture.shape) == (0.5, (120, 160, 3))
    assert picture[60, 10].tolist() == [0, 0, 0]
    assert picture[60, 150].tolist() == [200, 200, 200]
    for row, column in [(30, 40), (80, 40), (55, 25), (55, 65)]:
        assert picture[row, column].tolist() == [0, 230, 0]


def test_a_thumbnail_of_a_very_wide_frame_is_bounded() -> None:
    pytest.importorskip("cv2", reason="needs the extra face")
    frame = np.zeros((16, 40_000, 3), np.uint8)
    frame[:, 20_000:] = 200
    strip = Strip()
    strip.add(0.0, frame, np.array([10_000.0, 4.0, 20_000.0, 8.0]))
    ((_, picture),) = strip.thumbnails
    assert picture.shape == (120, 480, 3)
    assert (picture[5, 200].tolist(), picture[5, 280].tolist()) == ([0, 0, 0], [200, 200, 200])
    assert (picture[60, 120].tolist(), picture[60, 360].tolist()) == ([0, 230, 0], [0, 230, 0])


@pytest.mark.parametrize("seconds", [3, 600])
@pytest.mark.parametrize(("width", "most"), [(68, 12), (120, 7), (213, 4)])
def test_frames_are_drawn_in_order_without_overlap(seconds: int, width: int, most: int) -> None:
    starts = np.arange(max(1, seconds - 2))
    table = pd.DataFrame({"start": starts, "end": starts + 3.0, "sad": 1.0})
    times = np.arange(24) * seconds / 24
    pictures = [(time, np.full((120, width, 3), number, np.uint8)) for number, time in enumerate(times)]
    # The longest legend leaves the panels the least width.
    heard = sound(seconds, np.where(np.arange(seconds * 50) < 25, 0, 0.1))
    figure = emotion_timeline(table.rename(columns={"sad": "disappointed"}), heard, "title", pictures)
    assert [axes.get_ylabel() for axes in figure.axes] == ["frames", "waveform", "energy, dB", "probability"]
    figure.canvas.draw()
    drawn = [part for part in figure.axes[0].get_children() if isinstance(part, AnnotationBbox)]
    assert len(drawn) == most
    panel = figure.axes[0].get_window_extent()
    boxes = [part.get_window_extent() for part in drawn]
    for left, right in itertools.pairwise(boxes):
        assert left.x1 <= right.x0
    assert boxes[0].x0 >= panel.x0 - 1
    assert boxes[-1].x1 <= panel.x1 + 1
    for part, box in zip(drawn, boxes):
        assert box.width / box.height == pytest.approx(width / 120, rel=0.02)
        shown = times[int(part.offsetbox.get_data()[0, 0, 0])]
        # In the middle of its part of the time, the nearest frame.
        assert abs(shown - part.xy[0]) <= seconds / 48 + 1e-9
    assert figure.axes[0].get_xlim() == (0, seconds)


def test_frames_without_sound_have_no_waveform() -> None:
    empty = pd.DataFrame({"start": [], "peak": [], "rms": []})
    figure = emotion_timeline(windows(2), empty, "title", [(0.0, np.zeros((12, 16, 3), np.uint8))])
    assert [axes.get_ylabel() for axes in figure.axes] == ["frames", "probability"]
