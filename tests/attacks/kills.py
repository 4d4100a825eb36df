"""Kills a download or a training many times, at moments drawn by chance, and says what was left of it.

    python tests/attacks/kills.py download 200
    KERAS_BACKEND=jax python tests/attacks/kills.py training 50

After every kill of a download each file under its final name has the right hash, and the next one completes the entry.
A training that was killed ends with the same bytes in weights, optimizer and history as one that was left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import figures  # noqa: E402
from one_framework import keep_apart  # noqa: E402

FETCH = """
import sys
import pooch, requests
from keras_lmf.zoo import fetch
print("imported", flush=True)
fetch({name!r}, cache_dir=sys.argv[1])
"""


def downloads(kills: int, chance: random.Random) -> dict[str, int]:
    """An entry of 1.7 MB from a mirror on this machine that sends it within about half a second."""
    from zoo_entry import NAME, Mirror, make_entry, serving

    from keras_lmf.zoo import fetch

    counts = dict.fromkeys(("kills", "with a part left", "wrong files", "completed afterwards"), 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "zoo", NAME)
        entry = make_entry(folder)
        with serving(folder.parent) as server:
            slow = threading.Event()

            def slowly(request) -> None:
                time.sleep(0.1 * slow.is_set())
                with contextlib.suppress(OSError):  # who asked is dead
                    Mirror.answer(server, request)

            server.answer = slowly
            os.environ |= {"KERAS_LMF_ZOO_URL": server.url, "NO_PROXY": "127.0.0.1"}
            while counts["kills"] < kills:
                cache = Path(tempfile.mkdtemp(dir=scratch))
                slow.set()
                process = subprocess.Popen(
                    [sys.executable, "-c", FETCH.format(name=NAME), cache], stdout=subprocess.PIPE
                )
                process.stdout.readline()
                time.sleep(chance.uniform(0, 0.7))
                process.kill()
                if process.wait() != -signal.SIGKILL:
                    continue  # it was faster
                counts["kills"] += 1
                counts["wrong files"] += wrong(cache / NAME, entry)
                counts["with a part left"] += any((cache / NAME).glob(".partial-*"))
                slow.clear()
                fetch(NAME, cache_dir=cache)
                present = all((cache / NAME / file.name).is_file() for file in entry.files.values())
                counts["completed afterwards"] += present and not wrong(cache / NAME, entry)
    return counts


def wrong(folder: Path, entry) -> int:
    """How many files under a final name are not what the entry says."""
    records = {file.name: file for file in entry.files.values()}
    found = 0
    for path in folder.glob("[!.]*"):
        if path.name in records:
            found += records[path.name].problem(path) is not None
        elif path.name == "entry.json":
            found += type(entry).read(folder) != entry
    return found


def told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counts.items())


def trainings(kills: int, chance: random.Random) -> dict[str, int]:
    """Of the run of resume_worker.py: ten epochs with everything random switched on."""
    from test_resume import assert_identical, finish, optimizer, start, weights

    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    counts = dict.fromkeys(
        ("kills", "in imports or a step", "after an epoch", "within a write", "runs", "different"), 0
    )
    with tempfile.TemporaryDirectory() as scratch:
        alone = Path(scratch, "alone")
        finish(start(backend, alone))
        while counts["kills"] < kills:
            folder = Path(scratch, f"killed{counts['runs']}")
            for _ in range(min(chance.randint(3, 6), kills - counts["kills"])):
                kind = chance.choice(
                    ["in imports or a step", "after an epoch", "after an epoch", "within a write"]
                )
                if kind == "within a write":
                    process = start(backend, folder, "--die-at-write", chance.randint(1, 12))
                else:
                    process = start(backend, folder)
                    if kind == "after an epoch":
                        for _ in range(chance.randint(1, 4)):
                            process.stdout.readline()
                    time.sleep(chance.uniform(0, 4.0 if kind == "in imports or a step" else 0.3))
                    process.kill()
                process.communicate()
                if process.returncode == -signal.SIGKILL:
                    counts["kills"] += 1
                    counts[kind] += 1
            finish(start(backend, folder))
            counts["runs"] += 1
            try:
                assert_identical(weights(folder), weights(alone))
                assert_identical(optimizer(folder), optimizer(alone))
                assert (folder / "history.csv").read_bytes() == (alone / "history.csv").read_bytes()
                assert not list(folder.glob(".partial-*"))
            except AssertionError as error:
                counts["different"] += 1
                print(folder, error)
            print(told(counts), flush=True)
    return counts


if __name__ == "__main__":
    keep_apart()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["download", "training"])
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write the figures to benchmarks/results")
    arguments = parser.parse_args()
    count = {"download": downloads, "training": trainings}[arguments.what]
    found = count(arguments.kills, random.Random(arguments.seed))
    print(told(found))
    if arguments.record:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        attack = (
            "kills of a download" if arguments.what == "download" else f"kills of a training on {backend}"
        )
        command = f"python tests/attacks/kills.py {arguments.what} {arguments.kills} --record"
        figures.record(attack, found["kills"], found.get("wrong files", found.get("different")), command)
    sys.exit(bool(found.get("wrong files") or found.get("different")))
