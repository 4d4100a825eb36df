"""From tensor fusion to low-rank fusion, and from many ranks to few: smaller models that start from trained weights.

`LowRankFusion(h) = TensorFusion(h) · W + b` where each output's slice of W is a sum of `rank` outer products. So a CP
decomposition of a trained W gives the low-rank layer (Kolda & Bader, Tensor Decompositions and Applications, SIAM
Review 2009, section 3; of networks' layers: Lebedev et al., ICLR 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_lmf.errors import LMFError, import_extra
from keras_lmf.layers import LowRankFusion
from keras_lmf.models.factory import FUSION, build, foretold_shapes, weight_shapes
from keras_lmf.models.standardization import refresh_standardization
from keras_lmf.recipe import Recipe

STARTS, SWEEPS, TOLERANCE = 4, 1000, 1e-10  # of alternating least squares
EXACT = 1e-6  # of a slice's norm: no further start then


def low_rank_from_tensor(
    weights: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    widths: Mapping[str, int] | Sequence[int],
    rank: int,
    seed: int = 0,
) -> LowRankFusion:
    """The low-rank layer that is nearest to tensor fusion followed by a dense layer without activation.

    Each output's slice of the weights is decomposed by itself (CP by alternating least squares; of two modalities the
    singular value decomposition, which is the best there is). The rank weights are 1. Exact where every slice has the
    rank, as far as the iteration finds it.

    Args:
        weights: (∏ (d_m + 1), units), the dense layer's kernel, in `TensorFusion`'s order.
        bias: (units,); None: zeros.
        widths: d_m, the embeddings' widths by name, or a list of them; in modality order.
        rank: 1 or more.
        seed: of the iteration's random starts.

    Returns:
        A built layer.

    Raises:
        LMFError: shapes that don't fit, numbers that aren't finite, or no tensorly (extra "compression").
    """
    weights = np.asarray(weights, np.float64)
    sizes = [width + 1 for width in (widths.values() if isinstance(widths, Mapping) else widths)]
    if weights.ndim != 2 or len(sizes) < 2 or len(weights) != math.prod(sizes):
        raise LMFError(
            f"The weights of widths {list(widths)} must have the shape ({' · '.join(map(str, sizes))}, units), "
            f"received {weights.shape}."
        )
    if not np.isfinite(weights).all():
        raise LMFError("The weights to decompose must be finite numbers, received some that are not.")
    if rank < 1:
        raise LMFError(f"'rank' takes 1 or more, received {rank!r}.")
    slices = [_decomposed(column.reshape(sizes), rank, seed) for column in weights.T]
    # Per modality (rank, d_m + 1, units).
    factors = [np.stack([each[m].T for each in slices], axis=-1) for m in range(len(sizes))]
    shapes = [(None, size - 1) for size in sizes]
    if isinstance(widths, Mapping):
        shapes, factors = dict(zip(widths, shapes)), dict(zip(widths, factors))
    layer = LowRankFusion(weights.shape[1], rank)
    layer.build(shapes)
    layer.set_factors(factors, np.ones(rank), np.zeros(weights.shape[1]) if bias is None else bias)
    return layer


def _decomposed(tensor: np.ndarray, rank: int, seed: int) -> list[np.ndarray]:
    """Factors (size, rank), one per axis, all of one length in each rank."""
    norm = np.linalg.norm(tensor)
    if not norm:
        return [np.zeros((size, rank)) for size in tensor.shape]
    if tensor.ndim == 2:
        left, lengths, right = np.linalg.svd(tensor, full_matrices=False)
        factors = [left * np.sqrt(lengths), right.T * np.sqrt(lengths)]
        return [np.pad(factor, ((0, 0), (0, rank)))[:, :rank] for factor in factors]
    import_extra("tensorly", "compression")
    from tensorly.decomposition import parafac

    best, error = None, np.inf
    for start in range(STARTS):
        found = parafac(
            tensor / norm,
            rank,
            n_iter_max=SWEEPS,
            init="random" if start else "svd",
            random_state=seed + start,
            tol=TOLERANCE,
        )
        factors = [np.asarray(factor) for factor in found.factors]
        factors[0] = factors[0] * np.asarray(found.weights)
        distance = np.linalg.norm(_product(factors) - tensor / norm)
        if best is None or distance < error:
            best, error = factors, distance
        if error < EXACT:
            break
    lengths = np.stack([np.linalg.norm(factor, axis=0) for factor in best])
    common = (norm * lengths.prod(axis=0)) ** (1 / len(best))
    return [factor / np.where(length, length, 1) * common for factor, length in zip(best, lengths)]


def _product(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Σ_r of the outer products."""
    product = factors[0]
    for factor in factors[1:]:
        product = product[..., None, :] * factor
    return product.sum(axis=-1)


