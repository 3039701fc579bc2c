import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbcore.errors import MeasureError, UnknownNameError
from rbcore.inference import compare_bias
from rbcore.measures import (
    Policy,
    areas_under_curves,
    proportion_beyond,
    robustness_bias_at,
    sigma_bias,
    sigma_bounds_of_failed,
    split_groups,
)


def table(distances, groups, *, correct=None, status=None):
    """A table of distances; NaN distances are misclassified unless said otherwise."""
    distance = np.array(distances, dtype=float)
    correct = ~np.isnan(distance) if correct is None else np.array(correct)
    default = np.where(correct, "found", "misclassified")
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(len(distance))],
            "label": 0,
            "prediction": 0,
            "is_correct": correct,
            "distance": distance,
            "bound": "upper",
            "status": default if status is None else status,
            "perturbed_prediction": 1,
            "class": "x",
            "group": groups,
        }
    )


NAN = float("nan")
# Group a: distances 1, 3 and one misclassified; group b: 2, 2; group c: 4.
PAPER_EXAMPLE = table([1, 3, NAN, 2, 2, 4], list("aaabbc"))


# Certificates: the smoothed classifier g is right of 0, 1, 2, 4 and 5, of 4 without confidence; the
# network of 0, 2, 3 and 5.
OF_G = table(
    [3, 1, 2, 0, 0, 4], list("aaabbb"), correct=[True, True, True, False, True, True]
).assign(
    status=["certified", "certified", "certified", "overruled", "abstained", "certified"],
    prediction=[0, 0, 0, 1, 0, 0],
    network_prediction=[0, 1, 0, 0, 1, 0],
)


@pytest.mark.parametrize(
    ("policy", "areas", "n_correct"),
    [
        (Policy(), [2, 4 / 3], [3, 2]),
        (
            Policy(misclassified="exclude"),
            [2, 2],
            [3, 2],
        ),  # an abstaining certificate counts with 0
        (Policy(correct_by="network"), [5 / 3, 4 / 3], [2, 2]),
        (Policy(misclassified="exclude", correct_by="network"), [5 / 2, 2], [2, 2]),
    ],
)
def test_whose_class_is_correct_is_a_policy_where_distances_are_of_g(policy, areas, n_correct):
    grouped = split_groups(OF_G, "group", policy)
    np.testing.assert_allclose(areas_under_curves(grouped), areas)
    assert grouped.n_correct.tolist() == n_correct
    changed = compare_bias(
        OF_G, OF_G.assign(distance=OF_G["distance"] * 2), "group", policy=policy, n_resamples=20
    )
    np.testing.assert_allclose(changed["sigma_first"], sigma_bias(grouped))


def test_where_distances_are_of_the_network_the_two_policies_are_one():
    own, network = (
        split_groups(PAPER_EXAMPLE, "group", Policy(correct_by=by)) for by in ("own", "network")
    )
    np.testing.assert_array_equal(sigma_bias(own), sigma_bias(network))
    with pytest.raises(UnknownNameError, match="no policy correct_by 'f'"):
        Policy(correct_by="f")


def test_areas_worked_on_paper():
    areas = areas_under_curves(split_groups(PAPER_EXAMPLE, "group"))
    np.testing.assert_allclose(areas, [4 / 3, 2, 4])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # a: 4/3 against (2+2+4)/3 = 8/3; b: 2 against (1+3+0+4)/4 = 2; c: 4 against
        # (1+3+0+2+2)/5 = 1.6
        (Policy(), [-0.5, 0.0, 1.5]),
        # a: 2 against 8/3; b: 2 against (1+3+4)/3 = 8/3; c: 4 against (1+3+2+2)/4 = 2
        (Policy(misclassified="exclude"), [-0.25, -0.25, 1.0]),
        # means of the other areas: (2+4)/2 = 3; (4/3+4)/2 = 8/3; (4/3+2)/2 = 5/3
        (Policy(rest="mean"), [(4 / 3 - 3) / 3, -0.25, 1.4]),
        # sums of the other areas: 6; 16/3; 10/3
        (Policy(rest="sum"), [(4 / 3 - 6) / 6, -0.625, 0.2]),
        # capped at 2: a (1+2+0)/3 = 1; rest 2; b 2 against (1+2+0+2)/4; c 2 against (1+2+0+2+2)/5
        (Policy(tau_max=2.0), [-0.5, 0.6, 2 / 1.4 - 1]),
    ],
)
def test_sigma_worked_on_paper(policy, expected):
    np.testing.assert_allclose(
        sigma_bias(split_groups(PAPER_EXAMPLE, "group", policy)), expected, atol=1e-12
    )


def test_curve_counts_strictly_greater_distances():
    shares = proportion_beyond(np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0, 2.0]))
    np.testing.assert_array_equal(shares, [0.75, 0.75, 0.25, 0.0])


