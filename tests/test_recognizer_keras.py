"""Recognizer with Keras models: a zoo entry that takes media, and a run; and entries that don't."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loud_model import RATE, square_wave, write_wave
from scipy.special import softmax
from zoo_entry import recipe, sections

import keras_lmf as klmf
from keras_lmf.backend import nested_layers
from keras_lmf.cli import main
from keras_lmf.cli.sources import opened
from keras_lmf.errors import LMFError
from keras_lmf.models import build, embedding_model, set_standardization
from keras_lmf.recipe import Recipe
from keras_lmf.zoo import Entry, file_records, write_testvectors

NAME, SAMPLES = "voice-entry", 1600  # windows of a tenth of a second
FIT = {"ece_before": 0.2, "ece_after": 0.1, "nll_before": 1, "nll_after": 0.9, "split": "valid", "rows": 9}
STRETCHES = ((0.1, 0.15), (0.7, 0.13))


def plain_recipe() -> Recipe:
    """Without a front end: its input holds features."""
    sections = recipe().model_dump(exclude_none=True)
    inputs = {"voice": {"shape": [SAMPLES], "backbone": {"name": "mlp", "units": [4]}}}
    return Recipe(**sections | {"name": NAME, "inputs": inputs, "fusion": {"name": "early"}})


POOLED = {"name": "average_pooling", "units": [4]}


def voice_recipe(backbone: dict[str, object] | None = None) -> Recipe:
    voice = {
        "shape": [SAMPLES],
        "front_end": {"name": "mfcc", "sample_rate": RATE},
        "backbone": backbone or {"name": "bilstm", "units": 4},
    }
    return Recipe(**plain_recipe().model_dump(exclude_none=True) | {"inputs": {"voice": voice}})


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


def by_hand(model, temperature: float) -> np.ndarray:
    """(windows, 2) from windows that are cut here, half a window apart."""
    wave = np.concatenate([square_wave(*STRETCHES), np.zeros(SAMPLES, np.float32)])
    starts = [0, 800, 1600, 2400, 3200]
    rows = np.stack([wave[start : start + SAMPLES] for start in starts])
    logits = keras.ops.convert_to_numpy(model({"voice": rows}, training=False)["emotion"]).astype("float64")
    return softmax(logits / temperature, axis=1)


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


def with_front_end(folder: Path, backbone: dict[str, object] | None = None) -> keras.Model:
    """A run of a recipe with a front end in `folder`, and its model."""
    voice_recipe(backbone).write(folder / "recipe.toml")
    model = build(voice_recipe(backbone))
    model.save_weights(folder / "model.weights.h5")
    return model


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


def noises(*windows: int) -> list[np.ndarray]:
    """Clips of so many windows each, of noise."""
    random = np.random.default_rng(0)
    return [0.1 * random.standard_normal(count * SAMPLES).astype("float32") for count in windows]


@pytest.mark.slow
def test_enrolment_moves_the_centre_towards_the_speakers_clips(tmp_path: Path) -> None:
    """By n / (n + 3) of the way; each clip counts once; the variance stays."""
    model = with_front_end(tmp_path, POOLED)
    centre, variance = np.linspace(-9, 9, 20), np.linspace(900, 100, 20)
    set_standardization(model, {"voice": (centre, variance)})
    model.save_weights(tmp_path / "model.weights.h5")
    clips, means = noises(1, 1, 2), []
    for clip in clips:
        starts = range(0, len(clip) - SAMPLES + 1, SAMPLES // 2)
        rows = np.stack([clip[start : start + SAMPLES] for start in starts])
        steps = np.concatenate(model.get_layer("voice_front_end").predict(rows, verbose=0))
        means.append(steps[(steps != 0).any(axis=1)].mean(axis=0))
    mean = np.mean(means, axis=0)
    raw = by_hand(model, 1.0)
    set_standardization(model, {"voice": (centre + 3 / 6 * (mean - centre), variance)})
    expected = by_hand(model, 1.0)
    assert np.abs(raw - expected).min() > 1e-3
    recognizer = klmf.Recognizer(tmp_path, enrolment=clips)
    answer = recognizer(square_wave(*STRETCHES))
    np.testing.assert_allclose(answer.timeline[["calm", "excited"]], expected, atol=1e-4)
    np.testing.assert_allclose(recognizer.enrolment.mean, mean, rtol=1e-4, atol=1e-4)
    assert recognizer.enrolment.clips == 3
    stored = recognizer.enrolment.save(tmp_path / "speaker.npz")
    again = klmf.Recognizer(tmp_path, enrolment=stored)(square_wave(*STRETCHES))
    np.testing.assert_allclose(again.timeline[["calm", "excited"]], expected, atol=1e-4)


def test_one_clip_can_be_enrolled_and_one_without_sound_not(tmp_path: Path) -> None:
    with_front_end(tmp_path, POOLED)
    (noise,) = noises(1)
    assert klmf.Recognizer(tmp_path, enrolment=[noise]).enrolment.clips == 1
    silence = np.zeros(9 * SAMPLES, np.float32)
    with pytest.raises(LMFError, match="clip 2: there is no sound"):
        klmf.Recognizer(tmp_path, enrolment=[noise, silence])
    for clip in ("clip.wav", noise):
        with pytest.raises(LMFError, match=r"takes a list of clips .*, received one clip: enrolment=\[…\]"):
            klmf.Recognizer(tmp_path, enrolment=clip)


@pytest.mark.parametrize(("calm", "count", "warned"), [(5, 5, True), (4, 5, False), (4, 4, False)])
def test_clips_that_get_one_answer_are_told(tmp_path: Path, calm: int, count: int, warned: bool) -> None:
    """The model answers "calm" to what is loud and "excited" to what is not."""
    model = with_front_end(tmp_path, POOLED | {"units": [1]})
    loud, soft = noises(1)[0], 0.1 * noises(1)[0]
    level = [
        float(model.get_layer("voice_front_end")(clip[None])[0, :, 0].numpy().mean()) for clip in (loud, soft)
    ]
    hidden = next(layer for layer in nested_layers(model) if layer.name == "dense_0")
    kernel = np.zeros((20, 1))
    kernel[0] = 1
    hidden.set_weights([kernel, -np.mean(level, keepdims=True)])
    model.get_layer("emotion").set_weights([np.array([[1.0, 0.0]]), np.array([0.0, 1e-3])])
    model.save_weights(tmp_path / "model.weights.h5")
    clips = [loud] * calm + [soft] * (count - calm)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        klmf.Recognizer(tmp_path, enrolment=clips, emotions=["excited", "calm"])
    told = [word for word in told if word.category is UserWarning]
    assert [word.filename for word in told] == [__file__] * warned
    assert all(f"'calm' to {calm} of {count}" in str(word.message) for word in told)


def test_a_stored_enrolment_must_be_of_the_model(tmp_path: Path) -> None:
    with_front_end(tmp_path, POOLED)
    recipe = voice_recipe(POOLED).fingerprint
    good = {"mean": np.zeros(20), "clips": np.array(3), "model": NAME, "recipe": recipe}
    path = tmp_path / "speaker.npz"
    for changes, told in (
        ({"recipe": "0" * 64}, rf"is of {NAME} \(recipe 000000000000\), the model is {NAME}"),
        ({"mean": np.zeros(19)}, "which hears a voice otherwise"),
        ({"mean": np.full(20, np.nan)}, "'mean' is float64"),
        ({"mean": np.zeros(20, int)}, "'mean' is int64"),
        ({"clips": np.array(0)}, "'clips' takes a whole number from 1, received 0"),
        ({"clips": np.ones(2)}, "'clips' takes"),
        ({"model": np.array(7)}, "'model' takes one string"),
        ({"recipe": np.array([{}], object)}, "object"),
    ):
        np.savez(path, **good | changes)
        with pytest.raises(LMFError, match=told):
            klmf.Recognizer(tmp_path, enrolment=str(path))
    np.savez(path, **{key: value for key, value in good.items() if key != "clips"})
    with pytest.raises(LMFError, match="clips"):
        klmf.Recognizer(tmp_path, enrolment=path)
    with pytest.raises(LMFError, match=r"saved as \.npz"):
        klmf.recognition.Enrolment(np.zeros(20), 3, NAME, "").save(tmp_path / "speaker.npy")


def test_a_model_that_does_not_standardise_the_voice_is_not_enrolled(tmp_path: Path) -> None:
    with_front_end(tmp_path, {"name": "published_text"})
    with pytest.raises(LMFError, match="can't be enrolled"):
        klmf.Recognizer(tmp_path, enrolment=noises(1))


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


def test_predict_enrols_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "speaker").mkdir()
    with_front_end(tmp_path / "run", POOLED)
    for name, seconds in (("a", 0.4), ("b", 0.2)):
        write_wave(tmp_path / "speaker" / f"{name}.wav", (0.5, seconds))
    clip, stored = write_wave(tmp_path / "clip.wav", *STRETCHES), str(tmp_path / "speaker.npz")
    words = ["predict", str(clip), "--model", str(tmp_path / "run"), "--json"]
    told = [
        CliRunner().invoke(main, [*words, *more])
        for more in (
            ["--enrol", str(tmp_path / "speaker"), "--save-enrolment", stored],
            ["--enrol", stored],
            [],
        )
    ]
    assert [done.exit_code for done in told] == [0, 0, 0]
    first, second, raw = (json.loads(done.stdout)[0]["probabilities"] for done in told)
    assert first == second != raw
    with np.load(stored, allow_pickle=False) as arrays:
        assert (arrays["clips"], arrays["model"]) == (2, NAME)
    for wrong in (["--save-enrolment", stored], ["--enrol", stored, "--save-enrolment", "speaker.txt"]):
        assert CliRunner().invoke(main, [*words, *wrong]).exit_code == 2


def test_what_joins_answers_has_no_embedding() -> None:
    parts = {name: klmf.backbones.mlp((4,), units=[3], seed=0) for name in ("voice", "face")}
    joined = klmf.models.fusion_model(parts, klmf.layers.LowRankFusion(8, seed=0), {"emotion": 3})
    assert embedding_model(joined, "emotion").output["embedding"].shape == (None, 8)
    both = klmf.layers.DecisionFusion("product", name="joined")(
        {"a": joined(joined.input)["emotion"], "b": joined.output["emotion"]}
    )
    with pytest.raises(LMFError, match="DecisionFusion"):
        embedding_model(keras.Model(joined.input, {"emotion": both}), "emotion")
