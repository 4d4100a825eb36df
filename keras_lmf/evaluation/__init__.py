"""Numbers from predictions: named protocols with floors and intervals, summaries over seeds, plots.

Everything here takes arrays and knows no framework: Keras models, SavedModels and TFLite files are judged by
the same code.
"""

from __future__ import annotations

from keras_lmf.evaluation import calibration
from keras_lmf.evaluation.report import Report, evaluate, paired_difference, summarise
from keras_lmf.evaluation.subsets import interactions

__all__ = ["Report", "calibration", "evaluate", "interactions", "paired_difference", "summarise"]
