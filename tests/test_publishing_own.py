"""publish makes an entry of a corpus of one's own, described by an about.toml."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from exporting import exported_here

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.publishing.exports import licences_of
from keras_lmf.quickstart import recipe
from keras_lmf.zoo import Entry

pytestmark = pytest.mark.slow

ABOUT = """
licence = "ours"
weights_licence = "CC-BY-4.0"
citation = "We, 2026"
notes = ["Twelve people."]
[inputs.audio]
unit = "kHz"
description = "8 formants"
[inputs.video]
unit = "none"
description = "8 outputs of a network"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an entry to be; `corpora/mine.npz` beside it."""
    monkeypatch.setattr("keras_lmf.publishing.exports.FORMATS", ("tflite",))
    klmf.data.load("synthetic", samples=300).save(tmp_path / "corpora" / "mine.npz")
    named = recipe("early").replace(name="mine", corpus={"name": "mine.npz"}, training={"epochs": 1})
    named.write(tmp_path / "zoo" / "mine" / "recipe.toml")
    return tmp_path / "zoo" / "mine"


def publish(folder: Path) -> Result:
    root = folder.parents[1]
    words = ["publish", folder, "--work", root / "work", "--data", root / "corpora", "--seeds", "2"]
    with exported_here():
        return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.long
def test_an_own_corpus_becomes_an_entry(folder: Path) -> None:
    (folder / "about.toml").write_text(ABOUT)
    result = publish(folder)
    assert result.exit_code == 0, result.output
    entry = Entry.read(folder)
    assert entry.corpus == "mine.npz"
    assert entry.licences.model_dump() == {"code": "Apache-2.0", "weights": "CC-BY-4.0", "data": "ours"}
    assert entry.inputs["audio"].unit == "kHz"
    assert entry.inputs["video"].description == "8 outputs of a network"
    assert "Twelve people." in entry.protocol
    assert "We, 2026" in entry.citations
    assert klmf.load(folder).count_params() == entry.parameters
    (folder / "limits.md").write_text("Use it for: a\nNot for: b\n\nFew people.\n")
    assert CliRunner().invoke(main, ["render", str(folder.parent)]).exit_code == 0
    assert "8 formants" in (folder / "CARD.md").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "Or describe your own in"),
        ("licence = ", "not a readable TOML file"),
        (ABOUT.replace('licence = "ours"', 'license = "ours"'), "about.toml: the field 'licence' is missing"),
        (
            ABOUT.replace('unit = "kHz"', "unit = 3"),
            "about.toml: inputs.audio.unit: Input should be a valid string",
        ),
        (ABOUT.replace('"We, 2026"', '" "'), "about.toml: citation: "),
        (ABOUT.replace("inputs.video", "inputs.vidoe"), "needs [inputs.video]"),
    ],
)
def test_a_wrong_description_is_told_before_training(folder: Path, text: str | None, words: str) -> None:
    if text is not None:
        (folder / "about.toml").write_text(text)
    result = publish(folder)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (folder.parents[1] / "work").exists()


def test_a_corpus_is_named_without_its_folder(folder: Path) -> None:
    (folder / "about.toml").write_text(ABOUT)
    named = klmf.Recipe.read(folder / "recipe.toml").replace(corpus={"name": "../corpora/mine.npz"})
    named.write(folder / "recipe.toml")
    result = publish(folder)
    assert result.exit_code == 1
    assert "give its folder with --data" in result.stderr


def test_several_corpora_need_the_figure_of_one_left_out(folder: Path) -> None:
    (folder / "about.toml").write_text(ABOUT)
    joined = klmf.Recipe.read(folder / "recipe.toml").replace(corpus={"name": ["mine.npz", "yours.npz"]})
    joined.write(folder / "recipe.toml")
    result = publish(folder)
    assert result.exit_code == 1
    assert "leave_one_corpus_out.csv is missing" in result.output


def test_a_licence_is_told_once() -> None:
    facts = SimpleNamespace(weights_licence="CC BY 4.0", licence="CC BY 4.0 too")
    backbones = [
        SimpleNamespace(licences=SimpleNamespace(weights=words))
        for words in ("CC BY 4.0; before: MIT (A; B)", "MIT (A; C)")
    ]
    licences = licences_of(facts, backbones)
    assert (licences.weights, licences.data) == ("CC BY 4.0; before: MIT (A; B); MIT (A; C)", "CC BY 4.0 too")
