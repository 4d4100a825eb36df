"""Speed and memory of tensor fusion and low-rank fusion, as ratios in one run on one thread of this machine.

    python benchmarks/fusion_speed.py --against torch --folder benchmarks/results/speed

All contenders of a table take turns, so what else the machine does hits them alike; PyTorch's are taken in a process
of its own, which waits while TensorFlow's are taken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import keras
import pandas as pd
from speed import comparisons, heads, memory
from speed.processes import answer
from speed.published import LOW_RANK, OURS, REFERENCE_RANK, TENSOR, TORCH
from speed.turns import one_thread
from tqdm import tqdm

from keras_lmf.cli.options import JSON, numbers, plain_errors
from keras_lmf.errors import LMFError, import_extra, require_extra, unknown_name
from keras_lmf.files import write_atomically, write_text
from keras_lmf.measurement import processor
from keras_lmf.training.run import environment

PAPER_BATCH = 32
RIVALS = ("torch",)


@dataclass(frozen=True)
class SpeedReport:
    """What `benchmark` measured. Times are medians over the turns, on one thread; ratios come first.

    Attributes:
        ratios: the ratios that matter: low-rank ÷ tensor, ours ÷ PyTorch, by phase, batch and way of compiling.
        table_4: the reference paper's Table 4, samples per CPU second beside its published figures.
        whole_models: every contender among the whole networks.
        fusions: the fusion alone, 2 to 5 modalities.
        ranks: the fusion alone at the whole networks' widths, by rank.
        memory: peak memory of whole networks, each in a process of its own; empty where there is no /proc.
        tflite: the heads as files and as compiled functions.
        settings: repeats, seconds, processor, environment.
    """

    ratios: pd.DataFrame
    table_4: pd.DataFrame
    whole_models: pd.DataFrame
    fusions: pd.DataFrame
    ranks: pd.DataFrame
    memory: pd.DataFrame
    tflite: pd.DataFrame
    settings: dict[str, Any]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name, without empty ones."""
        tables = {name: value for name, value in vars(self).items() if isinstance(value, pd.DataFrame)}
        return {name: table for name, table in tables.items() if len(table)}

    def to_json(self) -> str:
        tables = {name: json.loads(table.to_json(orient="records")) for name, table in self.tables.items()}
        return json.dumps({**tables, "settings": self.settings}, indent=1)

    def save(self, folder: str | Path) -> Path:
        """Writes a CSV per table, `speed.json`, `growth_with_rank.png` and `growth_with_modalities.png`."""
        folder = Path(folder)
        for name, table in self.tables.items():
            write_atomically(
                folder / f"{name}.csv", lambda path, t=table: t.to_csv(path, index=False, float_format="%.5g")
            )
        write_text(folder / "speed.json", self.to_json() + "\n")
        draw(folder)
        return folder

    def __str__(self) -> str:
        parts = [
            ("Samples per CPU second: median and quartiles of the ratios within a turn", self.ratios),
            (
                f"The paper's Table 4, samples per CPU second at batch {_paper_batch(self.whole_models['batch'])} "
                "beside its published figures (whose machine, batch and widths are not stated); the ratio is that of "
                "the medians",
                self.table_4,
            ),
            ("Whole networks; ratio = CPU time over low-rank rank 4 as tf.function", self.whole_models),
            ("The fusion alone; ratio = CPU time over low-rank fusion", self.fusions),
            ("The fusion alone by rank; ratio = CPU time over rank 4", self.ranks),
            (
                "Peak memory above that of the framework alone, each in a process of its own: starting = until the "
                "second step, compilation among it; running = over five steps more",
                self.memory,
            ),
            ("Heads at batch 1; ratio = CPU time over the low-rank TFLite file", self.tflite),
        ]
        texts = [
            f"{title}\n{table.to_string(index=False, float_format=_short, na_rep='')}"
            for title, table in parts
            if len(table)
        ]
        return "\n\n".join([*texts, comparisons.where_tensor_is_faster(self.fusions)])


