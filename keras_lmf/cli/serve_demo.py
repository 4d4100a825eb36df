"""serve-demo: a page on this machine in which the browser itself runs a model on microphone, camera and files."""

from __future__ import annotations

import contextlib
import http.server
import json
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_lmf.cli.options import names_of_entries, plain_errors
from keras_lmf.errors import LMFError
from keras_lmf.locate import PACKAGE

if TYPE_CHECKING:
    from keras_lmf.frame_network import FrameNetwork
    from keras_lmf.recognition.opened import Opened

HOST = "127.0.0.1"  # this machine alone
PORT = 8765
TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
# What the page may load and reach: this server alone. Compiling WebAssembly needs a word of its own.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# OpenCV.js writes its bindings as text; it works in a worker that has a policy of its own and reaches no more.
FACE_WORKER = "/face.worker.js"
EVALUATED = "'wasm-unsafe-eval' 'unsafe-eval'"


@click.command("serve-demo", epilog="Example: keras-lmf serve-demo whisper-voice")
@click.argument("name", default="lmf-media-av", shell_complete=names_of_entries)
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--open/--no-open", "shown", default=True, help="Whether a browser is opened.")
@plain_errors
def serve_demo(name: str, port: int, shown: bool) -> None:
    """A page in which your browser runs NAME on your microphone, your camera or a file.

    NAME is a zoo entry that takes sound, a face or both, or a .tflite file. The page is served to this machine alone,
    and nothing leaves it. LiteRT.js and OpenCV.js are brought once by npm: without them the command says how.
    """
    from keras_lmf.recognition.opening import open_model

    model = open_model(name, runtime="tflite")
    with server(contents(model, web_folder()), port) as page:
        address = f"http://{HOST}:{page.server_port}/"
        click.echo(f"{model.name} ({model.file.name}): {address}")
        click.echo("Ctrl-C ends it.", err=True)
        if shown:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            page.serve_forever()


def web_folder() -> Path:
    """The page and what npm brings: `keras_lmf/_web` in a wheel, `examples/web` in a clone."""
    inside = PACKAGE / "_web"
    return inside if inside.is_dir() else PACKAGE.parent / "examples" / "web"


def contents(model: Opened, folder: Path) -> dict[str, Path | bytes]:
    """All that is served, by address.

    Args:
        model: that the page asks.
        folder: with the page in `page` and the packages of its package.json in `node_modules`.

    Raises:
        LMFError: those packages or the face detector are missing, or a model that the page can't ask.
    """
    halves = _halves(model)
    facts = json.dumps(spec(model, halves), ensure_ascii=False, allow_nan=False)
    litert, utilities = (folder / "node_modules" / "@litertjs" / name for name in ("core", "wasm-utils"))
    opencv = folder / "node_modules" / "@techstark" / "opencv-js" / "dist" / "opencv.js"
    for needed in (litert, utilities, opencv):
        if not needed.exists():
            raise LMFError(
                f"The page needs {needed.relative_to(folder)}, which is not in {folder}. npm, which comes with "
                f'Node.js 20 or newer, brings it, once: npm ci --omit=dev --prefix "{folder}"'
            )
    # A worker resolves no package names, and this is the only one.
    index = (litert / "dist" / "index.js").read_bytes()
    served: dict[str, Path | bytes] = {
        "/spec.json": facts.encode(),
        "/model.tflite": halves.rest if halves else model.file,
        "/litert/index.js": index.replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"'),
        "/litert/wasm-utils.js": utilities / "dist" / "index.js",
        **{f"/litert/wasm/{file.name}": file for file in (litert / "wasm").iterdir()},
        **{f"/{file.name}": file for file in (folder / "page").iterdir()},
        "/": folder / "page" / "index.html",
    }
    if halves:
        served["/frame.tflite"] = halves.network
    if model.face:
        from keras_lmf.media.detectors import yunet_file

        served |= {"/opencv.js": opencv, "/yunet.onnx": yunet_file()}
    return served


def _halves(model: Opened) -> FrameNetwork | None:
    """The network of one frame and the rest, where the page can run them apart: windows share most of their frames."""
    from keras_lmf.frame_network import frame_network

    return frame_network(model.file.read_bytes(), model.face.name) if model.face else None


