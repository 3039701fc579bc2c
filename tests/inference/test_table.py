import numpy as np
import pandas as pd
import pytest

from rbcore.errors import MeasureError
from rbcore.inference import FEWEST, FEWEST_CORRECT, robustness_bias
from rbcore.measures import Policy
from tests.inference.samples import joined, many_groups, toyfaces, two_groups
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table


def test_bias_table_has_one_row_a_group_with_its_counts():
    bias = robustness_bias(PAPER_EXAMPLE, "group")
    assert list(bias["group"]) == ["a", "b", "c"]
    assert list(bias["n"]) == [3, 2, 1]
    assert list(bias["n_correct"]) == [2, 2, 1]
    np.testing.assert_allclose(bias["accuracy"], [2 / 3, 1, 1])
    np.testing.assert_allclose(bias["sigma"], [-0.5, 0, 1.5], atol=1e-12)


def test_estimates_lie_in_their_intervals():
    bias = robustness_bias(many_groups([60, 80, 100]), "group")
    for value, low, high in (("sigma", "low", "high"), ("auc", "auc_low", "auc_high")):
        assert ((bias[low] < bias[value]) & (bias[value] < bias[high])).all()
    assert (
        (bias["accuracy_low"] < bias["accuracy"]) & (bias["accuracy"] < bias["accuracy_high"])
    ).all()


def test_policy_reaches_every_column():
    bias = robustness_bias(PAPER_EXAMPLE, "group", policy=Policy(misclassified="exclude"))
    np.testing.assert_allclose(bias["sigma"], [-0.25, -0.25, 1.0])
    np.testing.assert_allclose(bias["auc"], [2, 2, 4])


@pytest.mark.parametrize("rest", ["pooled", "mean", "sum"])
@pytest.mark.parametrize("misclassified", ["zero", "exclude"])
@pytest.mark.parametrize("tau_max", [None, 0.7])
def test_every_policy_has_intervals_and_tests(rest, misclassified, tau_max):
    bias = robustness_bias(
        many_groups([60, 80, 100]), "group", policy=Policy(misclassified, rest, tau_max)
    )
    assert np.isfinite(
        bias[["low", "high", "auc_low", "auc_high", "p", "p_holm", "p_bh", "p_global"]]
    ).all(axis=None)
    assert ((bias["low"] < bias["sigma"]) & (bias["sigma"] < bias["high"])).all()


def test_the_seed_alone_decides():
    rows = many_groups([30, 40])
    pd.testing.assert_frame_equal(
        robustness_bias(rows, "group", seed=3), robustness_bias(rows, "group", seed=3)
    )
    assert (
        robustness_bias(rows, "group", seed=3)["low"]
        != robustness_bias(rows, "group", seed=4)["low"]
    ).all()


def test_few_correct_images_make_an_interval_optimistic():
    n = FEWEST_CORRECT
    rows = table([1.0, 2.0] * n + [3.0, NAN] * n, ["a"] * (n - 1) + ["b"] * (n + 1) + ["c"] * 2 * n)
    assert list(robustness_bias(rows, "group")["is_optimistic"]) == [True, False, False]
    half = table([1.0, 2.0] * n, ["a"] * (n - 1) + ["b"] * (n + 1))  # b's rest has too few
    assert robustness_bias(half, "group")["is_optimistic"].all()


def test_groups_are_ranked_by_the_images_that_count():
    wrong = table([0.5] + [NAN] * 99 + [1.0] * 100, ["a"] * 100 + ["b"] * 100)
    bias = robustness_bias(wrong, "group", policy=Policy(misclassified="exclude"))
    assert list(bias["n_counted"]) == [1, 100] and list(bias["is_ranked"]) == [False, True]
    assert np.isnan(bias["p"][0]) and np.isnan(bias["low"][0])


def test_all_misclassified_leaves_everything_but_the_accuracy_undefined():
    bias = robustness_bias(table([NAN] * 60, ["a"] * 30 + ["b"] * 30), "group")
    assert (
        bias[["sigma", "low", "high", "auc_low", "auc_high", "p", "p_holm", "p_bh", "p_global"]]
        .isna()
        .all(axis=None)
    )
    assert (bias["auc"] == 0).all() and (bias["accuracy_high"] > 0).all()


def test_one_group_all_misclassified_is_below_the_rest_without_an_interval():
    bias = robustness_bias(joined(two_groups(40), table([NAN] * 40, ["c"] * 40)), "group")
    assert bias["sigma"][2] == -1 and np.isnan(bias["low"][2])
    assert bias["p"][2] < 0.001


def test_a_rest_without_area_has_no_test():
    bias = robustness_bias(table([1.0] * 30 + [NAN] * 30, ["a"] * 30 + ["b"] * 30), "group")
    assert np.isnan(bias["sigma"][0]) and np.isnan(bias["p"][0]) and np.isnan(bias["low"][0])
    assert bias["sigma"][1] == -1 and bias["p"][1] < 0.001


def test_ties_and_zero_distances_have_their_place():
    """Equal distances in every group leave no doubt: the interval has width 0, and no deal reaches
    the difference.
    """
    rows = table([1.0] * 30 + [2.0] * 30, ["a"] * 30 + ["b"] * 30)
    bias = robustness_bias(rows, "group")
    np.testing.assert_allclose(bias[["low", "high"]], bias[["sigma", "sigma"]], atol=1e-9)
    assert (bias["p"] == 1 / 5000).all()
    same = robustness_bias(rows.assign(distance=0.1), "group")
    np.testing.assert_allclose(same[["low", "high"]], 0, atol=1e-9)
    assert (same["p"] == 1).all()
    zero = robustness_bias(rows.assign(distance=0.0), "group")  # correct, and on the boundary
    assert zero["sigma"].isna().all() and zero["p"].isna().all() and (zero["accuracy"] == 1).all()


def test_failed_rows_leave_intervals_and_tests():
    rows = many_groups([60, 80])
    failed = rows.tail(9).assign(distance=NAN, is_correct=True, status="failed")
    with_failed, without = pd.concat([rows.iloc[:-9], failed]), rows.iloc[:-9]
    columns = ["sigma", "low", "high", "p", "p_holm"]
    bias = robustness_bias(with_failed, "group")
    pd.testing.assert_frame_equal(bias[columns], robustness_bias(without, "group")[columns])
    assert list(bias["n_failed"]) == [0, 9] and (bias["failed_low"] < bias["sigma"]).all()


def test_what_has_no_meaning_raises():
    with pytest.raises(MeasureError, match="one group only"):
        robustness_bias(PAPER_EXAMPLE, "class")
    with pytest.raises(MeasureError, match="no rows"):
        robustness_bias(PAPER_EXAMPLE.iloc[:0], "group")
    with pytest.raises(MeasureError, match="missing without"):
        robustness_bias(PAPER_EXAMPLE.assign(is_correct=True, status="found"), "group")


def test_intersections_are_tested_only_where_they_have_images():
    rows = toyfaces().head(400)
    bias = robustness_bias(rows, "class*lighting*site")
    few = bias["n_counted"] < FEWEST
    assert few.any() and not few.all()
    assert (bias["p"].isna() == few).all() and (bias["is_ranked"] == ~few).all()


def test_toyfaces_the_planted_bias_is_found_and_the_null_one_is_not():
    rows = toyfaces()
    planted, null = (robustness_bias(rows, by).set_index("group") for by in ("lighting", "camera"))
    assert planted.loc["dim", "p_holm"] < 0.001 and planted.loc["dim", "high"] < 0
    assert (null["p_holm"] > 0.05).all() and ((null["low"] < 0) & (null["high"] > 0)).all()
