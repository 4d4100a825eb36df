"""The story of the quickstart: its two acts, and what is needed for both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keras_lmf.errors import import_extra
from keras_lmf.quickstart.fusions import fusions
from keras_lmf.quickstart.voice import voice


def quickstart(folder: Path, say: Callable[[str], None]) -> None:
    """From media files to an answer by their sound, then early, tensor and low-rank fusion side by side.

    An interrupted call goes on where it was when it is called again with the same folder.

    Args:
        folder: for clips, runs, exported files, reports and pictures.
        say: is given each paragraph of the story as it happens.

    Raises:
        LMFError: an extra is missing, before anything is written; or `folder` holds something else.
    """
    # Now: the quantiser is needed minutes later.
    for module, extra in (("av", "media"), ("ai_edge_litert", "export"), ("litert_quantizer", "export")):
        import_extra(module, extra)
    answer = voice(folder, say)
    best = fusions(folder, say)
    say(
        "Next: ask about a recording of your own (this model knows drawn people's voices only),\n"
        f"    keras-lmf predict recording.mp4 --model {answer.model}\n"
        "or change a recipe and train it,\n"
        f"    keras-lmf train {best.folder / 'recipe.toml'} --folder my-run\n"
        "    keras-lmf evaluate my-run\n"
        "    keras-lmf export my-run"
    )
