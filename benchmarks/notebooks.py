"""Executes the notebooks of examples/ and stores them with their outputs.

    python benchmarks/notebooks.py                      # all of them
    python benchmarks/notebooks.py train_on_clips       # one

Each runs in an empty folder, with the Python that runs this. A notebook that raises is left as it is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from keras_lmf.files import write_text

EXAMPLES = Path(__file__).parents[1] / "examples"


class ThisInterpreter(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs this, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def executed(path: Path, folder: Path) -> NotebookNode:
    """The notebook at `path` after it ran in `folder`, without what differs from one machine to the next.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        record_timing=False,
        kernel_manager_class=ThisInterpreter,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    for path in [EXAMPLES / f"{name}.ipynb" for name in names] or sorted(EXAMPLES.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            write_text(path, nbformat.writes(executed(path, Path(folder))) + "\n")
        click.echo(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
