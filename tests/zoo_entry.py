"""A tiny zoo entry for the tests, and a mirror on the loopback that misbehaves on request."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from keras_lmf.recipe import Recipe
from keras_lmf.zoo import Entry, file_records, weight_shapes, write_testvectors

NAME = "tiny-synthetic-av"
EXTRA = 200_000  # bytes of its largest file


def recipe(**changes) -> Recipe:
    return Recipe(
        name=NAME,
        seed=3,
        corpus={"name": "synthetic"},
        target={"name": "emotion", "classes": ["calm", "excited"]},
        inputs={
            "audio": {"shape": [8], "backbone": {"name": "mlp", "units": [4]}},
            "video": {"shape": [8], "backbone": {"name": "mlp", "units": [4]}},
        },
        fusion={"name": "low_rank", "units": 4, "rank": 2},
        training={"loss": "cross_entropy"},
    ).replace(**changes)


def sections(folder: Path, model, **changes) -> dict:
    """The fields of an entry for what lies in `folder`."""
    return {
        "name": NAME,
        "summary": "Two classes from the product of two made-up modalities.",
        "fusion": "low_rank",
        "corpus": "synthetic",
        "modalities": ["audio", "video"],
        "parameters": sum(weight.size for weight in model.get_weights()),
        "inputs": {
            name: {"shape": [8], "unit": "standard deviations", "description": f"made-up {name} features"}
            for name in ("audio", "video")
        },
        "target": {"name": "emotion", "classes": ["calm", "excited"]},
        "recipe_sha256": recipe().fingerprint,
        "files": file_records(
            folder, {"weights": "model.weights.h5", "testvectors": "testvectors.npz", "extra": "extra.bin"}
        ),
        "weights": weight_shapes(model),
        "metrics": {
            "weights": {
                "war": {"value": 0.75, "low": 0.7, "high": 0.8, "floor": 0.5},
                "uar": {"value": 0.74},
            },
            "extra": {"war": {"value": 0.625}},
        },
        "seeds": {"weights": {"war": {"mean": 0.76, "sd": 0.01, "runs": 5}}},
        "protocol": ["Random weights: the numbers here are made up."],
        "licences": {"code": "Apache-2.0", "weights": "CC0-1.0", "data": "none, the data are made up"},
        "environment": {"python": "3.11", "packages": {"keras": "3.15.1"}},
        "keras_lmf_version": "0.1.0",
    } | changes


def make_entry(folder: Path) -> Entry:
    """Random weights, with statistics that are no defaults, and all that belongs to an entry."""
    from keras_lmf.models import build, set_standardization

    folder.mkdir(parents=True)
    recipe().write(folder / "recipe.toml")
    model = build(recipe())
    generator = np.random.default_rng(0)
    set_standardization(
        model, {name: (generator.standard_normal(8), np.full(8, 4.0)) for name in ("audio", "video")}
    )
    model.save_weights(folder / "model.weights.h5")
    inputs = {name: generator.standard_normal((5, 8)).astype("float32") for name in ("audio", "video")}
    write_testvectors(folder / "testvectors.npz", inputs, model.predict(inputs, verbose=0))
    (folder / "extra.bin").write_bytes(generator.bytes(EXTRA))
    entry = Entry(**sections(folder, model))
    entry.write(folder)
    return entry


class Mirror:
    """A web server on a folder of entries.

    Attributes:
        url: its address.
        asked: paths of all requests.
        faults: path → what to do at the next requests for it, in order; then it is served as it is.
        half_sent: set when the fault "stall" has sent half of a file.
        together: when set, requests of "together" wait for each other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.faults: dict[str, list[str | int]] = {}
        self.half_sent, self.released = threading.Event(), threading.Event()
        self.together = threading.Barrier(2, timeout=300)
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                mirror.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        self.asked.append(path)
        fault = self.faults[path].pop(0) if self.faults.get(path) else None
        file = self.folder / path
        if isinstance(fault, int) or not file.is_file():
            request.send_error(fault or 404)
            return
        content = file.read_bytes()
        if fault == "silent":
            self.released.wait(60)
            return
        if fault == "together":
            self.together.wait()
        request.send_response(200)
        if fault == "endless":  # without a length: until the connection closes
            request.end_headers()
            try:
                while not self.released.is_set():
                    request.wfile.write(bytes(2**16))
            except OSError:
                return
            return
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if fault == "drip":
            try:
                for at in range(len(content)):
                    request.wfile.write(content[at : at + 1])
                    if self.released.wait(0.05):
                        return
            except OSError:
                return
        if fault == "garbage":
            content = bytes(len(content))
        request.wfile.write(content[: len(content) // 2])
        if fault == "truncated":
            return
        if fault == "stall":
            request.wfile.flush()
            self.half_sent.set()
            self.released.wait(60)
            return
        request.wfile.write(content[len(content) // 2 :])


@contextmanager
def serving(folder: Path) -> Iterator[Mirror]:
    mirror = Mirror(folder)
    threading.Thread(target=mirror.server.serve_forever, daemon=True, args=(0.05,)).start()
    try:
        yield mirror
    finally:
        mirror.released.set()
        mirror.server.shutdown()
        mirror.server.server_close()


def rewrite(folder: Path, **changes) -> None:
    """entry.json with other fields, and the records of the files as they are now."""
    entry = Entry.read(folder)
    records = file_records(folder, {key: file.name for key, file in entry.files.items()})
    entry.model_copy(update={"files": records, **changes}).write(folder)
