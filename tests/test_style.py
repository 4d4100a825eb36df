"""The style of the figures: colours that are told apart, text that is read, names that don't touch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from keras_lmf.evaluation import style

# Of full deuteranopia, protanopia and tritanopia, on linear RGB: Machado, Oliveira & Fernandes (2009), table 1.
SIGHTS = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "full colour": np.eye(3).tolist(),
}
BASIC = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_emotions_are_told_apart(sight: str) -> None:
    """20 in CIELAB's units; 2.3 is the least that is seen at all."""
    cv2 = pytest.importorskip("cv2", reason="needs the extra face")
    found = style.colours(BASIC)
    steps = np.array([to_rgb(found[name]) for name in BASIC])
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIGHTS[sight]), 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    for first, second in itertools.combinations(range(len(BASIC)), 2):
        assert np.linalg.norm(lab[first] - lab[second]) > 20, (BASIC[first], BASIC[second])


def test_an_emotion_keeps_its_colour_and_others_get_one_of_their_own() -> None:
    assert style.colours(["fear", "surprise", "Anger"]) == {
        "fear": style.colours(["fearful"])["fearful"],
        "surprise": style.colours(["surprised"])["surprised"],
        "Anger": style.colours(["angry"])["angry"],
    }
    mixed = style.colours([*BASIC, "bright", "dull", "$x_1$"])
    assert list(mixed) == [*BASIC, "bright", "dull", "$x_1$"]
    assert len(set(mixed.values())) == 10
    assert len(style.colours(str(number) for number in range(30))) == 30


@pytest.mark.parametrize("colour", [*style.EMOTIONS.values(), *style.SERIES, "#ffffff", "#000000"])
def test_texts_have_the_contrast_that_wcag_asks_for(colour: str) -> None:
    def luminance(shown: str) -> float:
        steps = [
            step / 12.92 if step <= 0.04045 else ((step + 0.055) / 1.055) ** 2.4 for step in to_rgb(shown)
        ]
        return 0.2126 * steps[0] + 0.7152 * steps[1] + 0.0722 * steps[2]

    assert 1.05 / (luminance(style.legible(colour)) + 0.05) >= 4.45
    low, high = sorted((luminance(style.ink_on(colour)), luminance(colour)))
    assert (high + 0.05) / (low + 0.05) >= 3.5


def test_names_beside_lines_are_apart_and_near_their_ends() -> None:
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(1, 8), ylim=(0.01, 10), yscale="log")
    ends = {"a_$": (8, 1.0), "b": (8, 1.01), "c": (8, 1.02), "d": (8, 9.9), "e": (8, 0.011)}
    style.label_lines(axes, ends, dict.fromkeys(ends, style.BLUE))
    figure.draw_without_rendering()
    panel = axes.get_window_extent()
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}  # without its arrow
    assert set(boxes) == set(ends)
    for box in boxes.values():
        assert panel.x1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
    ordered = sorted(boxes, key=lambda name: boxes[name].y0)
    assert ordered == ["e", "a_$", "b", "c", "d"]
    assert all(boxes[above].y0 >= boxes[below].y1 - 1 for below, above in itertools.pairwise(ordered))
    height = ((boxes["b"].y0 + boxes["b"].y1) / 2 - panel.y0) / panel.height
    assert height == pytest.approx(2 / 3, abs=0.05)  # where 1 stands between 0.01 and 10


def test_places_spread_no_more_than_they_must() -> None:
    np.testing.assert_allclose(style.spread(np.array([0.1, 0.5, 0.9]), 0.2), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(style.spread(np.array([0.0, 0.0]), 0.2), [0.0, 0.2])
    np.testing.assert_allclose(style.spread(np.array([1.0, 1.0, 1.0]), 0.2), [0.6, 0.8, 1.0])
