import numpy as np
import pandas as pd
import pytest

from rbcore.distances.smoothing.radii import ceiling
from rbcore.inference import FEWEST, robustness_bias
from rbcore.measures import Policy
from rbcore.wording import (
    least_robust,
    listed,
    p_in_words,
    statuses_in_words,
    verdict,
    verdict_phrases,
    verdicts,
)
from tests.inference.samples import joined, many_groups, two_groups
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table


def test_verdict_names_the_group_the_size_the_interval_and_the_p():
    n = 200
    rows = table(np.r_[np.full(n, 1.0), np.full(n, 2.0)], ["near"] * n + ["far"] * n)
    text = verdict(robustness_bias(rows, "group"))
    assert (
        text.startswith("near is the least robust group")
        and "50% smaller" in text
        and "n = 200" in text
    )
    assert "[-0.50, -0.50], p < .001 after Holm" in text and "optimistic" not in text


def test_verdict_does_not_claim_what_the_test_does_not_show():
    text = verdict(robustness_bias(two_groups(FEWEST), "group"))
    assert text.startswith("No group is shown to be less robust") and f"n = {FEWEST}" in text
    assert "optimistic with fewer than 30 correct images" in text


def test_groups_too_small_are_not_ranked_and_say_their_n():
    rows = joined(two_groups(FEWEST), table([1e-6] * 6 + [NAN], ["tiny"] * 7))
    bias = robustness_bias(rows, "group")
    assert least_robust(bias)["group"] != "tiny"
    assert verdict_phrases(bias)[2] == "too few images (n = 7)"
    assert verdict(robustness_bias(PAPER_EXAMPLE, "group")).startswith("No group can be ranked")


def test_too_few_counts_the_images_that_count():
    wrong = table([0.5] + [NAN] * 99 + [1.0] * 100, ["a"] * 100 + ["b"] * 100)
    bias = robustness_bias(wrong, "group", policy=Policy(misclassified="exclude"))
    assert verdict_phrases(bias)[0] == "too few images (n = 1)"
    assert "a is the least robust" not in verdict(bias)


def test_words_follow_holm_and_the_sign():
    bias = pd.DataFrame(
        {
            "group": list("vwxyz"),
            "n": 99,
            "n_counted": 99,
            "is_ranked": [True, True, True, True, False],
            "sigma": [-0.1, -0.4, 0.3, NAN, -0.9],
            "p_holm": [0.0031, 0.2, 0.0001, NAN, NAN],
        }
    )
    assert verdict_phrases(bias) == [
        "less robust (p = .003 after Holm)",
        "no difference shown (p = .200 after Holm)",
        "more robust (p < .001 after Holm)",
        "not defined: the rest has no area",
        "too few images (n = 99)",
    ]
    assert least_robust(bias)["group"] == "v"  # w is lower, but not shown


def test_a_lower_group_that_is_not_shown_is_named_too():
    rows = many_groups([400, 400, 400])
    few = table([0.2] * 2 + [NAN] * 8 + [1.0] * 4 + [NAN] * 7, ["few"] * 21)
    bias = robustness_bias(joined(rows, few), "group")
    bias.loc[bias["group"] == "few", "p_holm"] = 0.2
    text = verdict(bias)
    assert text.startswith("g0 is the least robust group") and text.endswith(
        "few is lower still, but no difference is shown for it."
    )


def bias_of(groups):
    """The table of groups given as (name, n, n_correct, sigma, p after Holm), enough of
    it for a verdict.
    """
    bias = pd.DataFrame(groups, columns=["group", "n", "n_correct", "sigma", "p_holm"])
    return bias.assign(
        n_counted=bias["n"], is_ranked=bias["n"] >= FEWEST, is_optimistic=False, low=-0.7, high=-0.4
    )


WHITE, INDIAN = ("White", 170, 130, -0.56, 0.0002), ("Indian", 60, 50, 0.2, 0.4)


def test_a_group_with_too_few_images_that_lies_lower_is_named_beside_the_least_robust():
    text = verdict(bias_of([WHITE, INDIAN, ("Black", 11, 5, -0.95, NAN)]))
    assert text.startswith("Of the groups with enough images White is the least robust: ")
    assert text.endswith(" Black (n = 11) lies lower still, -0.95, but is too few to test.")
    above = verdict(bias_of([WHITE, INDIAN, ("Black", 11, 5, -0.5, NAN)]))
    assert "Black" not in above and above.startswith("Of the groups with enough images White")
    assert verdict(bias_of([WHITE, INDIAN])).startswith("White is the least robust group")


