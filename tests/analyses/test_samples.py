import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rbcore.analyses import (
    agreement_by_partition,
    certificates_and_attacks,
    compare_distances,
    farthest_apart,
    paired_distances,
    paired_sigmas,
)
from rbcore.errors import MeasureError


def rows(ids, distance, group="x", status="found"):
    rows = pd.DataFrame(
        {"sample_id": list(ids), "distance": distance, "status": status, "group": group}
    )
    is_failed = rows["distance"].isna() & (rows["status"] == "found")
    return rows.assign(
        is_correct=rows["status"] != "misclassified",
        status=rows["status"].where(~is_failed, "failed"),
    )


def test_distances_are_paired_by_sample_and_ordered_by_group():
    first = rows("abcd", [1.0, 2.0, np.nan, 4.0], ["10", "9", "9", "10"])
    pairs = paired_distances(first, rows("dcba", [2.0, 3.0, 1.0, 3.0]), "group")
    assert list(pairs["sample_id"]) == [
        "b",
        "a",
        "d",
    ]  # c has no distance in the first; 9 comes before 10
    np.testing.assert_allclose(pairs["ratio"], [0.5, 3.0, 0.5])


def test_a_comparison_on_paper():
    first = rows("abcdef", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    pairs = paired_distances(first, rows("abcdef", [0.5, 2.0, 1.5, 8.0, 5.00001, 3.0]), "group")
    found = compare_distances(pairs)
    assert (found.n, found.n_lower, found.n_equal, found.lower) == (6, 3, 2, 0.5)
    assert found.ratio == pytest.approx((0.5 + 1) / 2)  # ratios .5 .5 .5 1 1 2
    assert (found.ratio_low, found.ratio_high) == (
        0.5,
        2.0,
    )  # of 6, the first and the last: 1 - 2 / 64 = 97%
    exact = stats.binomtest(3, 6).proportion_ci(0.95, "exact")
    np.testing.assert_allclose([found.lower_low, found.lower_high], [exact.low, exact.high])
    # ranks 1 3 2 6 5 4 against 1..6: squared differences 0 1 1 4 0 4, so 1 - 6 * 10 / (6 * 35)
    assert found.rank_correlation == pytest.approx(1 - 60 / 210)
    assert -1 < found.rank_low < found.rank_correlation < found.rank_high < 1


def test_what_cannot_be_compared_is_said():
    with pytest.raises(MeasureError, match="both methods"):
        compare_distances(paired_distances(rows("a", [0.0]), rows("a", [0.0]), "group"))  # 0 / 0
    few = compare_distances(
        paired_distances(rows("ab", [1.0, 2.0]), rows("ab", [1.0, 4.0]), "group")
    )
    assert np.isnan([few.ratio_low, few.rank_correlation, few.rank_low]).all() and few.ratio == 1.5


def test_the_images_that_differ_most_come_first_whichever_is_lower():
    pairs = paired_distances(
        rows("abcd", [1.0, 1.0, 1.0, 1.0]), rows("abcd", [1.1, 0.25, 3.0, 4.0]), "group"
    )
    assert list(farthest_apart(pairs, 3)["sample_id"]) == ["b", "d", "c"]


def test_signs_by_partition_and_over_all():
    table = pd.DataFrame(
        {
            "sample_id": list("abcd"),
            "distance": [1.0, 2.0, 3.0, 4.0],
            "status": "found",
            "is_correct": True,
            "label": 0,
            "two": list("xxyy"),
            "four": list("pqrs"),
            "one": "z",
        }
    )
    other = table.assign(
        distance=[1.0, 4.0, 3.0, 2.0]
    )  # by two: 1.5 against 3.5, then 2.5 against 2.5
    found = agreement_by_partition(table, other, ["two", "four", "one"]).set_index("partition")
    assert list(found.index) == ["two", "four", "all"]
    pairs = paired_sigmas(table, other, ["four"])
    same = int((np.sign(pairs["sigma_first"]) == np.sign(pairs["sigma_second"])).sum())
    assert list(found["n"]) == [1, 4, 5] and list(found["n_same"]) == [0, same, same]


def test_a_certificate_of_g_stands_beside_attacks_on_f_and_on_g():
    certificates = rows(
        "abcd",
        [0.3, 0.0, 0.1, np.nan],
        status=["certified", "abstained", "certified", "misclassified"],
    )
    attack = rows("abcd", [0.2, 0.5, np.nan, 0.1])
    alone = certificates_and_attacks(certificates, attack)
    assert list(alone["sample_id"]) == ["a", "b"] and alone["upper_g"].isna().all()
    assert list(alone["radius"]) == [0.3, 0.0] and list(alone["upper_f"]) == [0.2, 0.5]
    smoothed = rows("ab", [0.4, 0.0], status=["found", "overruled"])
    assert certificates_and_attacks(certificates, attack, smoothed)["upper_g"].tolist()[0] == 0.4
    assert certificates_and_attacks(certificates, attack, smoothed)["upper_g"].isna().tolist() == [
        False,
        True,
    ]
