"""RandomAffine: against SciPy's interpolation, and what it draws."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from keras_lmf.errors import LMFError
from keras_lmf.layers import RandomAffine

HEIGHT, WIDTH, COUNT = 21, 26, 64
ROTATION, SHIFT, ZOOM = 30.0, 0.1, 0.2
LINES, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
MIDDLE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Where each pixel is (x, y), and noise: what is taken from where shows in the first two channels."""
    noise = np.random.default_rng(0).uniform(size=(COUNT, HEIGHT, WIDTH, 1))
    places = np.broadcast_to(np.stack([COLUMNS, LINES], axis=2), (COUNT, HEIGHT, WIDTH, 2))
    return np.concatenate([places, noise], axis=3).astype("float32")


@pytest.fixture(scope="module")
def changed(pictures) -> np.ndarray:
    return keras.ops.convert_to_numpy(RandomAffine(ROTATION, SHIFT, ZOOM, seed=1)(pictures, training=True))


@pytest.fixture(scope="module")
def matrices(changed) -> np.ndarray:
    """(COUNT, 3, 2): rows for x, y (from the middle) and 1, to the source from the middle; fitted to the inside."""
    inside = (slice(HEIGHT // 2 - 2, HEIGHT // 2 + 3), slice(WIDTH // 2 - 2, WIDTH // 2 + 3))
    x, y = (axis[inside].ravel() for axis in (COLUMNS - MIDDLE[0], LINES - MIDDLE[1]))
    design = np.stack([x, y, np.ones_like(x)], axis=1)
    fitted = []
    for picture in changed[..., :2].astype(float):
        matrix, residuals, *_ = np.linalg.lstsq(design, picture[inside].reshape(-1, 2) - MIDDLE)
        assert residuals.max() < 1e-8
        fitted.append(matrix)
    return np.array(fitted)


def test_it_is_one_bilinear_interpolation_with_the_edges_repeated(pictures, changed, matrices):
    points = np.stack([COLUMNS - MIDDLE[0], LINES - MIDDLE[1], np.ones((HEIGHT, WIDTH))], axis=2)
    outside = 0
    for before, after, matrix in zip(pictures, changed, matrices):
        x, y = np.moveaxis(points @ matrix + MIDDLE, 2, 0)
        outside += ((x < -1) | (x > WIDTH) | (y < -1) | (y > HEIGHT)).sum()
        for channel in range(3):
            expected = map_coordinates(before[..., channel].astype(float), [y, x], order=1, mode="nearest")
            np.testing.assert_allclose(after[..., channel], expected, atol=2e-4)
    assert outside > 100


def test_it_turns_scales_moves_and_mirrors_over_the_whole_range_and_no_more(matrices):
    linear = matrices[:, :2]
    determinants = np.linalg.det(linear)
    scales = np.sqrt(np.abs(determinants))
    # The line down the picture is not touched by a mirror; where it goes tells the angle.
    angles = np.degrees(np.arctan2(-linear[:, 1, 0], linear[:, 1, 1]))
    moves = matrices[:, 2] / (WIDTH, HEIGHT)
    for values, most in ((scales - 1, ZOOM), (angles, ROTATION), (moves[:, 0], SHIFT), (moves[:, 1], SHIFT)):
        assert -most * 1.001 <= values.min() < -0.8 * most
        assert 0.8 * most < values.max() <= most * 1.001
    assert 0.3 < (determinants < 0).mean() < 0.7
    # Neither sheared nor stretched.
    np.testing.assert_allclose(
        linear @ linear.transpose(0, 2, 1), np.eye(2) * scales[:, None, None] ** 2, atol=1e-4
    )


def test_nothing_changes_but_in_training(pictures):
    layer = RandomAffine(ROTATION, SHIFT, ZOOM, seed=1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(pictures)), pictures)


def test_without_changes_half_are_mirrored(pictures):
    changed = keras.ops.convert_to_numpy(RandomAffine(seed=1)(pictures, training=True))
    mirrored = np.abs(changed - pictures).max(axis=(1, 2, 3)) > 0.1
    assert 0.3 < mirrored.mean() < 0.7
    expected = np.where(mirrored[:, None, None, None], pictures[:, :, ::-1], pictures)
    np.testing.assert_allclose(changed, expected, atol=1e-4)


def test_a_model_trains_where_compiling_is_asked_for(pictures):
    symbol = keras.Input(pictures.shape[1:])
    answer = keras.layers.Dense(1)(keras.layers.Flatten()(RandomAffine(ROTATION, seed=1)(symbol)))
    model = keras.Model(symbol, answer)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile("sgd", "mse", jit_compile=True)
    history = model.fit(pictures / WIDTH, np.zeros((COUNT, 1)), batch_size=COUNT, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rotation": 200}, "rotation must be 0 to 180, received 200"),
        ({"shift": -0.1}, "shift must be 0 to 1, received -0.1"),
        ({"zoom": 1.0}, "zoom must be 0 to 0.99, received 1.0"),
    ],
)
def test_wrong_arguments(options, says):
    with pytest.raises(LMFError, match=says):
        RandomAffine(**options)


def test_pictures_of_unknown_size_are_refused():
    with pytest.raises(LMFError, match=r"known height and width.*\(None, None, None, 1\)"):
        RandomAffine()(keras.Input((None, None, 1)))
