"""A media file that names, or is named like, other files: only the file itself is ever opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_lmf.errors import LMFError
from keras_lmf.media import decode

OWN, OTHER = 90, 230


def picture(path: Path, grey: int) -> Path:
    Image.fromarray(np.full((48, 64, 3), grey, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    "name", ["clip%d.png", "clip%03d.png", "clip*.png", "clip?.jpg", "clip[0-9].bmp", "%d.png"]
)
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    suffix = Path(name).suffix
    for number in range(5):
        for form in ("clip{}", "clip{:03d}", "{}"):
            picture(tmp_path / f"{form.format(number)}{suffix}", OTHER)
    (frame,) = decode(picture(tmp_path / name, OWN)).frames
    assert abs(frame.mean() - OWN) < 3


LISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\n{name}\n#EXT-X-ENDLIST\n",
    "a.m3u": "{name}\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {name}\n",
    "a.txt": "ffconcat version 1.0\nfile '{path}'\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0" '
    'bandwidth="1"><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "a.idx": "# VobSub index file, v7\nsize: 64x48\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
    "concat:b.png|b.png": "concat:b.png|b.png",
    "subfile,,start,0,end,0,,:b.png": "",
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_opens_none(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is a pipe: to open it would wait without end."""
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "a.sub")
    picture(tmp_path / "b.png", OTHER)
    monkeypatch.chdir(tmp_path)
    for other in ("pipe.mp4", "b.png"):
        path = tmp_path / name
        path.write_text(LISTS[name].format(name=other, path=tmp_path / other))
        with pytest.raises(LMFError, match=r"no media file|can be decoded"):
            decode(path)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/a.wav", "file:b.png", "data:image/png;base64,AAAA", "pipe:0"]
)
def test_an_address_is_no_file(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "b.png", OTHER)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LMFError, match="no such file"):
        decode(address)
