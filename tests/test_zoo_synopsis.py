"""The box of cards and `show`, the limits it begins with, and the pictures that `render` draws."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path

import h5py
import pytest
from PIL import Image

import keras_lmf as klmf
from keras_lmf.errors import LMFError
from keras_lmf.zoo import Entry, cards, description
from keras_lmf.zoo.synopsis import Limits, synopsis

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = sorted(path.parent.name for path in ZOO.glob("*/entry.json"))
LINES = 74  # of a card before what is folded


def shown(path: Path) -> list[dict]:
    """The figures in a picture, as it says itself."""
    with Image.open(path) as picture:
        assert picture.width > 600
        return json.loads(picture.info["Description"])


def box(card: str) -> dict[str, str]:
    return dict(re.findall(r"^\| \*\*(.*?)\*\* \| (.*) \|$", card, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_card_and_show_begin_with_the_same_box(name: str) -> None:
    card, told = (ZOO / name / "CARD.md").read_text(encoding="utf-8"), box(klmf.zoo.show(name))
    lines = {line[:12].strip(): line[12:] for line in klmf.zoo.brief(name).splitlines()[1:]}
    assert not told  # Markdown's
    assert box(card).items() <= lines.items()
    assert list(box(card))[:3] == ["use it for", "not for", "takes"]
    visible = card.partition("<details")[0]
    assert visible.count("\n") <= LINES
    assert "± 0.000 over 1" not in card


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_the_box_are_those_of_its_file(name: str) -> None:
    told = json.loads((ZOO / name / "entry.json").read_text(encoding="utf-8"))
    rows = box((ZOO / name / "CARD.md").read_text(encoding="utf-8"))
    file = rows["best file"].split(",")[0]
    key = next((key for key, one in told["files"].items() if one["name"] == file), file)
    metrics = told["metrics"][key]
    word, first = next(iter(metrics.items()))
    assert float(re.search(r"[\d.]+", rows["how sure"])[0]) == round(first["value"], 3)
    shown = re.findall(r"([\d.]+)(%?)", rows["on test"])
    assert [float(number) / (100 if percent else 1) for number, percent in shown] == pytest.approx(
        [first["value"], first["floor"]], abs=0.0051
    )
    for corpus in told.get("left_out", {}).values():
        assert (
            f"{corpus[word]['others']['mean']:.2f} ({corpus[word]['all']['mean']:.2f})" in rows["elsewhere"]
        )
    assert ("not measured" in rows["elsewhere"]) != bool(told.get("left_out"))
    noun = "F1" if "classes" in told["target"] else "correlation"
    parts = told["target"].get("classes") or told["target"].get("dimensions") or []
    kind, mean = ("f1", "f1_macro") if noun == "F1" else ("pearson", "pearson")
    seldom = {part for part in parts if metrics[f"{kind}_{part}"]["value"] < metrics[mean]["value"] / 2}
    found = set(re.findall(rf"(\w[\w ]*) \({noun} ", rows.get("weak on", "")))
    assert found == {part.replace("_", " ") for part in seldom}


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_where_weights_are_not_in_their_file(name: str) -> None:
    sizes: list[int] = []
    with h5py.File(ZOO / name / "model.weights.h5") as file:
        file.visititems(lambda _, part: sizes.append(part.size) if isinstance(part, h5py.Dataset) else None)
    card = (ZOO / name / "CARD.md").read_text(encoding="utf-8")
    lacking = sum(sizes) < Entry.read(ZOO / name).parameters
    assert ("`model.weights.h5` without the published network" in card) == lacking


def test_no_metric_is_told_under_two_names() -> None:
    """Two names of one metric have the same value in every entry of a kind; two metrics only by chance in one."""
    same: dict[tuple[str, str, str], set[bool]] = defaultdict(set)
    for name in NAMES:
        entry = Entry.read(ZOO / name)
        block, words = entry.metrics["weights"], description.metrics(entry)
        kind = "two classes" if entry.target.size == 2 else "classes" if entry.target.classes else "values"
        for one, other in itertools.combinations(words, 2):
            same[kind, one, other].add(block[one] == block[other] and block[one].value != 0)
        for word in set(block) - set(words):
            assert any(block[word] == block[other] for other in words), f"{name} keeps {word} to itself"
    assert not [pair for pair, found in same.items() if found == {True}]


def test_limits_begin_with_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "limits.md").write_text("Use it for: apples | pears.\nNot for: plums.\n\n- One.\n- Two.\n")
    assert Limits.read(tmp_path) == ("apples | pears.", "plums.", "- One.\n- Two.")
    for text in ("", "- One.\n", "Use it for: apples.\n\n- One.\n"):
        (tmp_path / "limits.md").write_text(text)
        with pytest.raises(LMFError, match=r"must begin with two lines, 'Use it for: …' and 'Not for: …'"):
            Limits.read(tmp_path)


def test_without_limits_the_rest_is_told(entry_folder: Path) -> None:
    rows = synopsis(Entry.read(entry_folder), None)
    assert "use it for" not in rows
    assert rows["on test"] == "75% right; always the same answer: 50% right (the floor)"
    assert "not for" not in klmf.zoo.brief(entry_folder)


def test_render_draws_the_zoos_picture_where_a_recording_fills_an_entry(tmp_path: Path) -> None:
    for name in ("lmf-synthetic-av", "xception-fer2013-face"):
        shutil.copytree(
            ZOO / name, tmp_path / name, ignore=shutil.ignore_patterns("*.h5", "*.tflite", "*.npz")
        )
    (tmp_path / "lmf-synthetic-av" / "files.png").unlink()
    drawn = [path for path in cards.render(tmp_path) if path.suffix == ".png"]
    assert drawn == [tmp_path / "lmf-synthetic-av" / "files.png", tmp_path / "accuracy-and-size.png"]
    entry, (files, together) = Entry.read(drawn[0].parent), map(shown, drawn)
    assert [row["bytes"] for row in files] == [cost.bytes for cost in entry.costs.values()]
    assert {row["model"] for row in together} == {"xception-fer2013-face"}
    assert cards.stale_pages(tmp_path) == []
    costs = entry.costs | {"tflite": entry.costs["tflite"].model_copy(update={"bytes": 7})}
    entry.model_copy(update={"costs": costs}).write(drawn[0].parent)
    drawn[1].write_bytes(b"no picture")
    assert set(cards.stale_pages(tmp_path)) > set(drawn)
