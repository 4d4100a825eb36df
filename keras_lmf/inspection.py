"""What a model takes, gives and costs by its own account: an exported file, a SavedModel, a run or a zoo entry."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import JsonValue, RootModel

from keras_lmf import documents, onnx_operators, operators, saved_model
from keras_lmf.errors import LMFError
from keras_lmf.files import size_of
from keras_lmf.locate import EXPORTED, MEANINGS, WEIGHTS, Place, locate
from keras_lmf.recipe.runs import ENVIRONMENT, run_spec
from keras_lmf.runtime import TensorInfo, open_artifact
from keras_lmf.sidecar import Document, Sidecar
from keras_lmf.spec import MEDIA, ModelSpec
from keras_lmf.target import Target
from keras_lmf.zoo import fetching
from keras_lmf.zoo.description import numbers, printable, shape, table

WIDTH = 80


def inspect(artifact: str | Path, cache_dir: str | Path | None = None) -> dict[str, Any]:
    """What is known of a model, in JSON's terms; unknown is null.

    Args:
        artifact: a `.tflite` or `.onnx` file, the folder of a SavedModel or of a run, or the name or folder of a zoo
            entry.
        cache_dir: see `zoo.fetch`.

    Returns:
        `kind`, as of `locate`; `bytes` of the file, of the folder, or of a run's or an entry's weights; `spec`, a
        `ModelSpec`: inputs, target, temperature, presence, licence, recipe; and `versions` of the packages that wrote
        it.

        Of a file or a SavedModel also: `described`, where that stands: "inside", "beside" or null; `format`; `inputs`
        and `outputs` as it stores them: shape, dtype, scale, zero_point; `calibration_range` by input, of typical
        rows; `notes`; `operators`: operator, dtypes (of an `.onnx` those of its weights), count.

        Of a `.tflite` also `activation_bytes` (`operators.activation_bytes`) and `refused_by_gpu`: operator, reason,
        count (`operators.refused_by_gpu`). Of an entry also `files`: bytes by name.

    Raises:
        LMFError: no such artifact, a damaged one, or a framework that it needs and that is not installed.
    """
    place = locate(artifact, *EXPORTED, "run", "entry")
    if place.kind in EXPORTED:
        return _file(place)
    return _run(place) if place.kind == "run" else _entry(place, cache_dir)


def _file(place: Place) -> dict[str, Any]:
    path = place.path
    document, runtime = Document.of(path), open_artifact(path)
    described = "beside" if isinstance(document, Sidecar) else "inside"
    told = document or Document(inputs={})
    found = _told(place, size_of(path), told.spec, told.versions) | {
        "described": described if document else None,
        "format": told.format or None,
        "inputs": _stored(runtime.inputs),
        "outputs": _stored(runtime.outputs),
        "calibration_range": {
            name: part.calibration_range for name, part in told.inputs.items() if part.calibration_range
        },
        "notes": list(told.notes),
    }
    try:
        ops = {"saved_model": _of_saved_model, "tflite": _of_tflite, "onnx": _of_onnx}[place.kind]
        return found | ops(path)
    except LMFError:
        raise
    except Exception as error:  # it could be opened; what its tables say of ops may still be wrong
        raise LMFError(f"The ops of {path} can't be read, it may be damaged: {error}") from None


def _of_saved_model(path: Path) -> dict[str, Any]:
    counts = Counter(saved_model.operators(path))
    return {"operators": [{"operator": op, "dtype": dtype, "count": n} for (op, dtype), n in counts.items()]}


def _of_tflite(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    ops = operators.operators(content)
    refused = operators.refused_by_gpu(ops)
    return {
        "operators": operators.table(ops).to_dict("records"),
        "activation_bytes": operators.activation_bytes(content),
        "refused_by_gpu": [{"operator": op, "reason": why, "count": count} for op, why, count in refused],
    }


def _of_onnx(path: Path) -> dict[str, Any]:
    counts = onnx_operators.operators(path.read_bytes(), str(path))
    return {
        "operators": [{"operator": op, "weights": dtype, "count": n} for (op, dtype), n in counts.items()]
    }


def _stored(ends: dict[str, TensorInfo]) -> dict[str, Any]:
    """As the file stores its inputs or outputs."""
    found = {}
    for name, info in ends.items():
        dtype, scale, zero_point = info.quantization or (info.dtype, None, None)
        found[name] = {
            "shape": list(info.shape),
            "dtype": str(dtype),
            "scale": scale,
            "zero_point": zero_point,
        }
    return found


def _run(place: Place) -> dict[str, Any]:
    weights, told = place.path / WEIGHTS, place.path / ENVIRONMENT
    size = size_of(weights) if weights.is_file() else None
    environment = documents.read(told, RootModel[dict[str, JsonValue]]).root if told.is_file() else {}
    return _told(place, size, run_spec(place.path), environment.get("packages"))


def _entry(place: Place, cache_dir: str | Path | None) -> dict[str, Any]:
    entry = fetching.files_of(place, cache_dir).entry
    found = _told(place, entry.files["weights"].bytes, entry.spec, entry.environment.get("packages"))
    return found | {"files": {file.name: file.bytes for file in entry.files.values()}}


def _told(place: Place, size: int | None, spec: ModelSpec, versions: Any) -> dict[str, Any]:
    return {
        "kind": place.kind,
        "bytes": size,
        "spec": spec.model_dump(mode="json"),
        "versions": versions if isinstance(versions, dict) else {},
    }


def text(name: str, found: dict[str, Any]) -> str:
    """What `inspect` found, for a reader: lines of 80 characters, but for tables."""
    spec = found["spec"]
    parts = [_head(name, found), "Takes one row of"]
    parts += [_input(key, found, part) for key, part in _inputs(found).items()]
    parts += ["Gives", *_outputs(found)]
    facts = {
        "Absent inputs": "zeros stand for them" if spec["presence"] == "derived" else "none may be absent",
        "Recipe": spec["recipe"] and "{name}, sha256 {sha256}".format(**spec["recipe"]),
        **{f"Licence of {part}": words for part, words in (spec["licence"] or {}).items()},
        "Written with": ", ".join(f"{package} {version}" for package, version in found["versions"].items()),
        "Files": ", ".join(f"{file} {size:,} bytes" for file, size in found.get("files", {}).items()),
    }
    parts += [_wrapped(f"{key}: {words}") for key, words in facts.items() if words]
    parts += [_wrapped(f"Note: {note}") for note in found.get("notes", ())]
    if rows := found.get("operators"):
        parts += ["", table([list(row.values()) for row in rows], list(rows[0]), "plain"), ""]
    if "activation_bytes" in found:
        parts.append(
            _wrapped(
                f"Memory of activations: at least {found['activation_bytes']:,} bytes, computed from the shapes in "
                "the file."
            )
        )
        refused = [f"{row['count']} {row['operator']} ({row['reason']})" for row in found["refused_by_gpu"]]
        words = f"would leave these to the processor: {', '.join(refused)}" if refused else "takes all ops"
        parts.append(_wrapped(f"LiteRT's GPU delegate, by its documentation, {words}."))
    return printable("\n".join(parts))


def _head(name: str, found: dict[str, Any]) -> str:
    size = f"{found['bytes']:,} bytes" if found["bytes"] is not None else "none yet"
    format_ = f", format {found['format']}" if found.get("format") else ""
    what = {"entry": "a zoo entry; its weights", "run": "a training run; its weights"}.get(found["kind"])
    where = {
        "inside": "It says itself what it takes and gives.",
        "beside": f"What it takes and gives is told by {Path(name).name}.json beside it.",
        None: "Nothing is known of it but what it computes.",
    }
    told = f" {where[found['described']]}" if "described" in found else ""
    return _wrapped(f"{name}: {what or MEANINGS[found['kind']]}{format_}: {size}.{told}")


def _inputs(found: dict[str, Any]) -> dict[str, Any]:
    """As the file has them, or else as the spec."""
    return found.get("inputs") or found["spec"]["inputs"]


def _input(name: str, found: dict[str, Any], stored: dict[str, Any]) -> str:
    spec = found["spec"]["inputs"].get(name, {})
    medium = MEDIA.get(spec.get("media"))
    rate = spec.get("rate") and f"{spec['rate']:g} {medium.per_second if medium else 'a second'}"
    facts = [
        f"{name} {shape(stored['shape'] or ())} {stored.get('dtype') or ''}".rstrip(),
        stored.get("scale") and f"scale {stored['scale']:.6g}, zero point {stored['zero_point']}",
        medium and medium.content,
        rate,
        spec.get("range") and "{:.4g} to {:.4g}".format(*spec["range"]),
        spec.get("unit") and f"unit: {spec['unit']}",
        spec.get("description"),
        spec.get("detector") and f"faces found by {spec['detector']}",
    ]
    if limits := found.get("calibration_range", {}).get(name):
        facts.append("in typical rows {:.4g} to {:.4g}".format(*limits))
    return _wrapped("; ".join(filter(None, facts)), "  ")


def _outputs(found: dict[str, Any]) -> list[str]:
    spec = found["spec"]
    target, temperature = spec["target"], spec["temperature"]
    names = found.get("outputs") or ({target["name"]: {}} if target else {})
    lines = []
    for name, stored in names.items():
        facts = f"{name} {shape(stored['shape'])} {stored['dtype']}" if stored else name
        if stored and stored["scale"]:
            facts += f"; scale {stored['scale']:.6g}, zero point {stored['zero_point']}"
        if target and name == target["name"]:
            what = (
                f"logits of {', '.join(target['classes'])}; "
                + (f"temperature {temperature:.4g}" if temperature else "not calibrated")
                if target["classes"]
                else numbers(Target(**target))
            )
            facts += f": {what}"
        lines.append(_wrapped(facts, "  "))
    for names, value in (spec["subset_temperatures"] or {}).items():
        lines.append(_wrapped(f"with {names} alone: temperature {value:.4g}", "    "))
    return lines


def _wrapped(words: str, indent: str = "") -> str:
    return textwrap.fill(
        words,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
