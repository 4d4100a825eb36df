"""Extraction of voice and face from clips: speed of a core and of two workers, memory, and what damage and kills leave.

    python benchmarks/extraction.py --csv benchmarks/results/extraction.csv

Clips of 3 seconds, 640 × 360 pixels, with a drawn face and a synthetic voice. The many clips are short sounds.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
import soundfile
from measurements import CSV, about, write_csv

from keras_lmf.data.corpora import clips
from keras_lmf.data.corpora.synthetic_clips.face import frames
from keras_lmf.data.corpora.synthetic_clips.performance import draw_performance, draw_speaker, waveform
from keras_lmf.data.extraction import store, stored
from keras_lmf.executors import executor
from keras_lmf.media.encoding import encode
from keras_lmf.sources import Face, RecordedInput, Sound

SECONDS, RATE, SIZE = 3, 16000, (360, 640)
VOICE = {"voice": RecordedInput(shape=(SECONDS * RATE,), rate=RATE, source=Sound())}
BOTH = {
    detector: VOICE
    | {"face": RecordedInput(shape=(2 * SECONDS, 64, 64, 1), rate=2.0, source=Face(detector=detector))}
    for detector in ("haar", "yunet")
}
SHORT = {"voice": RecordedInput(shape=(4000,), rate=RATE, source=Sound())}


def label_of(number: int) -> str:
    return ("happy", "sad")[number // 6 % 2]


def film(folder: Path, number: int) -> None:
    """One clip: a performance that no other number has."""
    acted = draw_performance(0, number, draw_speaker(0, number % 6), label_of(number), SECONDS)
    sound = waveform(acted, SECONDS * RATE, RATE)
    encode(folder / f"{number}.mp4", frames(acted, 25 * SECONDS, 25, SIZE), SIZE, 25, sound, RATE)


def films(folder: Path, count: int) -> Path:
    """Different clips with a face, of six speakers."""
    folder.mkdir()
    lines = ["file,label,speaker"]
    lines += [f"{number}.mp4,{label_of(number)},speaker{number % 6}" for number in range(count)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        pool.starmap(film, [(folder, number) for number in range(count)])
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def sounds(folder: Path, count: int) -> Path:
    """Different short sounds, of which every hundredth is damaged."""
    folder.mkdir()
    lines = ["file,label,speaker"]
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06d}.wav"
        soundfile.write(path, draw.uniform(-0.5, 0.5, 4000), RATE)
        if number % 100 == 50:
            path.write_bytes(path.read_bytes()[:1000])
        lines.append(f"{path.name},{('happy', 'sad')[number % 2]},speaker{number % 20}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def wide_table(folder: Path, rows: int) -> float:
    """CPU seconds that reading a labels.csv of so many files takes; the files aren't there, as nothing opens them."""
    folder.mkdir()
    lines = [f"clips/{n:06d}.wav,{('happy', 'sad')[n % 2]},speaker{n % 100},x" for n in range(rows)]
    (folder / "labels.csv").write_text("\n".join(["file,label,speaker,note", *lines]))
    started = time.process_time()
    clips.recordings(folder)
    return time.process_time() - started


def timed(folder: Path, out: Path, inputs: dict[str, RecordedInput], workers: int) -> tuple[float, float]:
    """Wall seconds of an extraction whose cache is empty, and CPU seconds of this process."""
    os.environ["KERAS_LMF_HOME"] = str(out.with_suffix(".cache"))
    recordings = clips.recordings(folder)
    wall, cpu = time.perf_counter(), time.process_time()
    store.extract(recordings, inputs, out, executor(workers))
    return time.perf_counter() - wall, time.process_time() - cpu


def killed(folder: Path, out: Path, workers: int, kills: int) -> None:
    """An extraction that is killed so often before it ends."""
    shards = -(-len(clips.recordings(folder).rows) // 157)
    for kill in range(kills + 1):
        process = multiprocessing.get_context("spawn").Process(
            target=timed, args=(folder, out, SHORT, workers)
        )
        process.start()
        while process.is_alive() and (kill == kills or len(list(out.glob("0*"))) < (kill + 1) * shards // 3):
            time.sleep(0.02)
        if process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        process.join()


def digest(folder: Path) -> str:
    """Of every file's name and content but the lock's."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"):
        found.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return found.hexdigest()


@click.command()
@click.option("--clips", "count", default=128, show_default=True, help="Clips with a face.")
@click.option("--sounds", "many", default=10_000, show_default=True, help="Short sounds, 1 % damaged.")
@CSV
def main(count: int, many: int, csv: Path | None) -> None:
    """Measure, and print a row for each figure."""
    rows = []

    def tell(what: str, value: float, unit: str) -> None:
        rows.append({"what": what, "value": value, "unit": unit})
        click.echo(f"{what}: {value:.4g} {unit}")

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        tell("a table of 50,000 files is read", wide_table(place / "wide", 50_000), "CPU seconds")
        shown = films(place / "films", count)
        warm = films(place / "warm", 12)
        for detector, both in BOTH.items():
            timed(warm, place / f"warmed-{detector}", both, 1)
            one, cpu = timed(shown, place / detector, both, 1)
            what = f"voice and face by {detector}, seconds of clips"
            tell(f"{what} a second, one worker", count * SECONDS / one, "× real time")
            tell(f"{what} a CPU second", count * SECONDS / cpu, "× real time")
        two, _ = timed(shown, place / "two", both, 2)
        tell(f"two workers over one, {detector}", one / two, "×")
        tell("two workers give the same bytes", float(digest(place / detector) == digest(place / "two")), "")
        few, lots = sounds(place / "few", max(200, many // 10)), sounds(place / "many", many)
        peaks = []
        for folder in (few, lots):
            timed(folder, place / f"{folder.name}-out", SHORT, 1)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        tell(f"peak memory with {many} clips over a tenth of them", peaks[1] - peaks[0], "MiB more")
        told = stored.described(place / "many-out")
        tell("rows", told.rows, "")
        tell("error rows", told.recordings - told.rows, "")
        killed(lots, place / "killed", 2, 2)
        tell(
            "killed twice, the same bytes", float(digest(place / "killed") == digest(place / "many-out")), ""
        )
        shutil.rmtree(place / "killed", ignore_errors=True)
    write_csv(pd.DataFrame(rows).assign(**about(("av", "numpy", "opencv-python-headless"))), csv)


if __name__ == "__main__":
    main()
