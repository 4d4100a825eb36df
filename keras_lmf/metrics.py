"""Streaming metrics that Keras lacks or only averages over batches.

The value is that of the whole epoch, whatever the batch size: each metric adds up statistics from which the
value follows exactly (a confusion matrix, or means and centred moments) and never averages values of batches.
All state is in Keras variables, so the metrics work in `compile`/`fit` on TensorFlow, JAX and PyTorch.
A value that is 0/0 (constant inputs, a single class, no data yet) is 0.0; a NaN input gives NaN.
"""

from __future__ import annotations

from typing import Any, Literal

from keras_lmf.backend import LargerIsBetter, require_backend

require_backend()

import keras  # noqa: E402
from keras import ops  # noqa: E402


def _ratio(numerator: Any, denominator: Any) -> Any:
    """numerator / denominator, and 0 where the denominator is 0; NaN stays NaN."""
    zero = ops.equal(denominator, 0)
    quotient = numerator / ops.where(zero, ops.ones_like(denominator), denominator)
    return ops.where(zero, ops.zeros_like(quotient), quotient)


def _columns(values: Any, what: str, width: int = 1) -> Any:
    """`values` of shape (N, width) as they are, and those of shape (N,) as (N, 1) where width is 1."""
    values = ops.convert_to_tensor(values)
    if tuple(values.shape[1:]) not in (((), (1,)) if width == 1 else ((width,),)):
        allowed = "(N,) or (N, 1)" if width == 1 else f"(N, {width})"
        raise ValueError(f"{what} must have shape {allowed}, received {tuple(values.shape)}.")
    return ops.reshape(values, (-1, width))


def _weights(sample_weight: Any, like: Any) -> Any:
    """`sample_weight` (None, a number, (N,) or (N, 1)) in the shape (N, 1) and type of `like`."""
    if sample_weight is None:
        return ops.ones_like(like)
    return ops.broadcast_to(_columns(ops.cast(sample_weight, like.dtype), "sample_weight"), ops.shape(like))


