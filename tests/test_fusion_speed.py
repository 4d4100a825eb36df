"""benchmarks/fusion_speed.py: mistakes are told first, unknown memory is left out, a run writes whole files."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from keras_lmf.errors import LMFError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# Last: tests and benchmarks both have a clips.py.
sys.path.append(str(BENCHMARKS))

import fusion_speed  # noqa: E402
from speed import comparisons, keras_networks, memory, published  # noqa: E402

RUN = """
import json, logging, sys
sys.path.append(sys.argv[1])
logging.getLogger("tensorflow").setLevel(logging.ERROR)
import fusion_speed
from speed import comparisons, memory
memory.counts_anew = lambda: False
comparisons.COMPILED = comparisons.COMPILED[:1]  # XLA takes a minute to compile
comparisons.WIDTHS, comparisons.MODALITIES = (2, 16), (2, 5)
sys.argv[1:] = ["--batches", "2", "--ranks", "1", "--repeats", "1", "--seconds", "0", "--folder", sys.argv[2]]
fusion_speed.main()
"""


def test_where_tensor_fusion_is_faster():
    cells = [(2, 2, 0.5, 0.6), (2, 4, 0.8, 0.9), (2, 8, 0.9, 1.1), (3, 2, 2.0, 2.5)]
    table = pd.DataFrame(
        [
            {"phase": "inference", "batch": 1, "modalities": modalities, "width": width}
            | {"fusion": "tensor", "ratio": ratio, "ratio_third_quartile": third}
            for modalities, width, ratio, third in cells
        ]
        + [
            {"phase": "training", "batch": 1, "modalities": 2, "width": 2, "fusion": "tensor"}
            | {"ratio": 3.0, "ratio_third_quartile": 3.0}
        ]
    )
    words = comparisons.where_tensor_is_faster(table)
    assert "inference, batch 1: 2 modalities of width 2, 4 (1.25×–2.00× as fast)." in words
    assert "training, batch 1: nowhere." in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"against": "pytorch"}, "Unknown rival 'pytorch'. Did you mean 'torch'"),
        ({"batches": [0]}, r"batches takes whole numbers of at least 1, received \[0\]"),
        ({"ranks": []}, "ranks takes"),
        ({"repeats": 0}, "repeats takes"),
        ({"seconds": -1}, "seconds must be 0 or more, received -1"),
    ],
)
def test_mistakes_are_told_before_anything_runs(options, words):
    with pytest.raises(LMFError, match=words):
        fusion_speed.benchmark(**options)


def test_a_process_that_has_used_tensorflow_is_refused():
    keras_networks.head(published.LOW_RANK, 4)
    with pytest.raises(LMFError, match=r"a process of its own: python benchmarks/fusion_speed\.py"):
        fusion_speed.benchmark()


MEMORY_UNKNOWN = pytest.mark.skipif(
    not memory.counts_anew(), reason="no /proc here, from which a peak is read"
)


@MEMORY_UNKNOWN
@pytest.mark.long
@pytest.mark.parametrize("code", ["keras-lmf", pytest.param("PyTorch", marks=pytest.mark.backends("torch"))])
def test_peak_memory_of_a_process_of_its_own(code):
    row = fusion_speed.peak("inference", 2, code, published.TENSOR)
    # At least the first dense layer's weights, 4 · 33 · 33 · 65 · 128 bytes = 34.6 MiB.
    assert row["starting_mib"] > 34
    assert row["running_mib"] > 34


def test_without_a_peak_that_counts_anew_memory_is_left_out(monkeypatch, tmp_path):
    (tmp_path / "status").touch()
    (tmp_path / "clear_refs").touch()
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "clear_refs")
    assert memory.counts_anew()
    # What access says of a file that may not be written; root may write them all.
    monkeypatch.setattr(memory.os, "access", lambda path, mode: mode != memory.os.W_OK)
    assert not memory.counts_anew()
    assert fusion_speed.peaks(1, None) == []


@pytest.mark.long
def test_a_run_writes_whole_files(tmp_path):
    folder = tmp_path / "speed"
    done = subprocess.run(
        [sys.executable, "-c", RUN, BENCHMARKS, folder], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    tables = ("ratios", "table_4", "whole_models", "fusions", "ranks", "tflite")
    pictures = ("growth_with_rank.png", "growth_with_modalities.png")
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.csv" for name in tables),
        "speed.json",
        *pictures,
    }
    written = json.loads((folder / "speed.json").read_text())
    for name in tables:
        assert len(pd.read_csv(folder / f"{name}.csv")) == len(written[name]) > 0
    for name in pictures:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")

    speeds = pd.DataFrame(written["whole_models"])
    assert list(speeds.groupby("phase").size()) == [3, 3]  # ranks 1 and 4, and tensor fusion
    reference = (speeds["rank"] == 4) & (speeds["code"] == "keras-lmf")
    assert (speeds.loc[reference, "ratio"] == 1).all()
    assert reference.sum() == 2
    assert (speeds["samples_per_cpu_second"] > 0).all()

    # Tensor fusion of 5 × 16 is above its limit.
    cells = {(row["modalities"], row["width"], row["fusion"]) for row in written["fusions"]}
    everything = set(itertools.product((2, 5), (2, 16), ("low-rank", "tensor")))
    assert cells == everything - {(5, 16, "tensor")}

    assert {(row["fusion"], row["rank"]) for row in written["ranks"]} == {
        ("low-rank", 1),
        ("low-rank", 4),
        ("tensor", 0),
    }

    paper = pd.DataFrame(written["table_4"]).set_index("fusion")
    assert paper.loc["low-rank ÷ tensor", "published training"] == pytest.approx(3.59, abs=0.005)
    assert paper.loc["low-rank ÷ tensor", "published inference"] == pytest.approx(1.96, abs=0.005)
    assert {row["bytes"] for row in written["tflite"] if row["runtime"] != "TFLite"} == {None}
    files = {row["fusion"]: row["bytes"] for row in written["tflite"] if row["bytes"]}
    # 9 million float32 weights of the first dense layer are in the one file, none of them in the other.
    assert files["tensor"] > 4 * 33 * 33 * 65 * 128
    assert files["low-rank"] < 10_000
    assert "TensorFusion → Dense is the faster choice at" in done.stdout
