"""How entries are told: names of metrics, what they take, the sentence, the templates, tables in other pages."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.metric_names import metric_name
from keras_lmf.evaluation.protocols import protocols
from keras_lmf.locate import known_entries
from keras_lmf.records import Licences
from keras_lmf.target import Target
from keras_lmf.zoo import Entry, cards, description

ZOO = Path(__file__).parents[1] / "zoo"
CLASSES = Target(name="emotion", classes=("calm", "excited"))
SENTIMENT = Target(name="sentiment", range=(-3, 3))
RATINGS = Target(name="ratings", range=(1, 7), dimensions=("bold", "very_vivid"))


@pytest.mark.parametrize("target", [CLASSES, SENTIMENT, RATINGS])
def test_every_protocol_has_a_readers_name(target: Target) -> None:
    words = protocols(target)
    names = {metric_name(word) for word in words}
    assert len(names) == len(words)
    assert not [name for name in names if "_" in name]


def test_names_of_metrics() -> None:
    names = [metric_name(word) for word in ("war", "f1_calm", "pearson_very_vivid", "mae", "own_word")]
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


def test_the_table_of_files_has_every_shipped_file_that_a_recording_fills() -> None:
    entries = {path.parent: Entry.read(path.parent) for path in ZOO.glob("*/entry.json")}
    found = {}
    for line in cards.media_files(entries, "zoo/").splitlines()[2:]:
        _, file, size, latency, score, floor, _ = (cell.strip() for cell in line.strip("|").split(" |"))
        name, card, file = re.fullmatch(r"\[(.*)\]\((.*)\)/(.*)", file).groups()
        assert card == f"zoo/{name}/CARD.md"
        found[name, file] = [float(size), float(latency), float(score.split()[-1]), float(floor)]
    expected = {}
    for path in ZOO.glob("*/*.tflite"):
        told = json.loads((path.parent / "entry.json").read_text(encoding="utf-8"))
        if not all("media" in spec for spec in told["inputs"].values()):
            continue
        key = "-".join(["tflite", *path.stem.split("-")[1:]])
        metric = next(iter(told["metrics"][key].values()))
        row = [
            path.stat().st_size / 1e6,
            told["costs"][key]["latency_p50_ms"],
            metric["value"],
            metric["floor"],
        ]
        expected[path.parent.name, path.name] = pytest.approx(row, rel=0.06)
    assert found == expected


@pytest.mark.parametrize("name", ["lmf-media-av", "whisper-voice", "lmf-mosi-avt"])
@pytest.mark.parametrize("language", cards.LANGUAGES)
def test_code_for_an_app_has_the_entrys_names_sizes_labels_and_temperatures(name: str, language: str) -> None:
    told = json.loads((ZOO / name / "entry.json").read_text(encoding="utf-8"))
    code = klmf.zoo.app_code(name, language)
    assert re.fullmatch(rf"```{language}\n[^`]*```", code)
    assert all(code.count(first) == code.count(last) for first, last in ("()", "[]", "{}"))

    floats = {"kotlin": "FloatArray, //", "swift": r"\[Float\],? //"}[language]
    assert re.findall(rf"^ +(\w+): {floats}", code, re.MULTILINE) == list(told["inputs"])
    sizes = re.findall(r"(\w+)\.(?:size|count) == ([\d *]+)\)", code)
    assert {name: math.prod(map(int, size.split("*"))) for name, size in sizes} == {
        name: math.prod(spec["shape"]) for name, spec in told["inputs"].items()
    }
    assert code.count(f'"{told["target"]["name"]}"') == 1

    listed = re.search(r"labels = (?:listOf\(|\[)(.*)[)\]]$", code, re.MULTILINE)
    assert (json.loads(f"[{listed[1]}]") if listed else None) == told["target"].get("classes")
    calibration = told.get("calibration")
    if calibration:
        default = re.search(r"temperature(?:: Float)? = (?:.*\?\? |.*\?: )?([\d.]+)f?$", code, re.MULTILINE)
        assert float(default[1]) == pytest.approx(calibration["temperature"], rel=1e-6)
        subsets = re.search(r"temperatures.* = (?:mapOf\(|\[)(.*)[)\]]$", code, re.MULTILINE)
        pairs = re.findall(r'"([^"]+)"(?: to|:) ([\d.]+)', subsets[1]) if subsets else []
        assert {there: float(value) for there, value in pairs} == pytest.approx(
            calibration.get("subset_temperatures", {}), rel=1e-6
        )


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(LMFError, match="kotlin, swift"):
        klmf.zoo.app_code("whisper-voice", "java")


def test_pages_with_markers_are_filled(tmp_path: Path) -> None:
    zoo, docs = tmp_path / "zoo", tmp_path / "docs"
    for name in ("lmf-synthetic-av", "lmf-mosi-avt"):
        shutil.copytree(ZOO / name, zoo / name)
    docs.mkdir()
    (tmp_path / "README.md").write_text("a\n<!-- table six -->\n<!-- end six -->\nb\n")
    (docs / "zoo.md").write_text("<!-- table zoo -->\nstale\n<!-- end zoo -->\n")
    (docs / "other.md").write_text("<!-- table fusion -->\n")
    listing = "<!-- listing lmf-mosi-avt.swift -->\n<!-- end lmf-mosi-avt.swift -->\n"
    (docs / "device.md").write_text(f"c\n{listing}")
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
    assert klmf.zoo.app_code("lmf-mosi-avt", "swift") in (docs / "device.md").read_text()
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


def test_what_entries_take() -> None:
    expected = {
        "lmf-media-av": ("clip",),
        "ge2e-ravdess-voice": ("sound",),
        "whisper-voice": ("sound",),
        "xception-fer2013-face": ("photo",),
        "lmf-ravdess-voice-face": ("sound", "features"),
        "lmf-mosi-avt": ("features",),
    }
    for name, found in expected.items():
        assert description.kinds(klmf.zoo.find(name)) == found
    assert set(klmf.zoo.table(takes="Sound")["name"]) == {
        name for name, folder in known_entries().items() if Entry.read(folder).spec.media.keys() == {"voice"}
    }


def test_the_best_file_is_the_smallest_that_is_there() -> None:
    table = klmf.zoo.table().set_index("name")
    for name, folder in known_entries().items():
        sizes = [path.stat().st_size for path in folder.glob("*.tflite")]
        if sizes:
            assert table["file_mb"][name] == min(sizes) / 1e6
            assert Entry.read(folder).costs[table["file"][name]].latency_p50_ms == table["file_ms"][name]
    small = klmf.zoo.table(max_mb=2, max_ms=60, takes="sound")
    assert (small["file_mb"] <= 2).all()
    assert (small["file_ms"] <= 60).all()
    assert "ge2e-ravdess-voice" in set(small["name"])
    assert klmf.zoo.table(max_ms=1e-9).empty


@pytest.mark.parametrize(
    ("weights", "word"),
    [
        ("CC BY-NC-SA 4.0; MIT (OpenAI)", "non-commercial"),
        ("CC BY-NC-SA 4.0, and research only; MIT", "research-only"),
        ("Research only, as the training data", "research-only"),
        ("free, with attribution; Apache-2.0 (Resemblyzer)", "attribution"),
        ("Apache-2.0", "Apache-2.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("what its owner allows, on demand", "other"),
    ],
)
def test_a_licence_in_a_word(weights: str, word: str) -> None:
    assert Licences(code="MIT", weights=weights, data="none").word == word


@pytest.mark.parametrize(
    ("number", "told"), [(62.3, "62"), (4.127, "4.1"), (0.405, "0.41"), (0.02, "<0.1"), (1234.5, "1234")]
)
def test_two_figures(number: float, told: str) -> None:
    assert description.amount(number) == told
