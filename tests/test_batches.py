"""Batches: the order that `fit` sees, shapes, and class weights."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
from tiny import EMOTION, columns

from keras_lmf.data import Batches, Dataset, Split, balanced_class_weights
from keras_lmf.data.batches import epoch_order
from keras_lmf.errors import LMFError
from keras_lmf.target import Target


def numbered(rows: int, **changes) -> Split:
    """A train split of `rows` samples whose label is their row number."""
    numbers = np.arange(rows)
    return Dataset(
        **{
            "name": "numbered",
            "target": Target(name="row", range=(0, rows)),
            "inputs": {"audio": np.stack([numbers, -numbers], axis=1), "video": numbers[:, None] / 2},
            "labels": numbers,
            "groups": np.full(rows, "one"),
            "ids": numbers.astype(str),
            "splits": np.full(rows, "train"),
        }
        | changes
    )["train"]


def recording_model(seen: list[list[int]]) -> keras.Model:
    """A model whose loss appends each training batch's labels to the current epoch in `seen`."""
    audio, video = keras.Input((2,), name="audio"), keras.Input((1,), name="video")
    output = keras.layers.Dense(1, name="row")(keras.layers.Concatenate()([audio, video]))
    model = keras.Model({"audio": audio, "video": video}, {"row": output})

    def loss(labels, predicted):
        assert labels.shape == predicted.shape
        if seen:  # JAX and PyTorch build the loss on symbolic tensors before the first epoch
            seen[-1].append(keras.ops.convert_to_numpy(labels)[:, 0].astype(int).tolist())
        return keras.ops.mean(predicted)

    model.compile("sgd", loss={"row": loss}, run_eagerly=True)
    return model


def new_epoch(seen: list) -> keras.callbacks.Callback:
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append([]))


def expected_epoch(seed: int, epoch: int, rows: int, size: int) -> list[list[int]]:
    order = np.random.default_rng((seed, epoch)).permutation(rows).tolist()
    return [order[start : start + size] for start in range(0, rows, size)]


@pytest.mark.parametrize(("rows", "first"), [(10, 0), (10, 3), (4, 2)])
def test_fit_uses_permutation_e_in_epoch_e(rows, first):
    seen: list = []
    split = numbered(rows)
    recording_model(seen).fit(
        Batches(split, 4, seed=5, first_epoch=first),
        initial_epoch=first,
        epochs=first + 3,
        shuffle=False,
        verbose=0,
        callbacks=[new_epoch(seen)],
    )
    assert seen == [expected_epoch(5, epoch, rows, 4) for epoch in range(first, first + 3)]


def test_fit_without_a_seed_keeps_the_order():
    seen: list = []
    recording_model(seen).fit(
        Batches(numbered(5), 2), epochs=2, shuffle=False, verbose=0, callbacks=[new_epoch(seen)]
    )
    assert seen == [[[0, 1], [2, 3], [4]]] * 2


def test_batches_carry_all_modalities_of_the_same_rows():
    batches = Batches(numbered(7), 3, seed=1)
    assert len(batches) == 3
    rows = []
    for inputs, labels in batches:
        values = labels["row"]
        assert (values.dtype, values.shape) == (np.float32, (len(values), 1))
        np.testing.assert_array_equal(inputs["audio"], np.concatenate([values, -values], axis=1))
        np.testing.assert_array_equal(inputs["video"], values / 2)
        rows += values[:, 0].tolist()
    assert sorted(rows) == list(range(7))


