"""Logs of frameworks are held back, errors are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ZOO = Path(__file__).parents[1] / "zoo"
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
