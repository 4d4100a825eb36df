"""keras-lmf predict on films: the columns of what is there and what isn't, and the annotated video."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from face_model import PICTURE, RATE, Model, film, frame
from media_files import tone, write
from PIL import Image

from keras_lmf import recognition
from keras_lmf.cli import main
from keras_lmf.data import decode
from keras_lmf.evaluation import style
from keras_lmf.media import Mark, annotate
from keras_lmf.recognition import Prediction, Recognizer

FACE = (100.0, 80.0, 60.0, 60.0)
SHARES = ["voice", "face", "voice × face"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    film(folder / "both.mkv", 3, sound=tone(3, RATE), rate=RATE)
    film(folder / "mute.mkv", 3)
    write(folder / "voice.wav", sound=tone(3, RATE), rate=RATE, sound_codec="pcm_s16le")
    grey = [np.full((192, 256, 3), 128, np.uint8)] * 25
    write(folder / "grey.mp4", frames=grey, sound=tone(1, 48000))
    (folder / "text.mp4").write_text("not a film")
    return folder


def predict(
    monkeypatch: pytest.MonkeyPatch, *words: str | Path, recognizer: Recognizer | None = None
) -> Result:
    monkeypatch.setattr(recognition, "Recognizer", lambda *_, **__: recognizer or Model().recognizer())
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_few_faces_are_told(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "few.mkv", 3, (0, 0.9))
    done = predict(monkeypatch, tmp_path / "few.mkv", clips / "mute.mkv", clips / "voice.wav")
    assert re.search(r"Few faces were found in few\.mkv \([23]\d% of its frames\)", done.stderr)
    assert "mute.mkv" not in done.stderr
    assert "Few faces" not in predict(monkeypatch, clips / "mute.mkv").stderr


def test_folders_of_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are for models of one picture; others look for films and sounds alone."""
    for name in ("a.PNG", "b.jpg"):
        Image.fromarray(frame(9)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "c.heic").write_text("no picture, but it says so")
    done = predict(monkeypatch, tmp_path, "--json", recognizer=Model(**PICTURE).recognizer())
    assert [Path(row["file"]).name for row in json.loads(done.stdout)] == ["a.PNG", "b.jpg", "c.heic"]
    assert done.exit_code == 1
    done = predict(monkeypatch, tmp_path)
    assert "no media file in this folder. Its pictures are for a model" in done.output
    assert done.exit_code == 1


def test_columns_of_what_some_files_lack(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["voice.wav", "both.mkv", "text.mp4", "mute.mkv"]
    files = [clips / name for name in names]
    done = predict(monkeypatch, *files, "--csv", tmp_path / "a.csv")
    assert done.exit_code == 1
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table) == [
        "file",
        "emotion",
        *(f"probability_{label}" for label in ("low", "middle", "high")),
        "presence_voice",
        "presence_face",
        "alone_voice",
        "alone_face",
        *(f"share_{name}" for name in SHARES),
        "error",
    ]
    assert table["presence_face"].fillna("").tolist() == [False, True, "", True]
    assert table["alone_voice"].notna().tolist() == [True, True, False, False]
    assert table["alone_face"].notna().tolist() == [False, True, False, True]
    shares = table[[f"share_{name}" for name in SHARES]]
    np.testing.assert_allclose(shares.iloc[[0, 3]], [[1, 0, 0], [0, 1, 0]])
    assert (shares.iloc[1] > 0).all()
    assert shares.sum(axis=1).tolist() == pytest.approx([1, 1, 0, 1])
    answers = [Model().recognizer()(clips / name) for name in ("voice.wav", "both.mkv")]
    header, *rows, blank, error = done.stdout.splitlines()
    assert (blank, error.partition(": ")[0]) == ("", "text.mp4")
    assert header.split() == [
        "file",
        "emotion",
        "probability",
        "presence",
        "seconds",
        "each",
        "alone",
        "shares",
    ]
    places = {name: header.index(name) for name in ("emotion", "presence", "seconds", "each alone", "shares")}
    assert [row.split()[0] for row in rows] == ["voice.wav", "both.mkv", "mute.mkv"]
    assert [row[places["seconds"] : places["each alone"]].strip() for row in rows] == ["3.0", "3.0", "3.0"]
    assert [row[places["presence"] : places["seconds"]].strip() for row in rows] == [
        "voice",
        "voice, face",
        "face",
    ]
    cells = [row[places["shares"] :].strip() for row in rows]
    assert cells == [
        "",
        ", ".join(f"{name} {share:.0%}" for name, share in answers[1].shares.items()),
        "",
    ]
    alone = ", ".join(
        f"{name}: {max(shares, key=shares.get)} {max(shares.values()):.2f}"
        for name, shares in answers[1].by_modality.items()
    )
    assert rows[1][places["each alone"] : places["shares"]].strip() == alone


