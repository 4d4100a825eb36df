"""Tables of the backbones: what each is, and how large and fast on every runtime."""

from __future__ import annotations

import pandas as pd
from measurements import RESULTS, measured_on, spread


def markdown() -> dict[str, str]:
    """What each backbone is, and how large and fast on every runtime."""
    table = pd.read_csv(RESULTS / "backbones.csv")
    facts = table.drop_duplicates("backbone").set_index("backbone")
    what = pd.DataFrame(
        {
            "parameters": [f"{number:,}" for number in facts["parameters"]],
            "MFLOPs": [f"{number:.0f}" for number in facts["mflops"]],
            "embedding": facts["embedding"],
            "receptive field": facts["receptive_field"],
            "code": facts["code"],
            "weights": facts["weights"],
            "paper": facts["paper"],
        },
        index=facts.index,
    )
    table["ms"] = spread(table, "wall_ms", "wall_ms_first_quartile", "wall_ms_third_quartile")
    times = table.pivot(index="backbone", columns="runtime", values="ms")
    runtimes = list(table["runtime"].unique())
    sizes = table.pivot(index="backbone", columns="runtime", values="bytes")[runtimes] / 1e3
    sizes = sizes.dropna(axis=1, how="all").add_suffix(", kB")
    sizes = sizes.map(lambda size: "–" if pd.isna(size) else f"{size:,.0f}")
    times = times[runtimes].join(sizes).reindex(facts.index)
    caption = (
        f"Milliseconds for one clip of {facts['clip_seconds'].iloc[0]:g} s (of image_cnn, one picture): wall clock, "
        f"median and quartiles over the turns. {measured_on(table)}. A dash: the export refuses to call a file int8 in "
        "which nothing computes in int8."
    )
    return {
        "backbones": what.reset_index().to_markdown(index=False, disable_numparse=True),
        "backbones-speed": f"{caption}\n\n"
        + times.reset_index().to_markdown(index=False, disable_numparse=True),
    }


def in_few_words() -> dict[str, str]:
    """That of docs/compose.md: the backbones in a few words."""
    table = pd.read_csv(RESULTS / "backbones.csv")
    file = table[table["runtime"] == "TFLite float32"]
    few = pd.DataFrame(
        {
            "backbone": [f"`{name}`" for name in file["backbone"]],
            "paper": file["paper"],
            "parameters": [f"{number:,}" for number in file["parameters"]],
            "MFLOPs": [f"{number:.0f}" for number in file["mflops"]],
            "TFLite, kB": [f"{number / 1e3:,.0f}" for number in file["bytes"]],
            "TFLite, ms": [f"{number:.1f}" for number in file["wall_ms"]],
            "weights": file["weights"],
        }
    )
    return {"backbones": few.to_markdown(index=False, disable_numparse=True)}
