"""The descriptors: of each its name, unit, source and meaning. Everything else asks here."""

from __future__ import annotations

from typing import NamedTuple

STEP = 0.04  # seconds from one value to the next: 25 a second, as films have
WINDOW = 3.0  # seconds around a step, of what is said of a stretch
COEFFICIENTS = 13  # of the MFCC


class Descriptor(NamedTuple):
    """A column of numbers, one for each step; NaN where it is unknown.

    Attributes:
        name: of the column.
        unit: of its numbers; "" where they have none.
        of: "voice", "face", "body" or "skin".
        source: the method, and what computes it.
        meaning: what the number says.
    """

    name: str
    unit: str
    of: str
    source: str
    meaning: str

    @property
    def heading(self) -> str:
        """Name and unit: "f0 [Hz]"."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


_PICTURE = "five points of YuNet (OpenCV Zoo)"
_OPENFACE = "OpenFace 2's table (Baltrušaitis et al. 2018)"
_EITHER = f"{_OPENFACE}, else {_PICTURE}"
_NEUROKIT = "neurokit2 (Makowski et al. 2021)"

DESCRIPTORS: dict[str, Descriptor] = {
    row.name: row
    for row in (
        Descriptor(
            "f0",
            "Hz",
            "voice",
            "probabilistic YIN (Mauch & Dixon 2014), librosa",
            "fundamental frequency, where there is a voiced sound of 65 to 600 Hz",
        ),
        Descriptor("f0_variation", "semitones", "voice", "from f0", "its standard deviation over the window"),
        Descriptor(
            "energy",
            "dB",
            "voice",
            "root mean square",
            "level of the step, relative to full scale; −200 of zeros",
        ),
        Descriptor(
            "spectral_centroid", "Hz", "voice", "librosa", "centre of mass of the spectrum's magnitudes"
        ),
        *(
            Descriptor(
                f"mfcc_{i}",
                "",
                "voice",
                "librosa",
                f"mel-frequency cepstral coefficient {i} of {COEFFICIENTS}",
            )
            for i in range(1, COEFFICIENTS + 1)
        ),
        Descriptor(
            "speech_rate",
            "1/s",
            "voice",
            "voiced peaks of the energy (de Jong & Wempe 2009)",
            "syllables a second, over the window",
        ),
        Descriptor(
            "pause_share",
            "",
            "voice",
            "from energy",
            "share of the window in pauses of .25 s or more, 25 dB below the loud steps",
        ),
        Descriptor(
            "head_roll",
            "°",
            "face",
            _EITHER,
            "tilt of the head; from points, positive is clockwise in the picture",
        ),
        Descriptor(
            "head_yaw",
            "°",
            "face",
            _EITHER,
            "turn of the head; from points an approximation, positive to the picture's right",
        ),
        Descriptor("head_pitch", "°", "face", _OPENFACE, "nod of the head"),
        Descriptor(
            "head_movement", "eye distances/s", "face", _EITHER, "speed of the middle between the eyes"
        ),
        Descriptor("gaze_x", "°", "face", _OPENFACE, "gaze to the side, relative to the camera"),
        Descriptor("gaze_y", "°", "face", _OPENFACE, "gaze up and down"),
        Descriptor("brow_inner_raise", "", "face", f"{_OPENFACE}, AU01", "inner brows raised, 0 to 5"),
        Descriptor("brow_outer_raise", "", "face", f"{_OPENFACE}, AU02", "outer brows raised, 0 to 5"),
        Descriptor("brow_lowering", "", "face", f"{_OPENFACE}, AU04", "brows lowered, 0 to 5"),
        Descriptor(
            "lip_corner_pull", "", "face", f"{_OPENFACE}, AU12", "lip corners pulled, as in a smile, 0 to 5"
        ),
        Descriptor(
            "mouth_opening", "mouth widths", "face", f"{_OPENFACE}, landmarks", "distance of the inner lips"
        ),
        Descriptor(
            "mouth_darkness",
            "",
            "face",
            _PICTURE,
            "share of the mouth's region that is darker than half of the face; grows as the mouth opens",
        ),
        Descriptor(
            "lip_voice_correlation",
            "",
            "face",
            "Pearson, from energy and the mouth",
            "of mouth opening (else darkness) and energy, over the window: do the lips move with the voice?",
        ),
        Descriptor(
            "body_movement",
            "grey levels",
            "body",
            "difference of pictures",
            "mean change of a pixel from step to step, outside the face's box, of 0 to 255",
        ),
        Descriptor("eda_tonic", "µS", "skin", _NEUROKIT, "slow level of the skin's conductance"),
        Descriptor("eda_phasic", "µS", "skin", _NEUROKIT, "fast part of the skin's conductance"),
        Descriptor(
            "eda_response",
            "µS",
            "skin",
            _NEUROKIT,
            "amplitude of a skin conductance response, at the step of its peak, else 0",
        ),
    )
}