def test_a_table_of_fallbacks_says_so_with_every_verdict():
    rows = two_groups(50)
    for n_fallback, is_said in ((10, False), (11, True)):  # of 100 correct images
        status = ["fallback"] * n_fallback + ["found"] * (100 - n_fallback)
        text = verdict(robustness_bias(rows.assign(status=status), "group"))
        assert (
            "Caution: the distances of 11% of the correct images (11 of 100) are fallbacks" in text
        ) == is_said
        assert ("Caution" in text) == is_said


def test_a_group_that_is_never_right_is_named_however_few_it_has():
    text = verdict(
        bias_of([WHITE, INDIAN, ("Black", 3, 0, -1.0, NAN), ("7", 1, 0, -1.0, NAN)]), kind="digit"
    )
    assert text.endswith(
        " Black (n = 3) and digit 7 (n = 1) lie lower still, -1.00 with no image classified "
        "correctly and -1.00 with no image classified correctly, but are too few to test."
    )
    lowest = verdict(
        bias_of([("White", 50, 0, -1.0, 0.0002), INDIAN, ("7", 1, 0, -1.0, NAN)]), kind="digit"
    )
    assert lowest.endswith(
        " Digit 7 (n = 1) lies as low, -1.00 with no image classified correctly, but "
        "is too few to test."
    )


def test_many_small_groups_are_counted_after_the_lowest_three():
    few = [(name, 5, 4, -0.9 + 0.01 * index, NAN) for index, name in enumerate("abcde")]
    assert (
        " a (n = 5), b (n = 5), c (n = 5) and 2 more groups lie lower still, "
        "-0.90, -0.89 and -0.88,"
    ) in verdict(bias_of([WHITE, INDIAN, *few]))


def test_small_groups_are_named_where_no_group_is_shown_or_ranked_too():
    unsure = ("White", 170, 130, -0.05, 0.6)
    text = verdict(bias_of([unsure, INDIAN, ("Black", 11, 5, -0.95, NAN)]))
    assert (
        text.startswith("No group with enough images is shown")
        and "Black (n = 11) lies lower still, -0.95" in text
    )
    none = verdict(bias_of([("Black", 11, 5, -0.95, NAN), ("White", 12, 5, 0.5, NAN)]))
    assert none.startswith("No group can be ranked") and "Black (n = 11) lies lowest, -0.95" in none
    assert "White" not in none


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.0002, "p < .001"),
        (0.0031, "p = .003"),
        (0.05, "p = .050"),
        (0.9996, "p = 1"),
        (1.0, "p = 1"),
        (NAN, "p not defined"),
    ],
)
def test_p_is_printed_as_papers_do(p, words):
    assert p_in_words(p) == words


def test_an_interval_that_is_not_defined_is_said():
    """A rest with one correct image: too many resamples have no area to compare with."""
    rows = table([0.5] + [NAN] * 24 + [1.0] * 100, ["a"] * 25 + ["b"] * 100)
    bias = robustness_bias(rows, "group")
    assert bias["low"].isna().all()
    assert list(verdicts(bias)) == ["less robust", "more robust"]
    assert "no interval, since too few images are correct" in verdict(
        bias
    ) and "nan" not in verdict(bias)


def table_of(**counts):
    statuses = [status for status, count in counts.items() for _ in range(count)]
    table = pd.DataFrame({"status": statuses, "distance": 0.1})
    return table.assign(is_correct=table["status"] != "misclassified")


def test_every_outcome_that_occurs_is_counted():
    text = statuses_in_words(table_of(found=3, fallback=1, failed=2, misclassified=4), "minimal")
    assert text == (
        "Of 10 images: 4 misclassified without any attack, 2 without a distance, 1 by the "
        "fallback, bisection toward the nearest image of another class."
    )
    assert statuses_in_words(table_of(found=3), "minimal") == "Of 3 images: all have a distance."


def test_radii_at_the_ceiling_are_counted_and_the_ceiling_said():
    table = table_of(certified=3, abstained=1, overruled=1)
    most = ceiling(0.125, 1000, 0.001)
    table.loc[:1, "distance"] = most
    text = statuses_in_words(table, "smoothing")
    assert (
        "3 certified, 2 of them at the ceiling of 0.308 (L2)" in text
        and "1 abstained" in text
        and "overruled" not in text
    )
    assert "1 for which the smoothed classifier predicts another class" in text
    assert abs(most - 0.3079) < 1e-4


def test_a_long_list_counts_what_it_does_not_name():
    assert listed(["a"]) == "a" and listed(["a", "b"]) == "a and b"
    assert listed(list("abcd"), most=4) == "a, b, c and d"
    assert listed(list("abcd"), most=2) == "a, b and 2 more"
    assert listed(list("abc"), most=2, more="more group") == "a, b and 1 more group"
