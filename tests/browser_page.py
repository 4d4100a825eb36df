"""The page of serve-demo in headless Chromium: for the tests, and as a command that says how fast it is here.

    python tests/browser_page.py lmf-media-av
    python tests/browser_page.py lmf-media-av --picture examples/web/page.png

A drawn face and a synthetic voice stand in for camera and microphone. Run it where nothing else runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import soundfile

from keras_lmf.cli.serve_demo import contents, server, web_folder
from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.media import decode
from keras_lmf.recognition.opening import open_model

DRIVER = Path(__file__).with_suffix(".mjs")
RATE, FRAMES, SIZE = 16000, 10, 192  # samples and frames a second, pixels


def missing() -> str | None:
    """What is needed and not here."""
    for program in ("chromium", "node"):
        if shutil.which(program) is None:
            return program
    playwright = web_folder() / "node_modules" / "playwright-core"
    return None if playwright.is_dir() else f"npm ci --prefix {web_folder()}"


def play(model: str, *steps: dict[str, Any], flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """What happened when Chromium took these steps (STEPS of the script) on the page of `model`; with its `address`."""
    with (
        server(contents(open_model(model, runtime="tflite"), web_folder()), 0) as page,
        tempfile.TemporaryDirectory() as folder,
    ):
        threading.Thread(target=page.serve_forever, daemon=True).start()
        told = {"address": f"http://127.0.0.1:{page.server_port}/"}
        plan = {"package": str(web_folder() / "package.json"), "chromium": shutil.which("chromium")}
        file = Path(folder, "plan.json")
        file.write_text(json.dumps({**told, **plan, "flags": flags, "steps": steps}))
        done = subprocess.run(["node", str(DRIVER), str(file)], capture_output=True, text=True, timeout=600)
        page.shutdown()
    if done.returncode:
        raise RuntimeError(done.stderr)
    return told | json.loads(done.stdout)


def drawn_clip(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """4 s of a synthetic voice and a drawn face: (samples,) int16 and (frames, SIZE, SIZE, 3) uint8."""
    synthetic_clips.write(folder, clips=1, speakers=1, seconds=4, size=(SIZE, SIZE))
    film = decode(folder / "00000.mp4", sample_rate=RATE, frame_rate=FRAMES)
    return (film.waveform[: 4 * RATE] * 32767).astype(np.int16), film.frames[: 4 * FRAMES]


def devices(folder: Path, sound: np.ndarray, frames: np.ndarray) -> tuple[str, ...]:
    """Flags by which Chromium hears and sees the clip again and again."""
    soundfile.write(folder / "voice.wav", sound, RATE, "PCM_16")
    with av.open(folder / "camera.mjpeg", "w", format="mjpeg") as container:
        camera = container.add_stream("mjpeg", rate=FRAMES)
        camera.height, camera.width, camera.pix_fmt = SIZE, SIZE, "yuvj420p"
        for array in frames:
            container.mux(camera.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(camera.encode(None))
    return (
        f"--use-file-for-fake-audio-capture={folder / 'voice.wav'}",
        f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}",
    )


@click.command(help=__doc__)
@click.argument("name")
@click.option("--answers", default=50, show_default=True, help="Over which the rate is taken.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="A .png of the page after the clip as a file."
)
def main(name: str, answers: int, picture: Path | None) -> None:
    if needed := missing():
        raise click.ClickException(f"Needs {needed}")
    model = open_model(name, runtime="tflite")
    parts = 3 if len(model.media) == 2 else 0  # voice, face and both
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        flags = devices(folder, *drawn_clip(folder))
        listen = {"step": "listen", "answers": answers}
        told = play(name, listen | {"parts": 0}, flags=flags)
        (first,) = told["results"]
        click.echo(f"{name}: ready {told['ready']} ms after the page began to load")
        click.echo(f"the first answer {first['first']} ms after Start")
        (live,) = play(name, listen | {"parts": parts}, flags=flags)["results"]
        click.echo(f"{live['rate']:.1f} answers a second of {' and '.join(model.media)}")
        click.echo(f"Load: {os.getloadavg()[0]:.1f} processes. Much more than 3 means that others worked.")
        if picture:
            film = {"step": "choose", "path": str(folder / "00000.mp4")}
            look = {"step": "look", "path": str(picture), "width": 1100, "height": 800, "colors": "light"}
            play(name, film, look)


if __name__ == "__main__":
    main()
