"""How fast are 10,000 resamples of sigma for 100 groups of 10,000 samples, and a page's measures.

``OMP_NUM_THREADS=1 python -m benchmarks.inference_speed``: the best of three calls each, and the
peak memory so far.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import typer

from benchmarks.results import Results, Row, memory, page, save, timed
from rbcore.inference import bootstrap_sigma, permutation_tests, robustness_bias
from rbcore.inference.intervals import group_sizes
from rbcore.inference.resampling import N_PERMUTATIONS, N_RESAMPLES, resampled_means
from rbcore.measures import Grouped, relative_difference, rest_of_areas, split_groups

RESAMPLES = 10_000
N_CALLS = 3


def made_up(n: int, n_groups: int) -> pd.DataFrame:
    """Return a table of n exponential distances, 80% correct, in groups of equal size."""
    random = np.random.default_rng(0)
    correct = random.random(n) < 0.8
    return pd.DataFrame(
        {
            "sample_id": np.arange(n).astype(str),
            "label": 0,
            "is_correct": correct,
            "distance": np.where(correct, random.exponential(size=n), np.nan),
            "status": np.where(correct, "found", "misclassified"),
            "group": np.repeat([f"{group:03d}" for group in range(n_groups)], n // n_groups),
        }
    )


def percentile_sigma(grouped: Grouped, n_resamples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return percentiles of resampled sigma without studentizing: the cost to compare with."""
    random = np.random.default_rng(0)
    areas = np.stack(
        [resampled_means(values[None], n_resamples, random)[0] for values in grouped.capped()],
        axis=1,
    )
    sigma = relative_difference(
        areas, rest_of_areas(areas, group_sizes(grouped), grouped.policy.rest)
    )
    low, high = np.quantile(sigma, [0.025, 0.975], axis=0)
    return low, high


def row(what: str, call: Callable[[], object]) -> Row:
    """Return the best time of several calls, and the peak memory since the process began."""
    seconds = min(timed(call) for _ in range(N_CALLS))
    return {"what": what, "s": seconds, "peak memory so far, MB": memory("VmHWM")}


def report(results: Results) -> str:
    """Return the table in Markdown."""
    return page(results, {"s": ".2f", "peak memory so far, MB": ".0f"})


def main(resamples: int = RESAMPLES) -> None:
    """Measure all."""
    many, groups = split_groups(made_up(10_000, 100), "group"), "100 groups of 100"
    start = {
        "what": "imports (torch among them) and data",
        "peak memory so far, MB": memory("VmHWM"),
    }
    rows = [
        start,
        row(
            f"{resamples:,} resamples, {groups}, not studentized",
            lambda: percentile_sigma(many, resamples),
        ),
        row(
            f"{resamples:,} resamples, {groups}, bootstrap-t of sigma and AUC",
            lambda: bootstrap_sigma(many, n_resamples=resamples),
        ),
        row(f"{N_PERMUTATIONS:,} permutations, {groups}", lambda: permutation_tests(many)),
    ]
    for n_groups in (2, 10):
        table = made_up(1600, n_groups)
        what = (
            f"robustness_bias, 1,600 samples in {n_groups} groups ({N_RESAMPLES:,} resamples, "
            f"{N_PERMUTATIONS:,} permutations)"
        )
        rows.append(row(what, lambda table=table: robustness_bias(table, "group")))
    print(report(save("inference_speed", {"Speed": rows})))


if __name__ == "__main__":
    typer.run(main)
