import numpy as np
import pandas as pd
import pytest

import rbcore as rb
from rbcore.analyses import (
    agreement_of,
    bias_of_epoch,
    epoch_pairs,
    sign_consistency,
    verdict_through_training,
)
from rbcore.errors import MeasureError
from tests.measures.test_robustness import PAPER_EXAMPLE


def test_an_epoch_is_measured_as_the_table_of_bias_measures_it():
    stored = rb.stored_distances(rb.list_runs("digits", "small_cnn")[0], "last", "deepfool")
    found, expected = bias_of_epoch(stored.rows, "class"), rb.robustness_bias(stored.rows, "class")
    pd.testing.assert_frame_equal(found, expected[list(found.columns)])


def test_sigma_of_an_epoch_on_paper():
    found = bias_of_epoch(PAPER_EXAMPLE, "group").set_index("group")
    expected = rb.robustness_bias(PAPER_EXAMPLE, "group").set_index("group")
    np.testing.assert_allclose(found["sigma"], expected["sigma"])
    assert not found["is_ranked"].any()


def test_signs_are_counted_at_every_epoch_before_the_last():
    run = rb.list_runs("digits", "small_cnn")[0]
    signs = sign_consistency(run, "deepfool", ["class"]).set_index("epoch")
    assert list(signs.index) == list(range(1, 12))
    sigmas = {
        epoch: np.sign(
            rb.robustness_bias(rb.stored_distances(run, epoch, "deepfool").rows, "class")["sigma"]
        )
        for epoch in (1, 6, 12)
    }
    for epoch in (1, 6):
        assert signs.loc[epoch, "n_same"] == int((sigmas[epoch] == sigmas[12]).sum())
    assert (
        signs.loc[6, "n_same"]
        == agreement_of(epoch_pairs(run, "deepfool", ["class"], "middle")).n_same
    )
    assert epoch_pairs(run, "deepfool", ["class"], 12) is None
    assert sign_consistency(run, "minimal:thorough", ["class"]).empty


def through(*highs):
    """Two groups over some epochs; the first has intervals that end at these values."""
    rows = [
        {
            "epoch": epoch,
            "group": group,
            "n": 50,
            "n_counted": 50,
            "is_ranked": True,
            "sigma": sigma,
            "low": sigma - 0.2,
            "high": high,
        }
        for epoch, end in enumerate(highs, 1)
        for group, sigma, high in (("a", end - 0.1, end), ("b", 0.3, 0.5))
    ]
    return pd.DataFrame(rows)


def test_the_sentence_says_since_when_a_group_is_below_zero():
    said = verdict_through_training(through(-0.1, 0.2, -0.3, -0.2))
    assert said.startswith("a is least robust at epoch 4: sigma -0.30 [-0.50, -0.20], n = 50")
    assert said.endswith("below 0 at 3 of 4 epochs, and at all of them from 3 on.")
    assert verdict_through_training(through(-0.1, -0.2)).endswith(
        "at 2 of 2 epochs, and at all of them from 1 on."
    )
    assert verdict_through_training(through(-0.1, 0.2)).endswith(
        "at 1 of 2 epochs, and not at this one."
    )


def test_a_group_with_too_few_images_that_lies_lower_is_named():
    few = pd.DataFrame(
        [
            {
                "epoch": 1,
                "group": "7",
                "n": 4,
                "n_counted": 4,
                "is_ranked": False,
                "sigma": -0.9,
                "low": -1,
                "high": 0,
            }
        ]
    )
    said = verdict_through_training(pd.concat([through(-0.1), few]), kind="digit")
    assert said.startswith("a is least robust") and said.endswith(
        " With too few images to rank, digit 7 (n = 4, -0.90) lies no higher."
    )


def test_the_sentence_where_nothing_can_be_said():
    assert "enough images" in verdict_through_training(through(-0.1).assign(is_ranked=False))
    assert "(interval not defined)" in verdict_through_training(through(-0.1).assign(low=np.nan))
    with pytest.raises(MeasureError, match="No epoch"):
        verdict_through_training(through(-0.1).iloc[:0])
