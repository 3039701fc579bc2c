import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rbcore.errors import MeasureError
from rbcore.inference import bias_over_runs, compare_bias, robustness_bias
from rbcore.inference.comparison import PRODUCTS, _columns, _paired_sigma
from rbcore.measures import Policy, sigma_bias, split_groups
from tests.inference.samples import many_groups, toyfaces
from tests.measures.test_robustness import NAN, table


def noisy(rows, seed, spread=0.1):
    """The same images for another model: distances that are nearly the same."""
    random = np.random.default_rng(seed)
    return rows.assign(distance=rows["distance"] * random.lognormal(0, spread, len(rows)))


@pytest.mark.parametrize("rest", ["pooled", "mean", "sum"])
@pytest.mark.parametrize("misclassified", ["zero", "exclude"])
@pytest.mark.parametrize("tau_max", [None, 0.8])
def test_the_difference_is_that_of_the_two_sigmas(rest, misclassified, tau_max):
    policy = Policy(misclassified, rest, tau_max)
    first = many_groups([40, 50, 60])
    second = many_groups([40, 50, 60], seed=1, accuracy=0.6)
    found = compare_bias(first, second, "group", policy=policy, n_resamples=400)
    sigmas = [sigma_bias(split_groups(rows, "group", policy)) for rows in (first, second)]
    np.testing.assert_allclose(found["sigma_first"], sigmas[0])
    np.testing.assert_allclose(found["difference"], sigmas[1] - sigmas[0])
    assert ((found["low"] < found["difference"]) & (found["difference"] < found["high"])).all()


def test_pairing_narrows_the_interval():
    first = many_groups([80, 100])
    second = noisy(first, 0)
    paired = compare_bias(first, second, "group")
    bias = robustness_bias(first, "group")
    assert (paired["high"] - paired["low"] < 0.5 * (bias["high"] - bias["low"])).all()
    same = compare_bias(first, first, "group")
    assert (same[["difference", "low", "high"]] == 0).all(axis=None) and not same["is_shown"].any()


def test_where_both_sides_move_in_proportion_the_upper_end_is_that_of_the_logarithm():
    """All distances of one group grow by half: the change of sigma is half the ratio of areas, with
    the ratio's own log error.
    """
    first = many_groups([80, 100])
    in_group = first["group"] == "g0"
    for factor in (1.5, 0.6):
        second = first.assign(distance=first["distance"] * np.where(in_group, factor, 1.0))
        found, back = (
            compare_bias(*pair, "group").iloc[0] for pair in ((first, second), (second, first))
        )
        difference, farther = (
            abs(found["difference"]),
            found["high"] if factor > 1 else -found["low"],
        )
        nearer = found["low"] if factor > 1 else -found["high"]
        assert difference == pytest.approx(abs(factor - 1) * (1 + found["sigma_first"]))
        assert farther == pytest.approx(difference * np.exp((difference - nearer) / difference))
        assert [back["difference"], back["low"], back["high"]] == pytest.approx(
            [-found["difference"], -found["high"], -found["low"]]
        )


@pytest.mark.slow
def test_paired_intervals_cover_as_they_claim():
    """One true sigma of 0 on both sides, images in common: coverage of the difference 0 by a
    binomial test at 1e-3.
    """
    n_draws, covered = 300, 0
    for seed in range(n_draws):
        first = many_groups([60, 90], seed)
        first["distance"] *= np.where(first["group"] == "g0", 2.0, 1.0)
        found = compare_bias(first, noisy(first, seed, 0.5), "group", n_resamples=300, seed=seed)
        covered += found["low"][0] <= 0 <= found["high"][0]
    assert stats.binomtest(covered, n_draws, 0.95).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy", [Policy(), Policy("exclude"), Policy("exclude", "mean"), Policy("zero", "sum")]
)
def test_the_standard_error_is_the_one_of_many_samples(policy):
    """The delta method against the spread of the difference over fresh samples; accuracy and
    failures differ by side.
    """
    differences, errors = [], []
    for seed in range(150):
        random = np.random.default_rng(seed)
        first = many_groups([150, 100, 200], seed)
        second = noisy(first, seed, 0.5)
        second.loc[random.random(450) < 0.1, ["distance", "is_correct", "status"]] = [
            NAN,
            False,
            "misclassified",
        ]
        second.loc[second["is_correct"] & (random.random(450) < 0.1), ["distance", "status"]] = [
            NAN,
            "failed",
        ]
        found = compare_bias(first, second, "group", policy=policy, n_resamples=40, seed=seed)
        differences.append(found["difference"].to_numpy())
        errors.append(_error(first, second, policy))
    np.testing.assert_allclose(np.std(differences, axis=0), np.mean(errors, axis=0), rtol=0.2)


