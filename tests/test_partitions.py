import numpy as np
import pandas as pd
import pytest

from rbcore.errors import MeasureError, UnknownNameError
from rbcore.partitions import group_labels, group_order, partition_names

TABLE = pd.DataFrame(
    {
        "sample_id": list("abcdef"),
        "label": 0,
        "distance": 1.0,
        "class": ["0-15", "60+", "15-25", "0-15", "60+", "15-25"],
        "gender": ["m", "f", "f", "m", "f", "m"],
        "race": ["x", "x", "y", "y", "x", "y"],
        "age": [14, 60, 15, 0, 90, 24.5],
    }
)


def test_what_a_table_offers():
    assert partition_names(TABLE) == ["class", "gender", "race"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("class", ["0-15", "60+", "15-25", "0-15", "60+", "15-25"]),
        ("gender", list("mffmfm")),
        ("gender*race", ["m × x", "f × x", "f × y", "m × y", "f × x", "m × y"]),
        ("age:15,60", ["<15", "60+", "15-60", "<15", "60+", "15-60"]),
        ("age:15*gender", ["<15 × m", "15+ × f", "15+ × f", "<15 × m", "15+ × f", "15+ × m"]),
    ],
)
def test_groups_of_each_spelling(by, expected):
    assert list(group_labels(TABLE, by)) == expected


def test_groups_are_shown_in_the_order_of_their_numbers():
    assert group_order(pd.Series(["60+", "b", "5-10", "<5", "10-60", "A"])) == [
        "<5",
        "5-10",
        "10-60",
        "60+",
        "A",
        "b",
    ]
    assert group_order(pd.Series(["0-10", "10+", "-10-0", "<-10"])) == [
        "<-10",
        "-10-0",
        "0-10",
        "10+",
    ]
    assert group_order(pd.Series([str(k) for k in (10, 2, 1)])) == ["1", "2", "10"]


@pytest.mark.parametrize("by", ["nothing", "gender*nothing", "distance", "", "gender*"])
def test_unknown_partitions_are_named(by):
    with pytest.raises(UnknownNameError, match="no partition"):
        group_labels(TABLE, by)


@pytest.mark.parametrize("by", ["age", "age:", "age:x", "age:20,10", "age:10,10", "age:nan"])
def test_numbers_need_rising_cuts(by):
    with pytest.raises(MeasureError, match="cut it at increasing values"):
        group_labels(TABLE, by)


def test_categories_cannot_be_cut():
    with pytest.raises(MeasureError, match="it is not numeric"):
        group_labels(TABLE, "gender:3")


def test_missing_values_are_one_group_beside_groups_and_bins():
    gaps = TABLE.assign(
        race=["x", None, None, "y", "x", "y"], age=[14, np.nan, 15, np.nan, 90, 24.5]
    )
    assert list(group_labels(gaps, "race")) == ["x", "unknown", "unknown", "y", "x", "y"]
    assert list(group_labels(gaps, "age:15,60")) == [
        "<15",
        "unknown",
        "15-60",
        "unknown",
        "60+",
        "15-60",
    ]
    assert list(group_labels(gaps, "race*age:15"))[1] == "unknown × unknown"
    assert list(group_labels(gaps.set_axis([0, 0, 1, 1, 2, 2]), "race")) == list(
        group_labels(gaps, "race")
    )
    assert group_order(group_labels(gaps, "age:15,60")) == ["<15", "15-60", "60+", "unknown"]
    assert group_order(pd.Series(["unknown", "zebra", "A"])) == ["A", "zebra", "unknown"]


def coded(values):
    return pd.DataFrame(
        {"sample_id": [str(k) for k in range(len(values))], "class": "a", "code": values}
    )


def test_few_whole_numbers_are_categories_too():
    """A race coded 0 to 4 is a partition without bins; its codes stay whole although a missing one
    makes the column float.
    """
    table = coded([0, 1, 2, 3, 4, np.nan] * 6)
    assert partition_names(table) == ["class", "code"]
    counts = {**dict.fromkeys("01234", 6), "unknown": 6}
    assert group_labels(table, "code").value_counts().to_dict() == counts
    assert group_labels(table, "code:2").value_counts().to_dict() == {
        "<2": 12,
        "2+": 18,
        "unknown": 6,
    }
    assert group_order(group_labels(coded([10, 9, -1] * 9), "code")) == ["-1", "9", "10"]


@pytest.mark.parametrize(
    "values", [list(range(11)) * 9, [0.5, 1, 2] * 9, [1, 2, 3, 4], [np.nan] * 9, [np.inf, 1] * 9]
)
def test_other_numbers_are_no_categories(values):
    """Many values, fractions, and codes with too few samples each are not offered."""
    assert partition_names(coded(values)) == ["class"]


@pytest.mark.parametrize(
    "column", ["smoothed_prediction", "votes", "network_prediction", "probability", "label"]
)
def test_columns_of_results_are_no_partitions(column):
    table = coded([0, 1] * 20).rename(columns={"code": column})
    assert partition_names(table) == ["class"]
    with pytest.raises(UnknownNameError):
        group_labels(table, column)
