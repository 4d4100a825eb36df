"""fetch: the files of an entry, each with the right sha256, from the package, the cache or the mirror."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from keras_lmf import locate
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import PARTIAL, require_writable, unwritable, write_atomically
from keras_lmf.locate import ENTRY, RECIPE
from keras_lmf.recipe import Recipe
from keras_lmf.spec import MAX_TEXT_BYTES
from keras_lmf.zoo.downloading import Downloader, Missing, Quiet, Stop
from keras_lmf.zoo.entry import Entry

RETRIES = 2
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class EntryFiles:
    """An entry and where its files are.

    Attributes:
        entry: what entry.json says.
        folder: holds entry.json, recipe.toml and some or all files.
        cache: where the files that `folder` lacks are downloaded to; None for a user's own folder.
    """

    entry: Entry
    folder: Path
    cache: Path | None


def fetch(
    name: str | Path, files: Iterable[str] | None = None, cache_dir: str | Path | None = None
) -> dict[str, Path]:
    """The files of an entry on this machine, downloaded where needed; each has the sha256 that the entry tells.

    A bundled copy comes first, then the cache, then the mirror at KERAS_LMF_ZOO_URL (any web server on a folder of
    entries: `python -m http.server` in `zoo/`). An entry that is not bundled is looked up on the mirror by its
    name, as `<address>/<name>/entry.json`, and then stays as it was fetched until its folder in the cache is
    deleted. KERAS_LMF_OFFLINE=1 forbids the network.

    The hashes of a bundled entry come with the package. Those of another come from the mirror: they show damage,
    not fraud, so set the address of a mirror that you trust. Whatever it sends, no code of it runs.

    Args:
        name: of an entry, or a folder that holds one, which must be complete.
        files: keys of `Entry.files`, for example ["weights", "tflite"]; None for all.
        cache_dir: instead of KERAS_LMF_HOME/zoo or the user's cache folder.

    Returns:
        Key → path.

    Raises:
        LMFError: unknown name or key; no mirror, offline, no answer or a wrong one; a file that is missing, cut
            off or has another sha256. No such file is ever left under its name.
    """
    if isinstance(files, str):
        raise LMFError(f"'files' takes a list of keys, received {files!r}. Write files=[{files!r}].")
    place = find(name, cache_dir)
    keys = list(place.entry.files if files is None else files)
    for key in keys:
        if key not in place.entry.files:
            raise unknown_name(f"file of the zoo entry {place.entry.name!r}:", key, place.entry.files)
    return {key: file(place, key) for key in keys}


def find(source: str | Path, cache_dir: str | Path | None = None) -> EntryFiles:
    """The entry of that name or in that folder; one that is only on the mirror has its description downloaded."""
    return files_of(locate.locate(source, "entry"), cache_dir)


def files_of(place: locate.Place, cache_dir: str | Path | None = None) -> EntryFiles:
    """The entry at a place that `locate` found."""
    if place.path is not None:
        return EntryFiles(Entry.read(place.path), place.path, None)
    name, cache = place.name, locate.cache_folder(cache_dir) / place.name
    folder = locate.folders_with(ENTRY, locate.bundled_folder()).get(name, cache)
    if not (folder / ENTRY).is_file():
        _fetch_description(name, cache, cache_dir)
    entry = Entry.read(folder)
    if entry.name != name:
        raise LMFError(f"{folder / ENTRY} is of the entry {entry.name!r}, not of {name!r}.")
    return EntryFiles(entry, folder, cache)


def recipe(place: EntryFiles) -> Recipe:
    """The entry's recipe, which must be the one it was trained with."""
    path = place.folder / RECIPE
    # entry.json comes first and recipe.toml second, so a killed fetch may have left the former alone.
    if not path.is_file() and place.cache is not None:
        _fetch_recipe(place.entry, place.cache)
    return read_recipe(path, place.entry)


def read_recipe(path: Path, entry: Entry) -> Recipe:
    """The recipe in `path`.

    Raises:
        LMFError: it is missing, larger than 1 MiB, no recipe, or not the one of `entry`.
    """
    found = Recipe.read(path)
    fingerprint = found.fingerprint
    if fingerprint != entry.recipe_sha256:
        raise LMFError(
            f"{path} is not the recipe of the zoo entry {entry.name!r} (written by keras-lmf "
            f"{entry.keras_lmf_version}): its fingerprint is {fingerprint}, {ENTRY} says {entry.recipe_sha256}."
        )
    return found


