"""The processes that benchmarks talk to: turns, failures, and an end in every case."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from keras_lmf.errors import LMFError

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from speed import processes


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Writes the module that a process is started with."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return lambda text: (tmp_path / "told.py").write_text(text)


def test_a_conversation_is_taken_in_turns(module):
    module(
        "import json, sys\nprint(json.dumps(sys.argv[1:]), flush=True)\n"
        "for line in sys.stdin:\n    print(json.dumps(2 * json.loads(line)), flush=True)\n"
    )
    with processes.conversation("This", "told", "word", 5) as ask:
        assert ask() == ["word", "5"]
        assert ask(21) == 42
        assert ask([1]) == [1, 1]


@pytest.mark.parametrize("when", ["at once", "when asked"])
def test_a_process_that_fails_is_told(module, when):
    module(
        f"import sys\nif {when == 'when asked'}:\n    print(1, flush=True)\n    sys.stdin.readline()\n"
        "sys.exit('no memory left')"
    )

    def talk():
        with processes.conversation("This", "told") as ask:
            ask()
            ask("again")

    with pytest.raises(LMFError, match="This could not be measured: no memory left"):
        talk()


def test_a_process_never_outlives_the_conversation(module):
    module("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)")
    with contextlib.suppress(KeyboardInterrupt), processes.conversation("This", "told") as ask:
        number = ask()
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
