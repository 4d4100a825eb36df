"""The names under which readers know the protocols: those of every report, plot, card and table.

Programs keep the short words of `protocols.py` (in `Report.metrics`, JSON and CSV).
"""

from __future__ import annotations

NAMES = {
    "war": "accuracy",
    "uar": "balanced accuracy",
    "f1_macro": "F1, mean over classes",
    "f1_weighted": "F1, weighted by class",
    "f1_binary": "F1 of class 1",
    "cohen_kappa": "Cohen's kappa",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "pearson": "correlation",
    "concordance": "concordance correlation",
    "acc2_nonneg": "accuracy, negative or not",
    "acc2_nonzero": "accuracy, negative or positive",
    "acc5": "accuracy, 5 steps",
    "acc7": "accuracy, 7 steps",
}
OF = {"f1": "F1 of", "pearson": "correlation of"}  # a class, a dimension


def metric_name(word: str) -> str:
    """The reader's name of a protocol.

    >>> metric_name("war"), metric_name("f1_happy"), metric_name("recall")
    ('accuracy', 'F1 of happy', 'recall')
    >>> metric_name("f1"), metric_name("agreement_of_two")
    ('f1', 'agreement of two')
    """
    kind, _, rest = word.partition("_")
    if word not in NAMES and kind in OF and rest:
        return f"{OF[kind]} {rest.replace('_', ' ')}"
    return NAMES.get(word, word.replace("_", " "))