def compress(recipe: Recipe, model: keras.Model, rank: int) -> tuple[Recipe, keras.Model]:
    """A trained model of tensor fusion as one of low-rank fusion.

    The layer behind the fusion (the head's first, or the output layer) goes into the fusion by `low_rank_from_tensor`.
    In its place stands the identity, without dropout before an output layer. So the result is a model of an ordinary
    recipe: it saves, exports, and trains on with `train(recipe, data, start=model)`.

    Args:
        recipe: of the model; its fusion is `tensor`.
        model: with trained weights.
        rank: of the low-rank fusion.

    Returns:
        The recipe with low-rank fusion, and its model.

    Raises:
        LMFError: another fusion, a model of another recipe, or as `low_rank_from_tensor`.
    """
    _require(recipe, "tensor")
    _require_model(recipe, model)
    hidden = recipe.head.units
    units = hidden[0] if hidden else recipe.target.size
    behind = "head_0" if hidden else recipe.target.name
    smaller = recipe.replace(
        name=f"{recipe.name}-rank-{rank}",
        fusion={"name": "low_rank", "units": units, "rank": rank},
        # What was dropout of the product's many entries would be one of the answers themselves.
        head={"dropout": recipe.head.dropout if hidden else 0.0},
    )
    made = _filled(smaller, model, (FUSION, behind))
    kernel, bias = model.get_layer(behind).get_weights()
    fusion = made.get_layer(FUSION)
    widths = dict(zip(fusion.modalities, fusion.widths))
    found = low_rank_from_tensor(kernel, bias, widths=widths, rank=rank)
    fusion.set_factors({name: found.factor(name) for name in widths}, found.rank_weights, found.bias)
    made.get_layer(behind).set_weights([np.eye(units), np.zeros(units)])
    return smaller, made


def rank_norms(layer: LowRankFusion) -> np.ndarray:
    """(rank,): how much each rank contributes, the Frobenius norm of the tensor that it adds to W.

    |w_r| · √(Σ_o ∏_m ‖F_m[r, :, o]‖²): λ_r of Kolda & Bader 2009, section 3, over all outputs. No data are needed.
    """
    lengths = [
        np.square(keras.ops.convert_to_numpy(layer.factor(m))).sum(axis=1) for m in range(len(layer.widths))
    ]
    weights = keras.ops.convert_to_numpy(layer.rank_weights)
    return np.abs(weights) * np.sqrt(np.prod(lengths, axis=0).sum(axis=-1))


def prune_ranks(recipe: Recipe, model: keras.Model, rank: int) -> tuple[Recipe, keras.Model]:
    """A trained model of low-rank fusion with only the `rank` ranks that contribute most (`rank_norms`).

    Train it on with `train(recipe, data, start=model)`.

    Returns:
        The recipe of that rank, and its model.

    Raises:
        LMFError: another fusion, a model of another recipe, or fewer ranks than are to be kept.
    """
    _require(recipe, "low_rank")
    if not 1 <= rank <= recipe.fusion.rank:
        raise LMFError(f"'rank' takes 1 to {recipe.fusion.rank}, which the model has; received {rank!r}.")
    _require_model(recipe, model)
    smaller = recipe.replace(name=f"{recipe.name}-pruned-{rank}", fusion={"rank": rank})
    made = _filled(smaller, model, (FUSION,))
    before, after = model.get_layer(FUSION), made.get_layer(FUSION)
    kept = np.sort(np.argsort(-rank_norms(before), kind="stable")[:rank])
    factors = {name: keras.ops.convert_to_numpy(before.factor(name))[kept] for name in before.modalities}
    after.set_factors(factors, keras.ops.convert_to_numpy(before.rank_weights)[kept], before.bias)
    return smaller, made


def _require(recipe: Recipe, word: str) -> None:
    if recipe.fusion.name != word:
        raise LMFError(
            f"This takes a recipe whose fusion is {word!r}; {recipe.name!r} has {recipe.fusion.name!r}."
        )


def _require_model(recipe: Recipe, model: keras.Model) -> None:
    if weight_shapes(model) != foretold_shapes(recipe):
        raise LMFError(
            f"The model is none of the recipe {recipe.name!r}: its weights have other names or shapes."
        )


def _filled(recipe: Recipe, model: keras.Model, other: Sequence[str]) -> keras.Model:
    """The recipe's model, with the weights of `model` in all layers but those of the names `other`."""
    made = build(recipe)
    for layer in made.layers:
        if layer.name not in other:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return refresh_standardization(made)
