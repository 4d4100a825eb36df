"""fetch against a mirror on the loopback that cuts off, lies, refuses, stalls, or isn't there."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from zoo_entry import EXTRA, NAME, Mirror

from keras_lmf import locate
from keras_lmf.errors import LMFError
from keras_lmf.zoo import Entry, downloading, fetch, fetching, load

FILES = {"weights": "model.weights.h5", "testvectors": "testvectors.npz", "extra": "extra.bin"}
FETCH = f"from keras_lmf.zoo import fetch\nprint(fetch({NAME!r})['extra'])"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")} if folder.exists() else set()


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_mirror_is_a_plain_web_server_on_the_folder(mirror: Mirror, home: Path, entry_folder: Path) -> None:
    paths = fetch(NAME)
    assert {key: path.name for key, path in paths.items()} == FILES
    for path in paths.values():
        assert path.parent == home / NAME
        assert digest(path) == digest(entry_folder / path.name)
        assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert left_in(home / NAME) == {*FILES.values(), "entry.json", "recipe.toml"}
    assert Entry.read(home / NAME) == Entry.read(entry_folder)
    asked = len(mirror.asked)
    assert asked == 5
    assert fetch(NAME) == paths
    assert len(mirror.asked) == asked  # nothing twice


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_only_what_is_asked_for_is_downloaded(mirror: Mirror, tmp_path: Path) -> None:
    assert list(fetch(NAME, files=["weights"], cache_dir=tmp_path / "mine")) == ["weights"]
    assert left_in(tmp_path / "mine" / NAME) == {"entry.json", "recipe.toml", "model.weights.h5"}
    with pytest.raises(LMFError, match=r"'extras'. Did you mean 'extra'"):
        fetch(NAME, files=["extras"])
    with pytest.raises(LMFError, match=r"Write files=\['extra'\]"):
        fetch(NAME, files="extra")


def test_a_bundled_copy_comes_first_and_lacking_files_from_the_mirror(
    mirror: Mirror, home: Path, made_entry: Path, tmp_path: Path
) -> None:
    bundled = Path(shutil.copytree(made_entry, tmp_path / "package" / "keras_lmf" / "_zoo" / NAME))
    (bundled / "extra.bin").unlink()
    paths = fetch(NAME)
    assert paths["weights"] == bundled / "model.weights.h5"
    assert paths["extra"] == home / NAME / "extra.bin"
    assert mirror.asked == [f"{NAME}/extra.bin"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("truncated", "IncompleteRead"),
        ("garbage", "does not match the known hash"),
        ("endless", "more bytes than the file may have"),
        (404, "The mirror has no http.*extra.bin .404"),
        (500, "500 Server Error"),
    ],
)
def test_a_bad_answer_is_an_error_and_leaves_nothing(
    mirror: Mirror, home: Path, fault: str | int, reason: str
) -> None:
    mirror.faults[f"{NAME}/extra.bin"] = [fault]
    with pytest.raises(LMFError, match=reason):
        fetch(NAME, files=["extra"])
    assert left_in(home / NAME) == {"entry.json", "recipe.toml"}
    assert fetch(NAME, files=["extra"])["extra"].stat().st_size == EXTRA


@pytest.mark.parametrize("file", ["entry.json", "recipe.toml"])
@pytest.mark.parametrize("fault", ["truncated", "garbage", "endless", 500])
def test_a_bad_description_is_an_error_and_leaves_nothing(
    mirror: Mirror, home: Path, file: str, fault: str | int
) -> None:
    mirror.faults[f"{NAME}/{file}"] = [fault]
    with pytest.raises(LMFError):
        load(NAME)
    assert file not in left_in(home / NAME)
    fetch(NAME)
    assert load(NAME).count_params() == Entry.read(home / NAME).parameters


def test_a_failure_that_passes_is_tried_again(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "RETRIES", 2)
    mirror.faults[f"{NAME}/extra.bin"] = [500, "truncated"]
    assert fetch(NAME, files=["extra"])["extra"].stat().st_size == EXTRA
    assert mirror.asked.count(f"{NAME}/extra.bin") == 3


def test_a_file_that_is_not_there_is_not_asked_for_again(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "RETRIES", 2)
    with pytest.raises(LMFError, match=r"Unknown zoo entry 'tiny-x'.*The mirror has no http.*404"):
        fetch("tiny-x")
    assert mirror.asked == ["tiny-x/entry.json"]


@pytest.mark.parametrize("fault", ["silent", "stall"])
def test_a_server_that_stops_talking_is_given_up(
    mirror: Mirror, home: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "TIMEOUT_SECONDS", 0.5)
    mirror.faults[f"{NAME}/extra.bin"] = [fault]
    with pytest.raises(LMFError, match="timed out"):
        fetch(NAME, files=["extra"])
    assert left_in(home / NAME) == {"entry.json", "recipe.toml"}


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    mirror: Mirror, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(NAME, files=["weights"])
    monkeypatch.setattr(fetching, "RETRIES", 2)
    monkeypatch.setattr(downloading, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(downloading, "SLOWEST", 1_000_000)
    mirror.faults[f"{NAME}/extra.bin"] = ["drip", "drip", "drip"]
    began = time.monotonic()
    with pytest.raises(LMFError, match=r"Could not download .*not there after 1 seconds"):
        fetch(NAME, files=["extra"])
    assert time.monotonic() - began < 10
    assert mirror.asked.count(f"{NAME}/extra.bin") == 1
    assert "extra.bin" not in left_in(home / NAME)


def test_a_body_that_is_too_large_is_not_asked_for_again(
    mirror: Mirror, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "RETRIES", 2)
    mirror.faults[f"{NAME}/extra.bin"] = ["endless", "endless", "endless"]
    with pytest.raises(LMFError, match="more bytes than the file may have"):
        fetch(NAME, files=["extra"])
    assert mirror.asked.count(f"{NAME}/extra.bin") == 1
    assert left_in(home / NAME) == {"entry.json", "recipe.toml"}


def test_without_network_what_was_fetched_still_works(
    mirror: Mirror, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(NAME, files=["weights", "testvectors"])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    monkeypatch.setenv(locate.MIRROR, address)
    assert fetch(NAME, files=["weights"])["weights"].is_file()
    with pytest.raises(LMFError, match=r"Could not download .*extra.bin.*refused.*KERAS_LMF_ZOO_URL"):
        fetch(NAME)
    monkeypatch.delenv(locate.MIRROR)
    with pytest.raises(LMFError, match=r"extra.bin is missing. To download it, set KERAS_LMF_ZOO_URL"):
        fetch(NAME)


def test_offline_asks_nobody(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(NAME, files=["weights"])
    asked = len(mirror.asked)
    monkeypatch.setenv(locate.OFFLINE, "1")
    assert fetch(NAME, files=["weights"])
    with pytest.raises(LMFError, match=r"testvectors.npz is missing, and KERAS_LMF_OFFLINE forbids"):
        fetch(NAME)
    with pytest.raises(LMFError, match=r"Unknown zoo entry 'tiny-sinthetic-av'. Did you mean '" + NAME):
        fetch("tiny-sinthetic-av")
    assert len(mirror.asked) == asked
    monkeypatch.setenv(locate.OFFLINE, "0")
    assert fetch(NAME)["extra"].is_file()


def test_a_damaged_copy_in_the_cache_is_replaced(mirror: Mirror) -> None:
    path = fetch(NAME, files=["extra"])["extra"]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fetch(NAME, files=["extra"])["extra"].read_bytes() == content


def test_a_damaged_file_in_a_folder_of_ones_own_is_refused(mirror: Mirror, entry_folder: Path) -> None:
    assert fetch(entry_folder)["extra"] == entry_folder / "extra.bin"
    (entry_folder / "extra.bin").write_bytes(bytes(EXTRA))
    with pytest.raises(LMFError, match=r"extra.bin has the sha256 .* Nothing was read"):
        fetch(str(entry_folder))
    (entry_folder / "extra.bin").write_bytes(b"short")
    with pytest.raises(LMFError, match=r"has 5 bytes instead of 200000"):
        fetch(str(entry_folder))
    assert mirror.asked == []


def test_two_processes_at_once(mirror: Mirror, home: Path, entry_folder: Path) -> None:
    mirror.faults[f"{NAME}/extra.bin"] = ["together", "together"]
    both = [start(FETCH), start(FETCH)]
    for process in both:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert Path(out.strip()) == home / NAME / "extra.bin"
    assert digest(home / NAME / "extra.bin") == digest(entry_folder / "extra.bin")
    assert left_in(home / NAME) == {*FILES.values(), "entry.json", "recipe.toml"}


def test_a_kill_in_the_middle_leaves_nothing_under_a_final_name(mirror: Mirror, home: Path) -> None:
    mirror.faults[f"{NAME}/extra.bin"] = ["stall"]
    process = start(FETCH)
    assert mirror.half_sent.wait(300), process.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = left_in(home / NAME)
    partial = {name for name in left if name.startswith(".partial-")}
    assert len(partial) == 1
    assert left - partial == {"entry.json", "recipe.toml", "model.weights.h5", "testvectors.npz"}
    # A later fetch completes the entry, and removes what the dead process left once that is old.
    old = time.time() - 2 * 24 * 3600
    os.utime(home / NAME / partial.pop(), (old, old))
    assert fetch(NAME)["extra"].stat().st_size == EXTRA
    assert left_in(home / NAME) == {*FILES.values(), "entry.json", "recipe.toml"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../tiny", "There is no file or folder"),
        ("/nowhere/tiny", "There is no file or folder"),
        ("a/../../b", "There is no file or folder"),
        ("", "There is no file or folder"),
        ("tiny\0", "There is no file or folder"),
        ("tiny%2f..", "There is no file or folder"),
        ("http://127.0.0.1/tiny", "is an address"),
        ("file:///etc/passwd", "is an address"),
        (3, "Received a int"),
    ],
)
def test_a_name_is_no_path_and_no_address(mirror: Mirror, name: str, reason: str) -> None:
    with pytest.raises(LMFError, match=reason):
        fetch(name)
    assert mirror.asked == []


def test_the_mirrors_address_is_checked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LMFError, match="No mirror was asked, for its address, KERAS_LMF_ZOO_URL, is not set"):
        fetch(NAME)
    monkeypatch.setenv(locate.MIRROR, "ftp://127.0.0.1/")
    with pytest.raises(LMFError, match="begins with http"):
        fetch(NAME)


def test_a_mirror_with_the_wrong_entry_under_a_name_is_refused(
    mirror: Mirror, home: Path, entry_folder: Path
) -> None:
    shutil.copytree(entry_folder, entry_folder.parent / "other")
    with pytest.raises(LMFError, match=f"has the entry '{NAME}' under the name 'other'"):
        fetch("other")
    assert left_in(home / "other") == set()
