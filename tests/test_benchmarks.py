"""The benchmark scripts run; no time is asserted, a machine may be busy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from media_files import write

from keras_lmf.data import corpora
from keras_lmf.models import build
from keras_lmf.recipe import Recipe

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(BENCHMARKS))


COMMANDS = [
    "alone",
    "backbones",
    "clear_faces",
    "clips",
    "compare_fusions",
    "compression",
    "extraction",
    "faces",
    "family",
    "fine_tuning",
    "folds",
    "fusion_layers",
    "fusion_speed",
    "large_data",
    "latencies",
    "lstm_op",
    "notebooks",
    "paper_tables",
    "pictures",
    "predict_on_batch",
    "published_network",
    "real_clips",
    "report",
    "robustness",
    "sample_answers",
    "sequences",
    "silence",
    "small_av",
    "small_voices",
    "speech",
    "strip",
    "temperatures",
    "unmet_corpora",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_options(name, monkeypatch):
    # Under a name of its own: tests and benchmarks both have a clips.py.
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    result = CliRunner().invoke(module.main, ["--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_every_script_of_the_page_is_there():
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"python benchmarks/(\w+)\.py", page))
    assert named <= {path.stem for path in BENCHMARKS.glob("*.py")}
    assert named <= {*COMMANDS, "baselines"}


def run_script(name: str, folder: Path, *words: object) -> pd.DataFrame:
    """What a script writes; it leaves nothing else in its working directory."""
    csv = folder / "written.csv"
    before = set(folder.iterdir())
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *map(str, words), "--csv", csv],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(folder.iterdir()) == {*before, csv}
    return pd.read_csv(csv)


@pytest.mark.skipif("KERAS_LMF_DATA" not in os.environ, reason="needs the corpora")
def test_the_papers_f1_of_always_no_is_the_closed_form():
    import paper_tables

    table = paper_tables.table_3().set_index(["source", "fusion"])
    test = corpora.load("iemocap")["test"]
    for emotion in paper_tables.EMOTIONS:
        no = np.mean(test.labels != test.target.classes.index(emotion))
        # "No" has recall 1 and precision `no`; "yes" has F1 0 and does not weigh in.
        assert table.loc[("ours", "always no"), emotion] == pytest.approx(100 * no * 2 * no / (1 + no))
        assert table.loc[("ours", "always no"), f'{emotion}, F1 of "yes"'] == 0
        for fusion in ("early", "TFN", "LMF"):
            assert table.loc[("ours", fusion), f'{emotion}, F1 of "yes"'] > 0


@pytest.mark.skipif("KERAS_LMF_DATA" not in os.environ, reason="needs the corpora")
def test_fusions_share_the_settings_of_a_trial():
    import trials
    from comparison import INITIALIZATION

    for corpus in ("iemocap", "pom"):
        recipes = [trials.recipe(corpus, 1, fusion, 3, 0, "") for fusion in ("early", "tensor")]
        recipes.append(trials.recipe(corpus, 1, "low_rank", 3, 0, INITIALIZATION))
        assert len({recipe.training.learning_rate for recipe in recipes}) == 1
        assert recipes[0].inputs == recipes[1].inputs == recipes[2].inputs


@pytest.mark.long
def test_fusion_layers_compares_every_case(tmp_path):
    table = run_script("fusion_layers.py", tmp_path, "--repeats", 1, "--seconds", 0)
    cases = list(zip(table["batch"], table["what"]))
    assert cases == [
        (batch, what)
        for batch, rival in [
            (1, "per-rank loop"),
            (8, "per-rank loop"),
            (32, "per-rank loop"),
            (32, "TensorFusion → Dense"),
            (256, "TensorFusion → Dense"),
        ]
        for what in ("LowRankFusion", rival)
    ]
    assert (table["median_ms"] > 0).all()
    assert (table.loc[table["what"] == "LowRankFusion", "ratio"] == 1).all()


def test_what_it_ran_on_is_told():
    import measurements

    told = measurements.about(("numpy", "no-such-package"))
    assert told["versions"].endswith(f", numpy {np.__version__}")
    assert told["machine"].endswith(", one thread")


def test_times_are_told_with_their_range():
    import measured_tables

    rows = [(1234.5, 1000.4, 20000), (12.345, 0.5, 13), (7, 7, 7), (None, None, None)]
    table = pd.DataFrame(rows, columns=["median", "least", "most"])
    assert measured_tables.spread(table, "median", "least", "most") == [
        "1,234 [1,000, 20,000]",
        "12.3 [0.5, 13]",
        "7",
        "–",
    ]


@pytest.mark.long
def test_backbones_tells_every_runtime(tmp_path):
    words = ("mfcc_lstm", "--clip", 0.2, "--repeats", 1, "--seconds", 0)
    earlier = pd.DataFrame({"backbone": ["mfcc_lstm", "image_cnn", "crnn"], "bytes": [1, 2, 3]})
    earlier.to_csv(tmp_path / "written.csv", index=False)
    table = run_script("backbones.py", tmp_path, *words)
    # What was measured of others stays, all in one order.
    assert list(table["backbone"]) == ["crnn", *["mfcc_lstm"] * 5, "image_cnn"]
    assert table["bytes"].iloc[[0, -1]].tolist() == [3, 2]
    table = table[1:-1].reset_index(drop=True)
    assert list(table["runtime"]) == [
        "tf.function",
        "tf.function, XLA",
        "TFLite float32",
        "TFLite dynamic",
        "TFLite int8",
    ]
    # An LSTM on 20 coefficients; mean, variance and count of the standardisation.
    assert set(table["parameters"]) == {4 * 64 * (20 + 64 + 1) + 2 * 20 + 1}
    # 21 frames: the LSTM's products, and the spectrogram's beside them.
    assert (table["mflops"] > 2e-6 * 21 * 4 * 64 * (20 + 64)).all()
    measured, refused = table[:4], table[4:]
    assert (measured["wall_ms"] > 0).all()
    assert measured["refused"].isna().all()
    assert refused["wall_ms"].isna().all()
    assert "in int8" in refused["refused"].item()
    assert table["bytes"][3] < table["bytes"][2]


@pytest.mark.long
def test_clips_compares_runtimes_on_a_run(tmp_path):
    recipe = Recipe(
        name="short",
        corpus={"name": "clips"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={
            "voice": {
                "shape": [8000],
                "front_end": {"name": "mfcc"},
                "backbone": {"name": "gru", "units": 4},
            }
        },
        fusion={"name": "none"},
        training={"loss": "cross_entropy", "epochs": 1},
    )
    run = tmp_path / "short"
    run.mkdir()
    recipe.write(run / "recipe.toml")
    build(recipe).save_weights(run / "model.weights.h5")
    words = ("--clip", 0.6, "--repeats", 1, "--minutes", 0.05)
    table = run_script("clips.py", tmp_path, run, *words)
    assert set(table["entry"]) == {"short"}
    assert list(table["what"]) == [
        "decoding alone",
        "Keras",
        "TFLite float32",
        "TFLite dynamic",
        "TFLite float32",
    ]
    assert (table["median_ms"] > 0).all()
    np.testing.assert_allclose(
        table["real_time_factor"], table["median_ms"] / 1e3 / table["clip_seconds"], rtol=1e-2
    )
    assert table["windows"][1:4].nunique() == 1
    assert table["windows"][4] == 11  # of half a second in 3 s, one each quarter
    if Path("/proc/self/status").exists():
        assert table["peak_mib"][4] >= table["starting_mib"][4] > 10


@pytest.mark.long
def test_faces_tells_every_detector_and_what_it_cannot_read(tmp_path):
    pytest.importorskip("cv2", reason="needs the extra face")
    wall = write(tmp_path / "wall.mp4", frames=[np.full((96, 128, 3), 90, np.uint8)] * 4)
    (tmp_path / "broken.mp4").write_bytes(wall.read_bytes()[:500])
    table = run_script("faces.py", tmp_path, wall, tmp_path / "broken.mp4", "--faceless", "wall.mp4")
    assert list(zip(table["clip"], table["detector"])) == [
        (clip, detector) for clip in ("wall.mp4", "broken.mp4") for detector in ("haar", "yunet")
    ]
    assert table["face"].tolist() == [False, False, True, True]
    assert (table.loc[:1, ["found", "present"]] == 0).all(axis=None)
    assert (table.loc[:1, "frames"] == 4).all()
    assert (table.loc[:1, ["detect_ms", "track_ms"]] > 0).all(axis=None)
    assert table.loc[2:, "found"].isna().all()
    assert table.loc[2:, "refused"].str.startswith("broken.mp4: ").all()


def test_the_fusions_picture_has_the_numbers_of_the_papers_formulas() -> None:
    import fusion_figure

    picture = (BENCHMARKS.parent / "docs" / "figures" / "fusion.svg").read_text(encoding="utf-8")
    assert picture == fusion_figure.svg()
    width, rank, units = 33, 4, 64  # 32 numbers and a 1
    words = [text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert words.count(f"{width**3 * units + units:,} weights") == 1
    assert words.count(f"{rank * units * 3 * width + rank + units:,} weights") == 1
    assert f"{width} × {width} × {width} = {width**3:,} products" in words
    speeds = pd.read_csv(BENCHMARKS / "results" / "speed" / "fusions.csv")
    (slower,) = speeds.query(
        "modalities == 3 and width == 32 and batch == 32 and phase == 'training' and fusion == 'tensor'"
    )["ratio"]
    assert words.count(f"{slower:.0f} × the time") == 1


def test_a_strip_has_the_middle_of_each_part() -> None:
    import strip

    film = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None, None], (12, 2, 5, 3))
    row = strip.strip(film, 3)
    white = np.full((2, strip.GAP, 3), 255, np.uint8)
    assert np.array_equal(row, np.hstack([film[2], white, film[6], white, film[10]]))
