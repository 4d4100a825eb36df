"""RAVDESS's films as they are downloaded, here drawn ones: trained, exported and answered by three commands."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_lmf.data.corpora import synthetic_clips
from keras_lmf.locate import known_recipes

pytest.importorskip("av", reason="needs the extra media")
pytest.importorskip("cv2", reason="needs the extra face")
ACTORS = ("02", "05", "03", "06", "10", "11", "08", "17", "01")  # two are the test's, two choose the epoch
CODES = {"neutral": "01", "happy": "03", "sad": "04"}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two takes of each of three emotions by each actor, under RAVDESS's names in its folders."""
    root = tmp_path_factory.mktemp("downloads")
    clips = 6 * len(ACTORS)
    drawn = synthetic_clips.write(
        root / "drawn", clips=clips, speakers=len(ACTORS), emotions=list(CODES), seconds=1, size=(128, 128)
    )
    taken: dict[tuple[str, str], itertools.count] = {}
    for line in (drawn / "labels.csv").read_text().splitlines()[1:]:
        file, label, speaker = line.split(",")
        actor = ACTORS[int("".join(filter(str.isdigit, speaker))) % len(ACTORS)]
        statement = next(taken.setdefault((actor, label), itertools.count(1)))
        folder = root / "ravdess" / f"Video_Speech_Actor_{actor}" / f"Actor_{actor}"
        folder.mkdir(parents=True, exist_ok=True)
        (drawn / file).rename(folder / f"01-01-{CODES[label]}-01-{statement:02d}-01-{actor}.mp4")
    return root


@pytest.mark.long
def test_three_commands_train_export_and_answer(downloads: Path, tmp_path: Path) -> None:
    ready = known_recipes()["lmf-voice-face"].read_text(encoding="utf-8")
    recipe = ready.replace('name = "clips"', 'name = "ravdess"\n\n[corpus.options]\nmedia = "film"')
    assert recipe != ready
    (tmp_path / "films.toml").write_text(recipe, encoding="utf-8")

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "keras_lmf", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "KERAS_LMF_HOME": str(tmp_path / "home"), "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run("train", "films.toml", "--data", downloads, "--folder", "model")
    run("export", "model", "--data", downloads, "--formats", "tflite")
    tests = sorted(downloads.glob("ravdess/*/Actor_0[25]/*.mp4"))
    told = run("predict", *tests, "--model", "model/exported/model.tflite", "--json")
    answers = json.loads(told)
    labels = {code: name for name, code in CODES.items()}
    right = [
        max(one["probabilities"], key=one["probabilities"].get) == labels[path.name.split("-")[2]]
        for one, path in zip(answers, tests, strict=True)
    ]
    assert sum(right) / len(right) >= 0.6, answers  # a third by chance
