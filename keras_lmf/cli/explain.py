"""explain: which modalities carry a model's answers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keras_lmf.cli import tables
from keras_lmf.cli.options import DATA, JSON, plain_errors
from keras_lmf.cli.progress import waiting
from keras_lmf.cli.runs import RUN, SPLIT
from keras_lmf.errors import LMFError
from keras_lmf.files import require_writable, write_text

TABLE, PICTURE = "interactions.csv", "interactions.png"


@click.command(epilog="Example: keras-lmf explain lmf-synthetic-av --split test")
@RUN
@DATA
@SPLIT
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="For table and picture; default RUN/explained-SPLIT, of a zoo entry runs/NAME/explained-SPLIT.",
)
@JSON
@plain_errors
def explain(run: str, data: Path | None, split: str, folder: Path | None, as_json: bool) -> None:
    """Which modalities, alone and together, carry the answers of RUN (a run's folder or a zoo entry) to a split.

    By answer and subset of modalities: push, the mean contribution to the answer's logit (less the mean of all logits);
    share of the size of all contributions; decisive, the share of answers that would be another without it.
    """
    with waiting(f"Opening {run}"):
        from keras_lmf.cli.sources import opened

        source = opened(run, data)
    folder = folder or source.folder / f"explained-{split}"
    require_writable(folder / TABLE)
    from keras_lmf.evaluation import interactions, plots
    from keras_lmf.models.explanation import explain as explained

    target = source.recipe.target
    found = explained(source.model, source.dataset()[split].inputs, target=target.name)
    if not found.terms:
        raise LMFError(
            f"{run}: its answers depend on the modalities past the fusion layer (attention), and it was not trained to "
            f"do without one, so they don't come apart by modality. Train with [presence]; klmf.explain gives the "
            f"fusion at each step and the attention."
        )
    table = interactions(
        found.terms, target.classes or target.dimensions or (target.name,), classes=target.classes is not None
    )
    write_text(folder / TABLE, table.to_csv(index=False))
    kind = "" if found.linear else "; the head is not linear"
    picture = plots.save(
        plots.interactions(table, f"{source.recipe.name}, {split} split{kind}"), folder / PICTURE
    )
    if as_json:
        click.echo(
            json.dumps({"linear": found.linear, "interactions": json.loads(table.to_json(orient="records"))})
        )
        return
    shown = table.dropna(axis=1, how="all")
    click.echo(tables.frame(shown, "{:.3f}"))
    if not found.linear:
        click.echo(
            "\nThe head has hidden layers: a contribution is what the modalities change together, no part of the "
            "weights.",
            err=True,
        )
    click.echo(f"\nTable and plot: {folder / TABLE}, {picture}")
