"""Plots: what stands in them, that they are files of their kind, and that no pyplot is involved."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from keras_lmf.errors import LMFError
from keras_lmf.evaluation import plots

NAMES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted and bored", "pleasantly surprised")


def texts_inside(figure: Figure) -> None:
    """No title or axis label reaches beyond the drawn area."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        for label in (axes.title, axes.xaxis.label, axes.yaxis.label):
            if not label.get_text():
                continue
            box = label.get_window_extent()
            assert box.x0 >= -1
            assert box.y0 >= -1
            assert box.x1 <= figure.bbox.width + 1
            assert box.y1 <= figure.bbox.height + 1


def test_confusion_matrix_cells_by_hand() -> None:
    y, p = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    figure = plots.confusion_matrix(y, p, ["no", "yes", "never"], "title")
    axes = figure.axes[0]
    cells = [text.get_text() for text in axes.texts]  # row by row
    assert cells == ["75%\n3", "25%\n1", "0", "0", "100%\n2", "0", "0", "0", "0"]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no (4)", "yes (2)", "never (0)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["no", "yes", "never"]


@pytest.mark.parametrize("size", [2, 8])
def test_confusion_matrix_fits_its_cells_and_its_page(size: int) -> None:
    y = np.repeat(np.arange(size), 1234)
    figure = plots.confusion_matrix(y, y[::-1], NAMES[:size], "emotion on test")
    texts_inside(figure)
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / size
    for text in axes.texts:
        assert text.get_window_extent().width < cell


def test_a_report_orders_its_metrics_and_keeps_classes_apart() -> None:
    y, p = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    values = {"war": 0.8, "uar": 0.9, "f1_no": 0.6, "f1_$yes$": 0.7}
    table = pd.DataFrame({"value": values, "low": {"war": 0.7}, "high": {"war": 0.95}, "floor": 0.1})
    figure = plots.classification(table.loc[list(values)], y, p, ["no", "$yes$"], "title")
    texts_inside(figure)
    whole, single, matrix = figure.axes
    for axes, expected in (
        (whole, {"accuracy": 0.8, "balanced accuracy": 0.9}),
        (single, {"no": 0.6, "$yes$": 0.7}),
    ):
        floors, dots = axes.lines
        assert dots.get_xdata().tolist() == list(expected.values())
        assert floors.get_xdata().tolist() == [0.1, 0.1]
        assert [label.get_text() for label in axes.get_yticklabels()] == list(expected)
        assert [text.get_text() for text in axes.texts] == [f"{value:.3f}" for value in expected.values()]
    assert whole.collections[0].get_segments()[0].tolist() == [[0.7, 0], [0.95, 0]]
    assert [text.get_text() for text in matrix.texts] == ["75%\n3", "25%\n1", "0", "100%\n2"]


def test_a_grid_of_dimensions_has_the_same_ticks_everywhere() -> None:
    y = np.random.default_rng(0).uniform(1, 7, (30, 5))
    figure = plots.predicted_against_true(y, 0.2 * y + 3, (1, 7), "traits", [f"trait_{k}" for k in range(5)])
    figure.draw_without_rendering()
    ticks = {tuple(where()) for axes in figure.axes for where in (axes.get_xticks, axes.get_yticks)}
    assert len(ticks) == 1
    assert len(*ticks) >= 3
    texts_inside(figure)


def test_predicted_against_true_by_hand() -> None:
    y, p = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 0.0, 4.0])
    figure = plots.predicted_against_true(y, p, (-3.0, 3.0), "sentiment on test")
    axes = figure.axes[0]
    # covariance (1 + 0 + 4 − 0)/3, deviations √(2/3) and √(14/3): r = 5/√28; MAE 3/3.
    assert axes.texts[0].get_text() == f"r = {5 / np.sqrt(28):.3f}\nMAE = 1.000\nn = 3"
    assert axes.collections[0].get_offsets().tolist() == [[-1, -1], [0, 0], [1, 4]]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_ylim()[0] < -3
    assert axes.get_ylim()[1] > 4  # a prediction outside the range stays in sight
    line = axes.lines[0]
    np.testing.assert_array_equal(line.get_xdata(), line.get_ydata())
    texts_inside(figure)


