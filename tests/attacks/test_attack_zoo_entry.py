"""A mirror that serves hostile descriptions: each is refused by name, nothing is written, nothing hangs."""

from __future__ import annotations

import json
import pickle
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from bombs import Bomb
from zoo_entry import NAME, Mirror

from keras_lmf.errors import LMFError
from keras_lmf.recipe import Recipe
from keras_lmf.zoo import Entry, fetch, file_records, load, read_testvectors, show


def edited(folder: Path, keys: list[str], value: object) -> bytes:
    """The text of entry.json with another value at `keys`."""
    fields = json.loads((folder / "entry.json").read_text())
    inner = fields
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "name",
    [
        "../model.weights.h5",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b.weights.h5",
        "a\\b.weights.h5",
        "C:x.weights.h5",
        ".hidden.weights.h5",
        "%2e%2e%2fx.weights.h5",
        "x\0.weights.h5",
        "x\n.weights.h5",
        "x?y.weights.h5",
        "a" * 200 + ".weights.h5",
        "entry.json",
        "recipe.toml",
        "Testvectors.npz",
        "model.weights.h5 ",
        "модель.weights.h5",
        None,
        7,
    ],
)
def test_a_file_name_that_is_more_than_a_name(mirror: Mirror, home: Path, entry_folder: Path, name) -> None:
    (entry_folder / "entry.json").write_bytes(edited(entry_folder, ["files", "weights", "name"], name))
    with pytest.raises(LMFError, match=r"entry\.json of '.*' on the mirror"):
        fetch(NAME)
    assert [path for path in home.parent.rglob("*") if path.is_file()] == []
    assert mirror.asked == [f"{NAME}/entry.json"]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["files", "weights", "bytes"], 10**15),
        (["files", "weights", "bytes"], 10**400),
        (["files", "weights", "bytes"], 0),
        (["files", "weights", "bytes"], -1),
        (["files", "weights", "bytes"], "1000"),
        (["files", "weights", "bytes"], 1000.0),
        (["files", "weights", "bytes"], True),
        (["files", "weights", "sha256"], "0" * 63),
        (["files", "weights", "sha256"], "G" * 64),
        (["files", "weights", "sha256"], None),
        (["files", "weights", "url"], "http://127.0.0.1/"),
        (["files", "../x"], {"name": "x", "sha256": "0" * 64, "bytes": 1}),
        (["files"], []),
        (["weights", 0], ["a", [2**62, 2**62]]),
        (["weights", 0], ["a", [-1]]),
        (["weights"], "x"),
        (["parameters"], 2**70),
        (["parameters"], 2**26 + 1),
        (["name"], "../x"),
        (["name"], "other"),
        (["recipe_sha256"], ""),
        (["summary"], "\x1b[2J"),
        (["summary"], "two\nlines"),
        (["summary"], "x" * 5000),
        (["target", "range"], [0, 1]),
        (["target", "classes"], ["one"]),
        (["metrics", "weights", "war", "value"], "0.5"),
        (["custom_objects"], {"f": "os.system"}),
        (["schema_version"], "1"),
        (["schema_version"], 99),
        (["environment"], "x"),
    ],
)
def test_a_field_that_is_not_what_it_should_be(
    mirror: Mirror, home: Path, entry_folder: Path, keys: list, value
) -> None:
    (entry_folder / "entry.json").write_bytes(edited(entry_folder, keys, value))
    with pytest.raises(LMFError):
        fetch(NAME)
    assert list(home.rglob("*.json")) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"entry"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"name": "a", "name": "b"}',
        b'{"parameters": ' + b"9" * 100_000 + b"}",
        b" " * (2**20 + 1),
        pickle.dumps({"name": NAME}),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_plain_json(mirror: Mirror, home: Path, entry_folder: Path, content: bytes) -> None:
    (entry_folder / "entry.json").write_bytes(content)
    began = time.process_time()
    with pytest.raises(LMFError):
        fetch(NAME)
    with pytest.raises(LMFError):
        Entry.read(entry_folder)
    assert time.process_time() - began < 5
    assert list(home.rglob("*.json")) == []


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
@pytest.mark.parametrize("field", [b'"value": 0.75', b'"python": "3.11"'])
def test_what_is_no_number(entry_folder: Path, number: bytes, field: bytes) -> None:
    path = entry_folder / "entry.json"
    content = path.read_bytes()
    assert field in content
    path.write_bytes(content.replace(field, field.partition(b":")[0] + b": " + number))
    with pytest.raises(LMFError, match="is not plain JSON"):
        Entry.read(entry_folder)


def test_a_recipe_of_the_mirrors_own_is_not_kept(mirror: Mirror, home: Path, entry_folder: Path) -> None:
    read = Recipe.read(entry_folder / "recipe.toml")
    read.replace(fusion={"units": 2**20}).write(entry_folder / "recipe.toml")
    with pytest.raises(LMFError, match="is not the recipe of the zoo entry"):
        load(NAME)
    (entry_folder / "recipe.toml").write_bytes(b"a = " + b"[" * 100_000)
    with pytest.raises(LMFError, match=r"recipe\.toml is not a readable TOML file"):
        load(NAME)
    assert list(home.rglob("*.toml")) == []


