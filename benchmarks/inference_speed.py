"""How fast are 10,000 resamples of sigma for all 100 groups of 10,000 samples, and what a page asks for: one core, peak memory.

``OMP_NUM_THREADS=1 python -m benchmarks.inference_speed`` prints a Markdown table: the best
of three calls each.
"""

import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

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
    """Return percentiles of resampled sigma without studentizing: no interval of ours, the cost to compare with."""
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


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, call: Callable[[], object]) -> None:
    """Print the best time of several calls, and the peak memory since the process began."""
    seconds = []
    for _ in range(N_CALLS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(f"| {name} | {min(seconds):.2f} | {peak_memory():.0f} |", flush=True)


def main() -> None:
    """Measure and print."""
    many = split_groups(made_up(10_000, 100), "group")
    print("| what | s | peak memory so far, MB |\n|---|---|---|")
    print(f"| imports (torch among them) and data | | {peak_memory():.0f} |")
    measure(
        f"{RESAMPLES:,} resamples, 100 groups of 100, not studentized",
        lambda: percentile_sigma(many, RESAMPLES),
    )
    measure(
        f"{RESAMPLES:,} resamples, 100 groups of 100, bootstrap-t of sigma and AUC",
        lambda: bootstrap_sigma(many, n_resamples=RESAMPLES),
    )
    measure(f"{N_PERMUTATIONS:,} permutations, 100 groups of 100", lambda: permutation_tests(many))
    for n_groups in (2, 10):
        rows = made_up(1600, n_groups)
        measure(
            f"robustness_bias, 1,600 samples in {n_groups} groups ({N_RESAMPLES:,} resamples, "
            f"{N_PERMUTATIONS:,} permutations)",
            lambda rows=rows: robustness_bias(rows, "group"),
        )


if __name__ == "__main__":
    main()
