"""serve-demo: what it serves, to whom, and what it refuses. `test_browser.py` has the page itself."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keras_lmf.cli.serve_demo import contents, server, spec, web_folder
from keras_lmf.errors import LMFError
from keras_lmf.recognition.opened import Opened
from keras_lmf.recognition.opening import open_model

ZOO = Path(__file__).parents[1] / "zoo"
PACKAGES = (
    "@litertjs/core/dist/index.js",
    "@litertjs/core/wasm/litert.wasm",
    "@litertjs/wasm-utils/dist/index.js",
)


@pytest.fixture(scope="module")
def model() -> Opened:
    return open_model("lmf-media-av", runtime="tflite")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, and empty files for what npm brings."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copytree(web_folder() / "page", folder / "page")
    for name in (*PACKAGES, "@techstark/opencv-js/dist/opencv.js"):
        file = folder / "node_modules" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('import {createWasmLib} from "@litertjs/wasm-utils";')
    return folder


@pytest.fixture(scope="module")
def port(model: Opened, folder: Path) -> Iterator[int]:
    with server(contents(model, folder), 0) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        yield page.server_port
        page.shutdown()


def get(port: int, address: str, host: str | None = None) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", address, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def directives(answer: http.client.HTTPResponse) -> dict[str, list[str]]:
    parts = [part.split() for part in answer.headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


def test_the_page_and_all_that_it_names_is_served(port: int, model: Opened, folder: Path):
    answer, content = get(port, "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    named = set(re.findall(r'(?:src|href)="([^"]+)"', content.decode()))
    for script in (folder / "page").glob("*.js"):
        named |= set(
            re.findall(r"""'(?:\./)?([\w.-]+(?:/[\w.-]+)*\.(?:js|json|tflite|onnx))'""", script.read_text())
        )
    assert {
        "app.js",
        "spec.json",
        "model.tflite",
        "frame.tflite",
        "yunet.onnx",
        "opencv.js",
        "litert/index.js",
    } <= named
    for name in named:
        assert get(port, f"/{name}")[0].status == 200, name
    assert get(port, "/model.tflite?again")[1] == get(port, "/model.tflite")[1]
    assert b'"./wasm-utils.js"' in get(port, "/litert/index.js")[1]
    assert get(port, "/litert/wasm/litert.wasm")[0].headers["Content-Type"] == "application/wasm"


def test_pages_may_load_and_reach_this_server_alone(port: int):
    for address in ("/", "/app.js", "/face.worker.js", "/missing"):
        policy = directives(get(port, address)[0])
        assert policy["default-src"] == ["'none'"]
        reached = {source for sources in policy.values() for source in sources}
        allowed = {"'self'", "'none'", "blob:", "'wasm-unsafe-eval'"}
        assert reached - allowed == ({"'unsafe-eval'"} if address == "/face.worker.js" else set())
        assert policy["connect-src"] == ["'self'"]


@pytest.mark.parametrize(
    "address",
    [
        "/../package.json",
        "/page/app.js",
        "/node_modules/@litertjs/core/dist/index.js",
        "//etc/passwd",
        "/%2e%2e/app.js",
    ],
)
def test_nothing_else_is_served(port: int, address: str):
    assert get(port, address)[0].status == 404


def test_a_name_of_someone_elses_is_refused(port: int):
    """A page elsewhere could let its own name mean this machine, and read what is here."""
    assert get(port, "/spec.json", host=f"example.org:{port}")[0].status == 421
    assert get(port, "/spec.json", host=f"localhost:{port}")[0].status == 200
    with pytest.raises(LMFError, match=f"{port}.*--port 0"):
        server({}, port)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /" + 70000 * b"a" + b" HTTP/1.1", 414),
        (b"GET http://[ HTTP/1.1", 421),
        (b"POST / HTTP/1.1", 501),
    ],
)
def test_what_is_no_request_of_a_page_gets_an_error(port: int, request_line: bytes, status: int):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request_line + b"\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
    assert answer.status == status
    assert directives(answer)["default-src"] == ["'none'"]


def test_the_page_is_told_what_the_entry_says(port: int):
    told = json.loads(get(port, "/spec.json")[1])
    entry = json.loads((ZOO / "lmf-media-av" / "model-dynamic.tflite.json").read_text())
    assert told["labels"] == entry["labels"]
    assert len(set(told["colors"])) == len(told["labels"]) == len(told["colors"])
    shapes = {name: part["shape"] for name, part in entry["inputs"].items()}
    assert told["inputs"] == {**shapes, "features": [6, 7]}  # what the network makes of each of 6 pictures
    assert told["picture"] == [1, *shapes["face"][2:]]
    assert told["temperatures"] == {**entry["subset_temperatures"], "face + voice": entry["temperature"]}
    assert told["presence"] == entry["presence"]
    assert (told["seconds"], told["hop"]) == (3, 1.5)


def test_a_file_without_a_network_of_each_frame_is_served_as_it_is(folder: Path):
    for name in ("distilled-ferplus-face", "whisper-voice"):
        model = open_model(name, runtime="tflite")
        served = contents(model, folder)
        told = json.loads(served["/spec.json"])
        assert served["/model.tflite"] == model.file
        assert "/frame.tflite" not in served
        assert told["picture"] is None
        assert told["inputs"] == {key: [1, *info.shape] for key, info in model.runtime.inputs.items()}


def test_what_the_page_cannot_ask_is_refused(model: Opened, folder: Path, tmp_path: Path):
    with pytest.raises(LMFError, match="takes integers"):
        spec(open_model(ZOO / "distilled-ferplus-face" / "model-int8-integer.tflite", runtime="tflite"))
    shutil.copytree(folder / "page", tmp_path / "page")
    with pytest.raises(LMFError, match=re.escape(f'npm ci --omit=dev --prefix "{tmp_path}"')):
        contents(model, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child alone")
@pytest.mark.skipif(not (web_folder() / "node_modules").is_dir(), reason="needs what npm brings")
def test_the_command_prints_its_address_and_ends_with_ctrl_c():
    command = [
        sys.executable,
        "-m",
        "keras_lmf",
        "serve-demo",
        "distilled-ferplus-face",
        "--port",
        "0",
        "--no-open",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
            assert get(port, "/")[0].status == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # where it has not ended
    assert process.returncode == 0
    assert "Traceback" not in errors
