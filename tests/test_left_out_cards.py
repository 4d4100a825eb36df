"""Leave one corpus out, on an entry's card."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.publishing.retrainings import left_out
from keras_lmf.training import LeaveOneCorpusOut
from keras_lmf.zoo import Enrolled, Entry, LeftOut, Metric, Spread, cards

SPREAD = Spread(mean=0.75, sd=0.125, runs=2)


def test_the_card_has_both_figures(entry_folder):
    entry = Entry.read(entry_folder)
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n")
    table = pd.DataFrame(
        {
            "corpus": "synthetic",
            "metric": ["war", "war"],
            "seed": [0, 1],
            "others": [0.25, 0.75],
            "all": [0.875, 0.9375],
            "floor": 0.125,
            "rows": 40,
            "without": "calm, bored",
        }
    )
    LeaveOneCorpusOut("title", table).save(entry_folder)
    found = left_out(entry_folder)
    others, both = Spread(mean=0.5, sd=np.std([0.25, 0.75], ddof=1), runs=2), found["synthetic"]["war"].all
    expected = LeftOut(others=others, all=both, floor=0.125, rows=40, without=("calm", "bored"))
    assert found == {"synthetic": {"war": expected}}
    assert both.mean == 0.90625
    joined = entry.model_copy(update={"corpus": ("synthetic", "mine"), "left_out": found})
    joined.write(entry_folder)
    assert Entry.read(entry_folder) == joined
    card = cards.card(entry_folder, joined)
    for figure in ("0.500 ± 0.354", "0.906 ± 0.044", "0.125", "calm, bored"):
        assert figure in card
    assert "clips of the speaker enrolled" not in card
    enrolled = (Enrolled(clips=10, others=SPREAD.model_copy(update={"mean": 0.6875}), all=SPREAD),)
    measured = expected.model_copy(update={"enrolled": enrolled, "enrolled_rows": 33, "speakers_left_out": 2})
    known = joined.model_copy(update={"left_out": {"synthetic": {"war": measured}}})
    known.write(entry_folder)
    assert Entry.read(entry_folder) == known
    line = next(line for line in cards.card(entry_folder, known).splitlines() if "0.688 ± 0.125" in line)
    assert [cell.strip() for cell in line.split("|")][3:] == [
        *("10", "0.688 ± 0.125", "0.750 ± 0.125", "", "33", "", "2", "")
    ]
    assert "left_out" not in entry.to_json()


def test_an_entry_of_several_corpora_has_no_card_without(entry_folder):
    (entry_folder / "limits.md").write_text("Use it for: a\nNot for: b\n")
    complete = {"metrics": {"weights": {"war": Metric(value=0.75)}}, "seeds": {"weights": {"war": SPREAD}}}
    entry = Entry.read(entry_folder).model_copy(update=complete)
    entry.write(entry_folder)
    assert cards.pages(entry_folder.parent)
    entry.model_copy(update={"corpus": ("synthetic", "mine")}).write(entry_folder)
    with pytest.raises(LMFError, match="left_out"):
        cards.pages(entry_folder.parent)
