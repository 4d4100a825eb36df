"""Recognizer with Keras models: a zoo entry that takes media, and a run; and entries that don't."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loud_model import RATE, square_wave, write_wave
from scipy.special import softmax
from voice_runs import NAME, SAMPLES, STRETCHES, by_hand, plain_recipe, voice_recipe, with_front_end
from zoo_entry import sections

import keras_lmf as klmf
from keras_lmf.cli import main
from keras_lmf.cli.sources import opened
from keras_lmf.errors import LMFError
from keras_lmf.models import build, embedding_model
from keras_lmf.zoo import Entry, file_records, write_testvectors

FIT = {"ece_before": 0.2, "ece_after": 0.1, "nll_before": 1, "nll_after": 0.9, "split": "valid", "rows": 9}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    """The folder of an entry for voices, calibrated, and its model."""
    folder = tmp_path_factory.mktemp("zoo") / NAME
    folder.mkdir()
    voice_recipe().write(folder / "recipe.toml")
    model = build(voice_recipe())
    for weight in model.trainable_weights:
        weight.assign(3 * weight)
    model.save_weights(folder / "model.weights.h5")
    inputs = {"voice": np.random.default_rng(0).standard_normal((3, SAMPLES)).astype("float32")}
    write_testvectors(folder / "testvectors.npz", inputs, model.predict(inputs, verbose=0))
    (folder / "extra.bin").write_bytes(b"x")
    voice = {"shape": [SAMPLES], "unit": "full scale = 1", "description": "mono", "media": "waveform"}
    Entry(
        **sections(
            folder,
            model,
            name=NAME,
            fusion="early",
            modalities=["voice"],
            inputs={"voice": voice | {"rate": RATE}},
            recipe_sha256=voice_recipe().fingerprint,
            files=file_records(folder, {"weights": "model.weights.h5", "testvectors": "testvectors.npz"}),
            calibration=FIT | {"temperature": 2.5},
        )
    ).write(folder)
    return folder, model


@pytest.mark.slow
def test_an_entry_by_its_folder_and_by_its_name(made, home: Path, tmp_path: Path) -> None:
    folder, model = made
    home.parent.mkdir()
    home.symlink_to(folder.parent)
    clip = write_wave(tmp_path / "a.wav", *STRETCHES)
    shares = by_hand(model, 2.5)
    weights = np.array([0.1, 0.1, 0.1, 0.1, 0.08])
    for artifact in (folder, str(folder), NAME):
        answer = klmf.Recognizer(artifact)(clip)
        np.testing.assert_allclose(answer.timeline[["calm", "excited"]], shares, atol=1e-5)
        assert list(answer.probabilities.values()) == pytest.approx(
            weights @ shares / weights.sum(), abs=1e-5
        )


def test_a_run_whose_input_has_no_front_end_takes_features(tmp_path: Path) -> None:
    plain_recipe().write(tmp_path / "recipe.toml")
    build(plain_recipe()).save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(LMFError, match=r"takes features \(voice\)"):
        klmf.Recognizer(tmp_path)


@pytest.mark.parametrize("field", ["rate", "media"])
def test_an_entry_must_say_of_its_input_what_its_recipe_says(made, tmp_path: Path, field: str) -> None:
    copy = tmp_path / NAME
    shutil.copytree(made[0], copy)
    fields = json.loads((copy / "entry.json").read_text())
    fields["inputs"]["voice"][field] = {"rate": 8000.0, "media": "frames"}[field]
    (copy / "entry.json").write_text(json.dumps(fields))
    with pytest.raises(LMFError, match="says inputs"):
        klmf.load(copy)


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: float | None) -> None:
    model = with_front_end(tmp_path)
    if temperature:
        (tmp_path / "calibration.json").write_text(f'{{"temperature": {temperature}, "split": "valid"}}')
    expected = by_hand(model, temperature or 1.0)
    monkeypatch.setattr(keras.Model, "predict", None)  # too slow for one clip
    answer = klmf.Recognizer(tmp_path)(square_wave(*STRETCHES))
    np.testing.assert_allclose(answer.timeline[["calm", "excited"]], expected, atol=1e-5)


def test_a_damaged_calibration_is_told(tmp_path: Path) -> None:
    with_front_end(tmp_path)
    (tmp_path / "calibration.json").write_text('{"temperature": -1}')
    with pytest.raises(LMFError, match=r"calibration\.json: temperature"):
        klmf.Recognizer(tmp_path)


def test_entries_on_features_are_refused_with_those_that_fit(made, home: Path, entry_folder: Path) -> None:
    folder, _ = made
    home.parent.mkdir()
    home.symlink_to(folder.parent)
    with pytest.raises(LMFError, match=rf"takes features \(audio, video\).*take media files: {NAME}\."):
        klmf.Recognizer(entry_folder)


def test_files_that_are_exported_from_an_entry_keep_what_a_recognizer_needs(made) -> None:
    spec = opened(str(made[0]), None).spec
    assert (spec.temperature, spec.presence) == (2.5, "assumed")
    voice = spec.inputs["voice"]
    assert (voice.media, voice.rate, voice.unit) == ("waveform", RATE, "full scale = 1")


def test_an_embedding_is_what_the_head_takes(tmp_path: Path) -> None:
    model = with_front_end(tmp_path)
    kernel, bias = (weight.numpy().astype("float64") for weight in model.get_layer("emotion").weights)
    recognizer, clip = klmf.Recognizer(tmp_path), square_wave((0.1, 0.15), (0.0, 0.25), (0.7, 0.13))
    answer, found = recognizer(clip), recognizer.embed(clip)
    np.testing.assert_array_equal(found.starts, answer.timeline["start"])
    np.testing.assert_array_equal(found.ends, answer.timeline["end"])
    assert (
        found.windows.shape
        == (len(answer.timeline), recognizer.embedding_width)
        == (len(found.starts), len(kernel))
    )
    silent = answer.timeline["calm"].isna()
    assert 0 < silent.sum() < len(silent)
    np.testing.assert_array_equal(np.isnan(found.windows).all(axis=1), silent)
    shares = softmax(found.windows @ kernel + bias, axis=1)  # one linear layer, by hand
    np.testing.assert_allclose(answer.timeline[["calm", "excited"]], shares, atol=1e-5)
    seconds = found.ends - found.starts
    mean = np.average(found.windows[~silent], axis=0, weights=seconds[~silent])
    np.testing.assert_allclose(found.clip, mean, atol=1e-6)
    with pytest.raises(LMFError, match=r"the clip: nothing to judge by: no voice \(silent"):
        recognizer.embed(np.zeros(SAMPLES))


def test_predict_writes_embeddings(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with_front_end(run)
    clips = [
        write_wave(tmp_path / f"{name}.wav", (0.5, seconds)) for name, seconds in (("a", 0.4), ("b", 0.2))
    ]
    (tmp_path / "bad.wav").write_text("no sound")
    words = ["predict", *map(str, clips), str(tmp_path / "bad.wav"), "--model", str(run)]
    done = CliRunner().invoke(main, [*words, "--embeddings", str(tmp_path / "out.npz")])
    assert done.exit_code == 1, "of the bad one"
    recognizer = klmf.Recognizer(run)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert arrays["clip"].tolist() == list(map(str, clips))
        for row, clip in enumerate(clips):
            expected, rows = recognizer.embed(clip), arrays["window_clip"] == row
            np.testing.assert_array_equal(arrays["clip_vector"][row], expected.clip)
            np.testing.assert_array_equal(arrays["window_vector"][rows], expected.windows)
            np.testing.assert_array_equal(arrays["window_start"][rows], expected.starts)
            np.testing.assert_array_equal(arrays["window_end"][rows], expected.ends)
    for wrong in (["out.txt"], ["out.npz", "--workers", "2"], ["out.npz", "--csv", "a.csv", "--resume"]):
        assert CliRunner().invoke(main, [*words, "--embeddings", *wrong]).exit_code == 2


def test_what_joins_answers_has_no_embedding() -> None:
    parts = {name: klmf.backbones.mlp((4,), units=[3], seed=0) for name in ("voice", "face")}
    joined = klmf.models.fusion_model(parts, klmf.layers.LowRankFusion(8, seed=0), {"emotion": 3})
    assert embedding_model(joined, "emotion").output["embedding"].shape == (None, 8)
    both = klmf.layers.DecisionFusion("product", name="joined")(
        {"a": joined(joined.input)["emotion"], "b": joined.output["emotion"]}
    )
    with pytest.raises(LMFError, match="DecisionFusion"):
        embedding_model(keras.Model(joined.input, {"emotion": both}), "emotion")
