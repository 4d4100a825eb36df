"""Speaker enrolment: the centre moves, stored speakers are checked, and what can't be enrolled is told."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from loud_model import square_wave, write_wave
from voice_runs import NAME, POOLED, SAMPLES, STRETCHES, by_hand, voice_recipe, with_front_end

import keras_lmf as klmf
from keras_lmf.backend import nested_layers
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.models import set_standardization


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