def test_training_curves_pair_train_and_validation() -> None:
    epochs = [1, 2, 3]
    history = pd.DataFrame(
        {"epoch": epochs, "loss": [3, 2, 1], "val_loss": [4, 3, 5], "learning_rate": [1, 1, 0.1]}
    )
    figure = plots.training_curves(history, "run", best_epoch=2)
    loss, rate = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert drawn == {"train": [3, 2, 1], "validation": [4, 3, 5], "best: epoch 2": [0, 1]}
    assert list(loss.lines[0].get_xdata()) == epochs
    assert list(loss.lines[2].get_xdata()) == [2, 2]
    assert rate.get_title() == "learning rate"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "train",
        "validation",
        "best: epoch 2",
    ]
    texts_inside(figure)


def test_training_curves_of_one_epoch_show_a_point() -> None:
    figure = plots.training_curves(pd.DataFrame({"loss": [1.0]}), "run")
    assert figure.axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    "history", [pd.DataFrame(), pd.DataFrame({"epoch": [1]}), pd.DataFrame({"loss": []})]
)
def test_training_curves_without_epochs_are_refused(history: pd.DataFrame) -> None:
    with pytest.raises(LMFError, match="no epochs to draw"):
        plots.training_curves(history, "run")


def test_the_legend_names_what_only_a_later_panel_has() -> None:
    history = pd.DataFrame({"learning_rate": [1, 1], "loss": [2, 1], "val_loss": [3, 2]})
    figure = plots.training_curves(history, "run")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "validation"]
    alone = plots.training_curves(history[["learning_rate", "loss"]], "run")
    assert [len(axes.lines) for axes in alone.axes] == [1, 1]
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["train"]


def test_names_that_look_like_tex_are_drawn_as_they_stand(tmp_path) -> None:
    figure = plots.confusion_matrix(np.array([0, 1]), np.array([0, 1]), ["$\\joy$", "b$_$"], "$\\nothing$")
    assert plots.save(figure, tmp_path / "matrix.png").is_file()


@pytest.mark.parametrize(
    ("y", "p", "words"),
    [
        ([], [], r"shapes \(0,\) and \(0,\)"),
        ([0, 1], [0], r"shapes \(2,\) and \(1,\)"),
        ([0, 1], [0, np.nan], "predictions to draw must be finite"),
        (["a", "b"], [0, 1], "labels to draw must be finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(y, p, words: str) -> None:
    with pytest.raises(LMFError, match=words):
        plots.confusion_matrix(y, p, ["a", "b"], "title")
    with pytest.raises(LMFError, match=words):
        plots.predicted_against_true(y, p, (-3, 3), "title")


@pytest.mark.parametrize("bad", [-1, 2, 0.5])
def test_unknown_class_is_refused(bad: float) -> None:
    with pytest.raises(LMFError, match="must be integers 0 … 1"):
        plots.confusion_matrix([0, 1], [0, bad], ["a", "b"], "title")


def test_save_is_a_png_or_nothing(tmp_path) -> None:
    figure = plots.training_curves(pd.DataFrame({"loss": [2.0, 1.0]}), "run")
    path = plots.save(figure, tmp_path / "new" / "curves.png")
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = imread(path)
    assert pixels.shape[0] > 300
    assert pixels.std() > 0.05  # not a blank page
    before = path.read_bytes()
    figure.axes[0].set_title("$\\broken{$", parse_math=True)  # fails while drawing
    with pytest.raises(ValueError, match="broken"):
        plots.save(figure, path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]


def test_threads_may_draw_at_once(tmp_path) -> None:
    def draw(k: int) -> bytes:
        y = np.arange(40) % 4
        figure = plots.confusion_matrix(y, (y + k) % 4, NAMES[:4], f"shift {k}")
        return plots.save(figure, tmp_path / f"{k}.png").read_bytes()

    alone = [draw(k) for k in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == alone
    assert len(set(alone)) == 4


def test_pyplot_is_never_loaded() -> None:
    code = "import sys; from keras_lmf.evaluation import plots; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "False"


def test_evaluate_needs_no_matplotlib_and_no_framework() -> None:
    code = "import sys, keras_lmf.evaluation; print({'matplotlib', 'keras', 'tensorflow'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "set()"
