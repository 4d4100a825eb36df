"""SavedModels of strangers: what could touch files or run Python is refused before it is loaded."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import hostile_programs as hostile
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from word_recipes import CASES, recipe

from keras_lmf import saved_model
from keras_lmf.errors import LMFError
from keras_lmf.export.source import Source
from keras_lmf.models import build
from keras_lmf.runtime import open_artifact
from keras_lmf.sidecar import Sidecar

ROWS = np.ones((2, 3), "float32")


def run(folder: Path) -> None:
    """As TensorFlow alone does."""
    tf.saved_model.load(str(folder)).signatures["serving_default"](x=tf.constant(ROWS))


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("it was loaded"))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weight = tf.Variable(2.0)
    return hostile.saved(tmp_path_factory.mktemp("harmless") / "model", lambda x: weight * x, weight=weight)


@pytest.mark.parametrize("attack", hostile.writers(""))
def test_a_program_that_writes(attack: str, tmp_path: Path) -> None:
    folder = hostile.saved(tmp_path / "model", hostile.writers(str(tmp_path / "canary"))[attack])
    run(folder)
    traces = list(tmp_path.glob("canary*"))
    assert traces, "the attack itself must work"
    for trace in traces:
        trace.unlink()
    with pytest.raises(LMFError, match=rf"was not loaded.*'{attack.partition(' ')[0]}'"):
        open_artifact(folder)
    assert not list(tmp_path.glob("canary*"))


@pytest.mark.parametrize("attack", hostile.readers(""))
@pytest.mark.usefixtures("unloaded")
def test_a_program_that_reads(attack: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("abc 1\n")
    folder = hostile.saved(tmp_path / "model", hostile.readers(str(secret))[attack])
    word = "TextLineDataset" if attack == "dataset" else attack
    with pytest.raises(LMFError, match=rf"was not loaded.*'{word}'"):
        open_artifact(folder)


@pytest.mark.usefixtures("unloaded")
def test_a_table_that_is_filled_from_a_file_as_it_is_loaded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("abc 1\n")
    table = hostile.table(str(secret))
    answer = lambda x: x + tf.cast(table.lookup(tf.constant("abc")), tf.float32)  # noqa: E731
    with pytest.raises(LMFError, match="was not loaded"):
        open_artifact(hostile.saved(tmp_path / "model", answer, table=table))


@pytest.mark.parametrize("attack", hostile.changes())
@pytest.mark.usefixtures("unloaded")
def test_a_program_that_was_changed_by_hand(attack: str, harmless: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(harmless, tmp_path / "model"))
    saved_model.require_harmless(folder)
    with pytest.raises(LMFError) as caught:
        open_artifact(hostile.rewritten(folder, hostile.changes()[attack]))
    assert str(folder) in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_no_op_that_is_allowed_can_name_a_file() -> None:
    """By the names that TensorFlow gave them, which the rule doesn't look at."""
    buffer, known = pywrap_tf_session.TF_GetAllOpList(), op_def_pb2.OpList()
    known.ParseFromString(pywrap_tf_session.TF_GetBuffer(buffer))
    pywrap_tf_session.TF_DeleteBuffer(buffer)
    needed = saved_model.NEEDED.split()
    allowed = {op.name for op in known.op if op.name in needed or saved_model._computes(op.name)}
    assert set(needed) <= allowed
    assert {"MatMul", "Conv2D", "Relu", "Softmax", "RFFT2D"} <= allowed
    words = re.compile(
        "File|Save|Restore|Checkpoint|Py|Dataset|Iterator|Print|Summary|Send|Recv|Rpc|Table|Reader|Queue|Barrier|Assert"
        "|Remote|TensorRT|TensorArray|Session|Proto|Json|Csv|Vocab|Import|Export|Load|Mutex|Worker|Server|Launch"
    )
    arithmetic = {"BoostedTreesMakeStatsSummary", "DebugNumericSummaryV2", "XlaOptimizationBarrier"}
    assert {name for name in allowed if words.search(name)} == arithmetic
    assert len([op for op in known.op if words.search(op.name)]) > 300
    arguments = {arg.name for op in known.op if op.name in allowed for arg in (*op.input_arg, *op.attr)}
    words = re.compile("file|path|address|url|command|token|prefix|directory")
    assert {name for name in arguments if words.search(name)} == {"top_paths"}  # how many


@pytest.mark.parametrize("change", ["a weight", "the program", "one more file", "one fewer", "the sidecar"])
@pytest.mark.usefixtures("unloaded")
def test_a_folder_that_is_not_the_one_described(change: str, harmless: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(harmless, tmp_path / "model"))
    facts = {"sha256": saved_model_hash(folder), "inputs": {"x": {}}}
    Sidecar(**facts | ({"sha256": "0"} if change == "the sidecar" else {})).write(folder)
    target = {
        "a weight": "variables/variables.data-00000-of-00001",
        "the program": "saved_model.pb",
        "one more file": "assets/more.txt",
        "one fewer": "fingerprint.pb",
    }.get(change)
    if change == "one fewer":
        (folder / target).unlink()
    elif target:
        with (folder / target).open("ab") as stream:
            stream.write(b"\0")
    with pytest.raises(LMFError, match=r"model\.json describes another model: the sha256 differ"):
        open_artifact(folder)


def saved_model_hash(folder: Path) -> str:
    """By hand, as its documentation says."""
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return hashlib.sha256(
        "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
    ).hexdigest()


def test_a_folder_that_is_described_opens(harmless: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(harmless, tmp_path / "model"))
    Sidecar(sha256=saved_model_hash(folder), inputs={"x": {}}).write(folder)
    np.testing.assert_array_equal(open_artifact(folder).predict({"x": ROWS})["y"], 2 * ROWS)


@pytest.mark.slow
def test_what_is_exported_opens(tmp_path: Path) -> None:
    words = (
        "bilstm",
        "temporal_convolution",
        "spectrogram_cnn",
        "image_cnn",
        "cnn_2plus1d",
        "mfcc",
        "landmarks",
    )
    model = build(
        recipe({word: CASES[word] for word in words}, {"name": "low_rank", "units": 3}, presence={})
    )
    rows = {word: np.ones((1, *CASES[word]["shape"]), "float32") for word in words}
    Source(model, rows, 60, tmp_path).save(tmp_path / "model")
    answer = open_artifact(tmp_path / "model").predict(rows)["emotion"]
    np.testing.assert_allclose(answer, model(rows)["emotion"], rtol=1e-3, atol=1e-4)
