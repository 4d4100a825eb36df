"""Open a media file, and hold what it says of its length against what is there."""

from __future__ import annotations

import contextlib
import io
import mmap
import re
import struct
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from keras_lmf.errors import LMFError, import_extra

if TYPE_CHECKING:
    from av.container import InputContainer

# FFmpeg draws text files as pictures, and follows numbered names and lists of other files.
_NO_MEDIA = {"tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat", "imf", "image2", "sdp"}
_MISSING = Fraction(1, 4)  # seconds that the end may lie before the length in the file's header
_EXCESS = 2**10  # bytes by which a header's length may be too long: some programs count the header
_CHUNKS = 1000  # before the sound; real files have a few


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file as a PyAV container, closed on leaving. FFmpeg gets this open file alone, and may open nothing itself.

    Raises:
        LMFError: no such file, a folder, no media file, a truncated one, or PyAV isn't installed.
    """
    av = import_extra("av", "media")
    if not path.is_file():
        kind = "this is a folder; give a file in it" if path.is_dir() else "no such file"
        raise LMFError(f"{path}: {kind}.")
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": ",".join(sorted(av.formats_available - _NO_MEDIA)),
    }
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(io.FileIO(path))
            # All that FFmpeg sees of the name: it fills in patterns like %d, and knows some formats by the suffix.
            file.name = f"file{path.suffix}"
            # Phones write films and other data behind a photo, so that FFmpeg wouldn't know it.
            photo = path.suffix.lower() in (".jpg", ".jpeg") and file.read(3) == b"\xff\xd8\xff"
            if photo:
                _check_photo(path)
            file.seek(0)
            # Tags in another encoding than UTF-8 are no reason to fail.
            form = {"format": "jpeg_pipe" if photo else None, "metadata_errors": "ignore"}
            container = stack.enter_context(av.open(file, options=options, **form))
        except (av.FFmpegError, OSError) as error:
            refused = isinstance(error, av.ArgumentError)
            reason = "FFmpeg takes it for text or a list of other files" if refused else error.strerror
            raise LMFError(
                f"{path}: no media file, or a truncated one ({reason}; {path.stat().st_size} bytes). "
                "Any container that FFmpeg reads is allowed; copy the file again."
            ) from error
        _check_index(path, container)
        yield container


@contextlib.contextmanager
def failures_told(path: Path) -> Iterator[None]:
    """Within, an error of FFmpeg that nobody expects is an LMFError, with the file's name."""
    av = import_extra("av", "media")
    try:
        yield
    except av.FFmpegError as error:
        raise LMFError(
            f"{path}: damaged: FFmpeg fails on it ({error.strerror}). Copy the file again."
        ) from error


def _check_photo(path: Path) -> None:
    """Raise an LMFError if a JPEG lacks the mark of its end: FFmpeg would draw what is missing in grey.

    No more than the mark is looked for: what is damaged before it shows in the picture.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 2
        # Segments, among them a small picture with an end of its own, up to the start of the scan.
        while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] not in (b"\xda", b""):
            at += 1 if content[at + 1] == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at : at + 2] == b"\xff\xda" and content.find(b"\xff\xd9", at) < 0:
            raise LMFError(f"{path}: truncated: a JPEG without its end, {len(content)} bytes. Copy it again.")


def _check_index(path: Path, container: InputContainer) -> None:
    indexes = [stream.index_entries for stream in container.streams]
    needed = max((entries[-1].pos + entries[-1].size for entries in indexes if len(entries)), default=0)
    size, excess = path.stat().st_size, 0
    if container.format.name in ("wav", "aiff"):  # their index is FFmpeg's own
        needed, excess = _sound_end(path), _EXCESS
    if needed > size + excess:
        raise LMFError(
            f"{path}: truncated: its index reaches to byte {needed}, the file has {size}. Copy it again, "
            f"or keep what can be played: ffmpeg -i {path.name} repaired{path.suffix}"
        )


def _sound_end(path: Path) -> int:
    """The byte at which the sound of a WAV or AIFF file ends by its header; 0 where that doesn't say it."""
    wide = 0
    with path.open("rb") as file:
        order = ">" if file.read(12).startswith(b"FORM") else "<"
        for _ in range(_CHUNKS):
            name, length = struct.unpack(f"{order}4sI", file.read(8).ljust(8))
            if name in (b"data", b"SSND"):
                length = wide or length
                # Programs that write into a pipe, and recorders that crash, leave 0, or almost 2^31 or 2^32.
                unknown = not length or min(abs(length - 2**31), abs(length - 2**32)) < 2**16
                return 0 if unknown else file.tell() + length
            if name == b"ds64":
                wide = int.from_bytes(file.read(16)[8:], "little")
                file.seek(-16, 1)
            file.seek(length + length % 2, 1)
    return 0


def is_longer(path: Path, container: InputContainer, kinds: Collection[str], most: float) -> bool:
    """Whether the streams of these kinds last longer than `most` seconds, before anything is decoded.

    Where the header says so, which may be FFmpeg's guess, or nothing, the packets tell it.
    """
    if container.duration is not None and container.duration <= most * 1_000_000:
        return False
    with opened(path) as counted:
        packets = (packet for packet in counted.demux() if packet.stream.type in kinds)
        times = (packet.pts * packet.time_base for packet in packets if packet.pts is not None)
        first = next(times, None)
        return any(time - first > most for time in times)


def check_alone(path: Path, end: int) -> None:
    """Raise an LMFError if after byte `end`, where the last packet ends, another file of the kind begins."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # Between these bytes of its head may be a length; in RIFF after them too.
        head = (
            re.escape(content[:4]) + b".{4}" + re.escape(content[8 : 12 if content[8:12] == b"WAVE" else 16])
        )
        head = rb"ftyp[\w ]{4}\0" if content[4:8] == b"ftyp" else head
        if another := re.compile(head, re.DOTALL).search(content, max(end, 16)):
            raise LMFError(
                f"{path}: at byte {another.start()} another file begins, as in files joined byte by byte; players pass "
                "over it. Join them with ffmpeg's concat filter."
            )


def check_end(path: Path, container: InputContainer, tracks: int, end: Fraction) -> None:
    """Raise an LMFError if the last of the file's `tracks` ends, at `end` seconds, before the header says.

    Matroska alone needs this: it has no index of every packet, and its length is that of the longest stream,
    which may be one that isn't read.
    """
    declared = Fraction(container.duration or 0, 1_000_000)
    if "matroska" in container.format.name and len(container.streams) == tracks and end + _MISSING < declared:
        raise LMFError(
            f"{path}: truncated: its header says {float(declared):.2f} s, its streams end at {float(end):.2f} s. "
            "Copy the file again."
        )
