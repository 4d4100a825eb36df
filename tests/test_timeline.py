"""The picture of a clip: what is drawn is what was given, where it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.timeline import emotion_timeline

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
