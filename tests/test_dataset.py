"""Dataset: splits, masks, statistics, fingerprint and its errors."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import columns

from keras_lmf.data import Dataset, Split
from keras_lmf.errors import LMFError
from keras_lmf.target import Target


def test_splits_hold_their_rows_in_order_and_final_dtypes():
    data = Dataset(**columns())
    train = data["train"]
    assert isinstance(train, Split)
    assert (len(data), len(train), len(data["valid"]), len(data["test"])) == (6, 4, 1, 1)
    assert train.ids.tolist() == ["clip0", "clip1", "clip2", "clip3"]
    assert data["test"].groups.tolist() == ["cat"]
    assert train.labels.dtype == np.int64
    assert train.inputs["audio"].dtype == np.float32
    np.testing.assert_array_equal(data["valid"].inputs["video"], [[12, 13, 14]])
    assert list(train.masks) == ["audio"]
    assert train.target is data.target
    values = columns(target=Target(name="mood", range=(-1, 1)), labels=[-1, 1, 0.5, 0, 0, 0])
    assert Dataset(**values)["train"].labels.dtype == np.float32


def test_masked_steps_become_zero_whatever_they_held():
    parts = columns()
    parts["inputs"]["audio"][1, 2:] = np.nan
    parts["inputs"]["audio"][4, 1:] = 1e300
    audio = Dataset(**parts).inputs["audio"]
    np.testing.assert_array_equal(audio[1], [[9, 10], [11, 12], [0, 0], [0, 0]])
    np.testing.assert_array_equal(audio[4, 1:], 0)
    assert np.isnan(parts["inputs"]["audio"][1, 2, 0]), "the caller's array must stay as it was"


def test_real_step_of_zeros_is_legal():
    parts = columns()
    parts["inputs"]["audio"][0, 1] = 0
    assert Dataset(**parts).masks["audio"][0, 1]


def test_later_changes_of_the_callers_arrays_do_not_reach_the_dataset():
    parts = columns()
    parts["inputs"]["video"] = parts["inputs"]["video"].astype(np.float32)
    data = Dataset(**parts)
    parts["inputs"]["video"][:] = np.nan
    parts["masks"]["audio"][:] = False
    assert np.isfinite(data.inputs["video"]).all()
    assert data.masks["audio"].any()


SOFT = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_corpora_and_soft_labels_go_with_their_rows():
    data = Dataset(**columns(corpora=["a", "b", "a", "b", "b", "a"], soft_labels=SOFT))
    for part in (data, data.select(["video"]), data.with_validation_in_training()):
        assert part["train"].corpora.tolist()[:4] == ["a", "b", "a", "b"]
        assert part["train"].soft_labels.dtype == np.float32
        np.testing.assert_array_equal(part["train"].soft_labels[:4], SOFT[:4])
    taken = data.take(data.corpora == "b")
    assert taken.ids.tolist() == ["clip1", "clip3", "clip4"]
    assert taken.splits.tolist() == ["train", "train", "valid"]
    np.testing.assert_array_equal(taken.soft_labels, SOFT[[1, 3, 4]])
    twice = data["train"].take(np.array([2, 2]))
    assert twice.corpora.tolist() == ["a", "a"]
    assert twice.labels.tolist() == [2, 2]
    np.testing.assert_array_equal(twice.masks["audio"], data.masks["audio"][[2, 2]])
    np.testing.assert_array_equal(twice.inputs["video"], data.inputs["video"][[2, 2]])
    assert "a 3, b 3" in data.summary()
    plain = Dataset(**columns())
    assert plain["train"].corpora is plain["train"].soft_labels is None


def test_the_fingerprint_counts_corpora_and_soft_labels_and_is_the_old_one_without_them():
    corpora = ["a", "b", "a", "b", "b", "a"]
    found = [columns(), columns(corpora=corpora), columns(soft_labels=SOFT), columns(soft_labels=SOFT[::-1])]
    assert len({Dataset(**parts).fingerprint for parts in found}) == 4
    # Of the version before there were any, whose runs and zoo entries must stay what they are.
    assert (
        Dataset(**columns()).fingerprint == "a95207ab93f2dd0a082c11fdca2c83dc67fd7d802188b5c4f91c908efcf8cd6f"
    )


def test_select_orders_and_drops_modalities():
    data = Dataset(**columns())
    assert list(data.select(["video", "audio"]).inputs) == ["video", "audio"]
    only = data.select(["video"])
    assert list(only.inputs) == ["video"]
    assert only.masks == {}
    with pytest.raises(LMFError, match=r"Unknown modality 'vidoe'\. Did you mean 'video'\?"):
        data.select(["audio", "vidoe"])
    with pytest.raises(LMFError, match="every modality once"):
        data.select(["audio", "audio"])
    with pytest.raises(LMFError, match="at least one"):
        data.select([])


def test_unknown_and_empty_split():
    data = Dataset(**columns())
    with pytest.raises(LMFError, match=r"Unknown split 'trian'\. Did you mean 'train'\?"):
        data["trian"]
    with pytest.raises(LMFError, match="'tiny' has no rows in split 'valid'"):
        Dataset(**columns(splits=["train"] * 5 + ["test"]))["valid"]


def test_statistics_count_train_and_unmasked_steps_only():
    parts = columns()
    parts["inputs"]["video"][:4, 1] = 0.1 + 1e-8 * np.arange(
        4
    )  # constant in train but for rounding, not in valid
    data = Dataset(**parts)
    real = [
        parts["inputs"]["audio"][row][: (4, 2, 3, 4)[row]] for row in range(4)
    ]  # by hand: rows 0–3 are train
    mean, variance = data.statistics("audio")
    assert mean.dtype == variance.dtype == np.float64
    np.testing.assert_allclose(mean, np.concatenate(real).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, np.concatenate(real).var(axis=0), rtol=1e-12)
    mean, variance = data.statistics("video")
    np.testing.assert_allclose(mean, [4.5, 0.1, 6.5], rtol=1e-6)
    np.testing.assert_allclose(variance, [11.25, 1.0, 11.25], rtol=1e-12)
    with pytest.raises(LMFError, match="Did you mean 'audio'"):
        data.statistics("audoi")


def test_statistics_of_frames_keep_the_last_axis():
    frames = np.random.default_rng(0).standard_normal((6, 4, 5, 2, 3))
    parts = columns(inputs={"audio": frames})
    steps = [frames[row, step] for row in range(4) for step in range((4, 2, 3, 4)[row])]
    mean, variance = Dataset(**parts).statistics("audio")
    np.testing.assert_allclose(mean, np.stack(steps).reshape(-1, 3).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(variance, np.stack(steps).reshape(-1, 3).var(axis=0), rtol=1e-5)


def test_statistics_need_a_real_step():
    with pytest.raises(LMFError, match="mask/audio: every step of the train split is masked"):
        Dataset(**columns(masks={"audio": np.zeros((6, 4), bool)})).statistics("audio")


def nan_at(row: int) -> dict:
    audio = columns()["inputs"]["audio"]
    audio[row, 0, 1] = np.nan
    return {"audio": audio}


MISTAKES = {
    "nan": ({"inputs": nan_at(2)}, r"input/audio, row 2 \(id 'clip2'\): value nan at index \(0, 1\)"),
    "infinity": (
        {"inputs": {"v": np.full((6, 1), np.inf)}, "masks": {}},
        r"input/v, row 0 \(id 'clip0', and 5 more",
    ),
    "overflow": ({"inputs": {"v": np.full((6, 1), 1e39)}, "masks": {}}, r"row 0 .*value 1e\+39"),
    "rows": ({"inputs": {"video": np.zeros((5, 3))}, "masks": {}}, "input/video: 5 rows, must be 6"),
    "rank": (
        {"inputs": {"video": np.zeros(6)}, "masks": {}},
        r"input/video: shape \(6,\), must be \(N, …, d\)",
    ),
    "no features": ({"inputs": {"video": np.zeros((6, 0))}, "masks": {}}, "at least one feature"),
    "words": (
        {"inputs": {"video": np.full((6, 2), "x")}, "masks": {}},
        "input/video: dtype <U1, must be a real num",
    ),
    "objects": ({"inputs": {"video": np.full((6, 2), None)}, "masks": {}}, "input/video: dtype object"),
    "complex": ({"inputs": {"video": np.full((6, 2), 1j)}, "masks": {}}, "input/video: dtype complex128"),
    "ragged": (
        {"inputs": {"video": [[1, 2]] * 5 + [[1]]}, "masks": {}},
        "input/video: not a rectangular array",
    ),
    "modality name": ({"inputs": {"my video": np.zeros((6, 2))}, "masks": {}}, "modality name 'my video'"),
    "no modality": ({"inputs": {}, "masks": {}}, "no modality"),
    "class too high": (
        {"labels": [0, 1, 3, 0, 1, 2]},
        r"label, row 2 \(id 'clip2'\): received 3.*0 … 2 \(calm, happy",
    ),
    "class negative": ({"labels": [0, 1, 2, 0, -1, 2]}, r"label, row 4 \(id 'clip4'\): received -1"),
    "class fraction": ({"labels": [0, 0.5, 2, 0, 1, 2]}, r"label, row 1 \(id 'clip1'\): received 0\.5"),
    "class nan": ({"labels": [0, 1, 2, 0, 1, np.nan]}, r"label, row 5 \(id 'clip5'\): received nan"),
    "label words": ({"labels": ["calm"] * 6}, "label: dtype <U4"),
    "label rank": ({"labels": np.zeros((6, 1), int)}, r"label: shape \(6, 1\)"),
    "label rows": ({"labels": [0, 1]}, "label: 2 rows, must be 6"),
    "corpus rows": ({"corpora": ["a"]}, "corpus: 1 rows, must be 6"),
    "corpus empty": ({"corpora": ["a", "", "a", "a", "a", "a"]}, "corpus, row 1: empty"),
    "soft shape": ({"soft_labels": SOFT[:, :2]}, r"soft_label: shape \(6, 2\), must be \(N, 3\)"),
    "soft rows": ({"soft_labels": SOFT[:5]}, "soft_label: 5 rows, must be 6"),
    "soft votes": ({"soft_labels": SOFT * 4}, r"soft_label, row 0 \(id 'clip0', and 5 more rows\): received"),
    "soft negative": (
        {"soft_labels": np.where(SOFT == 1, -1, 1)},
        r"soft_label, row 0 .* that add up to 1",
    ),
    "soft nan": ({"soft_labels": np.where(SOFT == 1, np.nan, SOFT)}, r"soft_label, row 1 \(id 'clip1'"),
    "soft numbers": (
        {"soft_labels": SOFT, "target": Target(name="mood", range=(0, 2))},
        "soft labels are for classes",
    ),
    "mask dtype": ({"masks": {"audio": np.ones((6, 4))}}, "mask/audio: dtype float64, must be bool"),
    "mask shape": (
        {"masks": {"audio": np.ones((6, 5), bool)}},
        r"mask/audio: shape \(6, 5\), must be \(6, 4\)",
    ),
    "mask rows": ({"masks": {"audio": np.ones((4, 4), bool)}}, "mask/audio: 4 rows, must be 6"),
    "mask of vector": ({"masks": {"video": np.ones((6, 3), bool)}}, "mask/video: input/video has shape"),
    "mask of nothing": ({"masks": {"adio": np.ones((6, 4), bool)}}, "mask 'adio'. Did you mean 'audio'"),
    "ids twice": ({"ids": ["a", "b", "c", "b", "d", "c"]}, "id: rows 1 and 3 are both 'b'"),
    "ids not words": ({"ids": np.arange(6)}, "id: dtype int64"),
    "no rows": ({"ids": np.array([], str)}, "id: no rows"),
    "id empty": ({"ids": ["a", "", "c", "e", "d", "f"]}, "id, row 1: empty"),
    "split unknown": (
        {"splits": ["train"] * 5 + ["dev"]},
        r"split, row 5 \(id 'clip5'\): Unknown split 'dev'",
    ),
    "split empty": ({"splits": ["train"] * 5 + [""]}, "split, row 5: empty"),
    "split rows": ({"splits": ["train"] * 5}, "split: 5 rows, must be 6"),
    "speaker twice": (
        {"groups": ["ann", "ann", "ann", "bob", "bob", "cat"]},
        r"group: 'bob' is in two splits, 'train' \(row 3, id 'clip3'\) and 'valid' \(row 4, id 'clip4'\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_name_field_row_and_id(mistake):
    changes, message = MISTAKES[mistake]
    with pytest.raises(LMFError, match=message):
        Dataset(**columns(**changes))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3.001, r"label, row 1 \(id 'clip1'\): received 3\.001, must be sentiment in \[-3, 3\]"),
        (np.nan, r"label, row 1 \(id 'clip1'\): received nan"),
        (-np.inf, r"label, row 1 \(id 'clip1'\): received -inf"),
    ],
)
def test_regression_labels_stay_in_range(value, message):
    target = Target(name="sentiment", range=(-3, 3))
    Dataset(**columns(target=target, labels=[-3, 3, 0, 0, 0, 0]))
    with pytest.raises(LMFError, match=message):
        Dataset(**columns(target=target, labels=[-3, value, 0, 0, 0, 0]))


def test_range_ends_that_float32_rounds_are_in_range():
    target = Target(name="arousal", range=(0.7, 0.9))  # float32(.7) < .7 and float32(.9) < .9
    labels = np.array([0.7, 0.9, 0.8, 0.8, 0.8, 0.8], np.float32)
    np.testing.assert_array_equal(Dataset(**columns(target=target, labels=labels)).labels, labels)


def test_fingerprint_sees_every_change_but_no_string_width():
    original = Dataset(**columns()).fingerprint
    assert len(original) == 64
    assert int(original, 16) >= 0
    video = columns()["inputs"]["video"]
    video[5, 2] += 1
    mask = columns()["masks"]["audio"]
    mask[1, 1] = False
    changed = [
        Dataset(**columns(inputs=columns()["inputs"] | {"video": video})).fingerprint,
        Dataset(**columns(masks={"audio": mask})).fingerprint,
        Dataset(**columns(labels=[0, 1, 2, 0, 1, 1])).fingerprint,
        Dataset(**columns(ids=[f"Clip{row}" for row in range(6)])).fingerprint,
        Dataset(**columns(groups=["ann"] * 4 + ["bob", "dan"])).fingerprint,
        Dataset(**columns(splits=["train"] * 4 + ["test"] * 2)).fingerprint,
        Dataset(**columns(target=Target(name="emotion", classes=("calm", "sad", "happy")))).fingerprint,
        Dataset(**columns()).select(["video", "audio"]).fingerprint,
    ]
    assert len({original, *changed}) == len(changed) + 1
    assert Dataset(**columns(name="x", ids=columns()["ids"].astype("<U99"))).fingerprint == original


def test_summary_says_what_is_there():
    text = Dataset(**columns()).summary()
    for part in (
        "tiny: 6 samples",
        "'emotion'",
        "4 × 2, masked",
        "calm 2, happy 1, sad 1",
        "train",
        "1 groups",
    ):
        assert part in text
    # statistics by hand: labels -1, 1, 0.5, 0
    parts = columns(target=Target(name="mood", range=(-1, 1)), labels=[-1, 1, 0.5, 0, 0, 0])
    assert "mean 0.125, standard deviation 0.740" in Dataset(**parts).summary()