def test_rb_conditions_on_correct_samples_whatever_the_policy():
    # tau 1.5, correct only: a 1 of 2; rest 3 of 3. b: 2 of 2 against 2 of 3.
    for misclassified in ("zero", "exclude"):
        grouped = split_groups(PAPER_EXAMPLE, "group", Policy(misclassified=misclassified))
        rb = robustness_bias_at(grouped, np.array([1.5]))
        np.testing.assert_allclose(rb[:, 0], [0.5, 1 / 3, 1 - 3 / 4])


def test_failed_samples_leave_the_measure_and_bound_it():
    status = ["found", "failed", "found", "found"]
    rows = table([1, NAN, 2, 4], list("aabb"), correct=[True] * 4, status=status)
    grouped = split_groups(rows, "group")
    np.testing.assert_allclose(areas_under_curves(grouped), [1, 3])
    low, high = sigma_bounds_of_failed(grouped)
    np.testing.assert_allclose(low[0], (0.5 - 3) / 3)  # as if at distance 0
    np.testing.assert_allclose(high[0], (2.5 - 3) / 3)  # as if at 4, the largest seen
    np.testing.assert_allclose([low[1], high[1]], [(3 - 2.5) / 2.5, (3 - 0.5) / 0.5])
    with pytest.raises(MeasureError, match="1 of 2 samples of the group 'a'"):
        split_groups(rows, "group", Policy(failed="raise"))


def test_what_has_no_meaning_raises_and_says_why():
    with pytest.raises(MeasureError, match="no rows"):
        split_groups(PAPER_EXAMPLE.iloc[:0], "group")
    with pytest.raises(MeasureError, match="one group only"):
        sigma_bias(split_groups(PAPER_EXAMPLE, "class"))
    with pytest.raises(UnknownNameError, match="no partition 'race'"):
        split_groups(PAPER_EXAMPLE, "race")
    with pytest.raises(MeasureError, match="is numeric"):
        split_groups(PAPER_EXAMPLE.assign(age=np.arange(6) + 0.5), "age")
    with pytest.raises(MeasureError, match="'c' has 1 samples, but none that counts"):
        wrong = table([1, 3, NAN, 2, 2, NAN], list("aaabbc"))
        split_groups(wrong, "group", Policy(misclassified="exclude"))
    with pytest.raises(MeasureError, match="negative"):
        split_groups(table([1, -1], ["a", "b"]), "group")
    with pytest.raises(UnknownNameError, match="no policy rest 'others'"):
        Policy(rest="others")
    with pytest.raises(MeasureError, match="tau_max=0"):
        Policy(tau_max=0)
    with pytest.raises(MeasureError, match="tau_max=1000"):
        Policy(tau_max=10**400)


def test_a_rest_without_area_leaves_sigma_undefined():
    sigma = sigma_bias(split_groups(table([1, 2, NAN, NAN], list("aabb")), "group"))
    assert np.isnan(sigma[0])
    assert sigma[1] == -1.0


@st.composite
def tables(draw):
    n = draw(st.integers(6, 40))
    distances = draw(st.lists(st.floats(0, 100, allow_subnormal=False), min_size=n, max_size=n))
    wrong = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    groups = [
        "a",
        "b",
        "c",
        *draw(st.lists(st.sampled_from("abc"), min_size=n - 3, max_size=n - 3)),
    ]
    return table([NAN if bad else d for d, bad in zip(distances, wrong, strict=True)], groups)


@given(tables())
def test_area_is_the_integral_of_the_curve(rows):
    grouped = split_groups(rows, "group")
    for values, area in zip(grouped.values, areas_under_curves(grouped), strict=True):
        knots = np.unique(np.concatenate([[0.0], values]))
        integral = float((np.diff(knots) * proportion_beyond(values, knots)[:-1]).sum())
        assert integral == pytest.approx(area, rel=1e-9, abs=1e-9)


@given(tables(), st.randoms(), st.floats(0.01, 1000))
def test_sigma_ignores_order_names_and_scale(rows, random, scale):
    sigma = sigma_bias(split_groups(rows, "group"))
    order = list(range(len(rows)))
    random.shuffle(order)
    np.testing.assert_allclose(
        sigma_bias(split_groups(rows.iloc[order], "group")), sigma, rtol=1e-9, atol=1e-9
    )
    scaled = rows.assign(distance=rows["distance"] * scale)
    np.testing.assert_allclose(
        sigma_bias(split_groups(scaled, "group")), sigma, rtol=1e-9, atol=1e-9
    )
    renamed = rows.assign(group=rows["group"].map({"a": "z", "b": "y", "c": "x"}))
    np.testing.assert_allclose(
        sigma_bias(split_groups(renamed, "group"))[::-1], sigma, rtol=1e-9, atol=1e-9
    )


@given(tables())
def test_group_areas_add_up_to_the_whole(rows):
    grouped = split_groups(rows, "group")
    total = (grouped.n * areas_under_curves(grouped)).sum()
    assert total == pytest.approx(rows["distance"].fillna(0).sum(), rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=30))
def test_identical_groups_have_no_bias(distances):
    rows = table(distances * 2, ["a"] * len(distances) + ["b"] * len(distances))
    np.testing.assert_allclose(sigma_bias(split_groups(rows, "group")), 0, atol=1e-9)
