"""The picture of a clip: what is drawn is what was given, where it was."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.patches import StepPatch

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import style
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


def areas(figure: Figure, panel: int) -> dict[str, list[np.ndarray]]:
    """Label → the outlines of its areas, (corners, 2) each."""
    found: dict[str, list[np.ndarray]] = {}
    for part in figure.axes[panel].collections:
        found.setdefault(part.get_label(), []).extend(path.vertices for path in part.get_paths())
    return found


def thickness(outlines: list[np.ndarray], time: float) -> float:
    """Of an area at a time: by the lines between its corners."""
    for corners in outlines:
        if corners[:, 0].min() <= time <= corners[:, 0].max():
            turn = int(np.argmax(corners[:, 0]))
            halves = corners[:turn], corners[turn:]
            ends = [np.interp(time, *half[np.argsort(half[:, 0], kind="stable")].T) for half in halves]
            return abs(ends[0] - ends[1])
    return 0.0


def waveform(figure: Figure, panel: int) -> dict[str, StepPatch]:
    return {part.get_label(): part for part in figure.axes[panel].patches if isinstance(part, StepPatch)}


def missing(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """Name → start and end of its bars, of the lowest panel."""
    found = {}
    for part in figure.axes[-1].collections:
        found[part.get_label()] = [
            (path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in part.get_paths()
        ]
    return found


def texts(figure: Figure, panel: int) -> list[str]:
    return [text.get_text() for text in figure.axes[panel].texts]


def named(figure: Figure, panel: int) -> set[str]:
    """The names in and beside a panel."""
    legend = figure.axes[panel].get_legend()
    beside = [text.get_text() for text in legend.get_texts()] if legend else []
    return {*texts(figure, panel), *beside}


def test_areas_are_as_thick_as_the_probabilities_in_the_middle_of_each_window() -> None:
    table = windows(12)
    figure = emotion_timeline(table, sound(13), "a_$b$.mp4: sad (50%)")
    drawn = areas(figure, 0)
    assert set(drawn) == set(LABELS) == named(figure, 0)
    for row in range(12):
        for label in LABELS:
            expected = table.loc[row, label]
            assert thickness(drawn[label], row + 1) == pytest.approx(expected, abs=0.01), (row, label)
    assert figure.axes[0].get_xlim() == (0, 13)
    assert figure.axes[0].get_ylim() == (0, 1)


def test_areas_add_up_to_one_and_do_not_overshoot() -> None:
    table = windows(8, ["a", "b"])
    table["a"] = [0.2, 0.8, 0.8, 0.2, 0.2, 0.9, 0.2, 0.5]
    table["b"] = 1 - table["a"]
    drawn = areas(emotion_timeline(table, sound(9), "title"), 0)
    for time in np.linspace(0.1, 8.9, 50):
        assert thickness(drawn["a"], time) + thickness(drawn["b"], time) == pytest.approx(1, abs=0.01)
        assert 0.19 <= thickness(drawn["a"], time) <= 0.91
    assert thickness(drawn["a"], 2.5) == pytest.approx(0.8, abs=0.01)  # between two of 0.8


def test_the_strongest_lies_at_the_bottom_and_small_ones_are_one() -> None:
    table = windows(6, ["a", "b", "c", "d", "e"])
    table[["a", "b", "c", "d", "e"]] = [0.2, 0.65, 0.05, 0.07, 0.03]
    figure = emotion_timeline(table, sound(7), "title")
    drawn = areas(figure, 0)
    assert list(drawn) == ["b", "a", "3 others"]
    assert drawn["b"][0][:, 1].min() == 0
    assert thickness(drawn["3 others"], 3) == pytest.approx(0.15, abs=0.01)
    assert "others: d, c, e" in figure.axes[0].get_title("left")
    # One small one alone keeps its name.
    alone = table.assign(a=0.27, c=0.08)[["start", "end", "a", "b", "c"]]
    assert set(areas(emotion_timeline(alone, sound(7), "title"), 0)) == {"a", "b", "c"}


def test_neutral_is_grey_and_an_emotion_has_one_colour() -> None:
    happy = style.colours(["happy"])["happy"]
    for count in (2, 7):
        figure = emotion_timeline(windows(count, ["neutral", "happy"]), sound(count + 1), "title")
        parts = [*figure.axes[0].collections, *figure.axes[0].patches]
        shown = {to_hex(np.ravel(part.get_facecolor())[:4]) for part in parts}
        assert happy in shown
        assert all(len(set(to_rgb(colour))) == 1 for colour in shown - {happy})


def test_few_windows_are_bars() -> None:
    table = windows(3, ["neutral", "happy"])
    table["neutral"], table["happy"] = [0.25, 0.5, np.nan], [0.75, 0.5, np.nan]
    figure = emotion_timeline(table, sound(4), "title")
    bars: dict[str, list[tuple[float, float]]] = {}
    for part in figure.axes[0].patches:
        bars.setdefault(to_hex(part.get_facecolor()), []).append((part.get_x(), part.get_width()))
    colours = style.colours(["neutral", "happy"])
    whole = max(width for _, width in bars[style.GRID])
    # From the first window's start on, then from the middle between two middles on; the third says nothing.
    np.testing.assert_allclose(bars[colours["neutral"]], [(0, 0.25 * whole), (1.5, 0.5 * whole)])
    np.testing.assert_allclose(bars[colours["happy"]], [(0, 0.75 * whole), (1.5, 0.5 * whole)])
    assert {"0–2 s", "1–3 s", "2–4 s", "25%", "75%", "50%"} <= set(texts(figure, 0))


@pytest.mark.parametrize("count", [1, 4, 5, 40])
def test_all_stands_on_the_page_and_the_names_apart(count: int) -> None:
    names = ["disappointed", "pleasantly surprised", *LABELS]
    figure = emotion_timeline(windows(count, names), sound(count + 1), "title", absent={"no face": [(0, 1)]})
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1
    drawn = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not [1 for a, b in itertools.combinations(drawn, 2) if a.padded(-1).overlaps(b.padded(-1))]


def test_silence_is_shown_where_it_is() -> None:
    rms = np.full(250, 0.1)
    rms[50:100] = 0.0  # 1 to 2 s
    rms[150:159] = 0.0  # 0.18 s: a pause inside speech
    rms[200:210] = 0.0005  # 4.0 to 4.2 s, −66 dB
    figure = emotion_timeline(windows(4), sound(5, rms), "title")
    (spans,) = missing(figure).values()
    np.testing.assert_allclose(spans, [(1, 2), (4, 4.2)])
    assert [text.get_text() for text in figure.axes[-1].get_yticklabels()] == ["silence"]


def test_what_was_cut_is_silence_and_the_rest_stays_at_its_time() -> None:
    rms = np.full(250, 0.1)
    rms[50:100] = 0.0  # from 1 s of the sound on, which begins at 3 s
    late, heard = windows(6), sound(5, rms)
    late[["start", "end"]] += 3
    heard["start"] += 3
    figure = emotion_timeline(late, heard, "title", cut=[(0, 3), (10, 11.5)])
    np.testing.assert_allclose(sorted(missing(figure)["silence"]), [(0, 3), (4, 5), (10, 11.5)])
    assert figure.axes[-1].get_xlim() == (0, 11.5)
    assert waveform(figure, 1)["peak"].get_data().edges[0] == 3
    outlines = np.concatenate([corners for outlines in areas(figure, 0).values() for corners in outlines])
    assert (outlines[:, 0].min(), outlines[:, 0].max()) == pytest.approx((3, 10), abs=0.02)


def test_what_is_missing_has_a_line_of_its_own() -> None:
    absent = {"no face": [(0.0, 0.1), (1.0, 2.0), (3.5, 9.0)], "no speech": [], "no hat": [(1.0, 1.1)]}
    figure = emotion_timeline(windows(4), sound(5), "title", absent=absent)
    assert missing(figure) == {"no face": [(1.0, 2.0), (3.5, 5.0)]}


def test_the_sound_shows_its_peaks_and_its_energy() -> None:
    rms = np.repeat([0.1, 0.01], 50)
    figure = emotion_timeline(windows(1, ["a", "b"]), sound(2, rms), "title")
    drawn = waveform(figure, 1)
    for name, expected in (("peak", 2 * rms), ("rms", rms)):
        np.testing.assert_allclose(drawn[name].get_data().values, expected)
        np.testing.assert_allclose(drawn[name].get_data().baseline, -expected)
    assert "−14 dB" in figure.axes[1].get_title("left")  # 20 log10 0.2 = −13.98


def test_windows_without_an_answer_are_gaps() -> None:
    table = windows(8)
    table.loc[3:4, LABELS] = np.nan
    for outlines in areas(emotion_timeline(table, sound(9), "title"), 0).values():
        for corners in outlines:
            assert corners[:, 0].max() <= 3.51 or corners[:, 0].min() >= 5.49


def test_an_hour_keeps_its_peaks_and_its_energy() -> None:
    rms = np.full(180_000, 0.1)
    rms[77_777] = 0.4
    figure = emotion_timeline(windows(3599), sound(3600, rms), "title")
    drawn = waveform(figure, 1)
    values, edges, _ = drawn["peak"].get_data()
    assert len(values) <= 600
    assert values.max() == pytest.approx(0.8)
    place = int(np.argmax(values))
    assert edges[place] <= 77_777 * 0.02 < edges[place + 1]
    # 300 steps become one: 299 of 0.01 and one of 0.16 in the mean square.
    assert drawn["rms"].get_data().values.max() == pytest.approx(np.sqrt((299 * 0.01 + 0.16) / 300))
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in figure.axes[-1].get_xticklabels()]
    assert ticks[0] == "0:00"
    assert "30:00" in ticks


def test_no_sound_is_said() -> None:
    empty = pd.DataFrame({"start": [], "peak": [], "rms": []})
    assert texts(emotion_timeline(windows(2), empty, "title"), 1) == ["no sound"]


@pytest.mark.parametrize("table", [windows(0), windows(2)[["start", "end"]]])
def test_nothing_to_draw(table: pd.DataFrame) -> None:
    with pytest.raises(LMFError, match="one or more windows and one or more emotions"):
        emotion_timeline(table, sound(1), "title")


@pytest.mark.parametrize("seconds", [3, 600])
@pytest.mark.parametrize("width", [68, 120, 213])
def test_faces_are_drawn_in_order_without_overlap(seconds: int, width: int) -> None:
    starts = np.arange(max(1, seconds - 2))
    table = pd.DataFrame({"start": starts, "end": starts + 3.0, "sad": 1.0})
    times = np.arange(24) * seconds / 24
    pictures = [(time, np.full((120, width, 3), number, np.uint8)) for number, time in enumerate(times)]
    # The longest legend leaves the panels the least width.
    heard = sound(seconds, np.where(np.arange(seconds * 50) < 25, 0, 0.1))
    figure = emotion_timeline(table.rename(columns={"sad": "disappointed"}), heard, "title", pictures)
    assert len(figure.axes) == 4  # with the sound's and the silence's
    figure.canvas.draw()
    drawn = [part for part in figure.axes[0].get_children() if isinstance(part, AnnotationBbox)]
    panel = figure.axes[0].get_window_extent()
    boxes = [part.get_window_extent() for part in drawn]
    assert sum(box.width for box in boxes) > 0.6 * panel.width
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


def test_faces_without_sound_have_no_panel_of_it() -> None:
    empty = pd.DataFrame({"start": [], "peak": [], "rms": []})
    figure = emotion_timeline(windows(2), empty, "title", [(0.0, np.zeros((12, 16, 3), np.uint8))])
    assert len(figure.axes) == 2
