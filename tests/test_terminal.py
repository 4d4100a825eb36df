"""The command line as people look at it: widths, help and completion."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import keras_lmf as klmf
from keras_lmf.cli import GROUPS, main, tables
from keras_lmf.cli.answers import short_names
from keras_lmf.cli.tables import Column, fitted
from keras_lmf.locate import known_entries
from keras_lmf.zoo import Entry

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = {name for commands in GROUPS.values() for name in commands}


# -- tables --------------------------------------------------------------------------------------------------
def test_columns_fit_the_room() -> None:
    draw = random.Random(0)
    for _ in range(200):
        columns = [
            Column("c", draw.randint(1, 40), spare=draw.random() < 0.3, wraps=draw.random() < 0.4)
            for _ in range(draw.randint(1, 8))
        ]
        room = draw.randint(20, 200)
        widths = fitted(columns, room)
        took = sum(widths.values()) + 2 * (len(widths) - 1)
        spare = [place for place, column in enumerate(columns) if column.spare]
        gone = [place for place in spare if place not in widths]
        assert gone == spare[len(spare) - len(gone) :], "the last spare ones go first"
        assert [place for place in range(len(columns)) if place not in gone] == list(widths)
        stiff = [place for place in widths if not columns[place].wraps or columns[place].width <= 8]
        assert all(widths[place] == columns[place].width for place in stiff)
        narrowest = all(
            widths[place] <= 8 for place, column in enumerate(columns) if column.wraps and place in widths
        )
        assert took <= room or (narrowest and gone == spare)
        assert fitted(columns, None) == {place: column.width for place, column in enumerate(columns)}


def test_names_without_folders_where_they_differ() -> None:
    paths = [Path("a/x.wav"), Path("b/x.wav"), Path("b/y.wav")]
    assert short_names(paths) == ["a/x.wav", "b/x.wav", "y.wav"]


@pytest.fixture(params=[80, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of a terminal that standard output is."""
    monkeypatch.setattr(tables, "room", lambda: request.param)
    return request.param


def test_the_list_fits_the_terminal(width: int) -> None:
    done = CliRunner().invoke(main, ["list"])
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    for name, folder in known_entries().items():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert line.split()[-1] == Entry.read(folder).licences.word or width > 80
    assert ("what goes in" in lines[0]) == (width > 80)


def test_show_fits_the_terminal(width: int) -> None:
    done = CliRunner().invoke(main, ["show", "lmf-media-av"])
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 24
    assert CliRunner().invoke(main, ["show", "lmf-media-av", "--full"]).stdout.rstrip() == klmf.zoo.show(
        "lmf-media-av"
    )


def test_predicts_table_fits_the_terminal(width: int) -> None:
    columns = [
        Column("file", 70, wraps=True),
        Column("probability", right=True),
        Column("shares", 60, spare=True),
    ]
    table = tables.Table(columns)
    lines = [*table.header().splitlines(), *table.row(["long_" * 14, "0.74", "all"]).splitlines()]
    assert max(map(len, lines)) <= width
    assert "".join(line[:60].split()[0] for line in lines[1:] if line.split()).startswith("long_")
    assert ("shares" in lines[0]) == (width > 80)


@pytest.mark.parametrize("count", [2, 5, 9, 30])
def test_a_report_fits_the_terminal_with_all_its_words(count: int, width: int) -> None:
    names = [f"a long title {place}" for place in range(count)]
    shown = pd.DataFrame([[f"{row}.735 [{row}.613, 0.845]"] * count for row in range(3)], columns=names)
    text = (
        f"{'What was looked for. ' * 12}\n\n{shown.to_markdown(index=False, disable_numparse=True)}\n\nDone."
    )
    told = tables.report(text)
    assert max(map(len, told.splitlines())) <= width
    for words in (" ".join(names), text.replace("|", " ").replace(":", "").replace("-", "")):
        assert set(words.split()) <= set(told.split())


def test_a_report_keeps_every_figure_of_a_class_with_a_bar_in_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "room", lambda: 30)
    text = pd.DataFrame({"name": ["F1 of a|b", "accuracy"], "low": [0.111, 0.333], "high": [0.222, 0.444]})
    assert {"0.111", "0.222", "0.333", "0.444"} <= set(tables.report(text.to_markdown(index=False)).split())


def test_a_report_in_a_pipe_is_markdown() -> None:
    text = pd.DataFrame({"name": ["a" * 90], "value": [1.5]}).to_markdown(index=False)
    assert tables.report(text) == text


def test_a_table_of_pandas_has_its_numbers_at_their_ends() -> None:
    shown = tables.frame(
        pd.DataFrame({"name": ["a", "bc"], "value": [10.25, float("nan")], "n": [7, 12]}), "{:.1f}"
    )
    assert shown.splitlines() == ["name  value   n", "a      10.2   7", "bc           12"]


# -- help and completion -------------------------------------------------------------------------------------
def test_help_cuts_no_word_and_has_every_command() -> None:
    done = CliRunner().invoke(main, ["--help"], terminal_width=80)
    assert "..." not in done.output.partition("\n")[2]
    assert max(map(len, done.output.splitlines())) <= 80
    context = main.make_context("keras-lmf", ["list"])
    for title, commands in GROUPS.items():
        assert f"\n{title}:\n" in done.output
        for name, (_, line) in commands.items():
            assert f"  {name.ljust(max(map(len, NAMES)))}  {line}\n" in done.output
            assert main.get_command(context, name).name == name


@pytest.mark.parametrize(
    ("shell", "words", "place"),
    [("bash", "COMP_WORDS", "2"), ("zsh", "COMP_WORDS", "2"), ("fish", "COMP_WORDS", "lmf-me")],
)
@pytest.mark.parametrize(
    "command", ["show", "fetch", "benchmark", "evaluate", "export", "train", "robustness"]
)
def test_the_shell_completes_an_entrys_name(shell: str, words: str, place: str, command: str) -> None:
    variables = {
        "_KERAS_LMF_COMPLETE": f"{shell}_complete",
        words: f"keras-lmf {command} lmf-me",
        "COMP_CWORD": place,
    }
    done = CliRunner().invoke(main, [], prog_name="keras-lmf", env=variables)
    assert "lmf-media-av" in done.stdout
    assert "lmf-mosi-av" not in done.stdout


def completed(*words: str) -> str:
    variables = {
        "_KERAS_LMF_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    return CliRunner().invoke(main, [], prog_name="keras-lmf", env=variables).stdout


def test_the_shell_completes_commands_options_and_files() -> None:
    assert completed("keras-lmf", "ex").splitlines() == ["plain,extract", "plain,explain", "plain,export"]
    assert "plain,--max-mb" in completed("keras-lmf", "list", "--max").splitlines()
    assert "plain,lmf-media-av" in completed("keras-lmf", "predict", "--model", "lmf-").splitlines()
    assert completed("keras-lmf", "predict", "cli") == completed("keras-lmf", "show", "./cli").replace(
        "./", ""
    )