def test_json(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = predict(monkeypatch, clips / "both.mkv", clips / "mute.mkv", "--json")
    both, mute = json.loads(done.stdout)
    keys = {
        "file",
        "emotion",
        "probabilities",
        "presence",
        "by_modality",
        "shares",
        "contributions",
        "cut",
        "timeline",
    }
    assert both.keys() == mute.keys() == keys
    assert both["presence"] == {"voice": True, "face": True}
    assert list(both["by_modality"]) == ["voice", "face"]
    assert list(mute["by_modality"]) == ["face"]
    assert list(both["shares"]) == list(mute["shares"]) == SHARES


def test_explain(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = predict(monkeypatch, clips / "both.mkv", clips / "text.mp4", "--explain")
    answer = Model().recognizer()(clips / "both.mkv")
    header, row, _, error = done.stdout.splitlines()
    told = row[header.index("contributions") :].split(", ")
    assert told == [f"{name} {each[answer.emotion]:+.2f}" for name, each in answer.contributions.items()]
    assert [part.rpartition(" ")[0] for part in told] == ["constant", *SHARES]
    assert error.startswith("text.mp4: ")
    # Of one window: they add up to the logit.
    logits = np.log(list(answer.probabilities.values()))
    whole = sum(float(part.rpartition(" ")[2]) for part in told)
    if len(answer.timeline) == 1:
        assert whole == pytest.approx((logits - logits.mean()).max(), abs=0.03)


def test_explain_needs_a_model_that_answers_without_a_modality(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, told in (
        ({"presence": "assumed"}, "needs all of voice, face"),
        (PICTURE, "has one input, face"),
    ):
        done = predict(monkeypatch, clips / "text.mp4", "--explain", recognizer=Model(**options).recognizer())
        assert done.exit_code == 1
        assert told in done.output


def read(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def annotated(monkeypatch: pytest.MonkeyPatch, source: Path, *words: str | Path) -> Result:
    # One face from the first frame on, sure from the second that is followed, at 0.1 s.
    recognizer = Model().recognizer(face_detector=lambda pixels: [FACE])
    return predict(monkeypatch, source, *words, recognizer=recognizer)


def test_annotate(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clips / "grey.mp4"
    done = annotated(monkeypatch, source, "--annotate", tmp_path / "out.mp4")
    assert done.exit_code == 0, done.stderr
    assert "Video: " in done.stderr
    frames = read(tmp_path / "out.mp4")
    assert len(frames) == 25
    left, top, width, height = map(round, FACE)
    corners = [(top, left + 3), (top + height, left + width - 3), (top + height - 3, left)]
    for number, pixels in enumerate(frames):
        # Frame 3 is the first from 0.1 s on.
        assert [bool(pixels[at].min() > 170) for at in corners] == [number >= 3] * 3, number
    answer = Model().recognizer(face_detector=lambda pixels: [FACE])(source)
    shares = answer.probabilities
    marks = [Mark(0, None, shares, [FACE]), Mark(0.1, FACE, shares)]
    colours = style.colours(shares)
    by_hand = read(annotate(source, tmp_path / "by_hand.mp4", marks, colours=colours))
    assert max(np.abs(one - other).max() for one, other in zip(frames, by_hand)) <= 2
    np.testing.assert_array_equal(decode(tmp_path / "out.mp4").waveform, decode(source).waveform)


def test_a_window_without_an_answer_has_no_words(tmp_path: Path) -> None:
    answer = Model().recognizer(hop=3)(film(tmp_path / "late.mkv", 6, (4, 9)))
    marks = list(answer._marks())
    # The first window's middle is 1.5 s, the second one's 4.5 s: the words begin halfway.
    assert [len(mark.probabilities) > 0 for mark in marks] == [False] * 30 + [True] * 30
    assert np.isnan(marks[40].box[0])
    assert not np.isnan(marks[42].box[0])


def test_what_annotate_refuses(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey, voice = clips / "grey.mp4", clips / "voice.wav"
    for words, code, message in [
        ([grey, "--annotate", tmp_path / "out.avi"], 2, "--annotate draws one FILE into a .mp4"),
        ([grey, voice, "--annotate", tmp_path / "out.mp4"], 2, "--annotate draws one FILE"),
        ([clips, "--annotate", tmp_path / "out.mp4"], 2, "--annotate draws one FILE"),
        ([voice, "--annotate", tmp_path / "out.mp4"], 1, "no picture"),
        ([clips / "text.mp4", "--annotate", tmp_path / "out.mp4"], 1, "could not be judged"),
    ]:
        done = predict(monkeypatch, *words)
        assert done.exit_code == code
        assert message in done.stderr
    arrays = Model().recognizer()({"voice": tone(1, RATE)[:, 0]})
    with pytest.raises(ValueError, match="this one is of arrays"):
        arrays.annotate(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_video_leaves_nothing(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = Prediction._marks

    def interrupted(self: Prediction):
        yield next(marks(self))
        raise KeyboardInterrupt

    monkeypatch.setattr(Prediction, "_marks", interrupted)
    done = annotated(monkeypatch, clips / "grey.mp4", "--annotate", tmp_path / "out.mp4")
    assert done.exit_code == 1
    assert "grey.mp4" in done.stdout, "the answer is told all the same"
    assert list(tmp_path.iterdir()) == []
