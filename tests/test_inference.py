import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rbcore.inference import FEWEST, binomial_interval, bootstrap_sigma, curves, robustness_bias, verdict, verdicts
from rbcore.measures import Policy, split_groups
from tests.test_measures import NAN, PAPER_EXAMPLE, table


def two_groups(n, seed=0):
    random = np.random.default_rng(seed)
    return table(random.exponential(size=2 * n), ["a"] * n + ["b"] * n)


def test_bootstrap_agrees_with_scipys():
    rows = two_groups(60)
    grouped = split_groups(rows, "group")
    low, high = bootstrap_sigma(grouped, n_resamples=20_000)

    def sigma(a, b, axis):
        return a.mean(axis=axis) / b.mean(axis=axis) - 1

    reference = stats.bootstrap(
        grouped.values, sigma, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    np.testing.assert_allclose([low[0], high[0]], reference, atol=0.02)


def test_bootstrap_is_seeded_and_narrows_with_n():
    small, large = (bootstrap_sigma(split_groups(two_groups(n), "group")) for n in (30, 3000))
    again = bootstrap_sigma(split_groups(two_groups(30), "group"))
    np.testing.assert_array_equal(small, again)
    assert (large[1] - large[0] < 0.3 * (small[1] - small[0])).all()


def test_intervals_cover_zero_about_as_often_as_they_claim():
    n_draws, covered = 200, 0
    for seed in range(n_draws):
        low, high = bootstrap_sigma(split_groups(two_groups(200, seed), "group"), n_resamples=300, seed=seed)
        covered += low[0] <= 0 <= high[0]
    assert stats.binomtest(covered, n_draws, 0.95).pvalue > 1e-3


@pytest.mark.parametrize("n", [1, 7, 40])
def test_binomial_interval_is_scipys_exact_one(n):
    counts = np.arange(n + 1)
    low, high = binomial_interval(counts, n)
    for count in counts:
        expected = stats.binomtest(int(count), n).proportion_ci(method="exact")
        assert (low[count], high[count]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bias_table_has_one_row_a_group_with_its_counts():
    bias = robustness_bias(PAPER_EXAMPLE, "group")
    assert list(bias["group"]) == ["a", "b", "c"]
    assert list(bias["n"]) == [3, 2, 1]
    assert list(bias["n_correct"]) == [2, 2, 1]
    np.testing.assert_allclose(bias["accuracy"], [2 / 3, 1, 1])
    np.testing.assert_allclose(bias["sigma"], [-0.5, 0, 1.5], atol=1e-12)
    assert (bias["low"] <= bias["sigma"]).all() and (bias["sigma"] <= bias["high"]).all()


def test_policy_reaches_every_column():
    bias = robustness_bias(PAPER_EXAMPLE, "group", policy=Policy(misclassified="exclude"))
    np.testing.assert_allclose(bias["sigma"], [-0.25, -0.25, 1.0])
    np.testing.assert_allclose(bias["auc"], [2, 2, 4])


def test_curves_start_at_the_accuracy_and_lie_in_their_band():
    rows = curves(PAPER_EXAMPLE, "group", taus=np.linspace(0, 4, 9))
    starts = rows[rows["tau"] == 0].set_index("group")["share"]
    np.testing.assert_allclose(starts[["a", "b", "c"]], [2 / 3, 1, 1])
    assert ((rows["low"] <= rows["share"]) & (rows["share"] <= rows["high"])).all()
    ends = rows[rows["tau"] == 4].set_index("group")["share"]
    assert (ends == 0).all()


def test_verdict_names_the_group_the_size_and_the_interval():
    n = 200
    rows = table(np.r_[np.full(n, 1.0), np.full(n, 2.0)], ["near"] * n + ["far"] * n)
    text = verdict(robustness_bias(rows, "group"))
    assert text.startswith("near is the least robust group") and "50% smaller" in text and "n = 200" in text
    assert "[-0.50, -0.50]" in text


def test_verdict_does_not_claim_what_the_interval_does_not_show():
    text = verdict(robustness_bias(two_groups(FEWEST), "group"))
    assert text.startswith("No group is shown to be less robust") and f"n = {FEWEST}" in text


def test_groups_too_small_are_not_ranked():
    rows = pd.concat([two_groups(FEWEST), table([1e-6] * 3 + [NAN], ["tiny"] * 4)], ignore_index=True)
    assert "tiny" not in verdict(robustness_bias(rows, "group"))
    assert verdict(robustness_bias(PAPER_EXAMPLE, "group")).startswith("No group can be ranked")


def test_groups_are_ranked_by_the_images_that_count():
    wrong = table([0.5] + [NAN] * 99 + [1.0] * 100, ["a"] * 100 + ["b"] * 100)
    bias = robustness_bias(wrong, "group", policy=Policy(misclassified="exclude"))
    assert list(bias["n_counted"]) == [1, 100] and list(bias["is_ranked"]) == [False, True]
    assert "a is the least robust" not in verdict(bias)


def test_an_interval_that_is_not_defined_is_said():
    """A rest with one correct image: some resamples have no area to compare with."""
    rows = table([0.5] + [NAN] * 24 + [1.0] * 100, ["a"] * 25 + ["b"] * 100)
    bias = robustness_bias(rows, "group")
    assert np.isnan(bias["low"][1])
    assert list(verdicts(bias)) == ["less robust", "interval not defined"]
    lowest = verdict(bias[bias["group"] == "b"])
    assert "no interval" in lowest and "nan" not in lowest
