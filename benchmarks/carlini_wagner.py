"""Which settings of Carlini-Wagner are an attack: how many images it finds, how far, at what cost.

    python -m benchmarks.carlini_wagner

Beside `minimal`, on the same images. Every distance that the attack does not find is
the engine's fallback: a walk to the nearest image of another class, about twice as far. A setting
under which many are says little of the network.
"""

from typing import Annotated

import numpy as np
import pandas as pd
import typer

import rbcore as rb
from benchmarks.results import Results, Row, page, save

NETWORKS = (
    ("digits", "small_cnn", None),
    ("digits", "logistic_regression", None),
    ("toyfaces", "small_cnn", 100),
)
"""Dataset, model and how many test images."""

SETTINGS = (  # binary_search_steps, steps, stepsize, initial_const
    (5, 100, 0.005, 0.01),  # the paper's
    (9, 100, 0.01, 0.01),
    (5, 100, 0.05, 0.01),
    (6, 100, 0.05, 0.1),
    (9, 50, 0.05, 0.01),
    (9, 100, 0.05, 0.01),
    (9, 100, 0.05, 0.001),
)


def compare(rows: pd.DataFrame, minimal: pd.DataFrame) -> Row:
    """Return what the attack found of the correct images, and how far beside `minimal`."""
    correct = rows[rows["is_correct"]].set_index("sample_id")
    ratio = correct["distance"] / minimal.set_index("sample_id")["distance"].reindex(correct.index)
    is_found = correct["status"] == "found"
    return {
        "n": len(correct),
        "found": is_found.mean(),
        "fallback": int((correct["status"] == "fallback").sum()),
        "failed": int((correct["status"] == "failed").sum()),
        "median ratio": ratio.median(),
        "mean ratio": ratio.mean(),
        "within 5%": np.mean(ratio <= 1.05),
    }


def measure(limit: int | None, n_settings: int | None) -> list[Row]:
    """Measure every setting on every network."""
    found = []
    for dataset, model, most in NETWORKS:
        data = rb.load_dataset(dataset)
        network = rb.load_model(model, data)
        n = limit or most
        minimal = rb.estimate_distances(network, data, "minimal", limit=n)
        for searches, steps, stepsize, const in SETTINGS[:n_settings]:
            parameters = {
                "binary_search_steps": searches,
                "steps": steps,
                "stepsize": stepsize,
                "initial_const": const,
            }
            rows = rb.estimate_distances(network, data, "carlini_wagner", limit=n, **parameters)
            facts = {
                "network": f"{dataset} {model}",
                "weights x steps": f"{searches} x {steps}",
                "stepsize": stepsize,
            }
            found.append(
                {
                    **facts,
                    "first weight": const,
                    "passes": searches * steps,
                    **compare(rows, minimal),
                }
            )
    return found


def report(results: Results) -> str:
    """Return the table in Markdown."""
    forms = {"found": ".1%", "median ratio": ".3f", "mean ratio": ".2f", "within 5%": ".0%"}
    return page(results, forms)


def main(
    n: Annotated[int | None, typer.Option(help="Test images; all or 100 by default.")] = None,
    settings: Annotated[int | None, typer.Option(help="The first ones only.")] = None,
) -> None:
    """Measure every setting."""
    print(report(save("carlini_wagner", {"Settings": measure(n, settings)})))


if __name__ == "__main__":
    typer.run(main)
