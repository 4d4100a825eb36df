"""The corpora against what their files hold; the synthetic corpus against what its construction promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_corpora import ROOT, needs_data
from sklearn.linear_model import LogisticRegression

from keras_lmf.data import Dataset, load
from keras_lmf.data.corpora import CORPORA, describe
from keras_lmf.errors import LMFError


def sizes(data: Dataset) -> dict[str, int]:
    return {name: len(data[name]) for name in ("train", "valid", "test")}


def groups_of(data: Dataset) -> list[set]:
    return [set(data[name].groups) for name in ("train", "valid", "test")]


@needs_data
def test_mosi_is_the_file():
    data = load("cmu_mosi")
    assert sizes(data) == {"train": 1447, "valid": 160, "test": 592}
    assert {name: values.shape for name, values in data.inputs.items()} == {
        "audio": (2199, 73),
        "video": (2199, 100),
        "text": (2199, 100),
    }
    assert data.target.name == "sentiment"
    assert data.target.range == (-3, 3)
    assert data.masks == {}
    with np.load(Path(ROOT) / "cmu_mosi" / "mosi_utterance.npz", allow_pickle=False) as file:
        for name in ("train", "valid", "test"):
            rows = file["split"] == name
            for modality in ("audio", "video", "text"):
                np.testing.assert_array_equal(data[name].inputs[modality], file[modality][rows])
            np.testing.assert_array_equal(data[name].labels, file["label"][rows])
            np.testing.assert_array_equal(data[name].groups, file["video_id"][rows])
            np.testing.assert_array_equal(data[name].ids, file["ids"][rows])
    assert (data.labels.min(), data.labels.max()) == (-3, 3)
    # An id is "<video>_<segment>", so the groups follow from the ids.
    assert [name.rsplit("_", 1)[0] for name in data.ids] == data.groups.tolist()
    # Known floors of the 752 held-out rows (valid and test together): majority Acc-2, error of train's mean.
    held_out = np.concatenate([data["valid"].labels, data["test"].labels])
    assert np.mean(held_out >= 0) == pytest.approx(0.621, abs=5e-4)
    assert np.abs(held_out - data["train"].labels.mean()).mean() == pytest.approx(1.335, abs=5e-4)


@needs_data
def test_mosi_sdk_split_has_no_leaking_modality():
    data = load("cmu_mosi", split="split_sdk")
    assert list(data.inputs) == ["audio"]
    assert sizes(data) == {"train": 1284, "valid": 229, "test": 686}


def test_mosi_split_names():
    with pytest.raises(LMFError, match=r"cmu_mosi split 'splt'\. Did you mean 'split'"):
        load("cmu_mosi", split="splt")
    with pytest.raises(LMFError, match="Unknown cmu_mosi split 'split_repo'"):
        load("cmu_mosi", split="split_repo")


@needs_data
@pytest.mark.parametrize("fold", range(5))
def test_ravdess_folds_hold_disjoint_actors(fold):
    data = load("ravdess", fold=fold)
    train, valid, test = groups_of(data)
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert train | valid | test == {f"actor_{number:02d}" for number in range(1, 25)}
    with np.load(Path(ROOT) / "ravdess" / "ravdess_audio_video.npz", allow_pickle=False) as file:
        for name, folds in (("test", [fold]), ("valid", [(fold + 1) % 5])):
            np.testing.assert_array_equal(data[name].ids, file["ids"][np.isin(file["fold"], folds)])
        if fold == 0:
            np.testing.assert_array_equal(data.splits, file["split"])
    assert len(data["test"]) == (240 if fold == 4 else 300)


@needs_data
def test_ravdess_is_the_file():
    data = load("ravdess")
    assert sizes(data) == {"train": 840, "valid": 300, "test": 300}
    assert data.target.classes == (
        "neutral",
        "calm",
        "happy",
        "sad",
        "angry",
        "fearful",
        "disgust",
        "surprised",
    )
    assert np.bincount(data.labels).tolist() == [96] + [192] * 7
    assert np.unique(data.groups, return_counts=True)[1].tolist() == [60] * 24
    with np.load(Path(ROOT) / "ravdess" / "ravdess_audio_video.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(data.inputs["audio"], file["audio"])
        np.testing.assert_array_equal(data.inputs["audio_statistics"], file["audio_stat"])
        np.testing.assert_array_equal(data.inputs["video"], file["video"])
        np.testing.assert_array_equal(data.masks["audio"].sum(axis=1), file["audio_length"])
        np.testing.assert_array_equal(data.labels, file["label"])
    assert data.inputs["audio"].shape == (1440, 64, 45)
    mask = data.masks["audio"]
    assert (mask[:, :-1] >= mask[:, 1:]).all(), "the real steps come first"
    # A model derives the mask from non-zero steps: here that is the mask itself.
    np.testing.assert_array_equal((data.inputs["audio"] != 0).any(axis=-1), mask)
    # An id is modality-channel-emotion-intensity-statement-repetition-actor, emotions counted from 1.
    parts = [name.split("-") for name in data.ids]
    assert [int(part[2]) - 1 for part in parts] == data.labels.tolist()
    assert [f"actor_{part[6]}" for part in parts] == data.groups.tolist()


@needs_data
def test_ravdess_copied_takes_are_in_one_split():
    takes = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    for fold in range(5):
        data = load("ravdess", fold=fold)
        assert len(set(data.splits[np.isin(data.ids, takes)])) == 1


@pytest.mark.parametrize(
    ("name", "option", "least", "most"),
    [
        ("emodb", "fold", 0, 9),
        ("enterface05_landmarks", "fold", 0, 4),
        ("fer2013", "side", 48, 256),
        ("iemocap", "validation_session", 1, 4),
        ("ravdess", "fold", 0, 4),
    ],
)
def test_whole_numbers_out_of_their_range(name, option, least, most):
    for value in (least - 1, most + 1):
        with pytest.raises(LMFError, match=f"'{name}': {option} must be a whole number {least} … {most}"):
            load(name, **{option: value})
    for value in (float(least) + 0.5, str(least), True, None, [least]):
        with pytest.raises(LMFError, match=rf"'{name}': {option}: .*valid integer, received"):
            load(name, **{option: value})


@needs_data
@pytest.mark.parametrize(
    ("name", "options"), [("cmu_mosi", {}), ("iemocap", {"context": 1}), ("pom", {}), ("synthetic", {})]
)
def test_every_input_is_described(name, options):
    assert list(load(name, **options).inputs) == list(describe(name, Path(), ()).inputs)


def test_synthetic_label_is_the_sign_of_a_product():
    data = load("synthetic", samples=20_000, width=4, seed=3)
    first, second = data.inputs["audio"].astype(float), data.inputs["video"].astype(float)
    assert data.target.classes == ("calm", "excited")
    # E[sign(u·v) x yᵀ] = (2/π) w_1 w_2ᵀ, so its singular vectors are the hidden directions.
    moment = np.einsum("n,ni,nj->ij", 2 * data.labels - 1, first, second) / len(data)
    left, strength, right = np.linalg.svd(moment)
    np.testing.assert_allclose(strength, [2 / np.pi, 0, 0, 0], atol=0.04)
    product = (first @ left[:, 0]) * (second @ right[0])
    assert np.mean((product > 0) == (data.labels == 1)) > 0.97


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("modalities", [("audio", "video"), ("audio", "video", "text")])
def test_synthetic_is_chance_for_a_linear_model_and_learnable_from_the_product(modalities, seed):
    data = load("synthetic", modalities=modalities, samples=10_000, width=4, seed=seed)
    train, test = data["train"], data["test"]
    chance = 3 * 0.5 / np.sqrt(len(test))

    def accuracy(features):
        model = LogisticRegression(max_iter=2000).fit(features(train), train.labels)
        return model.score(features(test), test.labels)

    def outer(split):
        product = np.ones((len(split), 1))
        for modality in modalities:
            product = np.einsum("ni,nj->nij", product, split.inputs[modality]).reshape(len(split), -1)
        return product

    assert abs(accuracy(lambda split: np.concatenate(list(split.inputs.values()), axis=1)) - 0.5) < chance
    for modality in modalities:
        assert abs(accuracy(lambda split, name=modality: split.inputs[name]) - 0.5) < chance
    assert accuracy(outer) > 0.9


def test_synthetic_noise_is_the_best_possible_error():
    clean, noisy = (load("synthetic", samples=20_000, noise=noise, seed=4) for noise in (0.0, 0.2))
    np.testing.assert_array_equal(clean.inputs["audio"], noisy.inputs["audio"])
    flipped = np.mean(clean.labels != noisy.labels)
    assert flipped == pytest.approx(0.2, abs=3 * np.sqrt(0.16 / 20_000))


def test_synthetic_is_reproducible_and_splits_by_speaker():
    data = load("synthetic")
    assert sizes(data) == {"train": 1800, "valid": 600, "test": 600}
    assert [len(group) for group in groups_of(data)] == [12, 4, 4]
    assert len(set.union(*groups_of(data))) == 20
    assert load("synthetic").fingerprint == data.fingerprint
    assert load("synthetic", seed=1).fingerprint != data.fingerprint
    assert sizes(load("synthetic", samples=20)) == {"train": 12, "valid": 4, "test": 4}


@pytest.mark.parametrize(
    "option",
    [
        {"modalities": ("audio",)},
        {"modalities": "audio"},
        {"modalities": ("audio", "audio")},
        {"samples": 19},
        {"width": 0},
        {"noise": 0.5},
        {"noise": "loud"},
        {"seed": -1},
    ],
)
def test_synthetic_refuses(option):
    with pytest.raises(LMFError, match=f"'synthetic': {next(iter(option))}(:| must be)"):
        load("synthetic", **option)


def test_unknown_names_get_the_nearest():
    with pytest.raises(LMFError, match=r"Unknown corpus 'cmu_mosy'\. Did you mean 'cmu_mosi'\?"):
        load("cmu_mosy")
    with pytest.raises(LMFError, match=r"Unknown ravdess option 'flod'\. Did you mean 'fold'\?"):
        load("ravdess", flod=1)


def test_own_file_by_path(tmp_path):
    data = load("synthetic", samples=40)
    data.save(tmp_path / "mine.npz")
    assert load(str(tmp_path / "mine.npz")).fingerprint == data.fingerprint
    assert load("mine.npz", tmp_path).fingerprint == data.fingerprint
    with pytest.raises(LMFError, match="takes no options, received fold"):
        load(tmp_path / "mine.npz", fold=1)


@pytest.mark.parametrize("name", sorted(set(CORPORA) - {"synthetic", "synthetic_steps", "clips"}))
def test_corpora_are_found_by_argument_or_environment_at_the_call(tmp_path, monkeypatch, name):
    monkeypatch.delenv("KERAS_LMF_DATA", raising=False)
    with pytest.raises(LMFError, match=r"Pass root=… \(or --data\), or run `export KERAS_LMF_DATA=…`"):
        load(name)
    folder = "ferplus" if name == "voices_and_faces" else name  # made of others, which it opens first
    with pytest.raises(LMFError, match=f"{tmp_path}/{folder}/.* does not exist. root must be"):
        load(name, tmp_path)
    monkeypatch.setenv("KERAS_LMF_DATA", str(tmp_path))
    with pytest.raises(LMFError, match=f"{tmp_path}/{folder}/.* does not exist. KERAS_LMF_DATA must be"):
        load(name)


@needs_data
def test_the_folder_of_the_corpora_is_text_or_a_path():
    assert load("ravdess", ROOT).fingerprint == load("ravdess", Path(ROOT)).fingerprint


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("cmu_mosi", "mosi_utterance.npz", "audio"),
        ("iemocap", "iemocap_audio_text.npz", "audio"),
        ("pom", "pom_sequence.npz", "train_label"),
        ("ravdess", "ravdess_audio_video.npz", "audio"),
    ],
)
def test_corpus_file_without_a_key(tmp_path, name, file, key):
    (tmp_path / name).mkdir()
    np.savez(tmp_path / name / file, aduio=np.zeros((3, 2)), trian_label=np.zeros(3))
    wanted = rf"{file}: key '{key}' is missing\. Did you mean it by '(aduio|trian_label)'"
    with pytest.raises(LMFError, match=wanted):
        load(name, tmp_path)
