import numpy as np
import pandas as pd
import pytest

from rbcore.inference import FEWEST, least_robust, p_in_words, robustness_bias, verdict, verdict_phrases, verdicts
from rbcore.measures import Policy
from tests.inference.samples import many_groups, two_groups
from tests.test_measures import NAN, PAPER_EXAMPLE, table


def test_verdict_names_the_group_the_size_the_interval_and_the_p():
    n = 200
    rows = table(np.r_[np.full(n, 1.0), np.full(n, 2.0)], ["near"] * n + ["far"] * n)
    text = verdict(robustness_bias(rows, "group"))
    assert text.startswith("near is the least robust group") and "50% smaller" in text and "n = 200" in text
    assert "[-0.50, -0.50], p < .001 after Holm" in text and "optimistic" not in text


def test_verdict_does_not_claim_what_the_test_does_not_show():
    text = verdict(robustness_bias(two_groups(FEWEST), "group"))
    assert text.startswith("No group is shown to be less robust") and f"n = {FEWEST}" in text
    assert "optimistic with fewer than 30 correct images" in text


def test_groups_too_small_are_not_ranked_and_say_their_n():
    rows = pd.concat([two_groups(FEWEST), table([1e-6] * 6 + [NAN], ["tiny"] * 7)], ignore_index=True)
    bias = robustness_bias(rows, "group")
    assert "tiny" not in verdict(bias)
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
    bias = robustness_bias(pd.concat([rows, few], ignore_index=True), "group")
    bias.loc[bias["group"] == "few", "p_holm"] = 0.2
    text = verdict(bias)
    assert text.startswith("g0 is the least robust group") and text.endswith(
        "few is lower still, but no difference is shown for it."
    )


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
    assert "no interval, since too few images are correct" in verdict(bias) and "nan" not in verdict(bias)
