"""TensorFusion against numpy.kron; masks and presence, which EarlyFusion shares."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lmf.errors import LMFError
from keras_lmf.layers import EarlyFusion, LowRankFusion, TensorFusion

WIDTHS = {2: (3, 5), 3: (4, 2, 3), 4: (2, 4, 1, 3)}


def embeddings(widths, leading=(4,)):
    generator = np.random.default_rng(1)
    return [generator.standard_normal((*leading, width)).astype("float32") for width in widths]


def kron(inputs) -> np.ndarray:
    """np.kron of [1; h] per row: the constant first, the first modality slowest."""
    leading = inputs[0].shape[:-1]
    rows = []
    for vectors in zip(*(h.reshape(-1, h.shape[-1]) for h in inputs)):
        product = np.ones(1)
        for vector in vectors:
            product = np.kron(product, [1, *vector])
        rows.append(product)
    return np.array(rows).reshape(*leading, -1)


@pytest.mark.parametrize("leading", [(4,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("modalities", [2, 3, 4])
def test_equals_kron(modalities, leading):
    inputs = embeddings(WIDTHS[modalities], leading)
    layer = TensorFusion()
    np.testing.assert_allclose(np.asarray(layer(inputs)), kron(inputs), rtol=1e-5)
    assert layer.weights == []


@pytest.mark.parametrize(
    ("layer", "oracle"), [(TensorFusion, kron), (EarlyFusion, lambda x: np.concatenate(x, -1))]
)
@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 3)])
def test_an_absent_modality_is_zeros(layer, oracle, shape):
    inputs = embeddings((4, 2, 3), (2, 5))
    presence = np.random.default_rng(3).integers(0, 2, shape)
    full = np.broadcast_to(presence if len(shape) == 3 else presence[:, None], (2, 5, 3))
    expected = oracle([h * full[..., m, None] for m, h in enumerate(inputs)])
    poisoned = [np.where(full[..., m, None], h, np.nan) for m, h in enumerate(inputs)]
    np.testing.assert_allclose(np.asarray(layer()(poisoned, presence=presence)), expected, rtol=1e-5)


def test_all_modalities_absent_leave_the_constant():
    output = np.asarray(TensorFusion()(embeddings((2, 3)), presence=np.zeros((4, 2))))
    np.testing.assert_array_equal(output, np.eye(12)[[0] * 4])


def test_too_wide_a_product_is_refused_with_the_way_out():
    shapes = [(None, 256), (None, 256), (None, 256)]
    layer = TensorFusion()
    with pytest.raises(
        LMFError, match=r"16,974,593 entries.*LowRankFusion\(units=64, rank=4\).*197,444 par"
    ) as e:
        layer.build(shapes)
    assert "[256, 256, 256]" in str(e.value)
    instead = LowRankFusion(units=64, rank=4)
    instead.build(shapes)
    assert instead.count_params() == 197_444
    with pytest.raises(LMFError, match="LowRankFusion"):
        TensorFusion()([keras.Input((1024,)), keras.Input((1023,))])
    assert TensorFusion()([keras.Input((1023,)), keras.Input((1023,))]).shape == (None, 2**20)


@pytest.mark.parametrize("make", [EarlyFusion, TensorFusion, lambda: LowRankFusion(3, 2, seed=0)])
def test_masks_are_presence_per_step_and_their_union_goes_on(make):
    audio, video = embeddings((3, 2), (2, 4))
    masks = [np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool), np.array([[1, 0, 1, 0], [1, 1, 1, 0]], bool)]
    layer = make()
    output = layer([audio, video], mask=[*map(keras.ops.convert_to_tensor, masks)])
    expected = layer([audio, video], presence=np.stack(masks, -1))
    np.testing.assert_array_equal(output, expected)
    assert np.abs(np.asarray(output) - np.asarray(layer([audio, video]))).max() > 0.1
    union = layer.compute_mask([audio, video], [*map(keras.ops.convert_to_tensor, masks)])
    np.testing.assert_array_equal(union, [[1, 1, 1, 0], [1, 1, 1, 0]])


def test_a_mask_travels_through_a_model_to_the_next_layer():
    """The mean over the steps that are real in either modality, by hand."""
    names = {"audio": (4, 2), "video": (4, 1)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in names.items()}
    masked = {name: keras.layers.Masking()(tensor) for name, tensor in inputs.items()}
    pooled = keras.layers.GlobalAveragePooling1D()(EarlyFusion()(masked))
    model = keras.Model(inputs, pooled)
    audio = np.array([[[1, 2], [3, 4], [0, 0], [0, 0]]], "float32")
    video = np.array([[[6], [0], [9], [0]]], "float32")
    output = model.predict({"audio": audio, "video": video}, verbose=0)
    np.testing.assert_allclose(output, [[4 / 3, 6 / 3, 15 / 3]], rtol=1e-6)


def test_one_unmasked_modality_makes_every_step_real():
    audio, video = embeddings((3, 2), (2, 4))
    layer = EarlyFusion()
    mask = keras.ops.convert_to_tensor(np.array([[1, 0, 0, 0], [1, 1, 0, 0]], bool))
    assert layer.compute_mask([audio, video], [mask, None]) is None
    output = np.asarray(layer([audio, video], mask=[mask, None]))
    np.testing.assert_array_equal(output[..., 3:], video)
    np.testing.assert_array_equal(output[0, 1:, :3], 0)
