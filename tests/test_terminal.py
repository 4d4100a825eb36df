"""The command line as people look at it: widths, help, completion, and what libraries write while they start."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import keras_lmf as klmf
from keras_lmf.cli import GROUPS, main, tables
from keras_lmf.cli.answers import short_names
from keras_lmf.cli.tables import Column, fitted
from keras_lmf.locate import known_entries
from keras_lmf.records import Licences
from keras_lmf.zoo import Entry, description

ZOO = Path(__file__).parents[1] / "zoo"
NAMES = {name for commands in GROUPS.values() for name in commands}
NOISE = (
    "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1796078327.980947   25355 cpu_feature_guard.cc:227] This TensorFlow binary is optimized",
    "2026-11-30 22:34:56.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
)
ERRORS = (
    "E0000 00:00:1796078327.980947   25355 device.cc:227] no such device",
    "ERROR: Didn't find op for builtin opcode",
    "terminate called after throwing an instance of 'std::bad_alloc'",
)


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


# -- the zoo's facts -----------------------------------------------------------------------------------------
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


# -- noise ---------------------------------------------------------------------------------------------------
def stderr_of(code: str, path: Path | None = None, **variables: str) -> list[str]:
    environment = os.environ | variables
    if path:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), environment.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    return done.stderr.splitlines()


WRITES = f"import os\nfor line in {[*NOISE, *ERRORS]}:\n    os.write(2, (line + chr(10)).encode())\n"


@pytest.mark.parametrize("verbose", ["", "0", "1"])
def test_a_log_is_held_back_and_errors_are_told(verbose: str) -> None:
    code = f"from keras_lmf.noise import held_back\nwith held_back():\n    exec({WRITES!r})\nprint(1 / 0)"
    told = stderr_of(code, KERAS_LMF_VERBOSE=verbose)
    assert told[-1].startswith("ZeroDivisionError")
    assert [line for line in told if line in (*NOISE, *ERRORS)] == [
        *(NOISE if verbose == "1" else ()),
        *ERRORS,
    ]


def test_two_threads_leave_standard_error_as_it_was() -> None:
    # The first goes out while the second is still within.
    code = (
        "import os, threading\n"
        "from keras_lmf.noise import held_back\n"
        "inside, out = threading.Event(), threading.Event()\n"
        "def second():\n"
        "    with held_back():\n"
        "        inside.set(); out.wait()\n"
        "with held_back():\n"
        "    thread = threading.Thread(target=second); thread.start(); inside.wait()\n"
        "out.set(); thread.join()\n"
        "os.write(2, b'told')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "told"


def test_an_error_within_is_told_after_what_was_written() -> None:
    code = f"from keras_lmf.noise import held_back\nwith held_back():\n    exec({WRITES!r})\n    print(1 / 0)"
    told = stderr_of(code)
    assert tuple(told[: len(ERRORS)]) == ERRORS
    assert told[-1].startswith("ZeroDivisionError")


@pytest.mark.parametrize("verbose", ["", "1"])
def test_a_framework_starts_without_its_log(tmp_path: Path, verbose: str) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text(f"{WRITES}\nfrom jax import more\nNUMBER = more.NUMBER\n")
    (tmp_path / "jax" / "more.py").write_text("NUMBER = 7\n")
    code = (
        "import contextlib, sys\nfrom keras_lmf.noise import quiet_starts\n"
        "told = []\n"
        "def around(name):\n    told.append(name)\n    return contextlib.nullcontext()\n"
        "quiet_starts(around); quiet_starts(around)\n"
        "import jax\n"
        "print(told, jax.NUMBER, file=sys.stderr)\n"
    )
    noise = NOISE if verbose else ()
    assert stderr_of(code, tmp_path, KERAS_LMF_VERBOSE=verbose) == [*noise, *ERRORS, "['jax'] 7"]


def test_a_missing_framework_is_missing() -> None:
    code = (
        "import sys\nfrom keras_lmf import noise\nfrom keras_lmf.cli.progress import starting\n"
        "noise.LIBRARIES += ('no_such_framework',)\nnoise.quiet_starts(starting)\nimport no_such_framework\n"
    )
    assert stderr_of(code)[-1] == "ModuleNotFoundError: No module named 'no_such_framework'"


@pytest.mark.slow
def test_tensorflow_says_nothing_in_ordinary_use(tmp_path: Path) -> None:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-m", "keras_lmf", "evaluate", "lmf-synthetic-av", "--resamples", "0", "--json"],
        cwd=tmp_path,
        env=variables | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ZOO.parent)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
