"""How often the permutation test rejects where sigma is 0 and tails are heavy.

    python -m benchmarks.heavy_tails [--draws 200]

And how often the check of the tail fires: a group against a rest four times as large, gamma(5),
both of mean 1.
"""

from collections.abc import Callable

import numpy as np
import typer

from benchmarks.results import Results, Row, page, save
from rbcore.inference.significance import is_heavy_tailed, permutation_tests
from rbcore.measures import DEFAULT_POLICY, Grouped

SIZES, N_PERMUTATIONS = (50, 200, 1000), 199
Draw = Callable[[np.random.Generator, int], np.ndarray]


def pareto(index: float) -> Draw:
    """Return a draw of Pareto's distribution of mean 1."""
    return lambda random, n: (random.pareto(index, n) + 1) * (index - 1) / index


def lognormal(spread: float) -> Draw:
    """Return a draw of the lognormal distribution of mean 1."""
    return lambda random, n: random.lognormal(-(spread**2) / 2, spread, n)


def gamma(shape: float) -> Draw:
    """Return a draw of the gamma distribution of mean 1."""
    return lambda random, n: random.gamma(shape, 1 / shape, n)


SHAPES: dict[str, Draw] = {
    **{f"Pareto({index:g})": pareto(index) for index in (1.5, 1.8, 2.5, 4)},
    **{f"lognormal({spread:g})": lognormal(spread) for spread in (0.5, 1)},
    **{f"gamma({shape:g})": gamma(shape) for shape in (5, 1, 0.3)},
}


def row(shape: str, n: int, n_draws: int) -> Row:
    """Return one row of the table."""
    random = np.random.default_rng(0)
    rejected = fired = 0
    for _ in range(n_draws):
        values = [SHAPES[shape](random, n), SHAPES["gamma(5)"](random, 4 * n)]
        sizes = np.array([n, 4 * n])
        correct = [np.ones(size, bool) for size in sizes]
        facts = (sizes, sizes, 0 * sizes, 0 * sizes, sizes * np.nan, np.ones(2))
        tests = permutation_tests(
            Grouped(["group", "rest"], values, correct, *facts, DEFAULT_POLICY),
            n_permutations=N_PERMUTATIONS,
            seed=int(random.integers(2**31)),
        )
        rejected += tests.p[0] <= 0.05
        fired += is_heavy_tailed(values[0])
    return {
        "distances of the group": shape,
        "n": n,
        "rejected at 5%": rejected / n_draws,
        "check fires": fired / n_draws,
    }


def report(results: Results) -> str:
    """Return the table in Markdown."""
    return page(results, {"n": ",", "rejected at 5%": ".1%", "check fires": ".1%"})


def main(draws: int = 200) -> None:
    """Simulate every shape at every size."""
    rows = [row(shape, n, draws) for n in SIZES for shape in SHAPES]
    print(report(save("heavy_tails", {f"Of {draws} tables": rows})))


if __name__ == "__main__":
    typer.run(main)
