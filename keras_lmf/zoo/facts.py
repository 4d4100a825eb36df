"""What an entry says of media files, absent modalities and calibration, in sentences for its card and for `show`."""

from __future__ import annotations

from keras_lmf.spec import InputSpec
from keras_lmf.zoo.entry import Entry


def facts(entry: Entry) -> list[str]:
    """One sentence per fact that the entry has; none for an entry on features that was not calibrated."""
    sentences = [_media(name, spec) for name, spec in entry.inputs.items() if spec.media]
    if sentences:
        sentences.insert(0, f"Ask it about a clip: `keras-lmf predict clip.mp4 --model {entry.name}`.")
        features = [f"`{name}`" for name, spec in entry.inputs.items() if not spec.media]
        if features:
            sentences.append(f"No media file fills {', '.join(features)}: about a clip it answers without.")
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


def _media(name: str, spec: InputSpec) -> str:
    sound = spec.media == "waveform"
    speed = "" if spec.rate is None else f" at {spec.rate:g} {'Hz' if sound else 'frames a second'}"
    if not sound and len(spec.shape) == 3:
        return f"A media file fills `{name}`: its pictures{speed}, each judged by itself."
    kind = "mono sound in [-1, 1]" if sound else "pictures"
    return f"A media file fills `{name}`: {kind}{speed}, zeros after its end."
