"""The picture of a clip: its faces, the emotions over time, its sound, and what is missing when."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from scipy.interpolate import PchipInterpolator

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import style
from keras_lmf.media.sound import SILENCE, decibels

SHORTEST = 0.2  # seconds that something is missing; less is a gap inside speech, or a blink
PANEL = 5.4  # inches, of a panel beside its labels
STRIP, AREAS, BAR, SOUND, LANE = 0.85, 2.3, 0.26, 0.8, 0.2  # inches high
SMALL = 0.1  # an emotion that never reaches this probability is gathered with the others of its kind
THIN = 0.004  # a thinner part of an area would be nothing but its white edges
HEADING = 85  # letters in a line above a panel
FEW = 5  # windows: fewer are drawn one by one
MOST = 200  # of more windows than this, the means of neighbours are drawn
POINTS = 600  # across the panel
Spans = Sequence[tuple[float, float]]


def emotion_timeline(
    timeline: pd.DataFrame,
    sound: pd.DataFrame,
    title: str,
    thumbnails: Sequence[tuple[float, np.ndarray]] = (),
    cut: Spans = (),
    absent: Mapping[str, Spans] | None = None,
) -> Figure:
    """Panels over one axis of time: a strip of faces, the probability of each emotion, and the sound.

    - Emotions: areas that lie on each other, the strongest at the bottom, and add up to 1. They are smooth between the
      windows' middles, and exact there; where a window has no probabilities, there are none. Of fewer than five
      windows, each one's probabilities are bars. What stays below 0.1 all the time is gathered.
    - Sound: the waveform's peaks, and inside them its energy.
    - Below, a line for what is missing for 0.2 s or longer: silence, where the energy stays below −60 dB or which was
      cut, and the spans of `absent`.

    A clip without thumbnails has no strip; one with thumbnails and without sound has no panel of it.

    Args:
        timeline: one row per window: `start`, `end` in seconds, and one column per emotion, NaN where there is none.
        sound: steps of equal length: `start` in seconds, `peak` and `rms` in [0, 1]; no rows for a clip without sound.
        title: of the figure.
        thumbnails: (seconds, (height, width, 3) uint8) in order of time, all of one size.
        cut: start and end in seconds of the silence before the first window and after the last.
        absent: what is missing ("no face") → start and end in seconds of each such time.

    Raises:
        LMFError: no window, or no emotion.
    """
    labels = [column for column in timeline if column not in ("start", "end")]
    if timeline.empty or not labels:
        raise LMFError("The timeline to draw needs one or more windows and one or more emotions.")
    judged = float(timeline["end"].max())
    end = max([judged, *(stop for _, stop in cut)])
    missing = {"silence": [*_silences(sound), *cut], **(absent or {})}
    missing = {
        name: kept
        for name, spans in missing.items()
        if (kept := [(start, stop) for start, stop in spans if stop - start > SHORTEST - 0.01])
    }
    shown, others = _gathered(timeline, labels)
    few = len(timeline) < FEW
    heights = {
        "strip": STRIP if thumbnails else 0,
        "emotions": BAR * shown.shape[1] if few else AREAS,
        "sound": 0 if thumbnails and sound.empty else SOUND,
        "missing": LANE * len(missing),
    }
    heights = {name: height for name, height in heights.items() if height}
    figure = style.figure(title, 1.0 + sum(heights.values()) + 0.1 * len(heights))
    drawn = figure.subplots(len(heights), 1, sharex=True, height_ratios=list(heights.values()), squeeze=False)
    panels = dict(zip(heights, drawn[:, 0]))
    drawn[-1, 0].set_xlim(0, end)
    _draw_time(drawn[-1, 0], end)
    for axes in drawn[:, 0]:
        style.open_panel(axes, "x")
        axes.tick_params(bottom=axes is drawn[-1, 0])
        axes.spines["bottom"].set_visible(axes is drawn[-1, 0])
    if "strip" in panels:
        _draw_strip(panels["strip"], thumbnails, end)
    colours = style.colours(shown.columns[2:]) | ({shown.columns[-1]: style.PALE} if others else {})
    (_draw_bars if few else _draw_areas)(panels["emotions"], shown, colours)
    heading = "probability of each emotion" + (f"; others: {', '.join(others)}" if others else "")
    _head(panels["emotions"], heading)
    if "sound" in panels:
        _draw_sound(panels["sound"], sound, judged)
    if missing:
        _draw_missing(panels["missing"], missing, end)
    return figure


def _draw_time(axes: Axes, end: float) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.set_xlabel("seconds", fontsize=style.SMALL, color=style.INK)
    if end > 120:
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 1.5, 3, 6]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{int(at) // 60}:{int(at) % 60:02d}"))
        axes.set_xlabel("minutes:seconds", fontsize=style.SMALL, color=style.INK)


def _head(axes: Axes, text: str) -> None:
    lines = textwrap.fill(text, HEADING)
    axes.set_title(lines, loc="left", fontsize=style.SMALL, color=style.MUTED, pad=3, parse_math=False)


def _gathered(timeline: pd.DataFrame, labels: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The timeline with its emotions in order of strength, the small ones added up in a last column, "5 others"; and
    their names. A single small one keeps its own."""
    strength = timeline[labels].mean().sort_values(ascending=False)
    small = [label for label in strength.index[1:] if not timeline[label].max() >= SMALL]
    if len(small) < 2:
        return timeline[["start", "end", *strength.index]], []
    kept = [label for label in strength.index if label not in small]
    others = {f"{len(small)} others": timeline[small].sum(axis=1, skipna=False)}
    return timeline[["start", "end", *kept]].assign(**others), small


