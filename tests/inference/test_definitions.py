import numpy as np
import pytest

from rbcore.errors import MeasureError
from rbcore.inference import sigma_by_definition, sign_flips
from rbcore.measures import Policy, sigma_bias, split_groups
from tests.inference.samples import toyfaces
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table


def test_every_definition_is_the_measure_under_its_policy():
    found = sigma_by_definition(PAPER_EXAMPLE, "group")
    assert len(found) == 2 * 3 * 3 * 3
    for (misclassified, rest, tau_max), rows in found.groupby(
        ["misclassified", "rest", "tau_max"], dropna=False
    ):
        policy = Policy(misclassified, rest, None if np.isnan(tau_max) else tau_max)
        np.testing.assert_allclose(
            rows["sigma"], sigma_bias(split_groups(PAPER_EXAMPLE, "group", policy))
        )


def test_flips_worked_on_paper():
    """a: correct 4 of 8 at distance 3; b: correct 8 of 8 at 2. With the wrong ones a is at 1.5 < 2,
    without them 3 > 2.
    """
    rows = table([3.0] * 4 + [NAN] * 4 + [2.0] * 8, ["a"] * 8 + ["b"] * 8)
    found = sigma_by_definition(rows, "group")
    found = found[found["tau_max"].isna()]
    assert found[found["misclassified"] == "exclude"]["is_flipped"].all()
    assert not found[found["misclassified"] == "zero"]["is_flipped"].any()
    flips = sign_flips(found).set_index("group")
    assert list(flips.loc["a"]) == [6, 3, 2]


def test_signs_are_compared_with_those_of_the_policy():
    rows = table([3.0] * 4 + [NAN] * 4 + [2.0] * 8, ["a"] * 8 + ["b"] * 8)
    policy = Policy("exclude", tau_max=2.5, correct_by="network")
    found = sigma_by_definition(rows, "group", policy=policy)
    assert set(found["tau_max"].dropna()) == {2.5, 2.0, 1.0} and len(found) == 2 * 3 * 4 * 2
    is_chosen = (found["misclassified"] == "exclude") & (found["tau_max"] == 2.5)
    assert found["is_flipped"][~is_chosen].any() and not found["is_flipped"][is_chosen].any()


def test_a_sum_as_the_rest_is_counted_apart():
    rows = table([1.0, 1.0, 1.1], list("abc"))
    found = sigma_by_definition(rows, "group")
    flips = sign_flips(found[found["tau_max"].isna()]).set_index("group")
    assert flips.loc["c", "n_flipped"] == 2 and flips.loc["c", "n_flipped_but_sum"] == 0


def test_a_definition_without_a_meaning_is_empty_and_never_a_flip():
    rows = table([1.0, 2.0, NAN, 3.0], list("aabc"))
    found = sigma_by_definition(rows, "group")
    excluded = found[found["misclassified"] == "exclude"]
    assert excluded["sigma"].isna().all() and not excluded["is_flipped"].any()
    assert (sign_flips(found)["n_definitions"] == 9).all()
    with pytest.raises(MeasureError, match="one group only"):
        sigma_by_definition(rows, "class")
    with pytest.raises(MeasureError, match="at least one definition"):
        sign_flips(found.iloc[:0])


def test_toyfaces_keep_the_sign_of_dim_light_under_every_definition():
    flips = sign_flips(sigma_by_definition(toyfaces(), "lighting")).set_index("group")
    assert flips.loc["dim", "n_flipped"] == 0 and flips.loc["dim", "n_definitions"] == 18
