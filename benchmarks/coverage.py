"""Do the intervals cover, and do the tests reject, as often as they say: by simulation.

``python -m benchmarks.coverage``: a quarter of an hour on one core; ``--draws 100`` for a look.
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from itertools import product
from typing import Annotated

import numpy as np
import pandas as pd
import typer

import rbcore as rb
from benchmarks.results import Results, Row, as_table, read, save, say, timed
from rbcore.inference import (
    bootstrap_intervals,
    compare_bias,
    decompose_bias,
    dkw_band,
    permutation_tests,
    rb_interval,
    standardized_bias,
)
from rbcore.inference.resampling import resampled_means
from rbcore.measures import DEFAULT_POLICY, Grouped, proportion_beyond
from rbcore.runs.checkpoints import find_run

N_DRAWS = 2000
N_DRAWS_FEW = 1000
N_DRAWS_FEWER = 500
N_RESAMPLES = 1000
N_PERMUTATIONS = 499
ACCURACIES = (0.4, 0.9)
SIZES = (50, 200, 1000)
LEVEL = 0.05
POWER_AT = (-0.1, -0.2, -0.3, -0.5)

Draw = Callable[[np.random.Generator, int], np.ndarray]


@lru_cache
def shipped_distances() -> np.ndarray:
    """Return DeepFool distances of the correct toy faces, of the shipped small_cnn, of mean 1."""
    rows = rb.stored_distances(find_run("toyfaces", "small_cnn"), "last", "deepfool").rows
    distances = rows.loc[rows["is_correct"], "distance"].to_numpy()
    return distances / distances.mean()


SHAPES: dict[str, Draw] = {  # each with mean 1
    "exponential": lambda random, n: random.exponential(size=n),
    "shipped table": lambda random, n: random.choice(shipped_distances(), n),
    "lognormal(0, 1)": lambda random, n: random.lognormal(size=n) / np.exp(0.5),
    "uniform": lambda random, n: random.uniform(0, 2, size=n),
}
HEAVY = "lognormal(0, 1)"


def draw_group(
    random: np.random.Generator, shape: str, n: int, accuracy: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances, 0 where misclassified, and whether each sample is correct.

    The area is the accuracy.
    """
    is_correct = random.random(n) < accuracy
    return np.where(is_correct, SHAPES[shape](random, n), 0.0), is_correct


def make_grouped(groups: list[tuple[np.ndarray, np.ndarray]]) -> Grouped:
    """Put drawn groups into the form that the measures take."""
    n = np.array([len(values) for values, _ in groups])
    n_correct = np.array([correct.sum() for _, correct in groups])
    names = [f"g{index}" for index in range(len(groups))]
    values, is_correct = [values for values, _ in groups], [correct for _, correct in groups]
    nothing, one = np.zeros(len(n), int), np.ones(len(n))
    return Grouped(
        names,
        values,
        is_correct,
        n,
        n_correct,
        nothing,
        nothing,
        np.full(len(n), np.nan),
        one,
        DEFAULT_POLICY,
    )


