"""How entries are told: names of metrics, the sentence, the templates, and the tables in other pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.target import Target
from keras_lmf.zoo import Entry, cards, description

ZOO = Path(__file__).parents[1] / "zoo"
CLASSES = Target(name="emotion", classes=("calm", "excited"))
SENTIMENT = Target(name="sentiment", range=(-3, 3))
RATINGS = Target(name="ratings", range=(1, 7), dimensions=("bold", "very_vivid"))


@pytest.mark.parametrize("target", [CLASSES, SENTIMENT, RATINGS])
def test_every_protocol_has_a_readers_name(target: Target) -> None:
    words = protocols(target)
    names = {description.metric_name(word) for word in words}
    assert len(names) == len(words)
    assert not [name for name in names if "_" in name]


def test_names_of_metrics() -> None:
    names = [
        description.metric_name(word) for word in ("war", "f1_calm", "pearson_very_vivid", "mae", "own_word")
    ]
    assert names == ["accuracy", "F1 of calm", "correlation of very vivid", "mean absolute error", "own word"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            (CLASSES, ["voice"], "none", "emodb", {"seconds": 2.0}),
            "Emotion (2 classes) from the voice, trained on EmoDB.",
        ),
        (
            (SENTIMENT, ["audio", "video", "text"], "low_rank", "cmu_mosi", {"split": "split"}),
            "Sentiment (a number from -3 to 3) from audio, video and text by low-rank fusion, trained on CMU-MOSI.",
        ),
        (
            (RATINGS, ["a_b", "c"], "tensor", "mine.npz", {"labels": "merged"}),
            "Ratings (2 numbers from 1 to 7) from a b and c by tensor fusion, trained on mine.npz (labels: merged).",
        ),
    ],
)
def test_the_sentence(words: tuple, expected: str) -> None:
    assert description.sentence(*words) == expected


def test_what_an_entry_says_is_no_template_and_keeps_its_cell(entry_folder: Path) -> None:
    entry = Entry.read(entry_folder)
    spec = entry.inputs["audio"].model_copy(update={"description": "{{ 6 * 7 }} | {% raw %}"})
    entry = entry.model_copy(update={"inputs": entry.inputs | {"audio": spec}, "warning": "{{ entry.name }}"})
    entry.write(entry_folder)
    text = klmf.zoo.show(entry_folder)
    assert "{{ 6 * 7 }} | {% raw %}" in text
    assert "{{ entry.name }}" in text
    assert "42" not in text.splitlines()[0]
    rows = [["{{ 6 * 7 }} | x", "", "1"], ["2", "", ""]]
    assert description.table(rows, ["a", "left out", "b"], "pipe").splitlines()[2].count(" | ") == 1


def test_an_entry_without_figures_is_shown(entry_folder: Path) -> None:
    Entry.read(entry_folder).model_copy(update={"metrics": {}, "seeds": {}, "protocol": ()}).write(
        entry_folder
    )
    (entry_folder / "recipe.toml").write_text("[[")
    text = klmf.zoo.show(entry_folder)
    assert "Emotion (2 classes)" in text
    assert "test split:" not in text.partition("Files")[0]


def test_the_short_table_tells_one_file_of_each_entry() -> None:
    entries = {ZOO / name: Entry.read(ZOO / name) for name in cards.SIX}
    lines = cards.short_overview(entries, "zoo/").splitlines()[2:]
    assert len(lines) == len(cards.SIX)
    for line, entry in zip(lines, entries.values()):
        name, _, size, latency, score, floor, _ = (cell.strip() for cell in line.strip("|").split(" |"))
        assert name == f"[{entry.name}](zoo/{entry.name}/CARD.md)"
        files = {key: "-".join(["model", *key.split("-")[1:]]) for key in entry.costs}
        shipped = [key for key, file in files.items() if (ZOO / entry.name / f"{file}.tflite").is_file()]
        keys = shipped or ["tflite"]
        key = min(keys, key=lambda key: entry.costs[key].bytes)
        metric = next(iter(entry.metrics[key].values()))
        assert float(size.split()[0]) == pytest.approx(entry.costs[key].bytes / 1e6, rel=0.05)
        assert ("export" in size) != bool(shipped)
        assert float(latency) == pytest.approx(entry.costs[key].latency_p50_ms, rel=0.05)
        assert float(score.split()[-1]) == pytest.approx(metric.value, abs=0.005)
        assert float(floor) == pytest.approx(metric.floor, abs=0.006)


def test_pages_with_markers_are_filled(tmp_path: Path) -> None:
    zoo, docs = tmp_path / "zoo", tmp_path / "docs"
    for name in ("lmf-synthetic-av", "lmf-mosi-avt"):
        shutil.copytree(ZOO / name, zoo / name)
    docs.mkdir()
    (tmp_path / "README.md").write_text("a\n<!-- table six -->\n<!-- end six -->\nb\n")
    (docs / "zoo.md").write_text("<!-- table zoo -->\nstale\n<!-- end zoo -->\n")
    (docs / "other.md").write_text("<!-- table fusion -->\n")
    assert CliRunner().invoke(main, ["render", str(zoo)]).exit_code == 0
    six, page = (tmp_path / "README.md").read_text(), (docs / "zoo.md").read_text()
    assert "[lmf-mosi-avt](zoo/lmf-mosi-avt/CARD.md)" in six
    assert "lmf-synthetic-av" not in six, "the short table has the six alone"
    assert six.startswith("a\n")
    assert six.endswith("b\n")
    assert "[lmf-synthetic-av](../zoo/lmf-synthetic-av/CARD.md)" in page
    assert "[lmf-mosi-avt](../zoo/lmf-mosi-avt/CARD.md)" in page
    assert "stale" not in page
    assert (docs / "other.md").read_text() == "<!-- table fusion -->\n"
    assert CliRunner().invoke(main, ["render", str(zoo), "--check"]).exit_code == 0


def test_list_tells_the_readers_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_LMF_HOME", str(tmp_path))
    told = CliRunner().invoke(main, ["list", "--fusion", "none"])
    assert told.exit_code == 0, told.output
    entry = Entry.read(ZOO / "ge2e-emodb-voice")
    (line,) = (line for line in told.stdout.splitlines() if line.startswith(entry.name))
    (file,) = (ZOO / entry.name).glob("*.tflite")
    key = next(key for key, record in entry.files.items() if record.name == file.name)
    metric = entry.metrics[key]["war"]
    assert line.split()[1:6] == [
        "sound",
        f"{metric.value:.0%}",
        "right",
        f"{metric.floor:.0%}",
        f"{file.stat().st_size / 1e6:.1f}",
    ]
