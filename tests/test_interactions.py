"""The table and the plot of what subsets of modalities contribute, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import plots

TERMS = {
    (): np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]),
    ("voice",): np.array([[2.0, 0.0], [0.0, 4.0], [0.0, 0.0]]),
    ("voice", "face"): np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 6.0]]),
}


def test_interactions_of_a_corpus_by_hand():
    table = klmf.evaluation.interactions(TERMS, ["no", "yes"]).set_index(["answer", "subset"])
    # Answers: no, yes, yes; centred, the constant is ± .5, the voice ± 1 and ± 2, both together ± 3.
    expected = pd.DataFrame(
        [
            ("no", "constant", 1, 0.5, np.nan, 0.0),
            ("no", "voice", 1, 1.0, 1.0, 0.0),
            ("no", "voice × face", 1, 0.0, 0.0, 0.0),
            ("yes", "constant", 2, -0.5, np.nan, 0.0),
            ("yes", "voice", 2, 1.0, 2 / 5, 0.5),
            ("yes", "voice × face", 2, 1.5, 3 / 5, 0.5),
        ],
        columns=["answer", "subset", "rows", "push", "share", "decisive"],
    ).set_index(["answer", "subset"])
    pd.testing.assert_frame_equal(table, expected)


def test_interactions_of_values_by_hand():
    table = klmf.evaluation.interactions(TERMS, ["arousal", "valence"], classes=False)
    table = table.set_index(["answer", "subset"])
    assert table.loc[("valence", "voice"), "share"] == pytest.approx(0.4)
    assert table.loc[("valence", "voice × face"), "push"] == pytest.approx(2)
    assert table["decisive"].isna().all()
    with pytest.raises(LMFError, match="a column for each name"):
        klmf.evaluation.interactions(TERMS, ["arousal"])


@pytest.mark.parametrize("classes", [True, False])
def test_the_plot_has_the_shares_side_by_side(classes):
    table = klmf.evaluation.interactions(TERMS, ["no", "yes"], classes=classes)
    figure = plots.interactions(table, "by hand")
    figure.draw_without_rendering()
    left, right = figure.axes
    ends = [bar.get_x() + bar.get_width() for bar in left.containers[-1]]
    assert ends == pytest.approx([1, 1])
    assert len(right.containers) == 3
    assert [label.get_text() for label in left.get_yticklabels()] == [
        f"{name} ({count})" for name, count in (("no", 1 if classes else 3), ("yes", 2 if classes else 3))
    ]
