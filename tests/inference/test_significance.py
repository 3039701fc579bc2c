from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rbcore.inference import (
    FEWEST,
    benjamini_hochberg,
    holm,
    permutation_tests,
    robustness_bias,
)
from rbcore.inference.intervals import Comparison
from rbcore.inference.resampling import permuted_moments
from rbcore.inference.significance import exceedance, is_heavy_tailed, studentized
from rbcore.measures import Policy, split_groups
from rbcore.wording import verdict
from tests.inference.samples import many_groups, two_groups
from tests.measures.test_robustness import NAN, table


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_those_of_statsmodels_and_scipy(p):
    p = np.array(p)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
    np.testing.assert_allclose(
        benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], atol=1e-12
    )
    with_gaps = np.insert(p, 0, NAN)
    np.testing.assert_array_equal(holm(with_gaps), [NAN, *holm(p)])
    np.testing.assert_array_equal(benjamini_hochberg(with_gaps), [NAN, *benjamini_hochberg(p)])


def test_permuted_groups_are_all_deals_equally_often():
    means, variances = permuted_moments(
        [np.array([1.0, 2.0]), np.array([4.0])], 6000, np.random.default_rng(0)
    )
    last = means[:, 1]
    assert stats.chisquare([np.isclose(last, value).sum() for value in (1, 2, 4)]).pvalue > 1e-3
    np.testing.assert_allclose(means @ [2, 1], 7)
    np.testing.assert_allclose(variances[np.isclose(last, 4), 0], 0.25)
    assert (variances[:, 1] == 0).all()


def test_the_p_is_the_one_of_all_deals():
    """Groups of 20 cannot be enumerated, so the statistic is checked on small ones: all 720 orders
    of six samples.
    """
    values = np.array([0.3, 0.4, 0.8, 1.0, 2.0, 3.0])

    def statistic(order):
        a, b = values[list(order[:2])], values[list(order[2:])]
        error = np.sqrt(a.var(ddof=1) / 2 / a.mean() ** 2 + b.var(ddof=1) / 4 / b.mean() ** 2)
        return abs(np.log(a.mean() / b.mean())) / error

    every = np.array([statistic(order) for order in permutations(range(6))])
    share = (every >= every[0] - 1e-9).mean()
    both = Comparison(np.eye(2), 1 - np.eye(2))
    observed = np.abs(studentized(*both.log_ratio(*_moments([values[:2], values[2:]]))))
    drawn = permuted_moments([values[:2], values[2:]], 20_000, np.random.default_rng(0))
    p = exceedance(observed, np.abs(studentized(*both.log_ratio(*drawn))))
    np.testing.assert_allclose(p, share, atol=0.015)


def _moments(values):
    return np.array([v.mean() for v in values]), np.array([v.var(ddof=1) / len(v) for v in values])


def test_large_groups_agree_with_the_normal_test():
    grouped = split_groups(many_groups([300, 400, 500], seed=4), "group")
    tests = permutation_tests(grouped)
    np.testing.assert_allclose(
        tests.p[1:], 2 * stats.norm.sf(np.abs(tests.statistic[1:])), atol=0.03
    )
    assert tests.p[0] == 1 / 5000 and tests.p_global == 1 / 5000


def test_two_groups_are_one_question():
    tests = permutation_tests(split_groups(two_groups(50, seed=2), "group"))
    assert tests.p[0] == tests.p[1] == tests.p_global
    np.testing.assert_allclose(tests.statistic[0], -tests.statistic[1])


def test_the_smallest_p_is_one_over_the_permutations_and_one():
    rows = table(np.r_[np.full(30, 1.0), np.full(30, 9.0)], ["a"] * 30 + ["b"] * 30)
    assert (permutation_tests(split_groups(rows, "group"), n_permutations=99).p == 0.01).all()


