"""Published corpora laid out in a folder, and what is found of them there."""

from __future__ import annotations

from pathlib import Path

from keras_lmf.data.corpora import published
from keras_lmf.data.corpora.published.loading import find_layout, recordings
from keras_lmf.data.corpora.published.options import choose
from keras_lmf.data.corpora.published.rows import Rows


def written(folder: Path, *names: str, content: bytes = b"x" * 300) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def found(name: str, root: Path | str | None, **options: object) -> Rows:
    corpus, word = published.read(name), Path(name).stem
    chosen = choose(corpus, word, options)
    return recordings(corpus, word, find_layout(corpus, word, root, chosen), chosen)
