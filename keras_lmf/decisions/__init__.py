"""Decisions and estimates that are at hand as arrays: what fits a rule that joins them, and smoothing over time.

`models.decision_fusion` joins them, and trained models, by these settings.
"""

from types import FunctionType

from keras_lmf.decisions.course import drift_of as drift_of
from keras_lmf.decisions.course import smoothed as smoothed
from keras_lmf.decisions.joint import features as features
from keras_lmf.decisions.joint import fit as fit
from keras_lmf.decisions.joint import votes as votes

__all__ = sorted(name for name, value in globals().items() if isinstance(value, FunctionType))
