"""Signs of sigma on real faces over three seeds: train, attack, measure.

Prints one table in Markdown.

    python -m benchmarks.utkface_signs FOLDER_OF_UTKFACE [--seeds 3]

Everything goes through the store, so a second call only prints.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

import rbcore as rb
from rbcore.training.train import train

EXPECTED = {"Asian": 1, "White": -1, "0-15": 1, "40-60": -1}
"""Signs of the first measurement on the whole of crop_part1 (1,956 test faces)."""


def main(
    folder: Path,
    seeds: Annotated[int, typer.Option(help="How many runs, each with its own split.")] = 3,
) -> None:
    """Measure `small_cnn` at 64 pixels with DeepFool and print sigma for class, race and gender."""
    tables = []
    for seed in range(seeds):
        faces = rb.load_dataset("utkface", root=folder, size=64, seed=seed)
        run = train("small_cnn", faces)
        distances = rb.estimate_distances(
            rb.load_model("small_cnn", faces, run=run.name), faces, "deepfool"
        )
        for by in ("class", "race", "gender"):
            tables.append(rb.robustness_bias(distances, by).assign(seed=seed, by=by))  # noqa: PERF401
    table = pd.concat(tables, ignore_index=True)
    print(
        "| by | group | "
        + " | ".join(f"seed {seed}: sigma [95%], n" for seed in range(seeds))
        + " | signs |"
    )
    print("|---|---|" + "---|" * (seeds + 1))
    for (by, group), rows in table.groupby(["by", "group"], sort=False):
        cells = [
            f"{row.sigma:+.2f} [{row.low:+.2f}, {row.high:+.2f}], {row.n}"
            for row in rows.itertuples()
        ]
        signs = {1 if sigma > 0 else -1 for sigma in rows["sigma"]}
        said = (
            "flips"
            if len(signs) > 1
            else "as expected"
            if signs == {EXPECTED.get(group)}
            else "stable"
        )
        print(f"| {by} | {group} | " + " | ".join(cells) + f" | {said} |")


if __name__ == "__main__":
    typer.run(main)
