import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rbcore.inference import (
    bootstrap_intervals,
    bootstrap_sigma,
)
from rbcore.inference.intervals import against_rest
from rbcore.inference.resampling import group_moments, resampled_moments
from rbcore.measures import (
    Policy,
    areas_under_curves,
    rest_of_areas,
    sigma_bias,
    split_groups,
)
from tests.inference.samples import joined, many_groups, two_groups
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table

POLICIES = [
    Policy(m, r, t)
    for m in ("zero", "exclude")
    for r in ("pooled", "mean", "sum")
    for t in (None, 0.8)
]


def test_resampled_moments_are_those_of_the_same_draws():
    """Every draw of a group of two is one of four; count them, and check the moments of each."""
    means, variances = resampled_moments([np.array([1.0, 3.0])], 4000, np.random.default_rng(0))
    found = dict(zip(*np.unique(means, return_counts=True), strict=True))
    assert stats.chisquare([found[1.0], found[2.0], found[3.0]], [1000, 2000, 1000]).pvalue > 1e-3
    np.testing.assert_allclose(variances[:, 0], np.where(means[:, 0] == 2.0, 1.0, 0.0))


@pytest.mark.slow
def test_the_standard_error_is_the_one_of_many_samples():
    """The delta method against the spread of the log ratio over fresh samples."""
    ratios, errors = [], []
    for seed in range(400):
        grouped = split_groups(many_groups([100, 150, 250], seed), "group")
        log_ratio, error = against_rest(grouped).log_ratio(*group_moments(grouped.values))
        ratios.append(log_ratio)
        errors.append(error)
    np.testing.assert_allclose(np.std(ratios, axis=0), np.mean(errors, axis=0), rtol=0.12)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_log_ratio_is_that_of_sigma_for_every_policy(policy):
    grouped = split_groups(many_groups([20, 30, 40]), "group", policy)
    log_ratio, _ = against_rest(grouped).log_ratio(*group_moments(grouped.capped()))
    np.testing.assert_allclose(np.expm1(log_ratio), sigma_bias(grouped))


def test_the_bootstrap_t_is_the_one_written_out():
    """One draw at a time, with numpy's own moments, for two groups."""
    grouped = split_groups(two_groups(25), "group")
    a, b = grouped.values
    random, statistics = np.random.default_rng(5), []

    def log_ratio(a, b):
        error = np.sqrt(
            a.var(ddof=1) / len(a) / a.mean() ** 2 + b.var(ddof=1) / len(b) / b.mean() ** 2
        )
        return np.log(a.mean() / b.mean()), error

    estimate, error = log_ratio(a, b)
    for _ in range(20_000):
        drawn, drawn_error = log_ratio(random.choice(a, len(a)), random.choice(b, len(b)))
        statistics.append(abs(drawn - estimate) / drawn_error)
    parts = [v.var(ddof=1) / len(v) / v.mean() ** 2 for v in (a, b)]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(a) - 1) for part in parts)
    half = (
        np.quantile(statistics, 0.95) * error * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)
    )
    low, high = bootstrap_sigma(grouped, n_resamples=20_000)
    np.testing.assert_allclose(
        [low[0], high[0]], np.exp([estimate - half, estimate + half]) - 1, rtol=0.02
    )


def test_for_large_groups_it_agrees_with_scipys_bca():
    grouped = split_groups(two_groups(1000), "group")
    low, high = bootstrap_sigma(grouped, n_resamples=4000)

    def sigma(a, b, axis):
        return a.mean(axis=axis) / b.mean(axis=axis) - 1

    reference = stats.bootstrap(
        grouped.values,
        sigma,
        n_resamples=4000,
        method="BCa",
        rng=np.random.default_rng(1),
        batch=1000,
    ).confidence_interval
    np.testing.assert_allclose([low[0], high[0]], reference, atol=0.015)


def test_group_and_rest_swapped_give_the_reciprocal_interval():
    low, high = bootstrap_sigma(split_groups(two_groups(60), "group"))
    np.testing.assert_allclose((1 + low[0]) * (1 + high[1]), 1)


def test_bootstrap_is_seeded_and_narrows_with_n():
    small, large = (bootstrap_sigma(split_groups(two_groups(n), "group")) for n in (30, 3000))
    again = bootstrap_sigma(split_groups(two_groups(30), "group"))
    np.testing.assert_array_equal(small, again)
    assert (large[1] - large[0] < 0.3 * (small[1] - small[0])).all()


def test_a_wider_confidence_gives_a_wider_interval():
    grouped = split_groups(two_groups(60), "group")
    narrow, wide = (bootstrap_sigma(grouped, confidence=confidence) for confidence in (0.8, 0.99))
    assert (wide[0] < narrow[0]).all() and (narrow[1] < wide[1]).all()


def test_the_interval_of_auc_is_the_one_against_a_constant():
    """Against a rest that does not vary, the log ratio is the logarithm of the area
    plus a constant.
    """
    values = np.random.default_rng(0).exponential(size=50)
    grouped = split_groups(table(np.r_[values, np.full(50, 2.0)], ["a"] * 50 + ["b"] * 50), "group")
    found = bootstrap_intervals(grouped)
    np.testing.assert_allclose(
        [found.auc_low[0], found.auc_high[0]],
        2 * (1 + np.array([found.sigma_low[0], found.sigma_high[0]])),
    )


def test_too_few_correct_samples_leave_the_interval_undefined():
    """With k of n correct, a draw holds none of them with probability (1 - k/n)^n: above 5% for k =
    2, below for k = 5.
    """
    rows = [two_groups(50)]
    for name, k in (("two", 2), ("five", 5)):
        rows.append(table([1.0 + i for i in range(k)] + [NAN] * (50 - k), [name] * 50))
    grouped = split_groups(joined(*rows), "group")
    low, _ = bootstrap_sigma(grouped)
    assert np.isnan(low[grouped.index("two")]) and np.isfinite(low[grouped.index("five")])


def test_a_group_of_one_has_no_interval():
    intervals = bootstrap_intervals(split_groups(PAPER_EXAMPLE, "group"))
    assert np.isnan(intervals.sigma_low[2]) and np.isnan(intervals.auc_high[2])


@settings(max_examples=25)
@given(st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_intervals_ignore_the_scale_and_are_in_its_units(scale, seed):
    rows = many_groups([12, 15, 18], seed)
    before, after = (
        bootstrap_intervals(
            split_groups(rows.assign(distance=rows["distance"] * factor), "group"), n_resamples=200
        )
        for factor in (1.0, scale)
    )
    np.testing.assert_allclose(after.sigma_low, before.sigma_low, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(after.auc_high, before.auc_high * scale, rtol=1e-6)


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 10), min_size=3, max_size=3),
    st.lists(st.integers(1, 50), min_size=3, max_size=3),
)
def test_the_pooled_rest_is_the_mean_of_all_others(areas, sizes):
    areas, sizes = np.array(areas), np.array(sizes, dtype=float)
    expected = [np.average(np.delete(areas, i), weights=np.delete(sizes, i)) for i in range(3)]
    np.testing.assert_allclose(rest_of_areas(areas, sizes, "pooled"), expected, atol=1e-12)


def test_areas_are_what_the_intervals_are_about():
    grouped = split_groups(many_groups([60, 70]), "group", Policy(tau_max=0.5))
    intervals = bootstrap_intervals(grouped)
    areas = areas_under_curves(grouped)
    assert ((intervals.auc_low < areas) & (areas < intervals.auc_high)).all()
    np.testing.assert_allclose(
        np.sqrt(intervals.auc_low * intervals.auc_high), areas
    )  # symmetric on the logarithm
