import numpy as np
import pytest

from rbcore.errors import MeasureError, UnknownNameError
from rbcore.inference import overlap, standardized_bias
from rbcore.measures import Policy, sigma_bias, split_groups
from tests.inference.samples import many_groups, toyfaces
from tests.measures.test_robustness import NAN, table

# Strata x and y with distances 1 and 3; group a is mostly in x, b mostly in y. Within each stratum
# there is no difference.
CONFOUNDED = table([1.0] * 15 + [3.0] * 5 + [1.0] * 5 + [3.0] * 15, ["a"] * 20 + ["b"] * 20).assign(
    stratum=["x"] * 15 + ["y"] * 5 + ["x"] * 5 + ["y"] * 15
)


def test_a_difference_that_is_all_composition_vanishes():
    found = standardized_bias(CONFOUNDED, "group", "stratum")
    np.testing.assert_allclose(found["sigma"], 0, atol=1e-12)
    np.testing.assert_allclose(found["sigma_raw"], [(30 - 50) / 50, (50 - 30) / 30])
    np.testing.assert_allclose(found["auc"], 2)  # half of all samples are in each stratum
    # weights 1/2 in cells of 15 and 5: 1 / (0.25 / 15 + 0.25 / 5)
    np.testing.assert_allclose(found["n_effective"], 15)
    assert list(found["n"]) == [20, 20] and list(found["smallest_cell"]) == [5, 5]


def test_worked_on_paper_with_unequal_strata():
    """a: x 1, y 4; b: x 2, y 4; c: x 4, y 4. Two thirds of all samples are in x. b and c have 10
    each in x, 5 in y.
    """
    rows = table(
        np.r_[[1.0] * 10, [4.0] * 5, [2.0] * 10, [4.0] * 5, [4.0] * 10, [4.0] * 5],
        np.repeat(["a", "b", "c"], 15),
    ).assign(stratum=(["x"] * 10 + ["y"] * 5) * 3)
    found = standardized_bias(rows, "group", "stratum", groups=["a"])
    assert list(found["group"]) == ["a"]
    assert found["sigma"][0] == pytest.approx((2 / 3 * 1 + 1 / 3 * 4) / (2 / 3 * 3 + 1 / 3 * 4) - 1)
    for rest, factor in (("mean", 1), ("sum", 2)):
        other = standardized_bias(rows, "group", "stratum", policy=Policy(rest=rest), groups=["a"])
        expected = (2 / 3 * 1 + 1 / 3 * 4) / (factor * (2 / 3 * 3 + 1 / 3 * 4)) - 1
        assert other["sigma"][0] == pytest.approx(expected)


@pytest.mark.parametrize("rest", ["pooled", "mean", "sum"])
@pytest.mark.parametrize("misclassified", ["zero", "exclude"])
def test_within_one_stratum_it_is_sigma_itself(rest, misclassified):
    rows = many_groups([40, 50, 60]).assign(one="all")
    policy = Policy(misclassified, rest, 0.9)
    found = standardized_bias(rows, "group", "one", policy=policy)
    raw = sigma_bias(split_groups(rows, "group", policy))
    np.testing.assert_allclose(found["sigma"], raw)
    np.testing.assert_allclose(found["sigma_raw"], raw)
    mixed = standardized_bias(rows, "group", "side", policy=policy)
    np.testing.assert_allclose(mixed["sigma_raw"], raw)
    assert ((mixed["low"] < mixed["sigma"]) & (mixed["sigma"] < mixed["high"])).all()


def test_cells_that_are_empty_or_too_small_are_refused_by_name():
    rows = CONFOUNDED[~((CONFOUNDED["group"] == "a") & (CONFOUNDED["stratum"] == "y"))]
    with pytest.raises(MeasureError, match=r"a in y \(n = 0\)") as refusal:
        standardized_bias(rows, "group", "stratum")
    assert "fewer or wider groups of 'stratum'" in str(refusal.value)
    few = CONFOUNDED.drop(index=CONFOUNDED.index[-1:]).drop(index=[20])
    with pytest.raises(MeasureError, match=r"b in x \(n = 4\)"):
        standardized_bias(few, "group", "stratum")


def test_a_poor_cell_stops_only_the_groups_it_belongs_to():
    rows = many_groups([60, 60, 60])
    rows = rows[~((rows["group"] == "g2") & (rows["side"] == "left"))]
    with pytest.raises(MeasureError, match="g2 in left"):
        standardized_bias(rows, "group", "side")
    assert np.isfinite(standardized_bias(rows, "group", "side", groups=["g0", "g1"])["sigma"]).all()
    with pytest.raises(
        MeasureError, match="g2 in left"
    ):  # as a group of its own it has no mean to take part with
        standardized_bias(rows, "group", "side", groups=["g0"], policy=Policy(rest="mean"))


def test_only_samples_that_count_fill_a_cell():
    rows = CONFOUNDED.copy()
    rows.loc[rows.index[:12], ["distance", "is_correct", "status"]] = [NAN, False, "misclassified"]
    counts = overlap(rows, "group", "stratum", Policy(misclassified="exclude"))
    assert counts.to_numpy().tolist() == [[3, 5], [5, 15]]
    assert np.isfinite(standardized_bias(rows, "group", "stratum")["sigma"]).all()
    with pytest.raises(MeasureError, match=r"a in x \(n = 3\)"):
        standardized_bias(rows, "group", "stratum", policy=Policy(misclassified="exclude"))


def test_what_has_no_meaning_raises():
    with pytest.raises(MeasureError, match="one group only"):
        standardized_bias(CONFOUNDED, "class", "stratum")
    with pytest.raises(UnknownNameError, match="no partition 'age'"):
        standardized_bias(CONFOUNDED, "group", "age")
    with pytest.raises(UnknownNameError, match="no group 'z'"):
        standardized_bias(CONFOUNDED, "group", "stratum", groups=["z"])
    with pytest.raises(MeasureError, match="1 of 40 samples|3 of 20"):
        failed = CONFOUNDED.assign(status=["failed"] * 3 + ["found"] * 37)
        standardized_bias(failed, "group", "stratum", policy=Policy(failed="raise"))


def test_toyfaces_the_confounded_bias_vanishes_at_a_common_mix_of_ages():
    rows = toyfaces()
    site = standardized_bias(rows, "site", "class").set_index("group").loc["school"]
    assert site["sigma_raw"] < -0.3
    assert site["low"] < 0 < site["high"] and abs(site["sigma"]) < 0.15
    lighting = standardized_bias(rows, "lighting", "class").set_index("group").loc["dim"]
    assert lighting["high"] < 0  # what is planted stays
