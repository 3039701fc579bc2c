import numpy as np
import pandas as pd
import pytest

from rbcore.analyses import (
    ACCURACY,
    ALL,
    AUC,
    REST,
    compare,
    curves_of_sides,
    has_collapsed,
    parts_in_words,
    verdict_on_mitigation,
)
from rbcore.errors import UnknownNameError
from rbcore.inference import compare_bias, curves, robustness_bias
from rbcore.measures import Policy
from tests.inference.samples import many_groups
from tests.measures.test_robustness import NAN, table

N_OWN, N_REST = 40, 80
GROUPS = ["dim"] * N_OWN + ["bright"] * N_REST


def images(own, rest, **columns):
    """Group dim with distances of mean ``own``, bright of mean ``rest``: half of each a half
    nearer, half of them a half farther.
    """
    return table(
        [0.5 * own, 1.5 * own] * (N_OWN // 2) + [0.5 * rest, 1.5 * rest] * (N_REST // 2),
        GROUPS,
        **columns,
    )


PLAIN = images(2, 4)  # sigma of dim: (2 - 4) / 4 = -0.5


@pytest.mark.parametrize(
    ("own", "rest", "sigma", "because"),
    [
        (4, 4, 0.0, "The gap shrank, because dim got safer; no change is shown for the rest: "),
        (2, 2, 0.0, "The gap shrank, because the rest got less safe; no change is shown for dim: "),
        (2.5, 3, -1 / 6, "The gap shrank, because dim got safer and the rest less safe: "),
        (6, 8, -0.25, "The gap shrank, because dim got safer, by more than the rest: "),
        (1.5, 2, -0.25, "The gap shrank, because the rest got less safe, by more than dim: "),
        (1, 4, -0.75, "The gap grew, because dim got less safe; no change is shown for the rest: "),
        (2, 8, -0.75, "The gap grew, because the rest got safer; no change is shown for dim: "),
        (
            8,
            4,
            1.0,
            "The gap turned round, because dim got safer; no change is shown for the rest: ",
        ),
        (4, 8, -0.5, "No change of the gap is shown: "),
        (2, 4, -0.5, "No change of the gap is shown: "),
    ],
)
def test_which_side_moved_worked_on_paper(own, rest, sigma, because):
    effect = compare(PLAIN, images(own, rest), "group", "dim")
    assert effect.sigma["sigma_first"] == pytest.approx(-0.5)
    assert effect.sigma["sigma_second"] == pytest.approx(sigma)
    assert verdict_on_mitigation(effect).startswith(because)
    assert verdict_on_mitigation(effect).endswith("n = 40 of 120).")
    for who, before, after in (
        ("dim", 2, own),
        (REST, 4, rest),
        (ALL, 10 / 3, (own + 2 * rest) / 3),
    ):
        area = effect.change(who, AUC)
        assert (area["before"], area["after"], area["change"]) == pytest.approx(
            (before, after, after - before)
        )


def test_accuracy_and_distance_are_told_apart():
    """Ten of dim's 40 are lost, five near and five far: the mean distance of the others stays 2,
    the area falls to 3/4.
    """
    correct = np.ones(N_OWN + N_REST, dtype=bool)
    correct[:10] = False
    after = images(2, 4, correct=correct).assign(
        distance=lambda rows: rows["distance"].where(rows["is_correct"])
    )
    effect = compare(PLAIN, after, "group", "dim")
    assert effect.change("dim", AUC)["after"] == pytest.approx(1.5)
    assert (
        effect.change("dim", "distance")["change"] == pytest.approx(0)
        and not effect.change("dim", "distance")["is_shown"]
    )
    lost = effect.change("dim", ACCURACY)
    assert lost["change"] == pytest.approx(-0.25) and lost["high"] < 0 and lost["is_shown"]
    assert "accuracy 100.0% to 75.0% (-25.0 points" in parts_in_words(effect)
    assert parts_in_words(effect).endswith(
        "Accuracy of all 120 images: 100.0% to 91.7% (-8.3 points [-13.6, -2.8])."
    )
    assert ", at the cost of 8.3 points of accuracy: sigma of dim" in verdict_on_mitigation(effect)
    excluded = compare(PLAIN, after, "group", "dim", policy=Policy("exclude"))
    assert excluded.change("dim", AUC)["change"] == pytest.approx(0)


def test_a_model_that_always_says_the_same_is_found_out():
    labels = np.arange(N_OWN + N_REST) % 4
    first = PLAIN.assign(label=labels, prediction=labels)
    right = labels == 0
    constant = first.assign(prediction=0, is_correct=right, distance=first["distance"].where(right))
    constant["status"] = np.where(right, "found", "misclassified")
    assert has_collapsed(compare(first, constant, "group", "dim"))
    assert not has_collapsed(compare(first, first, "group", "dim"))
    rare = first.assign(label=0, prediction=0)
    assert not has_collapsed(compare(rare, rare, "group", "dim"))


def other_model(rows, seed=9):
    """The same images under a model that has other distances and gets other images right."""
    random = np.random.default_rng(seed)
    correct = rows["is_correct"] & (random.random(len(rows)) < 0.9)
    distance = (rows["distance"] * random.lognormal(0.3, 0.4, len(rows))).where(correct)
    return rows.assign(
        distance=distance, is_correct=correct, status=np.where(correct, "found", "misclassified")
    )


@pytest.fixture(scope="module")
def pair():
    first = many_groups([60, 70, 80])
    return first, other_model(first)


def test_numbers_are_those_of_the_measures(pair):
    effect = compare(*pair, "group", "g0")
    expected = compare_bias(*pair, "group")
    pd.testing.assert_frame_equal(effect.bias[expected.columns], expected)
    for rows, side, column in zip(pair, ("first", "second"), ("before", "after"), strict=True):
        bias = robustness_bias(rows, "group", n_permutations=9)
        np.testing.assert_allclose(
            effect.bias[[f"{side}_low", f"{side}_high"]], bias[["low", "high"]]
        )
        for group, accuracy, area in zip(bias["group"], bias["accuracy"], bias["auc"], strict=True):
            assert effect.change(group, ACCURACY)[column] == pytest.approx(accuracy)
            assert effect.change(group, AUC)[column] == pytest.approx(area)
            product = accuracy * effect.change(group, "distance")[column]
            assert product == pytest.approx(area)


def test_the_order_of_the_images_and_the_names_of_the_groups_do_not_matter(pair):
    first, second = pair
    effect = compare(first, second, "group", "g0")
    shuffled = compare(first, second.sample(frac=1, random_state=1), "group", "g0")
    pd.testing.assert_frame_equal(effect.changes, shuffled.changes)
    names = {"g0": "zz", "g1": "g1", "g2": "g2"}
    renamed = compare(
        *(rows.assign(group=rows["group"].map(names)) for rows in pair), "group", "zz"
    )
    for who, other in (("g0", "zz"), (REST, REST), (ALL, ALL), ("g1", "g1")):
        for measure in (ACCURACY, "distance", AUC):
            numbers = ["n", "before", "after", "low", "high"]
            assert list(effect.change(who, measure)[numbers]) == list(
                renamed.change(other, measure)[numbers]
            )


def test_swapped_models_swap_signs(pair):
    there, back = compare(*pair, "group", "g0"), compare(*pair[::-1], "group", "g0")
    np.testing.assert_allclose(there.bias["difference"], -back.bias["difference"])
    np.testing.assert_allclose(
        there.changes[["change", "low", "high"]],
        -back.changes[["change", "high", "low"]],
        atol=1e-12,
    )


def test_images_of_one_table_only_are_left_out_and_counted(pair):
    first, second = pair
    effect = compare(first, second.iloc[5:], "group", "g0")
    assert (effect.n, effect.n_group, effect.n_left_out) == (205, 55, 5)
    assert effect.change(ALL, ACCURACY)["before"] == pytest.approx(
        first["is_correct"].iloc[5:].mean()
    )


def test_few_images_and_undefined_gaps_are_said():
    few = table([1.0] * 5 + [2.0] * 50, ["a"] * 5 + ["b"] * 50)
    assert verdict_on_mitigation(compare(few, few, "group", "a")).startswith(
        "Nothing can be said of a: fewer than"
    )
    nobody = table([1.0] * 50 + [NAN] * 50, ["a"] * 50 + ["b"] * 50)
    assert "sigma is not defined" in verdict_on_mitigation(compare(nobody, nobody, "group", "a"))
    with pytest.raises(UnknownNameError, match="group of group"):
        compare(few, few, "group", "c")


def test_curves_have_two_sides_under_two_models(pair):
    taus = np.linspace(0, 2, 5)
    found = curves_of_sides(*pair, "group", "g0", taus=taus)
    assert set(found["group"]) == {"g0", REST} and len(found) == 2 * 2 * 5
    for rows, when in zip(pair, ("before", "after"), strict=True):
        expected = curves(rows, "group", taus=taus)
        own = found[(found["when"] == when) & (found["group"] == "g0")]
        np.testing.assert_allclose(own["share"], expected[expected["group"] == "g0"]["share"])
        np.testing.assert_allclose(own["rb"], expected[expected["group"] == "g0"]["rb"])
