"""The published low-rank network in PyTorch as its users run it, a row at a time, in a process of its own.

`python -m speed.torch_inference ROWS` first answers {program: what it answers to each row of `example(ROWS)`}, then
takes turns with the first row on one thread: `conversation`.
"""

from __future__ import annotations

import json
import sys
import warnings

import torch

from speed.published import EAGER, LOW_RANK, LSTM_ALONE, REFERENCE_RANK, SCRIPT, example, published_arrays
from speed.torch_networks import MODALITIES, network
from speed.turns import Step, timed

Row = list[torch.Tensor]


@torch.inference_mode()
def script(module: torch.nn.Module, row: Row) -> torch.jit.ScriptModule:
    """`module` traced with `row`, frozen, and optimised for inference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls it old; `torch.compile` was slower here
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, row)))


def step(program: torch.nn.Module | torch.jit.ScriptModule, row: Row) -> Step:
    """One answer to `row`, in inference mode."""

    @torch.inference_mode()
    def step() -> torch.Tensor:
        return program(*row)

    return step


def main(count: str) -> None:
    """Answer [program, number of steps] with their milliseconds by each clock, line by line."""
    torch.set_num_threads(1)
    inputs, _ = example(int(count))
    rows = [[torch.from_numpy(inputs[name][i : i + 1]) for name in MODALITIES] for i in range(int(count))]
    eager = network(published_arrays(LOW_RANK, REFERENCE_RANK)).eval()
    programs = {EAGER: eager, SCRIPT: script(eager, rows[0])}
    answers = {name: [step(program, row)().item() for row in rows] for name, program in programs.items()}
    turns = {name: timed(step(program, rows[0])) for name, program in programs.items()}
    text = rows[0][MODALITIES.index("text")]
    turns[LSTM_ALONE] = timed(step(eager.text_subnet.rnn, [text]))
    print(json.dumps(answers), flush=True)
    for line in sys.stdin:
        program, steps = json.loads(line)
        print(json.dumps(turns[program](steps)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
