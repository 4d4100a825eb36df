"""Series over time, one panel each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import style


def series(table: pd.DataFrame, headings: Mapping[str, str], title: str) -> Figure:
    """One panel for each column, on one axis of seconds; columns that are all NaN are left out.

    Args:
        table: a row for each time; the index in seconds.
        headings: column → name and unit, as they stand over its panel.
        title: of the figure.

    Raises:
        LMFError: no column with a number.
    """
    names = [name for name in table if table[name].notna().any()]
    if not names:
        raise LMFError("There is nothing to draw: no column has a number.")
    columns = 1 if len(names) < 4 else 3
    rows = -(-len(names) // columns)
    figure = style.figure(title, 0.9 + 1.1 * rows, style.WIDTH if columns == 1 else 1.4 * style.WIDTH)
    times = table.index.to_numpy(float)
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.plot(
            times, table[name].to_numpy(float), color=style.BLUE, linewidth=1, marker=".", markersize=1.5
        )
        axes.set_title(headings.get(name, name), fontsize=style.SMALL, loc="left", parse_math=False)
        axes.set_xlim(times[0], max(times[-1], times[0] + np.finfo(float).eps))
        style.open_panel(axes)
        axes.tick_params(labelbottom=i + columns >= len(names))
    figure.supxlabel("seconds", fontsize=style.SMALL)
    return figure
