"""The measuring loop: contenders take turns, one at a time, so what else the machine does hits them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from keras_lmf.errors import LMFError

Step = Callable[[], Any]
Turn = Callable[[int], dict[str, float]]
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


def timed(step: Step, synchronise: Callable[[Any], object] = lambda result: None) -> Turn:
    """So many steps in a row, as milliseconds per step by each clock."""

    def turn(count: int) -> dict[str, float]:
        starts = {name: clock() for name, clock in CLOCKS.items()}
        for _ in range(count):
            result = step()
        synchronise(result)
        return {name: (clock() - starts[name]) / count * 1e3 for name, clock in CLOCKS.items()}

    return turn


def take_turns(
    steps: Mapping[Hashable, Step],
    *,
    repeats: int,
    seconds: float,
    synchronise: Callable[[Any], object] = lambda result: None,
    elsewhere: Mapping[Hashable, Turn] | None = None,
) -> dict[str, pd.DataFrame]:
    """Milliseconds per step of every contender, by its process's CPU clock and by the wall's.

    Args:
        steps: by contender what is timed.
        repeats: turns that each contender takes, in an order that alternates.
        seconds: length of one turn; the number of steps in it is fixed beforehand.
        synchronise: called with the last step's result before the clocks are read; for a GPU.
        elsewhere: further contenders, whose turns another process takes and times while this one waits.

    Returns:
        {"cpu": table, "wall": table}, one row per turn and one column per contender.
    """
    turns = {what: timed(step, synchronise) for what, step in steps.items()} | dict(elsewhere or {})
    counts = {}
    for what, turn in turns.items():
        turn(3)  # compiles
        # At least a microsecond: a clock may stand still over so few steps.
        counts[what] = max(1, round(seconds * 1e3 / max(turn(3)["wall"], 1e-3)))
    times: dict[str, dict[Hashable, list[float]]] = {name: {what: [] for what in turns} for name in CLOCKS}
    for repeat in range(repeats):
        for what in list(turns)[:: 1 if repeat % 2 else -1]:
            for name, value in turns[what](counts[what]).items():
                times[name][what].append(value)
    return {name: pd.DataFrame(table) for name, table in times.items()}


def ratio(times: pd.DataFrame, slower: Hashable, faster: Hashable) -> dict[str, float]:
    """How many times longer `slower` takes than `faster` in the same turn: median and quartiles over the turns."""
    ratios = times[slower] / times[faster]
    return {
        "ratio": ratios.median(),
        "ratio_first_quartile": ratios.quantile(0.25),
        "ratio_third_quartile": ratios.quantile(0.75),
    }


def one_thread(backend: str) -> None:
    """Bind a Keras backend to one thread: waiting threads spin, which would count as CPU time.

    Raises:
        LMFError: TensorFlow has computed before in this process.
    """
    from keras_lmf.export.latency import bind_threads

    try:
        bind_threads(backend, 1)
    except RuntimeError as error:
        raise LMFError(
            "TensorFlow has run in this process already and can't be bound to one thread any more. "
            "Measure in a process of its own: python benchmarks/fusion_speed.py"
        ) from error
