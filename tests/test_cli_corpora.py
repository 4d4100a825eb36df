"""keras-lmf corpora and check, as one types them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from keras_lmf.cli import main
from keras_lmf.cli.corpora import _option


def run(*arguments: object):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """All of RAVDESS's speech as sound: 60 recordings by each of 24 actors, by its documentation."""
    for actor in range(1, 25):
        folder = tmp_path / "ravdess" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion, strength, statement, turn in itertools.product(range(1, 9), (1, 2), (1, 2), (1, 2)):
            if (emotion, strength) != (1, 2):
                name = f"03-01-{emotion:02d}-{strength:02d}-{statement:02d}-{turn:02d}-{actor:02d}.wav"
                (folder / name).write_bytes(b"x" * 300)
    return tmp_path


def test_a_whole_download(speech: Path) -> None:
    result = run("check", "ravdess", "--data", speech, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["recordings"], found["published"], found["missing"], found["surplus"]) == (
        1440,
        1440,
        [],
        {},
    )
    assert found["classes"]["neutral"] == [96, 96]
    assert found["splits"] == {"train": 840, "valid": 300, "test": 300}
    assert all(counts[0] == 60 for counts in found["speakers"].values())


def test_what_is_missing_or_surplus_is_named(speech: Path) -> None:
    folder = speech / "ravdess"
    (folder / "Actor_01" / "03-01-01-01-01-01-01.wav").unlink()
    (folder / "Actor_24" / "03-01-08-02-02-02-24.wav").write_bytes(b"version https://git-lfs")
    for name in (
        "Actor_02/copy/03-01-01-01-01-01-02.wav",
        "Actor_03/mine.wav",
        "03-01-01-02-01-01-02.wav",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x" * 300)
    (folder / "03-02-01-01-01-01-01.wav").write_bytes(b"x" * 300)
    result = run("check", "ravdess", "--data", folder, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["missing"] == ["03-01-01-01-01-01-01"]
    assert found["small"] == ["03-01-08-02-02-02-24"]
    assert set(found["surplus"]) == {
        "Actor_02/copy/03-01-01-01-01-01-02.wav",
        "Actor_03/mine.wav",
        "03-01-01-02-01-01-02.wav",
    }
    assert found["other"] == 1
    text = run("check", "ravdess", "--data", folder).stdout
    for name in ("03-01-01-01-01-01-01", "03-01-08-02-02-02-24", "mine.wav"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 100


def test_another_part_of_a_corpus(speech: Path) -> None:
    (speech / "ravdess" / "03-02-01-01-01-01-01.wav").write_bytes(b"x" * 300)
    result = run("check", "ravdess", "--data", speech, "--option", "channel=song", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["recordings"], len(found["missing"]), found["other"]) == (1, 1011, 1440)
    assert run("check", "ravdess", "--data", speech, "--option", "channel").exit_code == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("2.5", 2.5),
        ("true", True),
        ("song", "song"),
        ('"2"', "2"),
        ("[-1, 1]", [-1, 1]),
        ("2020-01-01", "2020-01-01"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_values_of_options(text: str, value: object) -> None:
    assert (found := _option(f"name={text}")) == ("name", value)
    assert type(found[1]) is type(value)


def test_words_that_the_recordings_tell(tmp_path: Path) -> None:
    """TESS: each word that is there is known to be spoken by both, in all seven emotions."""
    for code in ("angry", "disgust", "fear", "happy", "neutral", "ps"):
        for who in ("OAF", "YAF"):
            (tmp_path / f"{who}_back_{code}.wav").write_bytes(b"x" * 300)
    result = run("check", "tess", "--data", tmp_path, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["missing"] == ["OAF_back_sad", "YAF_back_sad"]
    assert found["lacking"] == 2788


def test_all_corpora_are_listed_in_eighty_columns() -> None:
    result = run("corpora")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    told = json.loads(run("corpora", "--json").stdout)
    for name in ("ravdess", "crema_d", "savee", "tess", "emodb", "nemo", "enterface05"):
        assert told[name]["title"] in result.stdout
        assert told[name]["home"] in result.stdout
    assert told["ravdess"]["options"]["channel"] == ["speech", "song", "both"]


def test_unknown_corpora(tmp_path: Path) -> None:
    result = run("check", "ravdes")
    assert result.exit_code == 1
    assert "Did you mean 'ravdess'?" in result.output
    result = run("check", "ravdess", "--data", tmp_path)
    assert result.exit_code == 1
    assert "does not exist" in result.output
