"""Who runs a function over many items: this process, several of this machine, or Apache Beam on many machines.

Each gives the results in the items' order, and whatever the function warns of is told here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import signal
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from keras_lmf.errors import LMFError, import_extra

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # items for each worker that are begun before the first one's result is taken


class Executor(Protocol):
    """Runs a function over items."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results in the items' order, as they come.

        Args:
            function: importable by its module's name, with arguments that can be pickled.
            items: that can be pickled.
        """


@dataclass(frozen=True)
class Here:
    """This process, one item after the other."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """As of `Executor.map`; any function will do."""
        return map(function, items)


@dataclass(frozen=True)
class Pool:
    """Several processes of this machine. They end with this one, however it ends.

    Attributes:
        workers: how many processes.
    """

    workers: int

    def __post_init__(self) -> None:
        if (
            isinstance(self.workers, bool)
            or not isinstance(self.workers, int)
            or not 1 <= self.workers <= 512
        ):
            raise LMFError(f"workers={self.workers!r}: it must be a whole number, 1 to 512.")

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """As of `Executor.map`.

        Raises:
            LMFError: a process died, as for want of memory.
        """
        others = {process.pid for process in multiprocessing.active_children()}
        context = multiprocessing.get_context("spawn")  # a fork would share locks of libraries with threads
        pool = ProcessPoolExecutor(min(self.workers, max(1, len(items))), context, _begin)
        pending: deque[Future[tuple[Result, list[str]]]] = deque()
        waiting = iter(items)
        try:
            while True:
                while len(pending) < AHEAD * self.workers and (item := next(waiting, pool)) is not pool:
                    pending.append(pool.submit(_told, function, item))
                if not pending:
                    break
                result, told = pending.popleft().result()
                _tell(told)
                yield result
        except BrokenProcessPool as error:
            raise LMFError(
                "A worker process died, as for want of memory. What was done is kept; the same command with fewer "
                "--workers goes on."
            ) from error
        finally:
            # On Ctrl-C and errors what is begun isn't waited for.
            pool.shutdown(wait=not pending, cancel_futures=True)
            for process in multiprocessing.active_children():
                if process.pid not in others and pending:
                    process.terminate()


@dataclass(frozen=True)
class Beam:
    """Apache Beam (the extra `beam`): its own options say on which machines.

    All machines see the same files under the same paths. Results travel as JSON, through a folder that all of them can
    write.

    Attributes:
        options: Beam's, as on its command lines: "--runner=FlinkRunner", "--flink_master=…".
        exchange: the folder for results; None: Beam's `temp_location`, or a temporary one of this machine.
    """

    options: tuple[str, ...]
    exchange: Path | None = None

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """As of `Executor.map`, once all are done; results must be values of JSON.

        Raises:
            LMFError: Apache Beam isn't installed, an option that it doesn't know, or the run failed.
        """
        beam = import_extra("apache_beam", "beam")
        known = _beam_options(self.options)
        with contextlib.ExitStack() as stack:
            shared = known.get_all_options().get("temp_location") or self.exchange
            if shared is None:
                shared = stack.enter_context(tempfile.TemporaryDirectory())
            elif self.exchange is not None and shared == self.exchange:
                shared = stack.enter_context(tempfile.TemporaryDirectory(prefix=".partial-", dir=shared))
            prefix = f"{shared}/results-{os.getpid()}-{id(items):x}"
            try:
                with beam.Pipeline(options=known) as pipeline:
                    (
                        pipeline
                        | "items" >> beam.Create(list(enumerate(items)))
                        | "spread" >> beam.Reshuffle()
                        | "work" >> beam.Map(functools.partial(_numbered, function))
                        | "results" >> beam.io.WriteToText(prefix)
                    )
            except (LMFError, KeyboardInterrupt):
                raise
            except Exception as error:  # Beam raises whatever its runner does
                raise LMFError(f"Beam's run failed: {' '.join(str(error).split())[-1000:]}") from error
            results = _collected(prefix, len(items))
        for result, told in results:
            _tell(told)
            yield result


def executor(workers: int = 1, beam: Sequence[str] = (), exchange: Path | None = None) -> Executor:
    """Beam where there are options of it, else a pool where there are workers, else this process."""
    if beam:
        return Beam(tuple(beam), exchange)
    pool = Pool(workers)  # refuses numbers that are none
    return pool if workers > 1 else Here()


def _begin() -> None:
    """Of a worker process: Ctrl-C is the first process's matter, whose end ends this one; one thread for each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")


def _told(function: Callable[[Item], Result], item: Item) -> tuple[Result, list[str]]:
    """The result, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(item)
    kept = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return result, list(dict.fromkeys(kept))


def _tell(told: Iterable[str]) -> None:
    for message in told:
        warnings.warn(message, stacklevel=3)


def _beam_options(words: Sequence[str]) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        return PipelineOptions(list(words))
    except SystemExit:  # argparse has said on standard error what is wrong
        raise LMFError(f"Apache Beam does not take these options: {' '.join(words)}.") from None


def _numbered(function: Callable[[Item], Result], numbered: tuple[int, Item]) -> str:
    number, item = numbered
    result, told = _told(function, item)
    return json.dumps([number, result, told])


def _collected(prefix: str, count: int) -> list[tuple[Any, list[str]]]:
    """Of each item its result and what was warned of, from the files that Beam wrote; they are removed."""
    from apache_beam.io.filesystems import FileSystems

    places = [found.path for found in FileSystems.match([f"{prefix}*"])[0].metadata_list]
    found: dict[int, tuple[Any, list[str]]] = {}
    for place in places:
        with FileSystems.open(place) as stream:
            for line in stream.read().decode().splitlines():
                number, result, told = json.loads(line)
                found[number] = (result, told)
    FileSystems.delete(places)
    if found.keys() != set(range(count)):
        raise LMFError(
            f"Beam gave {len(found)} of {count} results. Its temp_location must be a folder that all machines and this "
            "one see."
        )
    return [found[number] for number in range(count)]
