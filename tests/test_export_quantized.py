"""The smaller formats of one model, against interpreters in processes of their own, scikit-learn and hashes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from collections import Counter

import keras
import numpy as np
import pytest
import sklearn.metrics as oracle
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from exporting import exported_here

from keras_lmf.data import Split
from keras_lmf.export import InputDescription, export_model, process, report, summary
from keras_lmf.recipe import Recipe
from keras_lmf.runtime import open_artifact
from keras_lmf.target import Target

pytestmark = pytest.mark.slow

EMOTIONS = ("sad", "calm", "happy")
FILES = {
    "tflite": "model.tflite",
    "tflite-float16": "model-float16.tflite",
    "tflite-dynamic": "model-dynamic.tflite",
    "tflite-int8": "model-int8.tflite",
    "tflite-int8-integer": "model-int8-integer.tflite",
    "tflite-int16": "model-int16.tflite",
}
WRITTEN = ["saved_model", *FILES]
RECIPE = Recipe(
    name="all-formats",
    corpus={"name": "synthetic"},
    target={"name": "emotion", "classes": EMOTIONS},
    inputs={"audio": {"shape": (6, 5), "backbone": {"name": "lstm"}}},
    fusion={"name": "early"},
    training={"loss": "cross_entropy"},
)


def rows(name: str, count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    return Split(
        name=name,
        inputs={
            "audio": generator.standard_normal((count, 6, 5)).astype("float32"),
            "video": generator.standard_normal((count, 3, 6, 6, 2)).astype("float32"),
        },
        masks={},
        labels=generator.integers(0, 3, count),
        groups=np.full(count, "a"),
        ids=np.arange(count).astype(str),
        target=Target(name="emotion", classes=EMOTIONS),
    )


@pytest.fixture(scope="module")
def model():
    """A loop, a 3-D convolution, a product of the modalities, and a dense head."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    audio, video = keras.Input((6, 5), name="audio"), keras.Input((3, 6, 6, 2), name="video")
    heard = layers.LSTM(16, name="voice")(audio)
    seen = layers.Flatten()(layers.Conv3D(8, 3, activation="relu", name="clip")(video))
    hidden = layers.Multiply()([layers.Dense(64, name="heard")(heard), layers.Dense(64, name="seen")(seen)])
    hidden = layers.Dense(64, activation="relu", name="hidden")(hidden)
    outputs = {"emotion": layers.Dense(3, name="emotion")(hidden)}
    model = keras.Model({"audio": audio, "video": video}, outputs, name="mixed")
    for dense in ("heard", "seen", "hidden", "emotion"):  # the converter leaves out biases of 0
        model.get_layer(dense).bias.assign(np.linspace(-0.1, 0.1, model.get_layer(dense).units))
    return model


@pytest.fixture(scope="module")
def split():
    return rows("test", 80, 1)