class _ConfusionMatrixMetric(LargerIsBetter, keras.metrics.Metric):
    """Base of the metrics that follow from the (weighted) confusion matrix: rows true, columns predicted."""

    def __init__(self, num_classes: int, name: str, dtype: str) -> None:
        super().__init__(name=name, dtype=dtype)
        if num_classes < 2:
            raise ValueError(f"num_classes must be 2 or more, received {num_classes}.")
        self.num_classes = num_classes
        self.confusion = self.add_variable(
            (num_classes, num_classes), initializer="zeros", dtype=self.dtype, name="confusion"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch.

        Args:
            y_true: (N,) or (N, 1) class integers. One outside 0 … num_classes − 1 makes the result NaN (a
                compiled graph can't raise), unless its weight is 0.
            y_pred: (N, num_classes) scores, probabilities or logits; the largest wins, the first of equals.
            sample_weight: None, (N,) or (N, 1).

        Raises:
            ValueError: for other shapes.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) != 2 or y_pred.shape[1] != self.num_classes:
            raise ValueError(
                f"{self.name}: y_pred must be (N, {self.num_classes}), received {tuple(y_pred.shape)}."
            )
        labels = ops.cast(_columns(y_true, f"{self.name}: y_true (class integers, not one-hot)"), "int32")
        classes = ops.arange(self.num_classes, dtype="int32")
        true = ops.cast(ops.equal(labels, classes), self.dtype)
        chosen = ops.cast(ops.argmax(y_pred, axis=1), "int32")[:, None]
        predicted = ops.cast(ops.equal(chosen, classes), self.dtype)
        known = ops.sum(true, axis=1, keepdims=True)
        weight = _weights(sample_weight, known)
        weight = ops.where(ops.logical_or(known > 0, weight == 0), weight, float("nan"))
        # A sum of products, not a matmul: accelerators round the operands of a float32 matmul.
        self.confusion.assign_add(ops.sum((weight * true)[:, :, None] * predicted[:, None, :], axis=0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("keras_lmf")
class CohenKappa(_ConfusionMatrixMetric):
    """Cohen's kappa: agreement beyond chance, 1 − Σ w·observed / Σ w·expected, in [−1, 1].

    Args:
        num_classes: number of classes, 2 or more.
        weighting: cost w of confusing class i with class j: None is 1 for i ≠ j, "linear" is |i − j| and
            "quadratic" is (i − j)², for classes in an order.
        name: name of the metric.
        dtype: type of the counts. float32 counts whole samples exactly up to 2²⁴ (16.7 million) in a cell.

    Reference: Cohen 1960, "A coefficient of agreement for nominal scales"; Cohen 1968 for the weights.

    >>> metric = CohenKappa(num_classes=2)
    >>> metric.update_state([0, 0, 1, 1], [[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        weighting: Literal["linear", "quadratic"] | None = None,
        name: str = "cohen_kappa",
        dtype: str = "float32",
    ) -> None:
        super().__init__(num_classes, name, dtype)
        if weighting not in (None, "linear", "quadratic"):
            raise ValueError(f"weighting must be None, 'linear' or 'quadratic', received {weighting!r}.")
        self.weighting = weighting

    def result(self) -> Any:
        observed = ops.convert_to_tensor(self.confusion)
        classes = ops.arange(self.num_classes, dtype=self.dtype)
        distance = ops.abs(classes[:, None] - classes[None, :])
        cost = {None: ops.sign(distance), "linear": distance, "quadratic": distance**2}[self.weighting]
        rows, columns = ops.sum(observed, axis=1), ops.sum(observed, axis=0)
        expected = _ratio(rows, ops.sum(rows))[:, None] * columns[None, :]
        chance = ops.sum(cost * expected)
        return ops.where(chance == 0, ops.zeros_like(chance), 1 - _ratio(ops.sum(cost * observed), chance))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weighting": self.weighting}


@keras.saving.register_keras_serializable("keras_lmf")
class Specificity(_ConfusionMatrixMetric):
    """Specificity: the share of a class's negatives that is not taken for it, TN / (TN + FP), in [0, 1].

    With three or more classes this is the macro one-versus-rest value: the mean over the classes that have
    negatives (a class that never occurs and is never predicted counts with 1.0). With **two** classes it is
    the specificity of class 1, in other words the recall of class 0, as in a medical test where class 1 is
    "positive".

    Args:
        num_classes: number of classes, 2 or more.
        name: name of the metric.
        dtype: type of the counts. float32 counts whole samples exactly up to 2²⁴ (16.7 million) in a cell.

    >>> metric = Specificity(num_classes=2)
    >>> metric.update_state([0, 0, 0, 0, 1], [[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    >>> float(metric.result())
    0.75
    """

    def __init__(self, num_classes: int, name: str = "specificity", dtype: str = "float32") -> None:
        super().__init__(num_classes, name, dtype)

    def result(self) -> Any:
        confusion = ops.convert_to_tensor(self.confusion)
        others = 1 - ops.eye(self.num_classes, dtype=self.dtype)
        false_positives = ops.sum(confusion * others, axis=0)
        # Summed over the other rows, not total − own row, which would leave a rounding residue in place of 0.
        negatives = ops.sum(others * ops.sum(confusion, axis=1), axis=1)
        specificity = _ratio(negatives - false_positives, negatives)
        if self.num_classes == 2:
            return specificity[1]
        judged = ops.cast(ops.not_equal(negatives, 0), self.dtype)
        return _ratio(ops.sum(specificity), ops.sum(judged))


class _MomentsMetric(LargerIsBetter, keras.metrics.Metric):
    """Base of the correlations: means and centred second moments of (y_true, y_pred), merged batch by batch.

    Each of the K dimensions has its own.

    The merge is that of Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance": unlike
    sums of squares it keeps float32's precision when the mean is large against the spread.
    """

    def __init__(self, dimensions: int, name: str, dtype: str) -> None:
        super().__init__(name=name, dtype=dtype)
        if dimensions < 1:
            raise ValueError(f"dimensions must be 1 or more, received {dimensions}.")
        self.dimensions = dimensions
        self.weight = self.add_variable((), initializer="zeros", dtype=self.dtype, name="weight")
        # Means are kept relative to the first row seen: small numbers, and exactly 0 for constant input.
        # First axis: y_true, y_pred (so twice in the moments); last axis: the dimensions.
        self.origin, self.mean, self.moments = (
            self.add_variable((*pair, dimensions), initializer="zeros", dtype=self.dtype, name=name)
            for name, pair in (("origin", (2,)), ("mean", (2,)), ("moments", (2, 2)))
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Merge one batch.

        Args:
            y_true: (N, dimensions) numbers, or (N,) where there is one dimension.
            y_pred: the same.
            sample_weight: None, (N,) or (N, 1).

        Raises:
            ValueError: for other shapes.
        """
        pair = [
            ops.cast(_columns(values, f"{self.name}: {what}", self.dimensions), self.dtype)
            for what, values in (("y_true", y_true), ("y_pred", y_pred))
        ]
        values = ops.stack(pair, axis=1)
        weights = _weights(sample_weight, pair[0][:, :1])[:, :, None]
        before = ops.convert_to_tensor(self.weight)
        origin = ops.where(before == 0, values[0], ops.convert_to_tensor(self.origin))
        self.origin.assign(origin)
        values = values - origin
        batch = ops.sum(weights)
        mean = _ratio(ops.sum(weights * values, axis=0), batch)
        centred = values - mean
        moments = ops.sum((weights * centred)[:, :, None] * centred[:, None], axis=0)

        share = _ratio(batch, before + batch)
        shift = mean - self.mean
        self.moments.assign_add(moments + before * share * shift[:, None] * shift[None])
        self.mean.assign_add(share * shift)
        self.weight.assign_add(batch)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dimensions": self.dimensions}


@keras.saving.register_keras_serializable("keras_lmf")
class PearsonCorrelation(_MomentsMetric):
    """Pearson's correlation r of labels and predictions over the whole epoch, in [−1, 1].

    0.0 where it is undefined: constant labels or constant predictions. With several dimensions it is the mean of
    the dimensions' correlations.

    Args:
        name: name of the metric.
        dtype: type of the state.
        dimensions: numbers in a label, 1 or more.

    >>> metric = PearsonCorrelation()
    >>> for batch in ([0.0, 1.0], [2.0, 3.0]):
    ...     metric.update_state(batch, [1 - 2 * value for value in batch])
    >>> round(float(metric.result()), 6)
    -1.0
    """

    def __init__(
        self, name: str = "pearson_correlation", dtype: str = "float32", dimensions: int = 1
    ) -> None:
        super().__init__(dimensions, name, dtype)

    def result(self) -> Any:
        norms = ops.sqrt(self.moments[0, 0]) * ops.sqrt(self.moments[1, 1])
        return ops.mean(_ratio(self.moments[0, 1], norms))


@keras.saving.register_keras_serializable("keras_lmf")
class ConcordanceCorrelation(_MomentsMetric):
    """Lin's concordance correlation over the whole epoch, 2·s_xy / (s_x² + s_y² + (x̄ − ȳ)²), in [−1, 1].

    The moments are the population's (divided by N). 0.0 where it is undefined: both constant and equal. With
    several dimensions it is the mean of the dimensions' values.

    Args:
        name: name of the metric.
        dtype: type of the state.
        dimensions: numbers in a label, 1 or more.

    Reference: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45.

    >>> metric = ConcordanceCorrelation()
    >>> metric.update_state([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])  # s_xy = s_x² = s_y² = 2/3, means 1 apart
    >>> round(float(metric.result()), 6)
    0.571429
    """

    def __init__(
        self, name: str = "concordance_correlation", dtype: str = "float32", dimensions: int = 1
    ) -> None:
        super().__init__(dimensions, name, dtype)

    def result(self) -> Any:
        apart = (self.origin[0] - self.origin[1]) + (self.mean[0] - self.mean[1])
        between = self.weight * ops.square(apart)
        return ops.mean(_ratio(2 * self.moments[0, 1], self.moments[0, 0] + self.moments[1, 1] + between))
