"""What an entry says of media files, absent modalities and calibration, in sentences for its card and for `show`."""

from __future__ import annotations

from keras_lmf.zoo.entry import Entry


def facts(entry: Entry) -> list[str]:
    """One sentence per fact that the entry has; none for an entry on features that was not calibrated."""
    sentences = [_media(name, spec.media, spec.rate) for name, spec in entry.inputs.items() if spec.media]
    if entry.presence == "derived":
        sentences.append("An input of zeros is an absent modality; the others then decide.")
    if (fit := entry.calibration) is not None:
        sentences.append(
            f"Calibration: divide the logits by the temperature {fit.temperature:.3f} before the softmax (fitted on "
            f"{fit.rows} rows of {fit.split}). On the test split the expected calibration error goes from "
            f"{fit.ece_before:.3f} to {fit.ece_after:.3f}, the negative log-likelihood from {fit.nll_before:.3f} to "
            f"{fit.nll_after:.3f}."
        )
    return sentences


def _media(name: str, media: str, rate: float | None) -> str:
    kind = "mono sound in [-1, 1]" if media == "waveform" else "pictures"
    speed = "" if rate is None else f" at {rate:g} {'Hz' if media == 'waveform' else 'frames a second'}"
    return f"A media file fills `{name}`: {kind}{speed}, zeros after its end."
