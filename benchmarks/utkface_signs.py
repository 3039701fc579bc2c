"""Signs of sigma on real faces over three seeds: train, attack, measure.

    python -m benchmarks.utkface_signs FOLDER_OF_UTKFACE [--seeds 3]

Everything goes through the store, so a second call only reads.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

import rbcore as rb
from benchmarks.results import Results, as_table, save

EXPECTED = {"Asian": 1, "White": -1, "0-15": 1, "40-60": -1}
"""Signs of the first measurement on the whole of crop_part1 (1,956 test faces)."""


def report(results: Results) -> str:
    """Return sigma of every group in every seed, in Markdown."""
    table = pd.DataFrame(results.tables["sigma"])
    lines = []
    for (by, group), rows in table.groupby(["by", "group"], sort=False):
        cells = {
            f"seed {row.seed}: sigma [95%], n": (
                f"{row.sigma:+.2f} [{row.low:+.2f}, {row.high:+.2f}], {row.n}"
            )
            for row in rows.itertuples()
        }
        signs = {1 if sigma > 0 else -1 for sigma in rows["sigma"]}
        is_expected = signs == {EXPECTED.get(group)}
        said = "flips" if len(signs) > 1 else "as expected" if is_expected else "stable"
        lines.append({"by": by, "group": group, **cells, "signs": said})
    return f"{results.heading}\n\n{as_table(lines)}"


def main(
    folder: Path,
    seeds: Annotated[int, typer.Option(help="How many runs, each with its own split.")] = 3,
    epochs: Annotated[int | None, typer.Option(help="The recipe's own by default.")] = None,
    limit: Annotated[int | None, typer.Option(help="Test images; all by default.")] = None,
) -> None:
    """Measure `small_cnn` at 64 pixels with DeepFool: sigma for class, race and gender."""
    rows = []
    for seed in range(seeds):
        faces = rb.load_dataset("utkface", root=folder, size=64, seed=seed)
        run = rb.train("small_cnn", faces, epochs=epochs)
        model = rb.load_model("small_cnn", faces, run=run.name)
        distances = rb.estimate_distances(model, faces, "deepfool", limit=limit)
        for by in ("class", "race", "gender"):
            bias = rb.robustness_bias(distances, by)
            found = bias[["group", "n", "sigma", "low", "high"]].to_dict("records")
            rows += [{"by": by, "seed": seed, **row} for row in found]
    print(report(save("utkface_signs", {"sigma": rows})))


if __name__ == "__main__":
    typer.run(main)
