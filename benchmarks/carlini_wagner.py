"""Which settings of Carlini-Wagner are an attack: how many images it finds itself, how far, and at what cost, beside `minimal`.

    python -m benchmarks.carlini_wagner

prints the table of `benchmarks/carlini_wagner.md`. Every distance that the attack does not find is
the engine's fallback: a walk to the nearest image of another class, about twice as far. A setting
under which many are says little of the network.
"""

import numpy as np
import pandas as pd

import rbcore as rb

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


def compare(rows: pd.DataFrame, minimal: pd.DataFrame) -> dict[str, object]:
    """Return what the attack found of the correct images, and how far beside `minimal`."""
    correct = rows[rows["is_correct"]].set_index("sample_id")
    ratio = correct["distance"] / minimal.set_index("sample_id")["distance"].reindex(correct.index)
    is_found = correct["status"] == "found"
    return {
        "n": len(correct),
        "found": f"{is_found.mean():.1%}",
        "fallback": int((correct["status"] == "fallback").sum()),
        "failed": int((correct["status"] == "failed").sum()),
        "median ratio": f"{ratio.median():.3f}",
        "mean ratio": f"{ratio.mean():.2f}",
        "within 5%": f"{np.mean(ratio <= 1.05):.0%}",
    }


def measure() -> pd.DataFrame:
    """Measure every setting on every network."""
    found = []
    for dataset, model, limit in NETWORKS:
        data = rb.load_dataset(dataset)
        network = rb.load_model(model, data)
        minimal = rb.estimate_distances(network, data, "minimal", limit=limit)
        for searches, steps, stepsize, const in SETTINGS:
            parameters = {
                "binary_search_steps": searches,
                "steps": steps,
                "stepsize": stepsize,
                "initial_const": const,
            }
            rows = rb.estimate_distances(network, data, "carlini_wagner", limit=limit, **parameters)
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
    return pd.DataFrame(found)


if __name__ == "__main__":
    table = measure()
    lines = [table.columns, ["---"] * table.shape[1], *table.astype(str).to_numpy()]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))
