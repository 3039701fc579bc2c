import numpy as np
import pytest
from scipy import stats

from rbcore.inference.paired import paired_mean, paired_share

EVERYONE = np.ones(500, dtype=bool)


def shares(both, gained, lost, neither):
    first = np.repeat([True, False, True, False], [both, gained, lost, neither])
    second = np.repeat([True, True, False, False], [both, gained, lost, neither])
    return first, second


def test_the_interval_of_paired_shares_worked_on_paper():
    found = paired_share(*shares(70, 9, 4, 15))  # n + 2 = 100: (9 + 1) / 100 and (4 + 1) / 100
    half = 1.959964 * np.sqrt((0.15 - 0.05**2) / 100)
    assert found.before == pytest.approx(74 / 98) and found.after == pytest.approx(79 / 98)
    assert (found.low, found.high) == pytest.approx((0.05 - half, 0.05 + half), rel=1e-6)
    assert not found.is_shown


def test_no_changed_image_is_no_certainty():
    found = paired_share(*shares(20, 0, 0, 0))
    assert found.difference == 0 and found.low == -found.high and found.high > 0.1
    everything = paired_share(*shares(0, 30, 0, 0))
    assert everything.difference == 1 and everything.low > 0 and everything.high == 1


@pytest.mark.parametrize(("p_gained", "p_lost"), [(0.02, 0.05), (0.1, 0.1), (0.3, 0.05)])
def test_intervals_of_paired_shares_cover_as_they_claim(p_gained, p_lost):
    random, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        gained, lost, rest = random.multinomial(60, [p_gained, p_lost, 1 - p_gained - p_lost])
        found = paired_share(*shares(rest, gained, lost, 0))
        covered += found.low <= p_gained - p_lost <= found.high
    assert covered > 930


def test_a_mean_of_all_images_has_about_students_paired_interval():
    random = np.random.default_rng(1)
    first = random.exponential(size=500)
    second = first + random.normal(0.1, 0.5, 500)
    found = paired_mean(first, second, EVERYONE, EVERYONE)
    student = stats.ttest_rel(second, first).confidence_interval()
    assert found.difference == pytest.approx((second - first).mean())
    assert (found.low, found.high) == pytest.approx((student.low, student.high), abs=0.005)


def test_a_mean_that_grows_in_proportion_has_its_upper_end_on_the_logarithm():
    first = np.random.default_rng(3).gamma(0.3, size=500)
    for one, other, sign in ((first, 2 * first, 1), (2 * first, first, -1)):
        found = paired_mean(one, other, EVERYONE, EVERYONE)
        nearer, farther = sorted(abs(end) for end in (found.low, found.high))
        assert sign * found.difference == pytest.approx(first.mean())
        assert farther == pytest.approx(first.mean() * np.exp(1 - nearer / first.mean()))


def test_equal_steps_leave_no_doubt_and_nothing_counted_leaves_no_number():
    random = np.random.default_rng(2)
    first = random.exponential(size=500)
    found = paired_mean(first, first + 0.25, EVERYONE, EVERYONE)
    assert (found.difference, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    empty = paired_mean(first, first, EVERYONE, ~EVERYONE)
    assert empty.before == first.mean() and np.isnan([empty.after, empty.low, empty.high]).all()
    assert not empty.is_shown


def test_means_over_other_images_on_either_side_cover_as_they_claim():
    """Distances grow by a fifth, and other images are correct: the true change is a fifth
    of the mean, 0.2.
    """
    random, covered, n = np.random.default_rng(3), 0, 80
    for seed in range(300):
        first = random.exponential(size=n)
        second = 1.2 * first * random.gamma(10, 0.1, n)
        counts = random.random((2, n)) < [[0.9], [0.7]]
        found = paired_mean(first, second, *counts, n_resamples=300, seed=seed)
        covered += found.low <= 0.2 <= found.high
    assert stats.binomtest(covered, 300, 0.95).pvalue > 1e-3


def test_swapped_models_swap_signs():
    random = np.random.default_rng(4)
    first, second = random.exponential(size=(2, 500))
    counts = random.random((2, 500)) < 0.8
    there = paired_mean(first, second, *counts)
    back = paired_mean(second, first, counts[1], counts[0])
    assert (back.difference, back.low, back.high) == pytest.approx(
        (-there.difference, -there.high, -there.low)
    )
    there, back = paired_share(*counts), paired_share(counts[1], counts[0])
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
