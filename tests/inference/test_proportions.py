import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from rbcore.inference import (
    accuracy_interval,
    binomial_interval,
    rb_interval,
    wilson_interval,
)
from rbcore.measures import (
    Policy,
    robustness_bias_at,
    split_groups,
)
from tests.inference.samples import many_groups
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table


@pytest.mark.parametrize("n", [1, 7, 40])
def test_binomial_interval_is_scipys_exact_one(n):
    counts = np.arange(n + 1)
    low, high = binomial_interval(counts, n)
    for count in counts:
        expected = stats.binomtest(int(count), n).proportion_ci(method="exact")
        assert (low[count], high[count]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_is_that_of_statsmodels():
    counts = np.arange(13)
    np.testing.assert_allclose(
        np.stack(wilson_interval(counts / 12, 12)),
        np.stack(proportion_confint(counts, 12, method="wilson")),
        atol=1e-12,
    )


def test_accuracy_has_the_exact_interval_of_all_samples():
    low, high = accuracy_interval(
        split_groups(PAPER_EXAMPLE, "group", Policy(misclassified="exclude"))
    )
    expected = stats.binomtest(2, 3).proportion_ci(method="exact")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))
    assert high[2] == 1


def test_rb_has_newcombes_interval_of_its_absolute_value():
    rows = many_groups([40, 50, 60])
    grouped = split_groups(rows, "group")
    taus = np.array([0.0, 0.3, 1.0])
    low, high = rb_interval(grouped, taus)
    correct = rows[rows["is_correct"]]
    for index, group in enumerate(grouped.groups):
        own = correct["group"] == group
        for j, tau in enumerate(taus):
            far = correct["distance"] > tau
            ends = confint_proportions_2indep(
                far[own].sum(),
                own.sum(),
                far[~own].sum(),
                (~own).sum(),
                method="newcomb",
                compare="diff",
            )
            expected = (
                (0.0, max(map(abs, ends))) if ends[0] <= 0 <= ends[1] else sorted(map(abs, ends))
            )
            assert (low[index, j], high[index, j]) == pytest.approx(tuple(expected), abs=1e-9)
    rb = robustness_bias_at(grouped, taus)
    assert ((low <= rb) & (rb <= high)).all()


def test_rb_without_correct_samples_has_no_interval():
    low, high = rb_interval(
        split_groups(table([1.0, 2.0, NAN], list("aab")), "group"), np.array([0.5])
    )
    assert np.isnan(low).all() and np.isnan(high).all()
