"""Low-rank multimodal fusion: tensor fusion and its first linear map, without ever forming the tensor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.layers.base import Shape, Tensor
from keras_lmf.layers.modality_fusion import ModalityFusion

INITIALIZATIONS = ("variance_preserving", "reference")


@keras.saving.register_keras_serializable("keras_lmf")
class LowRankFusion(ModalityFusion):
    """Low-rank multimodal fusion (LMF).

        y_o = Σ_r w_r ∏_m ( F_m[r, 0, o] + Σ_i h_m[i] F_m[r, i + 1, o] ) + b_o

    Equal to `TensorFusion(h) · W + b` with W[i, j, …, o] = Σ_r w_r F_1[r, i, o] F_2[r, j, o] …, at a cost linear
    instead of exponential in the number of modalities. Liu et al., "Efficient Low-rank Multimodal Fusion with
    Modality-Specific Factors", ACL 2018, equations 6–8.

    Row 0 of a factor multiplies the constant 1, so it is kept as a bias: per modality `kernel` (d_m, rank · units)
    and `bias` (rank · units); `factor` and `set_factors` speak the paper's shape. Parameters:
    rank · units · Σ (d_m + 1) + rank + units. The product and the sum over ranks are float32 under mixed precision.

    Input: list or dict of M ≥ 2 tensors (…, d_m) with equal leading axes. Output: (…, units).
    Call arguments: `presence` (…, M) or (batch, M), non-zero where a modality is there; of an absent modality the
    constant row stays, so the interactions among the others stay. Masked steps count as absent; the output's mask
    is the union of the input masks.

    Args:
        units: output width O ≥ 1.
        rank: number of rank-one terms R ≥ 1.
        use_bias: whether b is there.
        initialization: "variance_preserving" (constant rows N(0, 1/2), data rows N(0, 1/(2 d_m)), w N(0, 1/R): for
            inputs of unit variance the output has unit variance and every subset of modalities an equal share), or
            "reference" (Liu et al.'s code: factors N(0, 2/((d_m + 1 + R) O)), w N(0, 2/(R + 1)), in variance).
        kernel_regularizer, kernel_constraint: applied to each modality's `kernel` (d_m, rank · units).
        seed: of the initialisation.
        modalities: names in modality order, for dict inputs. Default: the order of the dict at build.

    >>> import numpy as np
    >>> layer = LowRankFusion(units=3, rank=2, seed=0)
    >>> layer({"audio": np.ones((5, 4), "float32"), "video": np.ones((5, 7), "float32")}).shape[-1]
    3
    >>> tuple(layer.factor("video").shape)
    (2, 8, 3)
    """

    ARGUMENTS = ("units", "rank", "use_bias", "initialization", "seed")

    def __init__(
        self,
        units: int,
        rank: int = 4,
        *,
        use_bias: bool = True,
        initialization: str = "variance_preserving",
        kernel_regularizer: Any = None,
        kernel_constraint: Any = None,
        seed: int | None = None,
        modalities: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(modalities=modalities, **kwargs)
        if initialization not in INITIALIZATIONS:
            raise unknown_name("initialization", initialization, INITIALIZATIONS)
        self.units = units
        self.rank = rank
        self.require_whole(1, "units", "rank")
        self.use_bias = use_bias
        self.initialization = initialization
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.seed = seed
        if seed is not None:
            self.require_whole(0, "seed")

    @property
    def fused_width(self) -> int:
        return self.units

    def _deviations(self, width: int) -> tuple[float, float, float]:
        """Standard deviations of constant row, data rows and rank weights at the start."""
        if self.initialization == "reference":
            factor = (2 / ((width + 1 + self.rank) * self.units)) ** 0.5
            return factor, factor, (2 / (self.rank + 1)) ** 0.5
        return 0.5**0.5, (0.5 / width) ** 0.5, self.rank**-0.5

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        seeds = itertools.count(self.seed) if self.seed is not None else itertools.repeat(None)

        def drawn(name: str, shape: Shape, deviation: float, **options: Any) -> keras.Variable:
            normal = keras.initializers.RandomNormal(stddev=deviation, seed=next(seeds))
            return self.add_weight(name=name, shape=shape, initializer=normal, **options)

        self.kernels, self.factor_biases = [], []
        columns = self.rank * self.units
        limits = {"regularizer": self.kernel_regularizer, "constraint": self.kernel_constraint}
        # Without autocast: what enters the product and the rank sum stays float32 in mixed precision.
        for name, width in zip(self.modalities or range(len(self.widths)), self.widths):
            constant, data, _ = self._deviations(width)
            self.kernels.append(drawn(f"kernel_{name}", (width, columns), data, **limits))
            self.factor_biases.append(drawn(f"factor_bias_{name}", (columns,), constant, autocast=False))
        deviation = self._deviations(1)[2]
        self.rank_weights = drawn("rank_weights", (self.rank,), deviation, autocast=False)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros", autocast=False)

    # -- computation ------------------------------------------------------------------------------------------
    def _data_terms(self, embeddings: list[Tensor]) -> list[Tensor]:
        """Σ_i h_m[i] F_m[r, i + 1, o] per modality, (…, R · O), float32 or wider."""
        precision = keras.backend.result_type(self.compute_dtype, "float32")
        return [ops.cast(ops.matmul(h, kernel), precision) for h, kernel in zip(embeddings, self.kernels)]

    def _rank_sum(self, product: Tensor) -> Tensor:
        """Σ_r w_r product[…, r, o] of a product (…, R · O)."""
        # Unrolled: XLA fuses this into one loop, a reduction over so few ranks into several.
        parts = ops.split(product, self.rank, axis=-1)
        weights = ops.cast(self.rank_weights, product.dtype)
        return sum(part * weights[r] for r, part in enumerate(parts))

    def fuse(self, embeddings: list[Tensor]) -> Tensor:
        product = None
        for term, constant in zip(self._data_terms(embeddings), self.factor_biases):
            factor = term + ops.cast(constant, term.dtype)
            product = factor if product is None else product * factor
        fused = self._rank_sum(product)
        if self.bias is not None:
            fused = fused + ops.cast(self.bias, fused.dtype)
        return ops.cast(fused, self.compute_dtype)

    def interactions(
        self, inputs: Any, presence: Tensor | None = None, mask: Any = None
    ) -> dict[tuple[int | str, ...], Tensor]:
        """Each subset of modalities' exact contribution to the output.

        The product of (constant row + data row) expands into 2^M terms, one per subset S: data rows of the
        modalities in S, constant rows of the others. `presence` and `mask` (a list or dict like the inputs) as in a
        call; a mask is not read off the inputs here.

        Returns:
            dict from a tuple of names (indices for list inputs), in modality order, to a tensor (…, units). The
            empty tuple is the constant. The values add up to the output without `bias`.
        """
        names = self.modalities or tuple(range(len(self.widths)))
        self.require_inputs(inputs)
        terms = self._data_terms(self.present_embeddings(inputs, presence, mask))
        contributions = {}
        for size in range(len(names) + 1):
            for subset in itertools.combinations(range(len(names)), size):
                product = ops.ones_like(terms[0])
                for m, (term, constant) in enumerate(zip(terms, self.factor_biases)):
                    product = product * (term if m in subset else ops.cast(constant, term.dtype))
                contributions[tuple(names[m] for m in subset)] = self._rank_sum(product)
        return contributions

    # -- the paper's shapes -----------------------------------------------------------------------------------
    def factor(self, modality: int | str) -> Tensor:
        """F_m in the paper's shape (rank, d_m + 1, units), the constant's row first."""
        m = self.modality_index(modality)
        data = ops.reshape(self.kernels[m], (self.widths[m], self.rank, self.units))
        constant = ops.reshape(self.factor_biases[m], (self.rank, 1, self.units))
        return ops.concatenate([constant, ops.transpose(data, (1, 0, 2))], axis=1)

    def set_factors(
        self,
        factors: Sequence[Any] | Mapping[str, Any],
        rank_weights: Any = None,
        bias: Any = None,
    ) -> None:
        """Assigns factors in the paper's shape (rank, d_m + 1, units), one per modality, in a list or by name.

        `rank_weights` (rank,) and `bias` (units,) stay as they are when not given. Nothing is assigned unless
        every shape fits.
        """
        names = self.modalities or range(len(self.widths))
        ordered = self.bind(factors, "factors")
        if bias is not None and self.bias is None:
            raise LMFError(f"{self.name} was made with use_bias=False, but a bias was given")
        assignments = []
        for m, factor in enumerate(ordered):
            array = self._checked(f"factor {names[m]}", factor, (self.rank, self.widths[m] + 1, self.units))
            assignments.append((self.kernels[m], array[:, 1:].transpose(1, 0, 2).reshape(self.widths[m], -1)))
            assignments.append((self.factor_biases[m], array[:, 0].reshape(-1)))
        if rank_weights is not None:
            assignments.append((self.rank_weights, self._checked("rank_weights", rank_weights, (self.rank,))))
        if bias is not None:
            assignments.append((self.bias, self._checked("bias", bias, (self.units,))))
        for variable, array in assignments:
            variable.assign(array)

    def _checked(self, what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            array = ops.convert_to_numpy(value)
            finite = np.isfinite(array).all()
        except (TypeError, ValueError):
            raise LMFError(f"{self.name}: {what} is no array of numbers") from None
        if array.shape != shape:
            raise LMFError(f"{self.name}: {what} has shape {array.shape}, needed {shape}")
        if not finite:
            raise LMFError(f"{self.name}: {what} holds NaN or infinity")
        return array

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
        }
