"""The table of the voice models' cross-validation, from benchmarks/results/folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "results" / "folds"


def table() -> str:
    """One line per entry and protocol: accuracy and balanced accuracy over folds, and of all folds together."""
    rows = []
    for path in sorted(FOLDER.glob("*.csv")):
        runs = pd.read_csv(path)
        for protocol, found in runs.groupby("protocol", sort=False):
            folds = found[found["fold"] != "all"].groupby("fold")[["war", "uar"]].mean()
            pooled = found[found["fold"] == "all"]
            line = {
                "entry": path.stem,
                "protocol": "inductive" if protocol == "inductive" else "speaker-enrolled (transductive)",
                "folds × seeds": f"{len(folds)} × {len(pooled)}",
            }
            for metric in ("war", "uar"):
                line[f"{metric}, mean ± sd over folds"] = (
                    f"{folds[metric].mean():.3f} ± {folds[metric].std():.3f}"
                )
                line[f"{metric}, all folds together"] = f"{pooled[metric].mean():.3f}"
            rows.append(line)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
