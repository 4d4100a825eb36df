"""One file over HTTP, with a limit to its size and to its time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

from tqdm import tqdm

TIMEOUT_SECONDS = 30  # without a single byte
GRACE_SECONDS, SLOWEST = 60, 10_000  # a download may take so long, and a second for so many bytes of the file


class Stop(Exception):
    """Ends a download without another attempt, which would bring nothing else. (Pooch repeats after a ValueError.)"""


class Missing(Stop):
    """The mirror has no such file."""


@dataclass(frozen=True)
class Downloader:
    """Pooch's HTTP downloader, with limits to size and time, and a progress bar once it takes over two seconds."""

    limit: int
    name: str

    def __call__(self, url: str, output: str, client: Any) -> None:
        bar = tqdm(
            desc=self.name, total=self.limit, unit="B", unit_scale=True, leave=False, delay=2, disable=None
        )
        failure: list[Exception] = []

        def work() -> None:
            try:
                self._download(url, output, client, bar)
            except Exception as error:
                failure.append(error)

        # requests has no limit for the whole: a server that sends a byte now and then would keep us for weeks. The
        # thread is left to it then, and ends with the connection or the process.
        seconds = GRACE_SECONDS + self.limit / SLOWEST
        thread = threading.Thread(target=work, daemon=True)
        with bar:
            thread.start()
            thread.join(seconds)
        if thread.is_alive():
            raise TimeoutError(f"it was not there after {seconds:.0f} seconds")
        if failure:
            raise failure[0]

    def _download(self, url: str, output: str, client: Any, bar: tqdm) -> None:
        import pooch
        import requests

        try:
            with open(output, "wb") as stream:
                pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS)(url, _Limited(stream, self.limit, bar), client)
        except requests.HTTPError as error:
            if error.response.status_code in (401, 403, 404, 410):  # asking again won't help
                raise Missing(f"{error.response.status_code} {error.response.reason}") from None
            raise


@dataclass
class _Limited:
    """A file that refuses more bytes than it may have, and tells the bar how many came."""

    stream: BinaryIO
    left: int
    bar: tqdm

    def write(self, content: bytes) -> None:
        self.left -= len(content)
        if self.left < 0:
            raise Stop("the server sends more bytes than the file may have")
        self.stream.write(content)
        self.bar.update(len(content))

    def flush(self) -> None:
        self.stream.flush()


class Quiet:
    """Pooch logs the scratch folder's paths as news; within this block it doesn't."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger, self.level = logger, logger.level

    def __enter__(self) -> None:
        self.logger.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
