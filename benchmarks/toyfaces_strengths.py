"""Does the measure see the bias that was planted, and only that? Four strengths, several seeds.

    python -m benchmarks.toyfaces_strengths [--seeds 3] [--epochs 5]

For each strength and seed: train `small_cnn`, attack its test faces with DeepFool, measure sigma of
dim light (planted), of camera A (null) and of the site "school" (confounded with age). Everything
goes through the store, so a killed call goes on. The report draws toyfaces_strengths.svg in the
folder of results.
"""

import altair as alt
import pandas as pd
import typer

import rbcore as rb
from benchmarks.results import FOLDER, Results, Row, as_table, save
from rbcore.charts.legend import COLORS
from rbcore.charts.theme import rule_at
from rbcore.datasets.toyfaces import STRENGTHS

GROUPS = {"lighting": "dim", "camera": "A", "site": "school"}
TRUTH = {"lighting": "planted", "camera": "null", "site": "confounded with age"}


def measure(seeds: int, epochs: int, strengths: int | None) -> list[Row]:
    """Return one row a strength, seed and attribute: sigma of its group, n, the accuracy."""
    rows = []
    for name, strength in sorted(STRENGTHS.items(), key=lambda item: item[1])[:strengths]:
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
                    {
                        **facts,
                        **bias[["n", "sigma", "low", "high"]].to_dict(),
                        "model_accuracy": accuracy,
                    }
                )
    return rows


def figure(table: pd.DataFrame) -> alt.HConcatChart:
    """Draw sigma against the planted strength, one panel an attribute, one interval a seed."""
    table = table.assign(place=table["strength"] + 0.012 * (table["seed"] - 1))
    x = alt.X("place:Q", title="planted strength")
    color = alt.Color("seed:N", scale=alt.Scale(range=list(COLORS[:3])))
    limits = alt.Scale(domain=[table["low"].min(), table["high"].max()])
    zero = rule_at(y=0, is_dashed=False)
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


def report(results: Results) -> str:
    """Return the table in Markdown, and draw the figure beside the results."""
    table = pd.DataFrame(results.tables["sigma"])
    lines = []
    for (strength, attribute, truth), rows in table.groupby(
        ["strength", "attribute", "truth"], sort=False
    ):
        cells = {
            f"seed {row.seed}: sigma [95%], n": (
                f"{row.sigma:+.3f} [{row.low:+.3f}, {row.high:+.3f}], {row.n}"
            )
            for row in rows.itertuples()
        }
        own = {"strength": f"{strength:g}", "attribute (truth)": f"{attribute} ({truth})"}
        lines.append({**own, **cells})
    accuracies = table.groupby("strength")["model_accuracy"].agg(["min", "max"])
    said = "; ".join(
        f"{strength:g}: {row['min']:.3f}-{row['max']:.3f}"
        for strength, row in accuracies.iterrows()
    )
    figure(table).save(FOLDER / "toyfaces_strengths.svg")
    accuracy = f"Test accuracy, least and greatest over the seeds: {said}."
    return "\n\n".join([results.heading, as_table(lines), accuracy])


def main(seeds: int = 3, epochs: int = 5, strengths: int | None = None) -> None:
    """Measure every strength, or the first ones, and every seed."""
    print(report(save("toyfaces_strengths", {"sigma": measure(seeds, epochs, strengths)})))


if __name__ == "__main__":
    typer.run(main)
