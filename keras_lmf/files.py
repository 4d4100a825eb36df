"""Files appear under their final name whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import lzma
import os
import platform
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from platformdirs import user_cache_path

from keras_lmf.errors import LMFError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HOME = "KERAS_LMF_HOME"
PARTIAL, LOCK = ".partial-", ".lock"
# What zipfile raises of an archive that is damaged, encrypted or packed in a way that it doesn't know.
DAMAGED_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError),
    *(EOFError, ValueError, OSError),
)


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file in `path`'s folder, sync it to disk and rename it to `path`.

    The temporary name keeps the suffix of `path` (some writers choose the format by it). When `write` fails,
    the temporary file is removed and `path` stays as it was.

    Raises:
        LMFError: the system can't write it (a full disk, no right to): it names `path`.
    """
    path = Path(path)
    temporary = None
    try:
        temporary = _temporary(path)
        write(temporary)
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:  # the system's; without a number it is another's
            raise unwritable(path, error) from error
        raise
    return path


def _temporary(path: Path) -> Path:
    """A new file in `path`'s folder, which is made where it isn't there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # ".weights.h5" is one suffix to Keras: keep everything after the first dot.
    handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    return Path(name)


def unwritable(path: Path, error: OSError) -> LMFError:
    """The error for a file that could not be written, whatever temporary name the system's own error tells."""
    return LMFError(f"{path} can't be written: {os.strerror(error.errno) if error.errno else error}.")


def require_writable(path: Path) -> None:
    """An LMFError unless a file can be made under `path`: asked before the work whose result goes there."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _temporary(path).unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def require_content(path: Path) -> Path:
    """`path`, an LMFError unless it is a file with something in it."""
    if not path.is_file():
        raise LMFError(f"{path}: {'a folder, not a file' if path.is_dir() else 'no such file'}.")
    if not path.stat().st_size:
        raise LMFError(f"{path}: the file is empty (0 bytes). Copy or write it again.")
    return path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `folder`, made where it isn't there; an LMFError where another process does, or nothing can be written.

    The system lets go of it when the process ends, however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise unwritable(folder / LOCK, error) from error
    with open(handle, "r+", encoding="utf-8") as stream:
        try:
            if sys.platform == "win32":
                os.lseek(handle, 2**20, os.SEEK_SET)  # beyond the text, as what is locked can't be read there
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
                os.lseek(handle, 0, os.SEEK_SET)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = stream.read(100) or "another process"
            raise LMFError(f"{folder} is in use by {holder}. Wait, or name another folder.") from None
        except OSError:
            pass  # a file system without locks
        if not _is_at(handle, folder / LOCK):
            raise LMFError(f"{folder} was in use by a process that has just ended. Try again.")
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {platform.node()}")
        stream.flush()
        yield


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is the one at `path`: a lock may be removed by its holder, and is none from then on."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


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
    return sum(part.stat().st_size for part in _files(path))


def compressed_size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder, each as DEFLATE packs it: what an app's package takes."""
    return sum(len(zlib.compress(part.read_bytes())) for part in _files(path))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file; of a folder, that of the lines "<sha256>  <relative path>", sorted by path."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(part.relative_to(path).as_posix() for part in path.rglob("*") if part.is_file())
    lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()