@pytest.fixture(scope="module")
def exported(model, split, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with exported_here():
            artifacts = export_model(
                model,
                folder,
                WRITTEN,
                evaluation=split,
                calibration=rows("train", 200, 2),
                resamples=20,
                recipe=RECIPE,
                licence={"code": "Apache-2.0", "weights": "CC-BY-4.0", "data": "none"},
                descriptions={
                    "audio": InputDescription(
                        rate=20.0, unit="log power", description="mel bands", range=(-4.0, 4.0)
                    )
                },
            )
    return folder, {part.format: part for part in artifacts}, [str(warning.message) for warning in caught]


@pytest.fixture(scope="module")
def independent(exported, split, tmp_path_factory):
    """Outputs of the TFLite files in a process with ai_edge_litert and numpy alone, and their tensors' dtypes."""
    folder, _, _ = exported
    scratch = tmp_path_factory.mktemp("independent")
    np.savez(scratch / "x.npz", **split.inputs)
    code = (
        "import sys, json, numpy as np\n"
        "from ai_edge_litert.interpreter import Interpreter\n"
        "folder, out, *files = sys.argv[1:]\n"
        "x, results, ends = dict(np.load(out + '/x.npz')), {}, {}\n"
        "for file in files:\n"
        "    run = Interpreter(folder + '/' + file).get_signature_runner('serving_default')\n"
        "    takes, gives = run.get_input_details(), run.get_output_details()\n"
        "    def fed(name, value):\n"
        "        scale, zero = takes[name]['quantization']\n"
        "        if takes[name]['dtype'] == np.float32: return value\n"
        "        return np.clip(np.rint(value / scale + zero), -128, 127).astype('int8')\n"
        "    y = np.concatenate([run(**{k: fed(k, v[i:i + 1]) for k, v in x.items()})['emotion']\n"
        "                        for i in range(80)])\n"
        "    scale, zero = gives['emotion']['quantization']\n"
        "    results[file] = y if y.dtype == np.float32 else (y.astype('float32') - zero) * scale\n"
        "    ends[file] = {k: np.dtype(d['dtype']).name for k, d in {**takes, **gives}.items()}\n"
        "np.savez(out + '/y.npz', **results)\n"
        "print(json.dumps(ends))\n"
    )
    command = [sys.executable, "-c", code, folder, scratch, *FILES.values()]
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    outputs = np.load(scratch / "y.npz")
    ends = json.loads(process.stdout)
    return {name: (outputs[file], ends[file]) for name, file in FILES.items()}


formats = pytest.mark.parametrize("name", FILES)


@formats
def test_metrics_differences_and_agreement_are_those_of_the_written_bytes(
    model, split, exported, independent, name
):
    part, outputs = exported[1][name], independent[name][0]
    expected = model.predict(split.inputs, verbose=0)["emotion"]
    predicted = outputs.argmax(axis=1)
    assert part.metrics["war"] == pytest.approx(oracle.accuracy_score(split.labels, predicted))
    macro = oracle.f1_score(split.labels, predicted, average="macro")
    assert part.metrics["f1_macro"] == pytest.approx(macro)
    assert part.agreement == np.mean(predicted == expected.argmax(axis=1))
    assert part.difference_max == pytest.approx(np.abs(outputs - expected).max(), abs=2e-6)
    assert part.difference_mean == pytest.approx(np.abs(outputs - expected).mean(), abs=2e-6)
    assert part.difference_max < 0.1 * np.ptp(expected)
    assert part.agreement > 0.9
    assert part.table.loc["war", "low"] <= part.metrics["war"] <= part.table.loc["war", "high"]


@formats
def test_names_survive_and_only_the_integer_file_has_integer_ends(exported, independent, name):
    dtype = "int8" if name == "tflite-int8-integer" else "float32"
    assert independent[name][1] == dict.fromkeys(["audio", "video", "emotion"], dtype)
    runtime = open_artifact(exported[1][name].path)
    assert (list(runtime.inputs), list(runtime.outputs)) == (["audio", "video"], ["emotion"])


@formats
def test_any_file_takes_and_gives_float_arrays(split, exported, independent, name):
    outputs = open_artifact(exported[1][name].path).predict(split.inputs)["emotion"]
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, independent[name][0], atol=1e-6)


def test_smaller_formats_are_smaller(exported):
    sizes = {name: part.path.stat().st_size for name, part in exported[1].items() if name in FILES}
    assert sizes == {name: part.bytes for name, part in exported[1].items() if name in FILES}
    assert sizes["tflite-dynamic"] < sizes["tflite-float16"] < sizes["tflite"]
    assert sizes["tflite-int8"] < sizes["tflite-float16"]


@formats
def test_ops_are_those_that_the_interpreter_runs(exported, name):
    """The interpreter lists the ops of the main graph (and its delegate); ours adds those inside loops."""
    part = exported[1][name]
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(part.path), experimental_op_resolver_type=plain)
    seen = Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    ours = part.operators.groupby("operator")["count"].sum()
    assert set(seen) <= set(ours.index)
    assert all(ours[operator] >= count for operator, count in seen.items())
    assert ours["CONV_3D"] == seen["CONV_3D"] == 1
    assert "LESS" not in seen
    assert ours["LESS"] >= 1  # the loop's condition


def dtypes(part, operator: str) -> set[tuple[str, str, str]]:
    found = part.operators[part.operators["operator"] == operator]
    return set(found[["activations", "weights", "outputs"]].itertuples(index=False, name=None))


def test_ops_have_their_real_dtypes(exported):
    parts = exported[1]
    assert {weights for _, weights, _ in dtypes(parts["tflite"], "FULLY_CONNECTED")} <= {"float32"}
    assert dtypes(parts["tflite-float16"], "CONV_3D") == {("float32", "float16", "float32")}
    assert all(
        weights.startswith("int8") for _, weights, _ in dtypes(parts["tflite-dynamic"], "FULLY_CONNECTED")
    )
    for name, dtype, bias in (
        ("tflite-int8", "int8", "int32"),
        ("tflite-int8-integer", "int8", "int32"),
        ("tflite-int16", "int16", "int64"),
    ):
        products = dtypes(parts[name], "FULLY_CONNECTED")
        assert (dtype, f"int8, {bias}", dtype) in products
        assert any(
            activations == "float32" and weights == "int8" for activations, weights, _ in products
        )  # loop
        assert dtypes(parts[name], "CONV_3D") == {("float32", "float32", "float32")}
    assert parts["saved_model"].operators.empty