@pytest.mark.slow
def test_exchangeable_groups_are_rejected_as_often_as_the_level_says():
    """Three groups of unequal size, 300 draws: the rate at 5% by a binomial test at 1e-3."""
    n_draws, rejected, rejected_global = 300, 0, 0
    for seed in range(n_draws):
        rows = many_groups([25, 40, 60], seed)
        rows["distance"] *= np.where(rows["group"] == "g0", 2.0, 1.0)  # undo the planted difference
        tests = permutation_tests(split_groups(rows, "group"), n_permutations=199, seed=seed)
        rejected += tests.p[0] <= 0.05
        rejected_global += tests.p_global <= 0.05
    assert stats.binomtest(rejected, n_draws, 0.05).pvalue > 1e-3
    assert stats.binomtest(rejected_global, n_draws, 0.05).pvalue > 1e-3


@pytest.mark.slow
def test_equal_areas_with_unequal_shapes_and_sizes_are_not_rejected_too_often():
    """sigma = 0, spreads and sizes unequal: a plain permutation test rejects some 20% here."""
    n_draws, rejected = 250, 0
    for seed in range(n_draws):
        random = np.random.default_rng(seed)
        wide, narrow = random.exponential(size=200), random.uniform(0.8, 1.2, size=800)
        rows = table(np.r_[wide, narrow], ["a"] * 200 + ["b"] * 800)
        rejected += (
            permutation_tests(split_groups(rows, "group"), n_permutations=199, seed=seed).p[0]
            <= 0.05
        )
    assert stats.binomtest(rejected, n_draws, 0.07, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("rest", ["mean", "sum"])
def test_other_rests_test_their_own_sigma(rest):
    """Where the rest is a sum, groups of areas 1, 1, 2 have sigma 0 for the last one only."""
    random = np.random.default_rng(0)
    n = 400
    rows = table(
        random.exponential(size=3 * n) * np.repeat([1.0, 1.0, 2.0], n), np.repeat(list("abc"), n)
    )
    tests = permutation_tests(split_groups(rows, "group", Policy(rest=rest)))
    if rest == "sum":
        assert tests.p[2] > 0.05 and (tests.p[:2] < 0.001).all()
    else:
        assert tests.p[2] < 0.001


def test_small_groups_have_no_p_and_no_part_in_the_corrections():
    rows = many_groups([FEWEST - 1, FEWEST, FEWEST])
    tests = permutation_tests(split_groups(rows, "group"))
    assert np.isnan(tests.p[0]) and np.isnan(tests.p_holm[0]) and np.isnan(tests.p_bh[0])
    np.testing.assert_allclose(tests.p_holm[1:].min(), min(1.0, 2 * tests.p[1:].min()))
    assert np.isnan(permutation_tests(split_groups(many_groups([5, 6]), "group")).p_global)


def test_heavy_tails_are_seen_and_light_ones_are_not():
    """Of an infinite variance the test rejects a fifth and more at 5%:
    `benchmarks/heavy_tails.md`.
    """
    random = np.random.default_rng(0)

    def fires(draw) -> float:
        return np.mean([is_heavy_tailed(draw()) for _ in range(200)])

    assert fires(lambda: random.pareto(1.5, 200) + 1) > 0.5
    assert fires(lambda: random.gamma(5, 0.2, 200)) == 0
    assert fires(lambda: np.where(random.random(200) < 0.3, 0, random.gamma(2, 0.5, 200))) == 0
    assert fires(lambda: random.lognormal(0, 0.5, 200)) < 0.02
    assert (
        not is_heavy_tailed(np.zeros(50))
        and not is_heavy_tailed(np.ones(50))
        and not is_heavy_tailed(np.ones(1))
    )


def test_a_verdict_on_heavy_tails_says_so():
    random = np.random.default_rng(1)
    values = np.r_[random.pareto(1.1, 200) + 1, random.gamma(5, 0.2, 200)]
    bias = robustness_bias(
        table(values, ["wild"] * 200 + ["tame"] * 200), "group", n_resamples=99, n_permutations=99
    )
    assert list(bias["is_heavy_tailed"]) == [False, True]
    assert (
        "carry most of the spread of wild, so that p-values and intervals may be optimistic"
        in verdict(bias)
    )
