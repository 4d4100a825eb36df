"""A file within a budget: the candidates by hand, and what is chosen against scikit-learn's figures of the files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from exporting import exported_here
from sklearn.metrics import accuracy_score

from keras_lmf.cli import main
from keras_lmf.data.corpora import synthetic
from keras_lmf.errors import LMFError
from keras_lmf.evaluation.file_plots import pareto_fronts
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.training import Budget, budget, train, within_budget

RECIPE = Recipe(
    name="small",
    corpus={"name": "synthetic", "options": {"samples": 300}},
    target={"name": "emotion", "classes": ["calm", "excited"]},
    inputs={
        name: {"shape": [8], "backbone": {"name": "mlp", "units": [16, 6]}} for name in ("audio", "video")
    },
    fusion={"name": "low_rank", "units": 10, "rank": 1},
    head={"units": [5]},
    training={"loss": "cross_entropy", "epochs": 2},
)


def test_widths_are_divided_and_nothing_else() -> None:
    narrow = RECIPE.narrower(4)
    assert narrow.inputs["audio"].backbone.units == (4, 1)
    assert (narrow.fusion.units, narrow.fusion.rank, narrow.head.units) == (2, 1, (1,))
    assert narrow.replace(fusion={"units": 10}, head={"units": [5]}).fusion == RECIPE.fusion
    assert (narrow.training, narrow.inputs["video"].shape) == (RECIPE.training, (8,))
    inner = {"name": "step_by_step", "each": {"name": "low_rank", "units": 8}, "filters": [6]}
    steps = RECIPE.replace(
        inputs={
            name: {"shape": [5, 8], "backbone": {"name": "temporal_convolution", "filters": [4], "units": 4}}
            for name in ("audio", "video")
        },
        fusion=inner,
    ).narrower(2)
    assert (steps.fusion.each.units, steps.fusion.filters) == (4, (3,))
    assert steps.inputs["audio"].backbone.options["kernel_size"] == 5


def test_candidates_halve_the_rank_and_the_widths() -> None:
    found = budget._candidates(RECIPE.replace(fusion={"rank": 5}))
    assert [(recipe.fusion.rank, recipe.fusion.units) for recipe in found.values()] == [
        (rank, units) for units in (10, 5, 2, 1) for rank in (5, 2, 1)
    ]
    assert list(found)[:4] == [
        "rank 5, full width",
        "rank 2, full width",
        "rank 1, full width",
        "rank 5, 1/2 width",
    ]
    early = budget._candidates(RECIPE.replace(fusion={"name": "early"}))
    assert [recipe.head.units for recipe in early.values()] == [(5,), (2,), (1,), (1,)]
    narrow = RECIPE.replace(
        inputs={name: {"backbone": {"units": [2]}} for name in RECIPE.inputs},
        fusion={"units": 2},
        head={"units": []},
    )
    assert list(budget._candidates(narrow)) == ["rank 1, full width", "rank 1, 1/2 width"]


def test_the_plot_names_the_front_and_shows_the_budget() -> None:
    rows = [
        ("large", 9000, 2.0, 0.9, True),
        ("beaten", 8000, 3.0, 0.5, False),
        ("small", 1000, 1.0, 0.6, False),
    ]
    table = pd.DataFrame(rows, columns=["name", "bytes", "milliseconds", "value", "chosen"])
    figure = pareto_fronts(
        table.assign(low=table["value"] - 0.1, high=table["value"] + 0.1), "war", (9.5, None), ""
    )
    for axes in figure.axes:
        assert {text.get_text().split()[0] for text in axes.texts} == {"large", "small"}
    assert [9500, 9500] in [list(line.get_xdata()) for line in figure.axes[0].lines]
    wide = pareto_fronts(table.assign(low=table["value"], high=table["value"]), "war", (9.5, 5000.0), "")
    wide.draw_without_rendering()
    for axes in wide.axes:  # from 1 ms to 5 s: no number of the axis lies on the next
        low, high = axes.get_xlim()
        shown = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        ends = [label.get_window_extent() for label in shown if label.get_text()]
        assert len(ends) > 1
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(ends))
    errors = pareto_fronts(table.assign(low=table["value"], high=table["value"]), "mae", (None, None), "")
    named = {text.get_text().split()[0] for text in errors.axes[0].texts}
    assert named == {"beaten", "small", "large"}  # "large" is chosen


@pytest.mark.long
def test_the_best_file_that_fits_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "DIVISORS", (1, 2))
    data = synthetic.load(samples=300)
    run = train(RECIPE, data, tmp_path / "run")
    folder = tmp_path / "budget"
    with exported_here():  # which says that everything takes one millisecond
        choice = within_budget(run, folder, Budget(1000, 2.0), ["saved_model", "tflite"])
        narrow = RECIPE.narrower(2)
        runs = {
            name: folder / f"run-{one.fingerprint[:12]}" for name, one in (("full", RECIPE), ("half", narrow))
        }
        accuracy, sizes = {}, {}
        for name, home in runs.items():
            file = home / "judged-on-valid" / "model.tflite"
            logits = open_artifact(file).predict(data["valid"].inputs)["emotion"]
            accuracy[name] = accuracy_score(data["valid"].labels, logits.argmax(axis=1))
            sizes[name] = file.stat().st_size
        table = choice.table.set_index("candidate")
        assert dict(zip(accuracy, table["value"])) == pytest.approx(accuracy)
        assert dict(zip(sizes, table["bytes"])) == sizes
        assert list(table["format"]) == ["tflite", "tflite"]
        best = max(accuracy, key=lambda name: (accuracy[name], -sizes[name]))
        assert choice.file.read_bytes() == (runs[best] / "judged-on-valid" / "model.tflite").read_bytes()
        logits = open_artifact(choice.file).predict(data["test"].inputs)["emotion"]
        assert choice.test.loc["war", "value"] == pytest.approx(
            accuracy_score(data["test"].labels, logits.argmax(axis=1))
        )
        assert not (runs["full"] / "state.npz").exists()  # the run itself was not trained again
        before = (runs["half"] / "state.npz").stat().st_mtime_ns
        # Only the smaller one fits now; and nothing is measured or trained again.
        least = (sizes["half"] + 1) / 1000
        words = [
            "export",
            str(tmp_path / "run"),
            "--budget-kb",
            str(least),
            "--folder",
            str(folder),
            "--json",
        ]
        result = CliRunner().invoke(main, [*words, "--formats", "tflite"])
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert (
            Path(told["file"]).read_bytes()
            == (runs["half"] / "judged-on-valid" / "model.tflite").read_bytes()
        )
        assert [row["fits"] for row in told["candidates"]] == [False, True]
        assert (runs["half"] / "state.npz").stat().st_mtime_ns == before
        assert {path.name for path in folder.iterdir() if path.is_file()} == {
            *("model.tflite", "model.tflite.json", "budget.md", "budget.csv", "budget.png")
        }
        with pytest.raises(LMFError, match=r"No candidate is within 0\.5 ms.*the fastest takes 1 ms"):
            within_budget(run, folder, Budget(None, 0.5), ["tflite"])


def test_what_makes_no_sense_is_told(tmp_path: Path) -> None:
    for words in (["--budget-kb", "0"], ["--budget-ms", "5", "--split", "valid"]):
        result = CliRunner().invoke(main, ["export", "lmf-synthetic-av", *words])
        assert result.exit_code == 2
    model = CliRunner().invoke(
        main, ["export", "lmf-synthetic-av", "--budget-kb", "9", "--formats", "saved_model"]
    )
    assert model.exit_code == 1
    assert "name a format of theirs" in model.stderr
