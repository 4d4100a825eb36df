"""The picture of a clip: its frames, its waveform, its energy and the emotions over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from keras_lmf.errors import LMFError
from keras_lmf.evaluation.plots import open_panel
from keras_lmf.media.sound import SILENCE, decibels

# Okabe & Ito's colours, which colour-blind people tell apart, without the yellow, which is pale on white; then again
# with another line style.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":")
SOUND, QUIET = "#444444", "#e6e6e6"
FLOOR = -80.0  # decibels, the lower end of the energy's axis
SHORTEST_SILENCE = 0.2  # seconds; shorter ones are the gaps inside speech
WIDTH, PANEL = 11, 7.5  # inches: of the figure, and of a panel beside the longest legend
STRIP = 1.1  # inches high
MOST_STEPS = 2000  # about the picture's width in pixels


def emotion_timeline(
    timeline: pd.DataFrame,
    sound: pd.DataFrame,
    title: str,
    thumbnails: Sequence[tuple[float, np.ndarray]] = (),
    cut: Sequence[tuple[float, float]] = (),
) -> Figure:
    """Panels over one axis of time: a strip of frames, waveform, energy, and the probability of each emotion.

    Windows that overlap are drawn from the middle between their centres to the next. Silence, where the energy stays
    below −60 dB for 0.2 s or more, is grey in all panels, and so is what was cut. Where a window has no probabilities,
    their lines stop. A clip without thumbnails has no strip; one with thumbnails and without sound has no waveform and
    energy.

    Args:
        timeline: one row per window: `start`, `end` in seconds, and one column per emotion, NaN where there is none.
        sound: steps of equal length: `start` in seconds, `peak` and `rms` in [0, 1]; no rows for a clip without sound.
        title: of the figure.
        thumbnails: (seconds, (height, width, 3) uint8) in order of time, all of one size.
        cut: start and end in seconds of the silence before the first window and after the last.

    Raises:
        LMFError: no window, or no emotion.
    """
    labels = [column for column in timeline if column not in ("start", "end")]
    if timeline.empty or not labels:
        raise LMFError("The timeline to draw needs one or more windows and one or more emotions.")
    judged = float(timeline["end"].max())
    end = max([judged, *(stop for _, stop in cut)])
    heights = {"strip": STRIP if thumbnails else 0, "waveform": 1.2, "energy": 1.2, "emotions": 2.7}
    if thumbnails and sound.empty:
        heights["waveform"] = heights["energy"] = 0
    heights = {name: height for name, height in heights.items() if height}
    figure = Figure(figsize=(WIDTH, 1.3 + sum(heights.values())), layout="constrained")
    figure.suptitle(title, parse_math=False)
    drawn = figure.subplots(len(heights), 1, sharex=True, height_ratios=list(heights.values()), squeeze=False)
    panels = dict(zip(heights, drawn[:, 0]))
    emotions = panels["emotions"]
    handles = _draw_emotions(emotions, timeline, labels)
    if "strip" in panels:
        _draw_strip(panels["strip"], thumbnails, end)
    if "waveform" in panels:
        _draw_sound(panels["waveform"], panels["energy"], sound, judged)
    silences = [*_silences(sound), *cut]
    for axes in panels.values():
        if axes is panels.get("strip"):
            continue
        for start, stop in silences:
            axes.axvspan(start, min(stop, end), color=QUIET, linewidth=0, zorder=0)
        open_panel(axes)
    if silences:
        handles.append(Patch(color=QUIET, label="silence" if cut else f"silence (below −{-SILENCE:.0f} dB)"))
    emotions.set(xlim=(0, end), xlabel="time, s")
    emotions.xaxis.set_major_locator(MaxNLocator(12))
    if end > 120:
        emotions.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 1.5, 3, 6]))
        emotions.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{int(at) // 60}:{int(at) % 60:02d}"))
        emotions.set_xlabel("time, minutes:seconds")
    figure.align_ylabels()
    legend = figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=10)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_emotions(axes: Axes, timeline: pd.DataFrame, labels: list[str]) -> list:
    """One line of steps per emotion, the strongest on average first in the legend."""
    centres = timeline[["start", "end"]].mean(axis=1).to_numpy()
    edges = np.concatenate(
        [timeline["start"].iloc[:1], (centres[1:] + centres[:-1]) / 2, timeline["end"].iloc[-1:]]
    )
    handles = {
        label: axes.stairs(
            timeline[label],
            edges,
            baseline=None,
            color=COLOURS[place % len(COLOURS)],
            linestyle=STYLES[place // len(COLOURS) % len(STYLES)],
            linewidth=2,
            label=label,
        )
        for place, label in enumerate(labels)
    }
    axes.set(ylim=(-0.02, 1.02), ylabel="probability")
    return [handles[label] for label in timeline[labels].mean().sort_values(ascending=False).index]


def _draw_strip(axes: Axes, thumbnails: Sequence[tuple[float, np.ndarray]], end: float) -> None:
    """As many frames as fit beside each other, each where its time is, as near as its neighbours let it."""
    height, width = thumbnails[0][1].shape[:2]
    shown = STRIP * 0.94  # inches high
    places = int(min(len(thumbnails), max(1, PANEL * height / (shown * width))))
    times = np.array([time for time, _ in thumbnails])
    for middle in (np.arange(places) + 0.5) * end / places:
        picture = thumbnails[int(np.abs(times - middle).argmin())][1]
        image = OffsetImage(picture, zoom=72 * shown / height)
        axes.add_artist(AnnotationBbox(image, (middle, 0.5), frameon=False, pad=0))
    axes.set(ylim=(0, 1), yticks=[], ylabel="frames")
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)


def _draw_sound(waveform: Axes, energy: Axes, sound: pd.DataFrame, end: float) -> None:
    waveform.set(ylim=(-1.02, 1.02), ylabel="waveform")
    energy.set(ylim=(FLOOR, 0), ylabel="energy, dB")
    if sound.empty:
        for axes in (waveform, energy):
            axes.text(0.5, 0.5, "no sound", transform=axes.transAxes, ha="center", va="center", color=SOUND)
        return
    drawn = _thinned(sound)
    # Each step lasts until the next one begins.
    edges = np.append(drawn["start"], end)
    waveform.stairs(drawn["peak"], edges, baseline=-drawn["peak"], fill=True, color=SOUND)
    largest = float(drawn["peak"].max())
    if 0 < largest < 0.5:
        waveform.set_ylim(-1.1 * largest, 1.1 * largest)
    energy.stairs(np.maximum(decibels(drawn["rms"].to_numpy()), FLOOR), edges, baseline=None, color=SOUND)


def _thinned(sound: pd.DataFrame) -> pd.DataFrame:
    """No more rows than the picture can show: the largest peak and the mean energy of neighbours."""
    size = -(-len(sound) // MOST_STEPS)
    if size == 1:
        return sound
    squared = sound.assign(rms=sound["rms"] ** 2).groupby(np.arange(len(sound)) // size)
    thinned = squared.agg({"start": "first", "peak": "max", "rms": "mean"})
    return thinned.assign(rms=np.sqrt(thinned["rms"]))


def _silences(sound: pd.DataFrame) -> list[tuple[float, float]]:
    """Start and end in seconds of every silence that is long enough."""
    if len(sound) < 2:
        return []
    step = float(sound["start"].iloc[1] - sound["start"].iloc[0])
    quiet = (decibels(sound["rms"].to_numpy()) < SILENCE).astype(int)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]])))
    spans = float(sound["start"].iloc[0]) + changes.reshape(-1, 2) * step
    return [(float(start), float(end)) for start, end in spans if end - start >= SHORTEST_SILENCE - step / 2]