def _edges(timeline: pd.DataFrame) -> np.ndarray:
    """(N + 1,) seconds: a window is drawn from the middle between its centre and the one before to the next such."""
    centres = timeline[["start", "end"]].mean(axis=1).to_numpy()
    ends = timeline["start"].iloc[0], timeline["end"].iloc[-1]
    return np.concatenate([ends[:1], (centres[1:] + centres[:-1]) / 2, ends[1:]])


def _draw_bars(axes: Axes, timeline: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """In each window's part of the panel a bar for each emotion; the track behind it is what 1 would be."""
    labels, edges = list(timeline.columns[2:]), _edges(timeline)
    rows = np.arange(len(labels))
    number = 0.09 * (edges[-1] - edges[0])  # of the panel's width, for a percentage
    whole = np.clip(np.diff(edges).min() - number, number / 3, 6 * number)
    small = {"fontsize": style.SMALL, "va": "center"}
    for (start, end, *shares), left in zip(timeline.itertuples(index=False), edges):
        heading = f"{round(start, 1):g}–{round(end, 1):g} s"
        axes.text(left, -0.8, heading, color=style.MUTED, **small)
        axes.barh(rows, whole, 0.7, left, color=style.GRID)
        if np.isnan(shares).any():
            continue
        axes.barh(rows, np.array(shares) * whole, 0.7, left, color=[colours[label] for label in labels])
        for row, share in enumerate(shares):
            axes.text(left + whole + number / 8, row, f"{share:.0%}", color=style.INK, **small)
    axes.set_yticks(rows, labels, fontsize=style.TEXT, parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -1.4)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def _draw_areas(axes: Axes, timeline: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Areas that lie on each other, each with its name in it where it is thick enough, else beside the panel."""
    labels, end = list(timeline.columns[2:]), axes.get_xlim()[1]
    rooms = dict.fromkeys(labels, (0.0, 0.0, 0.0))
    for times, shares in _runs(timeline):
        tops = np.cumsum(shares, axis=1)
        for label, bottom, top in zip(labels, np.column_stack([np.zeros(len(tops)), tops]).T, tops.T):
            axes.fill_between(
                times,
                bottom,
                top,
                where=top - bottom > THIN,
                color=colours[label],
                edgecolor="white",
                linewidth=0.8,
                label=label,
            )
            # A letter is about 0.6 of its height wide.
            width = 0.65 * len(label) * style.TEXT / 72 / PANEL * end
            rooms[label] = max(rooms[label], _room(times, bottom, top, width))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    beside = []
    for label, (height, x, y) in reversed(rooms.items()):
        if height * AREAS * 72 < 1.2 * style.TEXT:
            beside.append(Patch(color=colours[label], label=label))
            continue
        colour = style.ink_on(colours[label])
        axes.text(x, y, label, ha="center", va="center", fontsize=style.TEXT, color=colour, parse_math=False)
    if beside:
        legend = axes.legend(
            handles=beside, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=style.SMALL
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def _room(times: np.ndarray, bottom: np.ndarray, top: np.ndarray, width: float) -> tuple[float, float, float]:
    """The place for a text of `width` seconds between two lines: the height that is free all along, the text's middle
    in seconds, and in height. Nothing is free where the text is longer than the lines."""
    steps = max(1, round(width / max(times[1] - times[0], 1e-12)))
    if steps > len(times):
        return 0.0, 0.0, 0.0
    lowest = np.lib.stride_tricks.sliding_window_view(top, steps).min(axis=1)
    highest = np.lib.stride_tricks.sliding_window_view(bottom, steps).max(axis=1)
    free, at = lowest - highest, np.arange(len(lowest))
    good = at[free >= free.max() - 0.02]
    best = good[np.abs(good - at.mean()).argmin()]  # not at the edge for nothing
    middle = (times[best] + times[best + steps - 1]) / 2
    return float(free[best]), float(middle), float(lowest[best] + highest[best]) / 2


def _runs(timeline: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each run of windows with probabilities: times (points,) evenly, and probabilities (points, labels).

    They pass through the windows' at the windows' middles, without overshooting (Fritsch & Carlson 1980, "Monotone
    piecewise cubic interpolation"), and add up to 1.
    """
    size = -(-len(timeline) // MOST)
    if size > 1:
        groups = timeline.groupby(np.arange(len(timeline)) // size)
        timeline = groups.mean().assign(start=groups["start"].first(), end=groups["end"].last())
    edges, centres = _edges(timeline), timeline[["start", "end"]].mean(axis=1).to_numpy()
    shares = timeline.iloc[:, 2:].to_numpy(float)
    known = np.concatenate([[False], ~np.isnan(shares).any(axis=1), [False]])
    for first, stop in np.flatnonzero(np.diff(known.astype(int))).reshape(-1, 2):
        knots = np.concatenate([edges[first : first + 1], centres[first:stop], edges[stop : stop + 1]])
        values = np.concatenate([shares[first : first + 1], shares[first:stop], shares[stop - 1 : stop]])
        inside = np.concatenate([[True], np.diff(knots) > 0])
        count = max(2, round(POINTS * (knots[-1] - knots[0]) / (edges[-1] - edges[0])))
        times = np.linspace(knots[0], knots[-1], count)
        smooth = PchipInterpolator(knots[inside], values[inside])(times)
        yield times, smooth / smooth.sum(axis=1, keepdims=True)


def _draw_strip(axes: Axes, thumbnails: Sequence[tuple[float, np.ndarray]], end: float) -> None:
    """As many pictures as fit beside each other, each where its time is, as near as its neighbours let it."""
    height, width = thumbnails[0][1].shape[:2]
    shown = STRIP * 0.94  # inches high
    places = int(min(len(thumbnails), max(1, PANEL * height / (shown * width))))
    times = np.array([time for time, _ in thumbnails])
    for middle in (np.arange(places) + 0.5) * end / places:
        picture = thumbnails[int(np.abs(times - middle).argmin())][1]
        image = OffsetImage(picture, zoom=72 * shown / height)
        axes.add_artist(AnnotationBbox(image, (middle, 0.5), frameon=False, pad=0))
    axes.set(ylim=(0, 1), yticks=[])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _draw_sound(axes: Axes, sound: pd.DataFrame, end: float) -> None:
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if sound.empty:
        axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", va="center", color=style.MUTED)
        return
    drawn = _thinned(sound)
    edges = np.append(drawn["start"], end)  # each step lasts until the next one begins
    for name, colour in (("peak", "#b3b3b3"), ("rms", "#4d4d4d")):
        axes.stairs(drawn[name], edges, baseline=-drawn[name], fill=True, color=colour, label=name)
    largest = float(drawn["peak"].max())
    axes.set_ylim(-1.1 * max(largest, 0.01), 1.1 * max(largest, 0.01))
    loudest = float(decibels(np.array([largest]))[0])
    level = f", peak {loudest:.0f} dB".replace("-", "−") if largest else ""
    _head(axes, f"sound: waveform{level}; energy (dark)")


def _draw_missing(axes: Axes, missing: Mapping[str, Spans], end: float) -> None:
    """A line for each name, with a bar at each of its times."""
    for row, (name, spans) in enumerate(missing.items()):
        bars = [(start, min(stop, end) - start) for start, stop in spans]
        axes.broken_barh(bars, (row - 0.3, 0.6), color=style.GREY, linewidth=1, label=name)
    axes.set_yticks(range(len(missing)), missing, parse_math=False)
    axes.set_ylim(len(missing) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


def _thinned(sound: pd.DataFrame) -> pd.DataFrame:
    """No more rows than the picture can show: the largest peak and the mean energy of neighbours."""
    size = -(-len(sound) // POINTS)
    if size == 1:
        return sound
    squared = sound.assign(rms=sound["rms"] ** 2).groupby(np.arange(len(sound)) // size)
    thinned = squared.agg({"start": "first", "peak": "max", "rms": "mean"})
    return thinned.assign(rms=np.sqrt(thinned["rms"]))


def _silences(sound: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and end in seconds of every silence."""
    if len(sound) < 2:
        return []
    step = float(sound["start"].iloc[1] - sound["start"].iloc[0])
    quiet = (decibels(sound["rms"].to_numpy()) < SILENCE).astype(int)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]])))
    spans = float(sound["start"].iloc[0]) + changes.reshape(-1, 2) * step
    return [(float(start), float(end)) for start, end in spans]
