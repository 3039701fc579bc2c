import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

import rbcore as rb
from rbcore.analyses import agreement_of, epoch_pairs, paired_sigmas, sign_agreement
from rbcore.analyses.agreement import cohens_kappa
from rbcore.errors import MeasureError


def test_agreement_on_paper():
    first, second = np.array([0.5, -0.5, -0.1, 0.2, np.nan]), np.array([0.1, -0.7, 0.3, 0.2, 1.0])
    found = sign_agreement(first, second)
    assert (found.n, found.n_same, found.n_undefined, found.share) == (4, 3, 1, 0.75)
    # signs: + - - + and + - + +; by chance 2/4 * 3/4 + 2/4 * 1/4 = 1/2, so kappa =
    # (3/4 - 1/2) / (1/2)
    assert found.kappa == pytest.approx(0.5)
    # differences 0.4, 0.2, -0.4, 0: mean 0.05; squared deviations 0.1225 + 0.0225 + 0.2025 +
    # 0.0025 = 0.35, over 3
    assert found.mean_difference == pytest.approx(0.05)
    assert found.variance_of_differences == pytest.approx(0.35 / 3)
    expected = stats.ttest_1samp([0.4, 0.2, -0.4, 0.0], 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.mean_low, found.mean_high], expected)
    np.testing.assert_allclose([found.low, found.high], proportion_confint(3, 4, method="wilson"))


def test_the_papers_percentages_with_their_denominators():
    ones = np.ones(151)
    flipped = np.where(np.arange(151) < 125, 1.0, -1.0)
    assert round(100 * sign_agreement(ones, flipped).share) == 83  # section 7.1: 125 of 151
    assert (
        sign_agreement(ones, flipped).kappa == 0
    )  # one side never changes its sign, so chance explains it all


def test_tables_of_different_data_are_not_compared():
    rows = {
        "sample_id": ["a", "b", "c", "d"],
        "class": ["x", "x", "y", "y"],
        "distance": [1.0, 2.0, 3.0, 4.0],
    }
    first = pd.DataFrame(rows).assign(is_correct=True, status="found", bound="upper")
    second = first.iloc[::-1].assign(
        **{"class": ["y", "y", "z", "x"]}
    )  # in another order: b is the one that moved
    with pytest.raises(
        MeasureError, match="disagree on the class of 1 images, the first being 'b': 'x' and 'z'"
    ):
        paired_sigmas(first, second, ["class"])


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    first, second = random.choice([-1.0, 0.0, 1.0], size=(2, 40))
    assert cohens_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_is_not_defined_where_chance_alone_agrees():
    assert np.isnan(cohens_kappa(np.ones(5), np.ones(5)))
    alone = sign_agreement(np.array([1.0]), np.array([2.0]))
    assert alone.share == 1 and np.isnan(alone.mean_low) and np.isnan(alone.variance_of_differences)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([1.0], [1.0, 2.0], "cannot be paired"), ([np.nan], [1.0], "no sign can be compared")],
)
def test_what_cannot_be_compared_is_refused(first, second, message):
    with pytest.raises(MeasureError, match=message):
        sign_agreement(np.array(first), np.array(second))


def rows(ids, distance, group, side=None):
    table = pd.DataFrame({"sample_id": list(ids), "distance": distance, "group": list(group)})
    table = table.assign(is_correct=True, status="found", label=0)
    return table if side is None else table.assign(side=list(side))


def test_sigmas_are_paired_over_common_images():
    first = rows("abcd", [1.0, 2.0, 3.0, 9.0], "xxyy")
    second = rows("dcba", [100.0, 1.0, 4.0, 2.0], "yyxx").iloc[1:]  # without d
    pairs = paired_sigmas(first, second, ["group"])
    assert len(pairs) == 1  # two groups, one sign
    assert pairs.loc[0, "n"] == 2
    assert pairs.loc[0, "sigma_first"] == pytest.approx(1.5 / 3 - 1)
    assert pairs.loc[0, "sigma_second"] == pytest.approx(3 / 1 - 1)
    with pytest.raises(MeasureError, match="no image in common"):
        paired_sigmas(first, rows("ef", [1.0, 2.0], "xy"), ["group"])


def test_partitions_with_one_group_are_left_out():
    table = rows("abc", [1.0, 2.0, 3.0], "xyz", side="lll")
    pairs = paired_sigmas(table, table, ["group", "side"])
    assert set(pairs["partition"]) == {"group"} and len(pairs) == 3
    assert agreement_of(pairs).n_same == 3
    assert paired_sigmas(table, table, ["side"]).empty


def test_shipped_digits_by_epoch():
    run = rb.list_runs("digits", "small_cnn")[0]
    pairs = epoch_pairs(run, "deepfool", ["class"], "first")
    signs = [
        np.sign(
            rb.robustness_bias(rb.stored_distances(run, epoch, "deepfool").rows, "class")["sigma"]
        )
        for epoch in (1, 12)
    ]
    assert agreement_of(pairs).n_same == int((signs[0] == signs[1]).sum())
    assert epoch_pairs(run, "ddn", ["class"], "middle") is None  # not stored