def draw(folder: Path) -> None:
    """Draws `growth_with_rank.png` and `growth_with_modalities.png` from the CSVs in `folder`, into it."""
    from speed import plots

    from keras_lmf.evaluation.plots import save

    models, ranks, fusions = (
        pd.read_csv(folder / f"{name}.csv") for name in ("whole_models", "ranks", "fusions")
    )
    batch = _paper_batch(models["batch"])
    save(plots.growth_with_rank(models, ranks, batch), folder / "growth_with_rank.png")
    save(plots.growth_with_modalities(fusions, batch), folder / "growth_with_modalities.png")


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _paper_batch(batches: Sequence[int]) -> int:
    """The batch size of Table 4 and of the pictures: 32, or the middle one where it was not measured."""
    found = sorted(set(batches))
    return PAPER_BATCH if PAPER_BATCH in found else found[len(found) // 2]


def benchmark(
    *,
    batches: Sequence[int] = (1, 32, 256),
    ranks: Sequence[int] = (1, 4, 8, 16),
    repeats: int = 15,
    seconds: float = 0.05,
    against: str | None = None,
) -> SpeedReport:
    """Measure tensor fusion against low-rank fusion, on one thread of this machine.

    Args:
        batches: batch sizes.
        ranks: of the low-rank networks; rank 4, to which ratios refer, is always among them.
        repeats: turns that each contender takes.
        seconds: length of one turn.
        against: "torch" adds the published networks written in PyTorch, with the same weights.

    Raises:
        LMFError: a number out of range, an unknown rival, another backend than TensorFlow, a missing extra, or a
            process in which TensorFlow has run already.
    """
    if against is not None and against not in RIVALS:
        raise unknown_name("rival", against, RIVALS)
    for name, values in (("batches", batches), ("ranks", ranks), ("repeats", [repeats])):
        if not values or any(not isinstance(value, int) or value < 1 for value in values):
            raise LMFError(f"{name} takes whole numbers of at least 1, received {list(values)}")
    if seconds < 0:
        raise LMFError(f"seconds must be 0 or more, received {seconds}")
    if keras.backend.backend() != "tensorflow":
        raise LMFError(
            f"The benchmark needs Keras on the TensorFlow backend, received {keras.backend.backend()!r}. "
            "Start again with\n  KERAS_BACKEND=tensorflow python benchmarks/fusion_speed.py"
        )
    # Asked first: these are needed last, after minutes.
    import_extra("ai_edge_litert.interpreter", "export")
    if against:
        require_extra(against, "backends")
    one_thread("tensorflow")
    batches = sorted(set(batches))
    ranks = sorted({*ranks, REFERENCE_RANK})
    turns = {"repeats": repeats, "seconds": seconds}

    cells = [(phase, batch) for batch in batches for phase in comparisons.PHASES]
    speeds, ratios = [], []
    for phase, batch in _progress(cells, "whole networks"):
        rows, compared = comparisons.measure_networks(phase, batch, ranks, against, **turns)
        speeds += rows
        ratios += compared
    shapes = [(m, width) for m in comparisons.MODALITIES for width in comparisons.WIDTHS]
    fused = [
        row
        for (phase, batch), shape in _progress(
            [(cell, shape) for cell in cells for shape in shapes], "fusions"
        )
        for row in comparisons.measure_modalities(phase, *shape, batch, **turns)
    ]
    paper_batch = _paper_batch(batches)
    by_rank = [
        row
        for phase in comparisons.PHASES
        for row in comparisons.measure_ranks(phase, paper_batch, ranks, **turns)
    ]
    table = pd.DataFrame(speeds)
    return SpeedReport(
        ratios=pd.DataFrame(ratios),
        table_4=comparisons.table_4(table, paper_batch),
        whole_models=table,
        fusions=pd.DataFrame(fused),
        ranks=pd.DataFrame(by_rank),
        memory=pd.DataFrame(peaks(paper_batch, against)),
        tflite=pd.DataFrame(heads.measure_heads(**turns)),
        settings={**turns, "processor": processor(), "environment": environment()},
    )


def peaks(batch: int, against: str | None) -> list[dict[str, Any]]:
    """Rows of the peak memory of whole networks; none where the system doesn't tell it."""
    if not memory.counts_anew():
        return []
    codes = [OURS, *([TORCH] if against and batch > 1 else [])]
    cases = [
        {"phase": phase, "batch": batch, "code": code, "fusion": fusion}
        for phase in comparisons.PHASES
        for code in codes
        for fusion in (LOW_RANK, TENSOR)
    ]
    return [case | peak(**case) for case in _progress(cases, "memory")]


def peak(phase: str, batch: int, code: str, fusion: str) -> dict[str, float]:
    """`memory.network` in a process of its own."""
    what = f"The peak memory of {phase} {batch} {code} {fusion}"
    return answer(what, "speed.memory", "network", phase, batch, code, fusion)


def _progress(cases: Sequence[Any], what: str) -> Any:
    return tqdm(cases, desc=what, leave=False, disable=None)


@click.command(help=__doc__)
@click.option("--batches", default="1,32,256", show_default=True, help="Batch sizes, separated by commas.")
@click.option(
    "--ranks", default="1,4,8,16", show_default=True, help="Of low-rank fusion, separated by commas."
)
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1), help="Turns each.")
@click.option(
    "--seconds", default=0.05, show_default=True, type=click.FloatRange(0), help="Length of a turn."
)
@click.option("--against", help="torch: the published networks in PyTorch, in the same run.")
@click.option("--folder", type=click.Path(path_type=Path), help="Write tables and pictures here as well.")
@JSON
@plain_errors
def main(batches: str, ranks: str, folder: Path | None, as_json: bool, **options: Any) -> None:
    report = benchmark(batches=numbers("--batches", batches), ranks=numbers("--ranks", ranks), **options)
    click.echo(report.to_json() if as_json else report)
    if folder is not None:
        click.echo(f"\nTables and pictures: {report.save(folder)}", err=True)


if __name__ == "__main__":
    main()
