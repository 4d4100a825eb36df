"""Numbers that people can read: what a voice, a face, a body and a skin did, step by step, with units.

Kumar & Martin, "Cross-Modal Harmony", Table 1, names them. The extra `descriptors` brings librosa (ISC) and neurokit2
(MIT). Praat's pitch (parselmouth, GPL) and openSMILE (not for commercial use) are left out for their licences.
"""

from __future__ import annotations

from keras_lmf.descriptors.description import describe, write_csv
from keras_lmf.descriptors.skin import read_eda, skin_descriptors
from keras_lmf.descriptors.table import DESCRIPTORS, Descriptor
from keras_lmf.descriptors.voice import voice_descriptors

__all__ = [
    "DESCRIPTORS",
    "Descriptor",
    "describe",
    "read_eda",
    "skin_descriptors",
    "voice_descriptors",
    "write_csv",
]
