"""What a word means: a zoo entry, a run, a recipe, an exported file. Nothing else decides it.

Entries are in the package, in the cache, on a mirror, or in a folder of the user's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from keras_lmf import files
from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.spec import ENTRY_NAME

HOME, MIRROR, OFFLINE = files.HOME, "KERAS_LMF_ZOO_URL", "KERAS_LMF_OFFLINE"
ENTRY, BACKBONE, RECIPE, SAVED_MODEL = "entry.json", "backbone.json", "recipe.toml", "saved_model.pb"
WEIGHTS_SUFFIX = ".weights.h5"
# What trainings and `publish` write, in a run's folder or an entry's.
WEIGHTS, TESTVECTORS = f"model{WEIGHTS_SUFFIX}", "testvectors.npz"
PACKAGE = Path(__file__).parent

Kind = Literal["entry", "backbone", "run", "recipe", "weights", "saved_model", "tflite", "onnx"]
MEANINGS: dict[Kind, str] = {
    "entry": "the name or the folder of a zoo entry",
    "backbone": "the name or the folder of published weights of a backbone",
    "run": "the folder of a training run",
    "recipe": "a .toml recipe",
    "weights": f"a {WEIGHTS_SUFFIX} file",
    "saved_model": "the folder of a SavedModel",
    "tflite": "a .tflite file",
    "onnx": "an .onnx file",
}
EXPORTED: tuple[Kind, ...] = ("saved_model", "tflite", "onnx")  # what an export writes, and `runtime` runs
# A folder is what the first of these files in it says.
_FOLDERS: dict[str, Kind] = {ENTRY: "entry", BACKBONE: "backbone", RECIPE: "run", SAVED_MODEL: "saved_model"}
_SUFFIXES: dict[str, Kind] = {
    ".toml": "recipe",
    WEIGHTS_SUFFIX: "weights",
    ".tflite": "tflite",
    ".onnx": "onnx",
}


class Place(NamedTuple):
    """What a word means.

    Attributes:
        kind: a key of `MEANINGS`.
        name: the word, as messages give it back.
        path: the file or folder; None: an entry by its name, which may be in the package, the cache or on a mirror.
    """

    kind: Kind
    name: str
    path: Path | None


def locate(word: str | Path, *kinds: Kind, hint: str = "") -> Place:
    """What `word` means.

    The name of a bundled entry always means it, that of a backbone or of a bundled recipe where the caller takes one.
    Another word means the
    file or folder of that name where there is one, and an entry of the cache or the mirror where there is none. A Path
    is always a path. A folder that could be several kinds is the first one that the caller takes.

    Args:
        word: a name or a path.
        kinds: that the caller takes; none: any.
        hint: for the error, of what else there is.

    Raises:
        LMFError: no such file or folder, none of a known kind, or one of another kind than the caller takes.
    """
    place = _place(word, kinds)
    if place and place.kind == "backbone" and kinds and "backbone" not in kinds:
        raise LMFError(
            f"{str(word)!r} is a backbone, no model by itself: recipes start from it ('keras-lmf show {word}')."
        )
    if place is None or (kinds and place.kind not in kinds):
        taken = ", ".join(MEANINGS[kind] for kind in kinds or MEANINGS)
        what = (
            f"{word} is {MEANINGS[place.kind]}"
            if place
            else f"Can't tell what {word} is{_lacks(Path(word), kinds)}"
        )
        raise LMFError(f"{what}. Give {taken}.{hint and f' {hint}'}")
    return place


def _place(word: str | Path, kinds: tuple[Kind, ...]) -> Place | None:
    """What the word means; None for a file or folder of an unknown kind."""
    ready = known_recipes().get(str(word)) if not kinds or "recipe" in kinds else None
    if ready and isinstance(word, str) and not Path(word).exists():
        return Place("recipe", word, ready)
    taken = not kinds or "backbone" in kinds
    if isinstance(word, str) and word in known_backbones() and (taken or not Path(word).exists()):
        return Place("backbone", word, None)
    path = local_path(word)
    if path is None:
        return Place("entry", str(word), None)
    if not path.exists():
        raise LMFError(f"There is no file or folder {str(path)!r} (in {str(Path.cwd())!r}).")
    if path.is_dir():
        found = [kind for file, kind in _FOLDERS.items() if (path / file).is_file()]
        kind = next((kind for kind in found if kind in kinds), found[0] if found else None)
    else:
        kind = _kind_of_file(path.name)
    return kind and Place(kind, str(word), path)


def _kind_of_file(name: str) -> Kind | None:
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)


def _lacks(path: Path, kinds: tuple[Kind, ...]) -> str:
    files = [file for file, kind in _FOLDERS.items() if not kinds or kind in kinds]
    return f": the folder holds no {' or '.join(files)}" if path.is_dir() and files else ""


def local_path(word: str | Path) -> Path | None:
    """The path that `word` means, or None when it is the name of an entry; as `locate` decides it."""
    if isinstance(word, Path):
        return word
    if not isinstance(word, str):
        raise LMFError(f"Received a {type(word).__name__}; give the name of a zoo entry, or a path.")
    if "://" in word:
        raise LMFError(
            f"{word!r} is an address. Give the name of a zoo entry; the address of a mirror goes into {MIRROR}."
        )
    is_name = re.fullmatch(ENTRY_NAME, word) is not None
    if is_name and word in folders_with(ENTRY, bundled_folder()):
        return None
    if word and Path(word).exists():
        return Path(word)
    if is_name:
        return None
    if os.sep in word or _kind_of_file(word):
        raise LMFError(f"There is no file or folder {word!r} (in {str(Path.cwd())!r}).")
    raise LMFError(
        f"There is no file or folder {word!r} (in {str(Path.cwd())!r}), and the name of a zoo entry has only "
        f"letters, digits, '-' and '_'. 'keras-lmf list' shows them: {', '.join(known_entries()) or 'none'}."
    )


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
    return files.cache_folder("zoo") if cache_dir is None else Path(cache_dir).expanduser()


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


def folders_with(file: str, folder: Path | None) -> dict[str, Path]:
    """Name → path of every folder in `folder` that holds `file`, by name."""
    found: Iterator[Path] = iter(()) if folder is None else folder.glob(f"*/{file}")
    return {path.parent.name: path.parent for path in sorted(found)}


def known_entries(cache_dir: str | Path | None = None) -> dict[str, Path]:
    """Name → folder of every entry that can be read without the network; a bundled one comes before a cached one."""
    known = folders_with(ENTRY, cache_folder(cache_dir)) | folders_with(ENTRY, bundled_folder())
    return dict(sorted(known.items()))


def known_backbones() -> dict[str, Path]:
    """Name → folder of the published backbones that come with the package."""
    return folders_with(BACKBONE, bundled_folder())


def known_recipes() -> dict[str, Path]:
    """Name → file of the recipes for one's own data that come with the package."""
    return {path.stem: path for path in sorted((PACKAGE / "recipe" / "ready").glob("*.toml"))}


def unknown_entry(name: str, hint: str, cache_dir: str | Path | None = None) -> LMFError:
    """The error for a name that is no entry's."""
    if name in known_recipes():
        return LMFError(
            f"{name!r} is a recipe, no trained model: 'keras-lmf train {name} --data FOLDER' makes one."
        )
    known = known_entries(cache_dir) | known_recipes()
    return unknown_name("zoo entry", name, known, f"{hint} 'keras-lmf list' shows them.")
