"""Does the measure see the bias that was planted, and only that? Four strengths, several seeds, distances by attack.

    python -m benchmarks.toyfaces_strengths [--seeds 3] [--epochs 5]

For each strength and seed: train `small_cnn`, attack its test faces with DeepFool, measure sigma of
dim light (planted), of camera A (null) and of the site "school" (confounded with age). Writes
toyfaces_strengths.md and .svg beside this file. Everything goes through the store, so a killed call
goes on and a second one only writes.
"""

from pathlib import Path

import altair as alt
import pandas as pd
import typer

import rbcore as rb
from rbcore.datasets.toyfaces import STRENGTHS

GROUPS = {"lighting": "dim", "camera": "A", "site": "school"}
TRUTH = {"lighting": "planted", "camera": "null", "site": "confounded with age"}
HERE = Path(__file__).parent


def measure(seeds: int, epochs: int) -> pd.DataFrame:
    """Return one row a strength, seed and attribute: sigma of its group with interval, n and the model's accuracy."""
    rows = []
    for name, strength in sorted(STRENGTHS.items(), key=lambda item: item[1]):
        for seed in range(seeds):
            faces = rb.load_dataset(name, seed=seed)
            run = rb.train("small_cnn", faces, epochs=epochs, keep="1")
            distances = rb.estimate_distances(
                rb.load_model("small_cnn", faces, run=run.name), faces, "deepfool"
            )
            for by, group in GROUPS.items():
                bias = rb.robustness_bias(distances, by).set_index("group").loc[group]
                facts = {
                    "strength": strength,
                    "seed": seed,
                    "attribute": f"{by}={group}",
                    "truth": TRUTH[by],
                }
                accuracy = distances["is_correct"].mean()
                rows.append(
                    {**facts, **bias[["n", "sigma", "low", "high"]], "model_accuracy": accuracy}
                )
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame) -> alt.HConcatChart:
    """Draw sigma against the planted strength, one panel an attribute, one interval a seed."""
    table = table.assign(place=table["strength"] + 0.012 * (table["seed"] - 1))
    x = alt.X("place:Q", title="planted strength")
    color = alt.Color("seed:N", scale=alt.Scale(range=["#0072B2", "#D55E00", "#009E73"]))
    limits = alt.Scale(domain=[table["low"].min(), table["high"].max()])
    zero = (
        alt.Chart(pd.DataFrame({"zero": [0.0]}))
        .mark_rule(color="#7F7F7F")
        .encode(y=alt.Y("zero:Q", scale=limits))
    )
    panels = []
    for (attribute, truth), rows in table.groupby(["attribute", "truth"], sort=False):
        base = alt.Chart(rows)
        low = alt.Y("low:Q", title="sigma (95%)", scale=limits)
        bars = base.mark_rule(size=2).encode(x=x, y=low, y2="high:Q", color=color)
        dots = base.mark_circle(size=60, opacity=1).encode(
            x=x, y=alt.Y("sigma:Q", title="sigma (95%)"), color=color
        )
        panels.append(
            alt.layer(zero, bars, dots, title=f"{attribute}: {truth}", width=220, height=220)
        )
    return alt.hconcat(*panels)


def main(seeds: int = 3, epochs: int = 5) -> None:
    """Measure, print and write the table and the figure."""
    table = measure(seeds, epochs)
    lines = [
        "| strength | attribute (truth) | "
        + " | ".join(f"seed {seed}: sigma [95%], n" for seed in range(seeds))
        + " |"
    ]
    lines.append("|---|---|" + "---|" * seeds)
    for (strength, attribute, truth), rows in table.groupby(
        ["strength", "attribute", "truth"], sort=False
    ):
        cells = [
            f"{row.sigma:+.3f} [{row.low:+.3f}, {row.high:+.3f}], {row.n}"
            for row in rows.itertuples()
        ]
        lines.append(f"| {strength:g} | {attribute} ({truth}) | " + " | ".join(cells) + " |")
    accuracies = table.groupby("strength")["model_accuracy"].agg(["min", "max"])
    lines += ["", "Test accuracy, least and greatest over the seeds: "]
    lines[-1] += (
        "; ".join(
            f"{strength:g}: {row['min']:.3f}-{row['max']:.3f}"
            for strength, row in accuracies.iterrows()
        )
        + "."
    )
    text = "\n".join(lines)
    print(text)
    (HERE / "toyfaces_strengths.md").write_text(text + "\n", encoding="utf-8")
    figure(table).save(HERE / "toyfaces_strengths.svg")


if __name__ == "__main__":
    typer.run(main)
