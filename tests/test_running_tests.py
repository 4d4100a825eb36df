"""The settings of pytest: a run goes on after a crash or a hang, and reports both."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CRASH = """
import os, signal, pytest

@pytest.mark.parametrize("i", range(4))
def test_before(i): pass

def test_that_crashes():
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.parametrize("i", range(4))
def test_after(i): pass
"""
HANG = """
import ctypes, subprocess, sys, time, pytest

def test_that_sleeps():
    time.sleep(600)

def test_that_waits():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

def test_that_waits_in_native_code():
    # A lock taken twice: no signal handler of Python's ever runs.
    lock = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(lock)

@pytest.mark.parametrize("i", range(4))
def test_after(i): pass
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a lock of Linux")
def test_a_crash_and_a_hang_end_in_a_failure_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "test_crash.py").write_text(CRASH)
    (tmp_path / "test_hang.py").write_text(HANG)
    settings = Path(__file__).parents[1] / "pyproject.toml"
    shorter = ["--timeout=3", "-o", "faulthandler_timeout=6"]
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            settings,
            "--rootdir",
            tmp_path,
            "-n",
            "2",
            *shorter,
            tmp_path,
        ],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 1, ran.stdout
    failed = re.findall(r"^FAILED .*::(\w+)", ran.stdout, flags=re.MULTILINE)
    assert sorted(failed) == [
        "test_that_crashes",
        "test_that_sleeps",
        "test_that_waits",
        "test_that_waits_in_native_code",
    ]
    assert "12 passed" in ran.stdout
