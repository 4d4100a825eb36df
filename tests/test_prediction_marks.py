"""What is drawn on a video: at each time the answer of the window whose middle is nearest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_model import BOX, FACE_ONLY, SHAPES, SOURCES, Model, film, steps

from keras_lmf.recognition import Prediction

LABELS = ["low", "middle", "high"]


def nearest(answer: Prediction, time: float) -> dict[str, float]:
    """Label → probability; empty where that window says nothing."""
    middles = (answer.timeline["start"] + answer.timeline["end"]) / 2
    row = answer.timeline.iloc[int(np.abs(middles - time).argmin())]
    return {} if np.isnan(row["low"]) else row[LABELS].to_dict()


def test_every_followed_frame_has_its_windows_answer_and_its_box(tmp_path: Path) -> None:
    """Of five windows the last one shows no face."""
    answer = Model(**FACE_ONLY).recognizer(hop=1.5)(film(tmp_path / "film.mkv", 9, (0, 5.5)))
    assert answer.timeline["low"].isna().tolist() == [False] * 4 + [True]
    marks = list(answer._marks())
    np.testing.assert_allclose([mark.time for mark in marks], np.arange(90) / 10)
    assert len({mark.probabilities.get("low") for mark in marks}) == 5
    for mark in marks:
        if abs(mark.time / 1.5 - round(mark.time / 1.5) - 0.5) > 0.1 or mark.time > 8:
            assert mark.probabilities == pytest.approx(nearest(answer, mark.time)), mark.time
        assert np.isnan(mark.box[0]) or tuple(mark.box) == BOX
    assert [np.isnan(mark.box[0]) for mark in marks] == answer.faces["x"].isna().tolist()


def test_without_frames_that_were_followed_there_is_a_mark_at_each_change() -> None:
    voice = {"shapes": {"voice": SHAPES["voice"]}, "sources": {"voice": SOURCES["voice"]}}

    def loudness(inputs: dict[str, np.ndarray]) -> np.ndarray:
        energy = np.square(inputs["voice"]).mean(axis=1)
        return np.stack([3 * energy, 1 - energy, 0 * energy], axis=1)

    clip = steps((0.2, 2), (0.9, 3), (0.5, 2.5))[:, 0]
    answer = Model(**voice, answer=loudness, presence="assumed").recognizer(hop=2.0)(clip)
    assert answer.timeline[["start", "end"]].to_numpy().tolist() == [[0, 3], [2, 5], [4, 7], [6, 7.5]]
    marks = list(answer._marks())
    # Middles are at 1.5, 3.5, 5.5 and 6.75 s.
    assert [mark.time for mark in marks] == pytest.approx([0, 2.5, 4.5, 6.125])
    for mark, (_, row) in zip(marks, answer.timeline.iterrows(), strict=True):
        assert (mark.box, len(mark.others)) == (None, 0)
        assert mark.probabilities == pytest.approx(row[LABELS].to_dict())
