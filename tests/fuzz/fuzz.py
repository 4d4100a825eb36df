"""Fuzzes one reader of files with Atheris (the extra "fuzz"), or each after the other.

    python tests/fuzz/fuzz.py pickle --minutes 10
    python tests/fuzz/fuzz.py all --minutes 10 --record

It starts from the seeds in targets.py and the inputs in corpus/, and tells how many inputs were tried. What makes a
reader fail stands in `crash-…` in the folder where you started. `--record` writes the numbers to
benchmarks/results/attacks.csv, from which docs/security.md is written; `--keep N` puts the N smallest new inputs into
corpus/.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "attacks"), str(TESTS / "fuzz")]


def run_here(name: str, folder: str, options: list[str]) -> None:
    """Fuzzes in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["keras_lmf"]):
        import targets

    target = targets.TARGETS[name]
    for content in target.seeds():
        Path(folder, hashlib.sha1(content).hexdigest()).write_bytes(content)

    def one(content: bytes) -> None:
        targets.tried(target, content)

    atheris.Setup(["fuzz", f"-max_len={target.longest}", *options, folder], one)
    atheris.Fuzz()


def fuzz(name: str, minutes: float, keep: int) -> tuple[int, bool]:
    """How many inputs were tried, and whether one made the reader fail."""
    with tempfile.TemporaryDirectory() as folder:
        known = {path.read_bytes() for path in (TESTS / "fuzz" / "corpus" / name).glob("*")}
        for content in known:
            Path(folder, hashlib.sha1(content).hexdigest()).write_bytes(content)
        options = [
            f"-max_total_time={round(60 * minutes)}",
            "-print_final_stats=1",
            "-rss_limit_mb=4096",
            "-timeout=60",
        ]
        command = [sys.executable, __file__, name, "--in", folder, *options]
        ran = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        found = re.search(r"number_of_executed_units:\s*(\d+)", ran.stderr)
        if ran.returncode:
            print(ran.stderr[-4000:], file=sys.stderr)
        for path in sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_size)[: keep + len(known)]:
            if keep and path.stat().st_size <= 2048 and path.read_bytes() not in known:
                place = TESTS / "fuzz" / "corpus" / name / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    return int(found[1]) if found else 0, ran.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help='a name in targets.TARGETS, or "all"')
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--keep", type=int, default=0)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--in", dest="folder", help=argparse.SUPPRESS)
    arguments, options = parser.parse_known_args()
    if arguments.folder:
        run_here(arguments.name, arguments.folder, options)
    import figures
    import targets

    names = list(targets.TARGETS) if arguments.name == "all" else [arguments.name]
    failed = 0
    for name in names:
        tried, found = fuzz(name, arguments.minutes, arguments.keep)
        failed += found
        print(f"{name}: {tried} inputs, {'one made it fail' if found else 'none made it fail'}", flush=True)
        if arguments.record:
            figures.record(f"fuzzed {name}", tried, int(found), f"python tests/fuzz/fuzz.py {name}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