def test_seeds_and_epochs_differ_and_global_random_state_is_untouched():
    def state():
        return random.getstate(), [str(part) for part in np.random.get_state()]

    before, split = state(), numbered(50)

    def order(**options):
        return [int(value) for _, labels in Batches(split, 8, **options) for value in labels["row"][:, 0]]

    assert order(seed=1) == order(seed=1)
    assert len({tuple(order(seed=seed, first_epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    assert state() == before


def test_class_weights_reach_the_samples():
    split = Dataset(**columns())["train"]  # calm, happy, sad, calm
    inputs, labels, weights = Batches(split, 3, class_weights={"calm": 0.5, "happy": 2, "sad": 3})[0]
    assert list(inputs) == ["audio", "video"]
    assert labels["emotion"].dtype == np.int32
    assert labels["emotion"].tolist() == [0, 1, 2]
    assert weights["emotion"].dtype == np.float32
    assert weights["emotion"].tolist() == [0.5, 2, 3]


def test_class_weights_scale_the_loss_of_fit():
    split = Dataset(**columns()).select(["video"])["train"]
    video = keras.Input((3,), name="video")
    logits = keras.layers.Dense(3, kernel_initializer="zeros", name="emotion")(video)
    model = keras.Model({"video": video}, {"emotion": logits})
    model.compile("sgd", loss={"emotion": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    weights = {"calm": 0.5, "happy": 2.0, "sad": 3.0}
    loss = model.evaluate(Batches(split, 4, class_weights=weights), verbose=0)
    # Zero logits cost log 3 a sample; the weights of calm, happy, sad, calm average to 1.5.
    assert loss == pytest.approx(1.5 * np.log(3), rel=1e-5)


def test_balanced_class_weights_are_those_of_scikit_learn():
    labels = np.array([0, 0, 0, 2, 2, 1, 0, 0, 2])
    split = numbered(9, target=EMOTION, labels=labels)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_class_weights(split) == pytest.approx(dict(zip(EMOTION.classes, expected)))
    absent = numbered(4, target=EMOTION, labels=[0, 0, 0, 2])
    assert balanced_class_weights(absent) == pytest.approx({"calm": 4 / 6, "sad": 2})
    assert len(Batches(absent, 2, class_weights=balanced_class_weights(absent))) == 2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"calm": 1, "hapy": 1, "sad": 1}, r"'hapy'\. Did you mean 'happy'"),
        ({"calm": 1, "sad": 1}, "no weight for 'happy', which the train split holds"),
        ({"calm": 1, "happy": float("nan"), "sad": 1}, r"class_weights\['happy'\] must be a finite number"),
    ],
)
def test_wrong_class_weights(weights, message):
    with pytest.raises(LMFError, match=message):
        Batches(Dataset(**columns())["train"], 2, class_weights=weights)


def test_class_weights_need_classes():
    for use in (balanced_class_weights, lambda split: Batches(split, 2, class_weights={"a": 1})):
        with pytest.raises(LMFError, match="'row' is a regression target"):
            use(numbered(3))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"batch_size": 2.5}, {"seed": -1}, {"first_epoch": -1}]
)
def test_wrong_numbers(options):
    with pytest.raises(LMFError, match=f"{next(iter(options))} must be a whole number"):
        Batches(numbered(3), **{"batch_size": 2} | options)


CORPORA = np.repeat(["large", "middle", "small"], [11, 5, 2])


def joined_rows(**options) -> list[list[int]]:
    batches = Batches(numbered(18, corpora=CORPORA), 4, of="corpora", **options)
    return [labels["row"][:, 0].astype(int).tolist() for _, labels in batches]


def test_batches_of_corpora_hold_equally_many_rows_of_each():
    batches = joined_rows(seed=5)
    assert [len(rows) for rows in batches] == [4] * 8 + [1]
    for rows in batches[:-1]:
        assert sorted(np.unique(CORPORA[rows], return_counts=True)[1]) == [1, 1, 2]
    drawn = np.bincount(np.concatenate(batches), minlength=18)
    assert (drawn[:11] == 1).all(), "the largest corpus once"
    assert drawn[11:16].sum() == drawn[16:].sum() == 11
    assert set(drawn[11:16]) == {2, 3}  # 11 of 5 rows: twice each, and one of them again
    assert set(drawn[16:]) == {5, 6}


def test_batches_of_corpora_come_in_an_order_of_seed_and_epoch_alone():
    seen: list = []
    split = numbered(18, corpora=CORPORA)
    recording_model(seen).fit(
        Batches(split, 4, seed=5, first_epoch=2, of="corpora"),
        initial_epoch=2,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[new_epoch(seen)],
    )
    assert seen == [joined_rows(seed=5, first_epoch=epoch) for epoch in (2, 3)]
    assert seen[0] != seen[1]
    small = [row for row in np.concatenate(seen[0]) if row >= 16]
    pairs = {tuple(small[start : start + 2]) for start in range(0, 10, 2)}
    assert pairs == {(16, 17), (17, 16)}, "each pass is whole, in an order of its own"


def test_batches_of_corpora_are_those_of_rows_where_there_is_one_corpus():
    orders = [epoch_order(9, 1, 2, corpora) for corpora in (None, np.full(9, "one"))]
    np.testing.assert_array_equal(*orders)
    batches = Batches(numbered(9), 4, seed=1, of="corpora")
    assert batches[0][1]["row"][:, 0].astype(int).tolist() == expected_epoch(1, 0, 9, 4)[0]
    with pytest.raises(LMFError, match=r"'corpra'\. Did you mean 'corpora'"):
        Batches(numbered(9), 4, of="corpra")


def test_soft_labels_come_behind_the_class():
    soft = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    split = Dataset(**columns(soft_labels=soft))["train"]
    _, labels, weights = Batches(split, 3, class_weights={"calm": 0.5, "happy": 2, "sad": 3})[0]
    assert labels["emotion"].dtype == np.float32
    assert labels["emotion"].tolist() == [[0, 0.5, 0.25, 0.25], [1, 0, 1, 0], [2, 0.5, 0, 0.5]]
    assert weights["emotion"].tolist() == [0.5, 2, 3]