def make_table(groups: list[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Put drawn groups into a table of distances."""
    correct = np.concatenate([own for _, own in groups])
    names = np.repeat(
        [f"g{index}" for index in range(len(groups))], [len(own) for own, _ in groups]
    )
    return pd.DataFrame(
        {
            "sample_id": np.arange(len(correct)).astype(str),
            "label": 0,
            "is_correct": correct,
            "distance": np.where(correct, np.concatenate([own for own, _ in groups]), np.nan),
            "status": np.where(correct, "found", "misclassified"),
            "group": names,
        }
    )


def covers(low: float, high: float, truth: float) -> bool:
    """Whether an interval holds the truth; one that is not defined does not."""
    return bool(low <= truth <= high)


def interval_rows(n_draws: int) -> Iterator[Row]:
    """Coverage of sigma, AUC and RB for two groups of n that are alike, so that sigma is 0."""
    for shape, accuracy, n in product(("exponential", "shipped table", HEAVY), ACCURACIES, SIZES):
        random = np.random.default_rng([n, int(100 * accuracy), list(SHAPES).index(shape)])
        tau = np.array([float(np.median(SHAPES[shape](random, 10_001)))])
        hits = np.zeros(3)
        above = below = percentile = 0
        widths = []
        for draw in range(n_draws):
            groups = [draw_group(random, shape, n, accuracy) for _ in range(2)]
            grouped = make_grouped(groups)
            found = bootstrap_intervals(grouped, n_resamples=N_RESAMPLES, seed=draw)
            low, high = found.sigma_low[0], found.sigma_high[0]
            rb_low, rb_high = rb_interval(grouped, tau)
            hits += [
                covers(low, high, 0.0),
                covers(found.auc_low[0], found.auc_high[0], accuracy),
                covers(rb_low[0, 0], rb_high[0, 0], 0.0),
            ]
            above += bool(low > 0)
            below += bool(high < 0)
            widths.append(high - low)
            means = (
                [resampled_means(own[None], N_RESAMPLES, random)[0] for own, _ in groups]
                if n == min(SIZES)
                else None
            )
            if means is not None:
                ends = np.quantile(means[0] / np.maximum(means[1], 1e-9) - 1, [0.025, 0.975])
                percentile += covers(ends[0], ends[1], 0.0)
        yield {
            "distances": shape,
            "accuracy": accuracy,
            "n a group": n,
            "sigma": hits[0] / n_draws,
            "misses below, above": f"{below / n_draws:.1%}, {above / n_draws:.1%}",
            "median width": np.nanmedian(widths),
            "AUC": hits[1] / n_draws,
            "RB(P, tau)": hits[2] / n_draws,
            "percentile, for comparison": percentile / n_draws if n == min(SIZES) else None,
        }


def other_interval_rows(n_draws: int) -> Iterator[Row]:
    """Coverage of the parts, of the standardized sigma and of paired differences.

    Exponential distances.
    """
    for accuracy, n in product(ACCURACIES, (50, 200)):
        random = np.random.default_rng([n, int(100 * accuracy), 1])
        hits = np.zeros(4)
        for draw in range(n_draws):
            rows = make_table([draw_group(random, "exponential", n, accuracy) for _ in range(2)])
            parts = decompose_bias(rows, "group", n_resamples=N_RESAMPLES, seed=draw).iloc[1:3]
            rows["stratum"] = np.where(
                random.random(2 * n) < np.where(rows["group"] == "g0", 0.7, 0.3), "x", "y"
            )
            rows["distance"] *= np.where(
                rows["stratum"] == "x", 2.0, 1.0
            )  # composition alone makes a difference
            even = standardized_bias(
                rows, "group", "stratum", groups=["g0"], n_resamples=N_RESAMPLES, seed=draw
            )
            rows["distance"] = np.where(rows["is_correct"], random.exponential(size=2 * n), np.nan)
            other = rows.assign(distance=rows["distance"] * random.lognormal(0, 0.5, 2 * n))
            paired = compare_bias(rows, other, "group", n_resamples=N_RESAMPLES, seed=draw)
            hits += [
                *(
                    covers(low, high, 0.0)
                    for low, high in zip(parts["low"], parts["high"], strict=True)
                ),
                covers(even["low"][0], even["high"][0], 0.0),
                covers(paired["low"][0], paired["high"][0], 0.0),
            ]
        yield {
            "accuracy": accuracy,
            "n a group": n,
            "part: accuracy": hits[0] / n_draws,
            "part: distance": hits[1] / n_draws,
            "standardized sigma": hits[2] / n_draws,
            "paired difference": hits[3] / n_draws,
        }


CHANGED: dict[str, Draw] = {  # each with mean 1
    "gamma(0.3)": lambda random, n: random.gamma(0.3, size=n) / 0.3,
    "60% near 0": lambda random, n: (
        np.where(random.random(n) < 0.6, random.exponential(0.02, n), random.exponential(1.0, n))
        / 0.412
    ),
    "Pareto(2.5)": lambda random, n: (random.pareto(2.5, n) + 1) / (2.5 / 1.5),
    "exponential": lambda random, n: random.exponential(size=n),
}
NOISE = 0.5


def change_rows(n_draws: int) -> Iterator[Row]:
    """Coverage of a change of sigma.

    A group and its rest of one distribution; the group's distances are then other by a factor.
    """
    every = (("noise", 0.0), ("noise", 0.5), ("noise", -0.4), ("in proportion", 0.5))
    rows = [(shape, (100, 400), kind, change) for shape in CHANGED for kind, change in every]
    rows += [(shape, (400, 100), "noise", change) for shape in CHANGED for change in (0.0, 0.5)]
    for number, (shape, sizes, kind, change) in enumerate(rows):
        random = np.random.default_rng([number, 6])
        below = above = narrow = 0
        for draw in range(n_draws):
            before = make_table(
                [(CHANGED[shape](random, n), np.ones(n, dtype=bool)) for n in sizes]
            )
            noise = random.lognormal(-(NOISE**2) / 2, NOISE, sum(sizes)) if kind == "noise" else 1.0
            factor = np.where(before["group"] == "g0", 1 + change, 1.0)
            after = before.assign(distance=before["distance"] * factor * noise)
            found = compare_bias(before, after, "group", n_resamples=N_RESAMPLES, seed=draw).iloc[0]
            below, above = below + (found["high"] < change), above + (found["low"] > change)
            half = min(found["high"] - found["difference"], found["difference"] - found["low"])
            narrow += abs(found["difference"] - change) <= half
        yield {
            "distances": shape,
            "sizes": " + ".join(map(str, sizes)),
            "change of sigma": change,
            "second model": kind,
            "covered": 1 - (below + above) / n_draws,
            "misses below, above": f"{below / n_draws:.1%}, {above / n_draws:.1%}",
            "symmetric, as before": narrow / n_draws,
        }


def reject(
    random: np.random.Generator, groups: list[tuple[str, int, float, float]], n_draws: int
) -> tuple[float, float, float]:
    """Return how often p of the first group, any p after Holm, and the global p are at most 5%.

    Parameters
    ----------
    groups
        Shape, size, accuracy and area of every group.
    """
    counts = np.zeros(3)
    for draw in range(n_draws):
        drawn = [draw_group(random, shape, n, accuracy) for shape, n, accuracy, _ in groups]
        scaled = [
            (values * area / accuracy, correct)
            for (values, correct), (_, _, accuracy, area) in zip(drawn, groups, strict=True)
        ]
        tests = permutation_tests(make_grouped(scaled), n_permutations=N_PERMUTATIONS, seed=draw)
        counts += [tests.p[0] <= LEVEL, np.nanmin(tests.p_holm) <= LEVEL, tests.p_global <= LEVEL]
    first, holm, largest = counts / n_draws
    return first, holm, largest


def exchangeable_rows(n_draws: int) -> Iterator[Row]:
    """Rejections at 5% where all groups have one distribution."""
    for shape, accuracy, sizes in product(
        ("exponential", "shipped table", HEAVY),
        ACCURACIES,
        ((50, 50), (200, 800), (50, 100, 200, 400)),
    ):
        random = np.random.default_rng(
            [sum(sizes), int(100 * accuracy), list(SHAPES).index(shape), 2]
        )
        first, holm, largest = reject(random, [(shape, n, accuracy, 1.0) for n in sizes], n_draws)
        yield {
            "distances": shape,
            "accuracy": accuracy,
            "sizes": " + ".join(map(str, sizes)),
            "p of the first": first,
            "any after Holm": holm,
            "global p": largest,
        }


UNEQUAL = (
    (("exponential", 0.4), ("exponential", 0.9)),
    (("exponential", 0.9), ("uniform", 0.9)),
    (("uniform", 0.9), ("exponential", 0.4)),
    (("shipped table", 0.4), ("uniform", 0.9)),
    ((HEAVY, 0.9), ("uniform", 0.9)),
    ((HEAVY, 0.4), ("exponential", 0.9)),
)


def unequal_rows(n_draws: int) -> Iterator[Row]:
    """Rejections at 5% where areas are equal, and shapes, accuracies and sizes are not."""
    for ((shape, accuracy), (other, other_accuracy)), sizes in product(
        UNEQUAL, ((50, 200), (200, 200), (200, 800), (800, 200))
    ):
        random = np.random.default_rng(
            [*sizes, UNEQUAL.index(((shape, accuracy), (other, other_accuracy))), 3]
        )
        groups = [(shape, sizes[0], accuracy, 1.0), (other, sizes[1], other_accuracy, 1.0)]
        yield {
            "group": f"{shape}, accuracy {accuracy}",
            "rest": f"{other}, accuracy {other_accuracy}",
            "sizes": f"{sizes[0]} + {sizes[1]}",
            "p at most 5%": reject(random, groups, n_draws)[0],
        }


def power_rows(n_draws: int) -> Iterator[Row]:
    """Rejections at 5% where sigma is not 0: exponential distances, two groups of n."""
    for accuracy, n in product(ACCURACIES, SIZES):
        powers = {}
        for sigma in POWER_AT:
            random = np.random.default_rng([n, int(100 * accuracy), round(-10 * sigma), 4])
            groups = [("exponential", n, accuracy, 1.0 + sigma), ("exponential", n, accuracy, 1.0)]
            powers[f"sigma = {sigma}"] = reject(random, groups, n_draws)[0]
        yield {"accuracy": accuracy, "n a group": n, **powers}


def band_rows(n_draws: int) -> Iterator[Row]:
    """How often the simultaneous band covers the whole true curve."""
    for shape, accuracy, n in product(("exponential", "shipped table", HEAVY), ACCURACIES, SIZES):
        random = np.random.default_rng([n, int(100 * accuracy), list(SHAPES).index(shape), 5])
        population = np.sort(
            shipped_distances() if shape == "shipped table" else SHAPES[shape](random, 200_000)
        )
        covered = 0
        for _ in range(n_draws):
            is_correct = random.random(n) < accuracy
            values = np.where(is_correct, random.choice(population, n), 0.0)
            steps = np.unique(values)
            taus = np.concatenate(
                [steps, np.nextafter(steps[steps > 0], 0)]
            )  # at each step, and just before it
            low, high = dkw_band(proportion_beyond(values, taus), n)
            true = accuracy * (
                1 - np.searchsorted(population, taus, side="right") / len(population)
            )
            covered += bool(((low <= true) & (true <= high)).all())
        yield {
            "distances": shape,
            "accuracy": accuracy,
            "n": n,
            "whole curve covered": covered / n_draws,
        }


SHARES = (
    *("sigma", "AUC", "RB(P, tau)", "percentile, for comparison", "part: accuracy"),
    *("part: distance", "standardized sigma", "paired difference", "covered"),
    *("symmetric, as before", "p of the first", "any after Holm", "global p", "p at most 5%"),
    *(f"sigma = {sigma}" for sigma in POWER_AT),
    "whole curve covered",
)
FORMS = {**dict.fromkeys(SHARES, ".1%"), "median width": ".2f", "change of sigma": "+.1f"}

SECTIONS = (
    (
        "Intervals: how often 95% intervals cover",
        (
            "Two groups of n, equal in accuracy and distances (sigma = 0; the scale of a "
            "group changes nothing). An interval that is not defined counts as a miss. RB at "
            "the median distance."
        ),
        interval_rows,
    ),
    (
        "Other intervals",
        (
            "Exponential distances, two groups. Standardized: 70% against 30% in a stratum of "
            "twice the distances. Paired: the same images, distances of the second model off by "
            "lognormal(0, 0.5)."
        ),
        other_interval_rows,
    ),
    (
        "Intervals of a change of sigma",
        (
            "The same images under two models, a group and its rest, equal in distances under the "
            "first. The second model's distances of the group are those of the first times 1 + "
            "change; noise: and all distances times lognormal with mean 1 and sigma 0.5. 60% near "
            "0: exponential, of mean 0.02 for these and 1 for the others. Symmetric: the narrower "
            "side of the interval on both sides."
        ),
        change_rows,
    ),
    ("Tests, all groups alike", "How often p is at most 5%.", exchangeable_rows),
    (
        "Tests, sigma = 0 with unequal shapes and sizes",
        "How often p is at most 5%, two groups of equal areas.",
        unequal_rows,
    ),
    (
        "Power",
        (
            "How often p is at most 5% where the group has the sigma of the column; "
            "exponential distances."
        ),
        power_rows,
    ),
    (
        "Bands for the whole curve",
        "How often the 95% Dvoretzky-Kiefer-Wolfowitz band holds the true curve at all tau.",
        band_rows,
    ),
)


def report(results: Results) -> str:
    """Return all sections in Markdown."""
    draws, few, fewer = (results.facts[name] for name in ("draws", "few", "fewer"))
    errors = [f"{np.sqrt(0.95 * 0.05 / n):.1%}" for n in (draws, few, fewer)]
    parts = [
        "# Coverage and error rates by simulation",
        (
            f"{results.heading} Each section on its own date, with the library's own functions: "
            f"{N_RESAMPLES:,} resamples an interval, {N_PERMUTATIONS} permutations a test. "
            f"{draws:,} draws a row, so a figure of 95% or 5% has a standard error of {errors[0]}; "
            f"{few:,} draws for changes of sigma ({errors[1]}), {fewer:,} for the other intervals "
            f"and the power ({errors[2]}). Shipped table: DeepFool distances of the "
            f"{results.facts['shipped']:,} correct test faces of `toyfaces`, `small_cnn`, last "
            "epoch."
        ),
    ]
    for title, text, _ in SECTIONS:
        if title in results.tables:
            table = as_table(results.tables[title], FORMS)
            parts.append(f"## {title}\n\n{text} ({results.facts['dates'][title]})\n\n{table}")
    return "\n\n".join(parts)


def main(
    draws: int = N_DRAWS,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Title of a section to simulate again; the others stay as they are."),
    ] = None,
) -> None:
    """Simulate all, or some sections again."""
    few, fewer = min(draws, N_DRAWS_FEW), min(draws, N_DRAWS_FEWER)
    n_draws = {other_interval_rows: fewer, power_rows: fewer, change_rows: few}
    kept = read("coverage") if only else None
    tables = dict(kept.tables) if kept else {}
    dates = dict(kept.facts["dates"]) if kept else {}
    facts = {"draws": draws, "few": few, "fewer": fewer, "shipped": len(shipped_distances())}
    results = kept
    for title, _, rows in SECTIONS:
        if only and title not in only:
            continue

        def simulate(title: str = title, rows: Callable[[int], Iterator[Row]] = rows) -> None:
            tables[title] = list(rows(n_draws.get(rows, draws)))

        say(f"{title}: {timed(simulate):.0f} s")
        dates[title] = date.today().isoformat()
        results = save("coverage", tables, **facts, dates=dates)
    if results is not None:
        print(report(results))


if __name__ == "__main__":
    typer.run(main)
