"""What lies in a corpus's folder: files, and what .zip archives in it hold."""

from __future__ import annotations

import os
import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_lmf.errors import LMFError
from keras_lmf.files import DAMAGED_ZIP

MAX_MEMBERS = 1_000_000  # of an archive
_LEFT_OUT = ("__MACOSX",)  # what one system's archives hold beside their content


@dataclass(frozen=True, slots=True)
class Found:
    """A file.

    Attributes:
        name: path within the corpus's folder; in an archive, its name without suffix is a folder.
        path: the file, or the .zip that holds it.
        member: its name within the .zip; None: `path` is the file.
        bytes: its size.
    """

    name: str
    path: str
    member: str | None
    bytes: int


def files(folder: Path) -> list[Found]:
    """All files under `folder` by their names, then those in archives.

    Hidden ones are left out. Links are followed; a folder that was there already isn't walked through again.

    Raises:
        LMFError: an archive that is damaged, encrypted or holds a path that leads out of it.
    """
    found = [one for path, name, size in _walk(folder) for one in _listed(path, name, size)]
    return sorted(found, key=lambda one: (one.member is not None, one.name, one.path))


def _walk(folder: Path) -> Iterator[tuple[str, str, int]]:
    left, seen = [(str(folder), "")], set()
    while left:
        place, prefix = left.pop()
        if (real := os.path.realpath(place)) in seen:
            continue
        seen.add(real)
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _LEFT_OUT:
                    continue
                if entry.is_dir():
                    left.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.is_file():
                    yield entry.path, f"{prefix}{entry.name}", entry.stat().st_size


def _listed(path: str, name: str, size: int) -> Iterator[Found]:
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() != ".zip":
        yield Found(name, path, None, size)
        return
    for member in members(path):
        if not any(part.startswith(".") or part in _LEFT_OUT for part in member.filename.split("/")):
            yield Found(f"{stem}/{member.filename}", path, member.filename, member.file_size)


def members(path: str) -> list[zipfile.ZipInfo]:
    """The files that an archive holds; errors as of `files`."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [member for member in archive.infolist() if not member.is_dir()]
    except DAMAGED_ZIP as error:
        raise LMFError(f"{path}: not a whole .zip archive ({error}). Download it again.") from None
    if len(found) > MAX_MEMBERS:
        raise LMFError(f"{path}: it holds {len(found):,} files, more than {MAX_MEMBERS:,}.")
    for member in found:
        parts = member.filename.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise LMFError(f"{path}: {member.filename!r} would lie outside of the archive's folder.")
        if member.flag_bits & 1:
            raise LMFError(
                f"{path} is encrypted. Unpack it with its password, and move the archive elsewhere."
            )
    return found


def content(found: Found, most: int) -> bytes:
    """The bytes of a file, in an archive or not.

    Raises:
        LMFError: more than `most` bytes, or it can't be read.
    """
    where = found.path if found.member is None else f"{found.path}, {found.member}"
    try:
        if found.member is None:
            with open(found.path, "rb") as stream:
                read = stream.read(most + 1)
        else:
            with zipfile.ZipFile(found.path) as archive, archive.open(found.member) as stream:
                read = stream.read(most + 1)
    except DAMAGED_ZIP as error:
        raise LMFError(f"{where}: it can't be read ({error}). Copy it again.") from None
    if len(read) > most:
        raise LMFError(f"{where}: more than {most:,} bytes.")
    return read
