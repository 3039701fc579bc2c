import numpy as np
import pandas as pd
import pytest

from rbcore.analyses import (
    choose_images,
    fooled_at,
    median_images,
    order_images,
    taken_for,
    verdict_at_budget,
)
from rbcore.errors import MeasureError

ROWS = pd.DataFrame(
    {
        "sample_id": ["e", "d", "c", "b", "a"],
        "label": [0, 1, 0, 1, 0],
        "prediction": [0, 1, 0, 1, 1],
        "is_correct": [True, True, True, True, False],
        "perturbed_prediction": [1, 0, 1, 0, -1],
        "distance": [0.4, 0.3, 0.2, 0.2, np.nan],
        "status": ["found", "found", "fallback", "found", "misclassified"],
        "class": ["cat", "dog", "cat", "dog", "cat"],
        "side": ["l", "l", "r", "r", "r"],
    }
)


def chosen(**conditions):
    return "".join(choose_images(ROWS, "side", **conditions)["sample_id"])


def test_images_are_chosen_by_every_condition():
    assert chosen() == "edcb"  # those with a distance
    assert chosen(group="r") == "cb"
    assert chosen(low=0.2, high=0.3) == "dcb"
    assert chosen(true_class="dog", high=0.25) == "b"
    assert chosen(ends_as=1) == "ec"
    assert (
        chosen(status="misclassified") == "a" and chosen(status="misclassified", ends_as=1) == "a"
    )
    assert chosen(status="misclassified", low=0.1) == ""
    assert list(taken_for(ROWS)) == [1, 0, 1, 0, 1]
    with pytest.raises(MeasureError, match="low=2 is above high=1"):
        chosen(low=2, high=1)


def test_images_are_ordered_with_ties_by_id():
    known = ROWS.iloc[:4]
    sure = pd.Series({"b": 0.9, "c": 0.5, "d": 0.9, "e": 0.1})

    def ordered(order):
        return "".join(order_images(known, order, sure)["sample_id"])

    assert ordered("least robust first") == "bcde"
    assert ordered("most robust first") == "edbc"
    assert ordered("by sample id") == "bcde"
    assert ordered("least confident first") == "ecbd"
    assert ordered("most confident first") == "bdce"
    assert list(order_images(known, "most robust first").columns) == list(ROWS.columns)
    with pytest.raises(MeasureError, match="is not an order of images"):
        order_images(known, "least confident first")


def test_the_middle_image_of_a_group_has_half_of_it_no_farther():
    middle = median_images(ROWS, "side").set_index("group")
    assert middle.loc["l", "sample_id"] == "d" and middle.loc["r", "sample_id"] == "b"
    assert list(middle["n"]) == [2, 2] and list(middle["distance"]) == [0.3, 0.2]
    assert median_images(ROWS.iloc[4:], "side").empty


def test_the_sentence_at_a_budget_names_both_ends():
    said = verdict_at_budget(fooled_at(ROWS, "side", budget=0.25))
    # r: both of two correct images; l: none of two. Clopper-Pearson: 0.025 ** (1 / 2) = .158
    assert said == (
        "Within 0.25 at least 100% [16%, 100%] of the 2 correct images of r are fooled, "
        "and 0% [0%, 84%] of the 2 correct images of l."
    )
    assert verdict_at_budget(fooled_at(ROWS.iloc[:2], "side", budget=0.3)).endswith(
        "correct images of l are fooled."
    )
    assert "none can be fooled" in verdict_at_budget(fooled_at(ROWS.iloc[4:], "side", budget=0.3))