def _error(first, second, policy):
    columns = np.concatenate([_columns(rows, policy) for rows in (first, second)])
    columns = np.concatenate([columns, [columns[k] * columns[m] for k, m in PRODUCTS]])
    members = [(first["group"] == group).to_numpy() for group in ("g0", "g1", "g2")]
    means = np.stack([columns[:, member].mean(axis=1) for member in members], axis=1)
    return _paired_sigma(means[:, None], np.array([150, 100, 200]), policy.rest)[2][0]


def test_a_group_that_is_all_wrong_has_no_interval():
    first = many_groups([40, 50])
    wrong = first["group"] == "g0"
    second = first.assign(
        is_correct=first["is_correct"] & ~wrong,
        distance=first["distance"].mask(wrong),
        status=first["status"].mask(wrong, "misclassified"),
    )
    found = compare_bias(first, second, "group")
    assert found["sigma_second"][0] == -1 and np.isnan(found["low"][0]) and not found["is_shown"][0]


def test_only_common_images_take_part_whatever_their_order():
    first = many_groups([40, 50])
    second = noisy(first, 0).iloc[::-1].iloc[5:]
    found = compare_bias(first, second, "group")
    assert found["n"].sum() == 85 and found["n_left_out"].sum() == 5
    common = first[first["sample_id"].isin(second["sample_id"])]
    pd.testing.assert_frame_equal(
        found.drop(columns="n_left_out"),
        compare_bias(common, second, "group").drop(columns="n_left_out"),
    )


def test_a_failed_sample_leaves_its_own_side():
    first = many_groups([40, 50])
    second = first.copy()
    second.loc[[3, 60], ["distance", "is_correct", "status"]] = [NAN, True, "failed"]
    found = compare_bias(first, second, "group")
    np.testing.assert_allclose(found["sigma_second"], sigma_bias(split_groups(second, "group")))


def test_images_that_cannot_be_paired_are_refused():
    rows = many_groups([20, 20])
    with pytest.raises(MeasureError, match="no image in common"):
        compare_bias(rows, rows.assign(sample_id="other " + rows["sample_id"]), "group")
    with pytest.raises(MeasureError, match="'s0' .* there twice"):
        compare_bias(rows, pd.concat([rows, rows.head(1)]), "group")
    with pytest.raises(MeasureError, match="disagree on the group of 20 images, the first being"):
        compare_bias(rows, rows.assign(group="g0"), "group")
    with pytest.raises(MeasureError, match="missing without"):
        compare_bias(rows, rows.assign(distance=NAN, is_correct=True, status="found"), "group")
    with pytest.raises(MeasureError, match="'g1' has 20 samples, but none that counts"):
        wrong = rows.assign(is_correct=rows["is_correct"] & (rows["group"] == "g0"))
        compare_bias(rows, wrong, "group", policy=Policy(misclassified="exclude"))
    with pytest.raises(MeasureError, match="one group only"):
        compare_bias(rows.head(20), rows, "group")


def test_a_side_without_area_has_no_difference():
    first = table([1.0, 2.0] * 15 + [1.0] * 30, ["a"] * 30 + ["b"] * 30)
    second = table([1.0, 2.0] * 15 + [NAN] * 30, ["a"] * 30 + ["b"] * 30)
    found = compare_bias(first, second, "group")
    assert (
        np.isnan(found["difference"][0]) and np.isnan(found["low"][0]) and not found["is_shown"][0]
    )
    assert found["sigma_second"][1] == -1


def test_epochs_of_toyfaces_are_compared_on_all_their_images():
    found = compare_bias(toyfaces(model="logistic_regression"), toyfaces(), "lighting")
    assert (
        found["n"].sum() == 1600 and found["is_ranked"].all() and (found["n_left_out"] == 0).all()
    )


def test_over_runs_it_is_students_interval():
    sigmas = [[-0.4, 0.3], [-0.5, -0.1], [-0.2, 0.2]]
    tables = [pd.DataFrame({"group": ["a", "b"], "sigma": sigma}) for sigma in sigmas]
    found = bias_over_runs(tables)
    for index in range(2):
        values = np.array(sigmas)[:, index]
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found["low"][index], found["high"][index]) == pytest.approx(
            (expected.low, expected.high)
        )
    assert list(found["n_runs"]) == [3, 3] and list(found["n_negative"]) == [3, 1]


def test_over_runs_needs_two_that_are_comparable():
    one = pd.DataFrame({"group": ["a", "b"], "sigma": [-0.4, NAN]})
    with pytest.raises(MeasureError, match="at least two runs"):
        bias_over_runs([one])
    with pytest.raises(MeasureError, match="different groups"):
        bias_over_runs([one, one.assign(group=["a", "c"])])
    found = bias_over_runs([one, one])
    assert (
        list(found["n_runs"]) == [2, 0] and np.isnan(found["mean"][1]) and found["low"][0] == -0.4
    )
