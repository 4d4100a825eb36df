"""Files appear under their final name whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

HOME = "KERAS_LMF_HOME"
PARTIAL = ".partial-"


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file in `path`'s folder, sync it to disk and rename it to `path`.

    The temporary name keeps the suffix of `path` (some writers choose the format by it). When `write` fails,
    the temporary file is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # ".weights.h5" is one suffix to Keras: keep everything after the first dot.
    handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`; nobody else may be writing there."""
    for path in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def cache_folder(part: str) -> Path:
    """Where what can be made or fetched again is kept: KERAS_LMF_HOME/part, else in the user's cache folder."""
    if home := os.environ.get(HOME):
        return Path(home).expanduser() / part
    return user_cache_path("keras-lmf", appauthor=False) / part


def write_text(path: Path, text: str) -> Path:
    """`text` as UTF-8 under `path`, atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return sum(part.stat().st_size for part in files)


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file; of a folder, that of the lines "<sha256>  <relative path>", sorted by path."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file())
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()