def test_what_stays_float32_in_an_int8_file_is_said(exported):
    folder, parts, caught = exported
    for name in ("tflite-int8", "tflite-int8-integer"):
        (note,) = parts[name].notes
        assert "op CONV_3D in layer 'clip' (Conv3D)" in note
        assert "op FULLY_CONNECTED in layer 'voice' (LSTM)" in note
        assert "unroll=True" in note
        assert "'hidden'" not in note
        assert f"{FILES[name]}: {note}" in caught
        assert note in (folder / "report.md").read_text()
    assert parts["tflite-dynamic"].notes == ()


def test_the_report_names_the_ops_that_add_the_largest_errors(exported):
    folder, parts, _ = exported
    text = (folder / "report.md").read_text()
    for name in ("tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-integer", "tflite-int16"):
        worst = parts[name].errors.iloc[0]
        assert 0 < worst["added"] <= worst["error"] < 1
        assert f"| {worst['operator']}" in text
        assert worst["scope"] in text
    assert parts["tflite"].errors.empty


def test_latency(exported, split):
    row = {key: values[:1] for key, values in split.inputs.items()}
    latency = process.latency_of(exported[1]["tflite"].path, row, timeout_seconds=300)
    assert 0 < latency.p50 <= latency.p95 < 1000
    assert 0 < latency.p50_two_threads <= latency.p95_two_threads < 1000
    folder = process.row_latency(exported[1]["saved_model"].path, row, 2, timeout_seconds=300)
    assert 0 < folder["p50"] <= folder["p95"] < 1000


def test_sidecar(split, exported):
    part = exported[1]["tflite-int8-integer"]
    facts = json.loads(part.path.with_name("model-int8-integer.tflite.json").read_text())
    content = part.path.read_bytes()
    assert facts["sha256"] == hashlib.sha256(content).hexdigest()
    assert (facts["bytes"], facts["format"]) == (len(content), "tflite-int8-integer")
    assert facts["labels"] == list(EMOTIONS)
    details = Interpreter(str(part.path)).get_signature_runner("serving_default").get_input_details()
    audio = facts["inputs"]["audio"]
    assert (audio["shape"], audio["dtype"]) == ([1, 6, 5], "int8")
    assert (audio["scale"], audio["zero_point"]) == pytest.approx(details["audio"]["quantization"])
    assert (audio["rate"], audio["unit"], audio["range"]) == (20.0, "log power", [-4.0, 4.0])
    assert audio["description"] == "mel bands"
    train = rows("train", 200, 2).inputs["audio"]
    assert audio["calibration_range"] == [train.min(), train.max()]
    assert facts["inputs"]["video"]["rate"] is None
    assert (audio["media"], facts["temperature"], facts["presence"]) == (None, None, "assumed")
    assert facts["outputs"]["emotion"]["shape"] == [1, 3]
    assert facts["recipe"] == {"name": "all-formats", "sha256": RECIPE.fingerprint}
    assert facts["licence"]["weights"] == "CC-BY-4.0"
    assert facts["versions"]["litert-quantizer"] == "0.11.0"
    assert {"operator": "CONV_3D", "activations": "float32"}.items() <= facts["operators"][
        [entry["operator"] for entry in facts["operators"]].index("CONV_3D")
    ].items()
    assert facts["notes"] == list(part.notes)


def test_sidecar_of_a_folder(exported):
    folder = exported[0]
    facts = json.loads((folder / "saved_model.json").read_text())
    listing = subprocess.run(
        "find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum | sha256sum",
        shell=True,
        cwd=folder / "saved_model",
        capture_output=True,
        text=True,
        check=True,
    )
    assert facts["sha256"] == listing.stdout.split()[0]
    assert facts["inputs"]["audio"]["shape"] == [None, 6, 5]
    assert facts["inputs"]["audio"]["scale"] is None


def test_report_has_a_row_per_format(exported):
    folder, parts, _ = exported
    table = report(list(parts.values())).set_index("format")
    assert list(table.index) == WRITTEN
    assert table.loc["tflite-int8", "agreement"] == parts["tflite-int8"].agreement
    assert table.loc["tflite", "latency_p95"] == parts["tflite"].latency.p95
    records = json.loads((folder / "report.json").read_text())
    assert records[4]["operators"] == parts["tflite-int8"].operators.to_dict("records")
    words = summary(list(parts.values()))
    assert words.loc["bytes", "model-float16.tflite"] == f"{parts['tflite-float16'].bytes:,}"
    low, high = parts["tflite"].table.loc["war", ["low", "high"]]
    assert words.loc["accuracy", "model.tflite"].endswith(f"[{low:.3f}, {high:.3f}]")
