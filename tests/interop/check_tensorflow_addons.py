"""Compares tensorflow-addons' metrics with ours in reference.npz. One line makes an environment and runs it
(Python 3.11; tensorflow-addons ended in May 2024 and needs Keras 2, so keras-lmf cannot be in there):

    python3.11 -m venv addons && \\
        addons/bin/pip install tensorflow==2.15.1 tensorflow-io==0.36.0 tensorflow-addons==0.23.0 && \\
        addons/bin/python tests/interop/check_tensorflow_addons.py FOLDER/reference.npz

FOLDER is that of write_reference.py. check_tensorflow_io.py runs in this environment too.
"""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa
from side_by_side import Comparison


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Usage: python tests/interop/check_tensorflow_addons.py FOLDER/reference.npz")
    print(f"tensorflow {tf.__version__}, tensorflow-addons {tfa.__version__}, numpy {np.__version__}")
    reference, compare = dict(np.load(sys.argv[1])), Comparison()
    labels, scores = reference["labels"], reference["scores"]
    classes = scores.shape[1]

    for weighting in (None, "linear", "quadratic"):
        kappa = tfa.metrics.CohenKappa(classes, sparse_labels=True, weightage=weighting)
        kappa.update_state(labels, scores.argmax(axis=1))
        ours = reference[f"kappa/{weighting}"]
        compare(f"metrics.CohenKappa, weighting {weighting}", kappa.result(), ours, 1e-5)
        if weighting is None:
            compare("evaluate, cohen_kappa", kappa.result(), reference["kappa/evaluate"], 1e-5)

    # Without a threshold the largest score is the prediction.
    for average, name in ((None, "classes"), ("macro", "macro"), ("weighted", "weighted")):
        f1 = tfa.metrics.F1Score(classes, average=average)
        f1.update_state(tf.one_hot(labels, classes), scores)
        compare(f"evaluate, f1 {name}", f1.result(), reference[f"f1/{name}"], 1e-5)
    compare.finish()


if __name__ == "__main__":
    main()
