"""Numbers from predictions: named protocols with floors and intervals, summaries over seeds, plots.

Everything here takes arrays and knows no framework: Keras models, SavedModels and TFLite files are judged by
the same code.
"""

from __future__ import annotations

from keras_lmf.evaluation import calibration
from keras_lmf.evaluation.paired import compare_outputs
from keras_lmf.evaluation.report import Report, evaluate, paired_difference, summarise
from keras_lmf.evaluation.robustness import Robustness, measure_robustness
from keras_lmf.evaluation.terms import interactions

__all__ = [
    "Report",
    "Robustness",
    "calibration",
    "compare_outputs",
    "evaluate",
    "interactions",
    "measure_robustness",
    "paired_difference",
    "summarise",
]