def own(folder: Path, **changes) -> None:
    """A recipe of the mirror's own, with its fingerprint in entry.json."""
    changed = Recipe.read(folder / "recipe.toml").replace(**changes)
    changed.write(folder / "recipe.toml")
    (folder / "entry.json").write_bytes(edited(folder, ["recipe_sha256"], changed.fingerprint))


WIDE, DEEP = {"name": "mlp", "units": [2**16]}, {"name": "mlp", "units": [2**13] * 32}


@pytest.mark.parametrize(
    "changes",
    [
        {"fusion": {"units": 2**20}},
        {"fusion": {"rank": 2**20}},
        {"inputs": {"audio": {"backbone": DEEP}}},
        {"inputs": {"audio": {"backbone": WIDE}}, "head": {"units": [2**16]}},
        {"head": {"units": [2**20, 2**20]}},
    ],
    ids=str,
)
def test_a_recipe_that_builds_more_than_the_entry_says(
    mirror: Mirror, home: Path, entry_folder: Path, changes: dict
) -> None:
    own(entry_folder, **changes)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(
        LMFError, match=rf"'{NAME}' builds \d+ weights or more|weights of '{NAME}'.* are not those"
    ):
        load(NAME)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
    assert time.process_time() - began < 10


def test_a_recipe_that_builds_no_model(mirror: Mirror, home: Path, entry_folder: Path) -> None:
    own(entry_folder, inputs={"audio": {"backbone": {"name": "lstm", "units": 1}}})
    with pytest.raises(LMFError, match=f"recipe of '{NAME}' builds no model: "):
        load(NAME)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rank = 2", f"rank = {2**28}"),
        ("rank = 2", f"rank = {2**20 + 1}"),
        ("rank = 2", "rank = " + "9" * 5000),
        ("rank = 2", "rank = 0x" + "f" * 5000),
        ("seed = 3", "seed = 0x" + "f" * 5000),
        ('name = "synthetic"', 'name = "synthetic"\noptions = {a = 0x' + "f" * 5000 + "}"),
        ("units = [\n    4,\n]", f"units = {[1] * 33}"),
    ],
    ids=lambda text: text[:30],
)
def test_a_recipe_of_too_large_numbers(entry_folder: Path, old: str, new: str) -> None:
    text = (entry_folder / "recipe.toml").read_text().replace("[corpus.options]\n", "")
    assert old in text
    (entry_folder / "recipe.toml").write_text(text.replace(old, new))
    with pytest.raises(LMFError, match=r"recipe\.toml"):
        load(entry_folder)


def test_a_recipe_of_too_many_inputs(entry_folder: Path) -> None:
    read = Recipe.read(entry_folder / "recipe.toml")
    many = {f"audio{number}": read.inputs["audio"].model_dump() for number in range(15)}
    with pytest.raises(LMFError, match="at most 16"):
        read.replace(inputs=many)


def test_a_redirect_does_not_lead_to_a_local_file(mirror: Mirror, home: Path, monkeypatch) -> None:
    def redirected(request) -> None:
        request.send_response(302)
        request.send_header("Location", f"file://{Path(__file__).resolve()}")
        request.end_headers()

    monkeypatch.setattr(mirror, "answer", redirected)
    with pytest.raises(LMFError, match="Could not download"):
        fetch(NAME)
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", ["pickle", "unpacks", "header", "key", "text", "rows"])
def test_test_vectors_that_are_no_arrays(entry_folder: Path, tmp_path: Path, kind: str) -> None:
    path, mark = entry_folder / "testvectors.npz", tmp_path / "ran"
    one = np.ones((1, 8), "float32")
    if kind == "pickle":
        bomb = np.empty(1, object)
        bomb[0] = Bomb(mark)
        np.savez(path, **{"input/audio": bomb})
    elif kind == "unpacks":  # 80 MiB of zeros in 80 kB
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("input/a.npy", "w") as file,
        ):
            for _ in range(80):
                file.write(bytes(2**20))
    elif kind == "header":  # a header that promises 4 EiB
        with zipfile.ZipFile(path, "w") as archive:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }\n"
            archive.writestr(
                "input/audio.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            )
    elif kind == "key":
        np.savez(path, **{"input/audio": one, "output/x": one, "../../x": one})
    elif kind == "text":
        np.savez(path, **{"input/audio": np.array(["a"]), "output/x": one})
    else:
        np.savez(path, **{"input/audio": one, "output/x": one[[0, 0]]})
    with pytest.raises(LMFError, match=r"testvectors\.npz"):
        read_testvectors(path)
    entry = Entry.read(entry_folder)
    records = file_records(entry_folder, {key: file.name for key, file in entry.files.items()})
    entry.model_copy(update={"files": records}).write(entry_folder)
    with pytest.raises(LMFError, match=r"testvectors\.npz"):
        load(entry_folder)
    assert not mark.exists()


def test_show_gives_a_terminal_no_commands(entry_folder: Path) -> None:
    # Class names are the corpus's own, so they are not limited to one alphabet.
    entry = Entry.read(entry_folder)
    target = entry.target.model_copy(update={"classes": ("calm", "\x1b]0;title\x07\u202e")})
    entry.model_copy(update={"target": target}).write(entry_folder)
    text = show(entry_folder)
    assert all(mark.isprintable() or mark == "\n" for mark in text)
    assert "calm" in text
