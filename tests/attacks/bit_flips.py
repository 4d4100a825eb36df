"""Files that ship, with one bit flipped: each is refused, or answers as before.

`python tests/attacks/bit_flips.py 1000` flips so many bits of each file in `zoo` that answers are made of, one at a
time, prints what came of it, and writes the figures to benchmarks/results. With the path of a .tflite file too, of that
file without its sidecar.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import figures
import numpy as np

from keras_lmf.errors import LMFError
from keras_lmf.locate import RECIPE
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar
from keras_lmf.zoo import Entry, fetching

ZOO = Path(__file__).parents[2] / "zoo"


def answer(file: Path) -> str:
    """What a .tflite file and its sidecar say of drawn rows: numbers, and what they mean."""
    runtime = open_artifact(file)
    draw = np.random.default_rng(0)
    rows = {
        name: draw.standard_normal((2, *info.shape)).astype("f4") for name, info in runtime.inputs.items()
    }
    outputs = {name: values.tolist() for name, values in runtime.predict(rows).items()}
    return json.dumps(outputs) + Sidecar.read(file).spec.model_dump_json()


def outcomes(file: Path, look: Callable[[], str], count: int) -> Counter[str]:
    """How often a flipped bit of `file` was refused, changed nothing that `look` gives, or was SILENT or FOREIGN.

    The file is as before in the end.
    """
    found: Counter[str] = Counter()
    before, bits = look(), random.Random(0)
    with file.open("r+b", buffering=0) as stream:
        for bit in (bits.randrange(8 * file.stat().st_size) for _ in range(count)):
            stream.seek(bit // 8)
            (byte,) = stream.read(1)
            stream.seek(bit // 8)
            stream.write(bytes([byte ^ 1 << bit % 8]))
            try:
                found["same" if look() == before else "SILENT"] += 1
            except LMFError:
                found["refused"] += 1
            except Exception as error:
                found[f"FOREIGN {type(error).__name__}"] += 1
            stream.seek(bit // 8)
            stream.write(bytes([byte]))
    assert look() == before
    return found


def files_of(entry: Path) -> Iterator[tuple[Path, Callable[[], str]]]:
    """The files of an entry's folder that answers are made of, each with what is made of it."""
    record = Entry.read(entry)
    there = fetching.EntryFiles(record, entry, None)
    for file in sorted(entry.glob("*.tflite")):
        yield file, lambda file=file: answer(file)
        yield Sidecar.path_of(file), lambda file=file: answer(file)
    for key in ("weights", "testvectors"):
        yield entry / record.files[key].name, lambda key=key: str(fetching.file(there, key))
    yield entry / RECIPE, lambda: fetching.recipe(there).model_dump_json()


def flipped(zoo: Path, count: int) -> dict[str, Counter[str]]:
    """`outcomes` of `count` flips of each file, by its kind: "model.tflite", "recipe.toml"."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(zoo, Path(scratch, "zoo")))
        for entry in sorted(path.parent for path in copy.glob("*/entry.json")):
            for file, look in files_of(entry):
                found.setdefault(file.name, Counter()).update(outcomes(file, look, count) | {"files": 1})
    return found


def alone(file: Path, count: int) -> Counter[str]:
    """What is made of a .tflite file without its sidecar: "refused", "opened", "FOREIGN", or "crashed" in LiteRT.

    Each flip is looked at by a process of its own: nothing tells the damage before LiteRT reads it.
    """
    import ai_edge_litert.interpreter  # noqa: F401  once, before the processes part

    found: Counter[str] = Counter()
    words = {0: "opened", 3: "refused", 4: "FOREIGN"}
    with tempfile.TemporaryDirectory() as scratch:
        copy, bits = Path(shutil.copy(file, scratch)), random.Random(0)
        content = copy.read_bytes()
        for bit in (bits.randrange(8 * len(content)) for _ in range(count)):
            changed = bytearray(content)
            changed[bit // 8] ^= 1 << bit % 8
            copy.write_bytes(changed)
            if (child := os.fork()) == 0:
                try:
                    open_artifact(copy)
                    os._exit(0)
                except LMFError:
                    os._exit(3)
                except BaseException:
                    os._exit(4)
            found[words.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "crashed")] += 1
    return found


def main(count: str = "1000", file: str | None = None) -> int:
    if file is not None:
        print(json.dumps(alone(Path(file), int(count))))
        return 0
    found = flipped(ZOO, int(count))
    total = sum(found.values(), Counter())
    wrong = total.total() - sum(total[kind] for kind in ("files", "refused", "same"))
    flips = total.total() - total["files"]
    command = f"python tests/attacks/bit_flips.py {count}"
    figures.record("bits flipped in files of the zoo", flips, wrong, command)
    for name, row in [*sorted(found.items()), ("all", total)]:
        print(name, dict(row), flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
