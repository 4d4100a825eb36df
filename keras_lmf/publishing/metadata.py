"""The .tflite files of an entry say themselves what their sidecars say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_lmf.export.metadata import write_metadata as write_into
from keras_lmf.files import compressed_size_of, sha256
from keras_lmf.sidecar import Sidecar
from keras_lmf.zoo import Entry, file_records


def write_metadata(folder: str | Path) -> Entry:
    """Writes what the sidecars of a published entry say into its .tflite files; their computation and figures stay.

    Sizes and hashes in the sidecars and in entry.json become those of the new files. Files of this version that say it
    already stay as they are.

    Raises:
        LMFError: no entry, or a file that its sidecar does not describe.
    """
    folder = Path(folder)
    entry = described(folder, Entry.read(folder))
    entry.write(folder)
    return entry


def described(folder: Path, entry: Entry, **facts: Any) -> Entry:
    """The entry with new sizes and hashes, after its .tflite files and their sidecars were written with these facts.

    A call that was interrupted is made good by another one.
    """
    names, costs = {}, dict(entry.costs)
    for key, file in entry.files.items():
        if file.name.endswith(".tflite"):
            path = folder / file.name
            told = Sidecar.read(path)
            if told.sha256 != sha256(path):
                told = write_into(path, told)  # finishes what was interrupted, or refuses
            sidecar = write_into(path, told.model_copy(update=facts))
            names |= {key: file.name, f"{key}-sidecar": Sidecar.path_of(path).name}
            if key in costs:
                sizes = {"bytes": sidecar.bytes, "compressed_bytes": compressed_size_of(path)}
                costs[key] = costs[key].model_copy(update=sizes)
    files = entry.files | file_records(folder, names)
    return entry.model_copy(update={"files": files, "costs": costs})
