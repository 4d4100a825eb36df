"""Where entries are: in the package, in the cache, on a mirror, or in a folder of the user's."""

from __future__ import annotations

import os
import re
from pathlib import Path

from keras_lmf import files
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.zoo.entry import ENTRY

HOME, MIRROR, OFFLINE = files.HOME, "KERAS_LMF_ZOO_URL", "KERAS_LMF_OFFLINE"
PACKAGE = Path(__file__).parents[1]
BACKBONE = "backbone.json"  # instead of an entry.json
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def bundled_folder() -> Path | None:
    """The entries that come with the package: `keras_lmf/_zoo` in a wheel, `zoo` beside it in a clone."""
    if (PACKAGE / "_zoo").is_dir():
        return PACKAGE / "_zoo"
    clone = PACKAGE.parent
    # In an installed wheel the folder above is site-packages, where a `zoo` is someone else's.
    if (clone / "pyproject.toml").is_file() and (clone / "zoo").is_dir():
        return clone / "zoo"
    return None


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Where fetched entries go: `cache_dir`, else KERAS_LMF_HOME/zoo, else the user's cache folder."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    return files.cache_folder("zoo")


def mirror() -> str | None:
    """KERAS_LMF_ZOO_URL with a slash at its end, or None when it is empty."""
    address = os.environ.get(MIRROR, "").strip()
    if not address:
        return None
    if not address.startswith(("http://", "https://")):
        raise LMFError(
            f"{MIRROR} is {address!r}; it takes an address that begins with http:// or https://. "
            f"A folder on this machine needs no mirror: give its path instead of a name."
        )
    return address.rstrip("/") + "/"


def offline() -> bool:
    """Whether KERAS_LMF_OFFLINE forbids the network."""
    return os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no")


def entry_folders(folder: Path | None) -> dict[str, Path]:
    """Name → folder of every entry in `folder`, by name."""
    if folder is None or not folder.is_dir():
        return {}
    found = (path for path in sorted(folder.iterdir()) if (path / ENTRY).is_file())
    return {path.name: path for path in found}


def known_entries(cache_dir: str | Path | None = None) -> dict[str, Path]:
    """Name → folder of every entry that can be read without the network; a bundled one comes before a cached one."""
    known = entry_folders(cache_folder(cache_dir)) | entry_folders(bundled_folder())
    return dict(sorted(known.items()))


def local_path(source: str | Path) -> Path | None:
    """The path that `source` means, or None when it is the name of an entry.

    A bundled name always means the bundled entry; another word means the file or folder of that name where there
    is one, and an entry of the cache or the mirror where there is none.
    """
    if isinstance(source, Path):
        return source
    if not isinstance(source, str):
        raise LMFError(f"Received a {type(source).__name__}; give the name of a zoo entry, or a path.")
    if "://" in source:
        raise LMFError(
            f"{source!r} is an address. Give the name of a zoo entry; the address of a mirror goes into {MIRROR}."
        )
    is_name = _NAME.fullmatch(source) is not None
    if is_name and source in entry_folders(bundled_folder()):
        return None
    if source and Path(source).exists():
        return Path(source)
    if is_name:
        return None
    raise LMFError(
        f"There is no file or folder {source!r} (in {str(Path.cwd())!r}), and the name of a zoo entry has only "
        f"letters, digits, '-' and '_'. 'keras-lmf list' shows them: {', '.join(known_entries()) or 'none'}."
    )


def known_backbones() -> dict[str, Path]:
    """Name → folder of the backbones that come with the package."""
    bundled = bundled_folder()
    found = [] if bundled is None else (path.parent for path in sorted(bundled.glob(f"*/{BACKBONE}")))
    return {folder.name: folder for folder in found}


def unknown(name: str, hint: str, cache_dir: str | Path | None = None) -> LMFError:
    """The error for a name that is no entry's."""
    if name in known_backbones():
        return LMFError(
            f"{name!r} is a backbone, no model by itself: recipes start from it ('keras-lmf show {name}')."
        )
    return unknown_name("zoo entry", name, known_entries(cache_dir), f"{hint} 'keras-lmf list' shows them.")
