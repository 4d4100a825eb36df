"""Facial landmarks: their normalisation, what is measured of them, and the backbones behind."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from exporting import exported_here

from keras_lmf import backbones
from keras_lmf.backbones import landmarks
from keras_lmf.errors import LMFError
from keras_lmf.export import export_model
from keras_lmf.layers import FaceLandmarkNormalization
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact


def faces(frames: int = 7, clips: int = 3, seed: int = 0) -> np.ndarray:
    """(clips, frames, 68, 2): points all over a picture, the eyes' corners some 60 pixels apart."""
    random = np.random.default_rng(seed)
    points = random.uniform(180, 320, (clips, frames, 68, 2))
    for corner, place in ((36, (200, 230)), (39, (240, 231)), (42, (270, 233)), (45, (310, 229))):
        points[:, :, corner] = place + random.uniform(-4, 4, (clips, frames, 2))
    return points


def normalized(points: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(FaceLandmarkNormalization()(points.astype("float32")))


def procrustes(points: np.ndarray) -> np.ndarray:
    """One frame (68, 2): least-squares similarity that takes the eye centres to (-1/2, 0) and (1/2, 0).

    Umeyama 1991: translation, rotation without reflection and scale from one singular value decomposition.
    """
    source = np.stack([(points[36] + points[39]) / 2, (points[42] + points[45]) / 2])
    target = np.array([[-0.5, 0.0], [0.5, 0.0]])
    u, singular, vt = np.linalg.svd((target - target.mean(0)).T @ (source - source.mean(0)))
    signs = np.array([1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = (singular * signs).sum() / np.square(source - source.mean(0)).sum()
    return scale * (points - source.mean(0)) @ rotation.T


def test_it_is_the_procrustes_fit_of_the_eyes():
    points = faces()
    expected = np.array([[procrustes(frame) for frame in clip] for clip in points])
    np.testing.assert_allclose(normalized(points), expected, atol=2e-5)


@pytest.mark.parametrize("degrees", [-100, -20, 0.5, 45, 180])
def test_place_size_and_roll_change_nothing(degrees):
    points = faces()
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = 1.7 * (points - 240) @ rotation.T + [310, 95]
    # Rounding to float32 pixels: 2e-5 of a pixel, of 70 between the eyes.
    np.testing.assert_allclose(normalized(moved), normalized(points), atol=2e-5)


def test_one_shape_is_the_other():
    points = faces()
    flat = normalized(points.reshape(3, 7, 136))
    np.testing.assert_array_equal(flat.reshape(3, 7, 68, 2), normalized(points))


def test_missing_frames_stay_zeros_and_eyes_that_coincide_are_missing():
    points = faces()
    expected = normalized(points)
    points[0, 2] = 0
    points[1, 3, [36, 39, 42, 45]] = 250
    expected[0, 2] = expected[1, 3] = 0
    np.testing.assert_array_equal(normalized(points), expected)


@pytest.mark.parametrize("shape", [(3, 7, 68, 3), (3, 7, 67, 2), (3, 7, 134), (3, 136)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(LMFError, match=r"landmarks of shape \(batch, time, 68, 2\) or \(batch, time, 136\)"):
        FaceLandmarkNormalization()(np.ones(shape, "float32"))


def answer(model: keras.Model, points: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(points.astype("float32")))


def measured(q: np.ndarray) -> list[float]:
    """The 15 numbers of one frame of normalised points, one by one."""

    def gap(a: int, b: int) -> float:
        return float(np.hypot(*(q[a] - q[b])))

    pairs = [(48, 54), (62, 66), (51, 57), (8, 33), (33, 51), (21, 22), (27, 33), (0, 16)]
    y = q[:, 1]
    heights = [
        (y[36] + y[39]) / 2 - (y[20] + y[21]) / 2,
        (y[42] + y[45]) / 2 - (y[22] + y[23]) / 2,
        (y[36] + y[39]) / 2 - (y[17] + y[18]) / 2,
        (y[42] + y[45]) / 2 - (y[25] + y[26]) / 2,
        (y[48] + y[54]) / 2 - (y[51] + y[57]) / 2,
    ]
    eyes = [
        (gap(37, 41) + gap(38, 40)) / (2 * gap(36, 39)),
        (gap(43, 47) + gap(44, 46)) / (2 * gap(42, 45)),
    ]
    return [gap(a, b) for a, b in pairs] + heights + eyes


def test_features_of_each_frame():
    points = faces()
    points[0, 2] = 0  # missing within the clip
    points[1, 5:] = 0  # padding
    points[2] = 0  # no face
    expected = np.zeros((3, 7, 136 + 136 + 15))
    for clip in range(3):
        q = [procrustes(frame) if frame.any() else None for frame in points[clip]]
        for t, now in enumerate(q):
            if now is not None:
                before = now if t == 0 or q[t - 1] is None else q[t - 1]
                expected[clip, t] = [*now.ravel(), *measured(now), *(now - before).ravel()]
    model = landmarks.landmarks((7, 68, 2), features=("coordinates", "distances", "velocities"))
    assert not model.weights
    found = answer(model, points)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found[points.any(axis=(2, 3)) == 0] == 0).all()


def test_statistics_are_those_of_the_frames_that_are_there():
    points = faces()
    points[0, 2] = 0
    points[1, 5:] = 0
    points[2] = 0
    words = ("mean", "log_change", "quarters", "log_deviation")
    found = answer(landmarks.landmark_statistics((7, 68, 2), statistics=words), points)
    assert (found[2] == 0).all()
    # Of 6 frames the quarters hold 2, 1, 2, 1; of 5 they hold 2, 1, 1, 1.
    for clip, edges in ((0, [0, 2, 3, 5, 6]), (1, [0, 2, 3, 4, 5])):
        steps = np.array([measured(procrustes(frame)) for frame in points[clip] if frame.any()])
        there = np.flatnonzero(points[clip].any(axis=(1, 2)))
        changes = np.abs(np.diff(steps, axis=0))[np.diff(there) == 1].mean(axis=0)
        mean = steps.mean(axis=0)
        quarters = [steps[a:b].mean(axis=0) - mean for a, b in itertools.pairwise(edges)]
        logarithms = np.log(changes + 0.003), np.log(steps.std(axis=0) + 0.003)
        expected = np.concatenate([mean, logarithms[0], *quarters, logarithms[1]])
        np.testing.assert_allclose(found[clip], expected, atol=1e-3)
    longer = np.pad(points, ((0, 0), (0, 4), (0, 0), (0, 0)))
    np.testing.assert_allclose(
        answer(landmarks.landmark_statistics((11, 68, 2), statistics=words), longer), found, atol=1e-5
    )


@pytest.mark.parametrize(
    ("make", "width"),
    [
        (backbones.landmark_convolution, 8),
        (backbones.landmark_lstm, 8),
        (backbones.landmark_gru, 8),
        (backbones.landmark_bilstm, 32),
        (lambda shape, units: backbones.landmark_mlp(shape, units=(units,)), 8),
    ],
)
def test_backbones_ignore_the_face_s_place_and_padding(make, width):
    keras.utils.set_random_seed(0)
    model = make((7, 68, 2), units=8)
    assert model.output_shape == (None, width)
    points = faces()
    points[:, 4:] = 0
    found = answer(model, points)
    assert np.ptp(found, axis=0).max() > 1e-3, "the faces must differ for this to say something"
    moved = np.where(points == 0, 0, points * 0.5 + 33)
    np.testing.assert_allclose(answer(model, moved), found, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (
            landmarks.landmarks,
            {"features": ()},
            "features of landmarks must be one or more different ones of coordinates",
        ),
        (
            landmarks.landmarks,
            {"features": ("distances",) * 2},
            "features of landmarks must be one or more different ones",
        ),
        (
            landmarks.landmark_statistics,
            {"statistics": ("median",)},
            "statistics of landmarks .median..*Allowed: mean",
        ),
        (
            landmarks.landmarks,
            {"shape": (7, 136)},
            r"\(frames, 68, 2\) without the batch axis, received \(7, 136\)",
        ),
    ],
)
def test_what_is_not_there_is_refused(make, options, message):
    with pytest.raises(LMFError, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("front_end", "backbone"),
    [
        ({"name": "landmarks", "features": ["distances", "velocities"]}, {"name": "gru", "units": 4}),
        ({"name": "landmarks"}, {"name": "temporal_convolution", "filters": [4], "units": 4}),
        ({"name": "landmark_statistics", "statistics": ["mean", "quarters"]}, {"name": "mlp", "units": [4]}),
    ],
)
def test_a_recipe_says_it_in_words(front_end, backbone):
    recipe = Recipe(
        name="faces",
        corpus={"name": "enterface05_landmarks"},
        target={"name": "emotion", "classes": ["angry", "happy"]},
        inputs={"face": {"shape": [7, 68, 2], "front_end": front_end, "backbone": backbone}},
        fusion={"name": "none"},
        training={"loss": "cross_entropy"},
    )
    model = build(recipe)
    logits = model({"face": faces().astype("float32")})["emotion"]
    assert np.isfinite(keras.ops.convert_to_numpy(logits)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [backbones.landmark_convolution, pytest.param(backbones.landmark_mlp, marks=pytest.mark.long)]
)
def test_a_tflite_file_of_builtin_ops_agrees(make, tmp_path):
    keras.utils.set_random_seed(0)
    clip = keras.Input((7, 68, 2), name="face")
    logits = keras.layers.Dense(2, name="emotion")(make((7, 68, 2))(clip))
    model = keras.Model({"face": clip}, {"emotion": logits})
    points = faces().astype("float32")
    points[0, 2] = points[1, 5:] = points[2] = 0
    with exported_here():
        (artifact,) = export_model(model, tmp_path, formats=("tflite",))
    found = open_artifact(artifact.path).predict({"face": points})["emotion"]
    np.testing.assert_allclose(
        found, keras.ops.convert_to_numpy(model({"face": points})["emotion"]), atol=1e-4
    )