def spec(model: Opened, halves: FrameNetwork | None = None) -> dict[str, Any]:
    """What the page must know of the model, and the rules by which Python cuts sound and faces.

    Args:
        model: that the page asks.
        halves: of its file, where the page runs them instead of it.

    Raises:
        LMFError: the file takes integers, the model needs features, or its faces come from another detector.
    """
    from keras_lmf.evaluation import style

    whole = {key: [1, *info.shape] for key, info in model.runtime.inputs.items()}
    told = {
        "name": model.name,
        "licence": (model.spec.licence or {}).get("weights"),
        "target": model.spec.target.name,
        "labels": model.labels,
        "colors": list(style.colours(model.labels).values()),
        "presence": model.spec.presence,
        "inputs": halves.inputs if halves else whole,
        "picture": halves and halves.picture,
        "seconds": model.seconds,
        "hop": model.hop,
        "sound": _sound(model),
        "face": _face(model),
    }
    if integers := [key for key, info in model.runtime.inputs.items() if info.quantization]:
        raise LMFError(
            f"{model.file}: {', '.join(integers)} takes integers, which LiteRT.js refuses. Give a file of another "
            "format."
        )
    if (others := set(model.modalities) - set(model.media)) and model.spec.presence == "assumed":
        raise LMFError(f"{model.name} needs {', '.join(sorted(others))} too, which no page gives.")
    return told | {"temperatures": _temperatures(model)}


def _temperatures(model: Opened) -> dict[str, float]:
    """By the modalities that are there, as `together` names them."""
    from keras_lmf.evaluation.terms import every_subset
    from keras_lmf.spec import together

    return {together(there): model.spec.temperature_of(there) for there in every_subset(model.media) if there}


def _sound(model: Opened) -> dict[str, Any] | None:
    from keras_lmf.media import sound
    from keras_lmf.recognition.windows import QUIET, least_samples

    if model.sound is None:
        return None
    step = sound.step_samples(model.sound.rate)
    return {
        "name": model.sound.name,
        "samples": model.sound.samples,
        "rate": model.sound.rate,
        "least": least_samples(model.sound),
        "step": step,
        "silence": sound.SILENCE,
        "hertz": sound.VOICE_HERTZ,
        "steps": round(sound.VOICE_SECONDS / sound.STEP_SECONDS),
        "quiet": QUIET,
        "loudest_share": sound.LOUDEST_SHARE,
        "loudest_steps": sound.LOUDEST_SECONDS * model.sound.rate / step,
    }


def _face(model: Opened) -> dict[str, Any] | None:
    from keras_lmf.media import crops, detectors, following
    from keras_lmf.spec import DEFAULT_DETECTOR

    face = model.face
    if face is None:
        return None
    detector = model.spec.inputs[face.name].detector or DEFAULT_DETECTOR
    if detector != DEFAULT_DETECTOR:
        raise LMFError(
            f"{model.name} was trained on faces that {detector!r} found; the page has {DEFAULT_DETECTOR!r}."
        )
    tracker = crops.face_tracker(face, lambda frame: frame)
    return {
        "name": face.name,
        "frames": face.frames,
        "size": face.size,
        "grey": tracker.grey,
        "each": crops.frames_each(face),
        "rate": float(crops.followed_rate(face)),
        "margin": tracker.margin,
        "confirmations": tracker.confirmations,
        "interval": tracker.interval,
        "hold": tracker.hold,
        "smoothing": tracker.smoothing,
        "same": following.SAME,
        "alike": following.ALIKE,
        "early": following.EARLY,
        "longest": detectors.LONGEST,
        "least": detectors.LEAST,
        "confidence": detectors.CONFIDENCE,
        "overlap": detectors.OVERLAP,
        "most": detectors.MOST,
    }


def server(served: Mapping[str, Path | bytes], port: int) -> http.server.ThreadingHTTPServer:
    """Answers for these addresses to requests of this machine, and to nobody else.

    Raises:
        LMFError: the port is taken.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        path = ""  # until a request could be read: its error has headers, too

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the browser went away
                super().handle()

        def do_GET(self) -> None:
            # A page elsewhere may give a name of its own to 127.0.0.1; it is not ours. Port 80 goes without saying.
            name = self.headers.get("Host", "").removesuffix(f":{self.server.server_port}")
            address = self.path.partition("?")[0]
            if name not in (HOST, "localhost"):
                self.send_error(421)
            elif address not in served:
                self.send_error(404)
            else:
                self._answer(address, served[address])

        def _answer(self, address: str, found: Path | bytes) -> None:
            content = found if isinstance(found, bytes) else found.read_bytes()
            suffix = found.suffix if isinstance(found, Path) else Path(address).suffix
            self.send_response(200)
            self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def end_headers(self) -> None:
            policy = POLICY
            if self.path == FACE_WORKER:
                policy = policy.replace("'wasm-unsafe-eval'", EVALUATED)
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Permissions-Policy", "camera=(self), microphone=(self)")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            # Threads need a page that shares no memory with other sites.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Cache-Control", "no-store")
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """The terminal stays quiet."""

    try:
        return http.server.ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise LMFError(f"Port {port} can't be had ({error.strerror}). --port 0 takes a free one.") from error