def file(place: EntryFiles, key: str) -> Path:
    """The path of one of the entry's files, downloaded where needed, with the right sha256."""
    record = place.entry.files[key]
    path = place.folder / record.name
    problem = record.problem(path)
    if problem is None:
        return path
    if place.cache is None:
        raise LMFError(f"{path} {problem}. Nothing was read from it.")
    cached = place.cache / record.name
    if record.problem(cached) is None:
        return cached

    def check(downloaded: Path) -> None:
        if wrong := record.problem(downloaded):
            raise LMFError(f"The downloaded file {wrong}.")

    why = f"{path} {problem}"
    _download(place.entry.name, record.name, place.cache, record.bytes, why, check, record.sha256)
    return cached


def _fetch_description(name: str, cache: Path, cache_dir: str | Path | None) -> None:
    """Download entry.json and recipe.toml of an entry that is not bundled."""
    if locate.offline():
        raise locate.unknown_entry(name, f"It may be on a mirror, but {locate.OFFLINE} is set.", cache_dir)
    if locate.mirror() is None:
        raise locate.unknown_entry(
            name, f"No mirror was asked, for its address, {locate.MIRROR}, is not set.", cache_dir
        )

    def check(path: Path) -> None:
        entry = Entry.parse(path.read_bytes(), f"{ENTRY} of {name!r} on the mirror")
        if entry.name != name:
            raise LMFError(f"The mirror has the entry {entry.name!r} under the name {name!r}.")

    try:
        _download(name, ENTRY, cache, MAX_TEXT_BYTES, f"{name!r} is no bundled entry", check)
    except _NotThere as error:
        raise locate.unknown_entry(name, str(error), cache_dir) from None
    _fetch_recipe(Entry.read(cache), cache)


def _fetch_recipe(entry: Entry, cache: Path) -> None:
    why = f"The recipe of {entry.name!r} is missing"
    _download(entry.name, RECIPE, cache, MAX_TEXT_BYTES, why, lambda path: read_recipe(path, entry))


class _NotThere(LMFError):
    """The mirror answered that it has no such file."""


def _download(
    entry: str,
    file: str,
    folder: Path,
    limit: int,
    why: str,
    check: Callable[[Path], object],
    sha256: str | None = None,
) -> None:
    """Download `<mirror>/<entry>/<file>` to a folder of this call's own, check it, and move it into `folder`.

    Args:
        limit: bytes that the file may have.
        why: it is needed; for the error when there is no network to use.
        check: raises where the downloaded file is not what it should be.
        sha256: checked by pooch, which tries again when another content arrives.
    """
    address = locate.mirror()
    if locate.offline():
        raise LMFError(f"{why}, and {locate.OFFLINE} forbids to download it.")
    if address is None:
        raise LMFError(f"{why}. To download it, set {locate.MIRROR} to the address of a mirror of the zoo.")
    import pooch  # takes a quarter of a second, which `table` needn't wait

    url = f"{address}{entry}/{file}"
    require_writable(folder / file)
    _remove_stale(folder)
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as scratch, Quiet(pooch.get_logger()):
        registry = {file: sha256 and f"sha256:{sha256}"}
        client = pooch.create(scratch, f"{address}{entry}/", registry=registry, retry_if_failed=RETRIES)
        try:
            downloaded = Path(client.fetch(file, downloader=Downloader(limit, file)))
        except Missing as error:
            raise _NotThere(f"The mirror has no {url} ({error}).") from None
        except OSError as error:  # as all of requests' are
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise unwritable(folder / file, error) from error
            hint = f"Is {locate.MIRROR} right, and the network there?"
            raise LMFError(f"Could not download {url}: {error}. {hint}") from error
        except (ValueError, Stop) as error:
            hint = (
                f"The mirror may have a newer version of {entry!r}: then delete {folder} and fetch it again."
            )
            raise LMFError(f"{url} is not the file that {ENTRY} describes: {error}. {hint}") from error
        check(downloaded)
        write_atomically(folder / file, lambda temporary: shutil.copyfile(downloaded, temporary))


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left; younger folders may belong to a download that goes on now."""
    for path in folder.glob(f"{PARTIAL}*"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            continue  # someone else was faster, or it is someone else's
