"""POM and IEMOCAP against what their files hold and against the baselines that came with the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_corpora import ROOT, needs_data
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_lmf.data import load
from keras_lmf.errors import LMFError
from keras_lmf.evaluation import evaluate


def raw(corpus: str, file: str) -> dict[str, np.ndarray]:
    with np.load(Path(ROOT) / corpus / file, allow_pickle=False) as arrays:
        return dict(arrays)


@needs_data
def test_pom_is_the_file() -> None:
    data, arrays = load("pom"), raw("pom", "pom_sequence.npz")
    assert (data.target.name, data.target.range, data.target.size) == ("ratings", (1, 7), 17)
    assert (data.target.dimensions[0], data.target.dimensions[14]) == ("confident", "sentiment")
    for name, rows in (("train", 600), ("valid", 100), ("test", 203)):
        split = data[name]
        assert len(split) == rows
        assert split.ids[-1] == f"{name}_{rows - 1:03d}"
        assert len(set(split.groups)) == rows
        for modality, mask in (("audio", "mask"), ("video", "video_mask")):
            np.testing.assert_array_equal(split.inputs[modality], arrays[f"{name}_{modality}"])
            np.testing.assert_array_equal(split.masks[modality], arrays[f"{name}_{mask}"] == 1)
            # A model sees a step as real where a feature is not zero: here that is the mask itself.
            np.testing.assert_array_equal((split.inputs[modality] != 0).any(axis=-1), split.masks[modality])
        changed = split.labels != arrays[f"{name}_label"]
        assert np.argwhere(changed).tolist() == ([[117, 8]] if name == "test" else [])
    assert data["test"].labels[117, 8] == 1
    assert data.target.dimensions[8] == "reserved"
    assert (~data.masks["video"].any(axis=1)).sum() == 486
    assert data.masks["audio"].any(axis=1).all()


@needs_data
def test_pom_ridge_and_floor_are_scikit_learns_on_the_raw_arrays() -> None:
    data, arrays = load("pom"), raw("pom", "pom_sequence.npz")
    pooled = {
        name: arrays[f"{name}_audio"].sum(axis=1) / arrays[f"{name}_mask"].sum(axis=1)[:, None]
        for name in ("train", "test")
    }
    ridge = make_pipeline(StandardScaler(), Ridge(300)).fit(pooled["train"], arrays["train_label"])
    predicted, truth = ridge.predict(pooled["test"]), arrays["test_label"]

    def mean_of_steps(split) -> np.ndarray:
        return split.inputs["audio"].sum(axis=1) / split.masks["audio"].sum(axis=1)[:, None]

    ours = make_pipeline(StandardScaler(), Ridge(300)).fit(mean_of_steps(data["train"]), data["train"].labels)
    table = evaluate(
        {"ratings": ours.predict(mean_of_steps(data["test"]))},
        data["test"],
        train_labels=data["train"].labels,
        resamples=0,
    ).table
    # One label of 3451 is raised by 1/3.
    assert table.loc["mae", "value"] == pytest.approx(mean_absolute_error(truth, predicted), abs=1.1e-4)
    each = [pearsonr(truth[:, k], predicted[:, k]).statistic for k in range(17)]
    assert table.loc["pearson", "value"] == pytest.approx(np.mean(each), abs=2e-4)
    assert table.loc["pearson_humorous", "value"] == pytest.approx(each[-1], abs=1e-6)
    assert table.loc["mae", "floor"] == pytest.approx(0.970, abs=5e-4)  # published with the features


@needs_data
@pytest.mark.parametrize("labels", ["merged", "strict"])
@pytest.mark.parametrize("session", [1, 2, 3, 4])
def test_iemocap_leaves_sessions_out(labels: str, session: int) -> None:
    data, arrays = (
        load("iemocap", labels=labels, validation_session=session),
        raw("iemocap", "iemocap_audio_text.npz"),
    )
    of_test = (arrays["split"] == "test") & np.isin(arrays["ids"], data.ids)
    np.testing.assert_array_equal(data["test"].ids, arrays["ids"][of_test])
    speakers = {name: set(data[name].groups) for name in ("train", "valid", "test")}
    assert speakers["valid"] == {f"Ses0{session}F", f"Ses0{session}M"}
    assert speakers["test"] == {"Ses05F", "Ses05M"}
    assert sum(map(len, speakers.values())) == len(set.union(*speakers.values())) == 10
    # "Ses01F_impro01_M003" is what the man says in a recording of the session with the woman's sensors.
    assert [f"{name[:5]}{name.rsplit('_', 1)[1][0]}" for name in data.ids] == data.groups.tolist()


@needs_data
@pytest.mark.parametrize(
    ("labels", "counts"), [("merged", [1708, 595 + 1039, 1084, 1103]), ("strict", [1708, 595, 1084, 1103])]
)
def test_iemocap_is_the_file(labels: str, counts: list[int]) -> None:
    data, arrays = load("iemocap", labels=labels), raw("iemocap", "iemocap_audio_text.npz")
    assert data.target.classes == ("neutral", "happy", "sad", "angry")
    assert np.bincount(data.labels).tolist() == counts
    row_of = {name: row for row, name in enumerate(arrays["ids"].tolist())}
    rows = [row_of[name] for name in data.ids.tolist()]
    np.testing.assert_array_equal(data.inputs["text"], arrays["text"][rows])
    np.testing.assert_array_equal(data.inputs["audio"][:, :10], arrays["audio"][rows, :10])
    np.testing.assert_allclose(np.expm1(data.inputs["audio"][:, 10]), arrays["audio"][rows, 10], rtol=1e-5)
    np.testing.assert_allclose(np.exp(data.inputs["audio"][:, 11]), arrays["duration"][rows], rtol=1e-5)
    names = {"neutral": 0, "happiness": 1, "excited": 1, "sadness": 2, "anger": 3}
    assert [names[emotion] for emotion in arrays["emotion"][rows].tolist()] == data.labels.tolist()


# Accuracy and macro F1 on session 5, published with the features.
BASELINES = {
    "merged": {"audio": (0.467, 0.476), "text": (0.504, 0.503), "audio text": (0.619, 0.627), "floor": 0.356},
    "strict": {"audio": (0.514, 0.498), "text": (0.540, 0.532), "audio text": (0.648, 0.634), "floor": 0.408},
}


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("labels", BASELINES)
@pytest.mark.parametrize("modalities", ["audio", "text", "audio text"])
def test_iemocap_baselines(labels: str, modalities: str) -> None:
    data = load("iemocap", labels=labels).with_validation_in_training()
    x = {
        name: np.concatenate([data[name].inputs[modality] for modality in modalities.split()], axis=1)
        for name in ("train", "test")
    }
    regression = LogisticRegression(C=0.05, class_weight="balanced", max_iter=2000)
    model = make_pipeline(StandardScaler(), regression).fit(x["train"], data["train"].labels)
    report = evaluate(
        model.predict_proba(x["test"]), data["test"], train_labels=data["train"].labels, resamples=0
    )
    got = (report.metrics["war"], report.metrics["f1_macro"])
    assert got == pytest.approx(BASELINES[labels][modalities], abs=2.5e-3)
    assert got[1] == pytest.approx(f1_score(data["test"].labels, model.predict(x["test"]), average="macro"))
    counts = np.bincount(data["test"].labels)
    assert counts.max() / counts.sum() == pytest.approx(BASELINES[labels]["floor"], abs=5e-4)


@needs_data
def test_iemocap_context_is_the_speakers_utterances_before_and_after() -> None:
    data, arrays = load("iemocap", context=2), raw("iemocap", "iemocap_audio_text.npz")
    row = {name: i for i, name in enumerate(arrays["ids"])}
    for name in ("Ses01F_impro01_F000", "Ses05M_script03_2_M002", "Ses02F_impro03_M004"):
        if name not in data.ids:
            continue
        place = int(np.flatnonzero(data.ids == name)[0])
        for step, offset in enumerate((-2, -1, 1, 2)):
            neighbour = f"{name[:-3]}{int(name[-3:]) + offset:03d}"
            assert data.masks["text_context"][place, step] == (neighbour in row)
            expected = arrays["text"][row[neighbour]] if neighbour in row else 0
            np.testing.assert_array_equal(data.inputs["text_context"][place, step], expected)
    assert data.masks["audio_context"].mean() > 0.8
    assert list(load("iemocap").inputs) == ["audio", "text"]


def test_iemocap_names_its_labels() -> None:
    with pytest.raises(LMFError, match=r"Unknown iemocap labels 'strickt'\. Did you mean 'strict'"):
        load("iemocap", labels="strickt")
