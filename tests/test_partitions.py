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
    assert group_order(pd.Series(["60+", "b", "5-10", "<5", "10-60", "A"])) == ["<5", "5-10", "10-60", "60+", "A", "b"]
    assert group_order(pd.Series(["0-10", "10+", "-10-0", "<-10"])) == ["<-10", "-10-0", "0-10", "10+"]
    assert group_order(pd.Series([str(k) for k in (10, 2, 1)])) == ["1", "2", "10"]


@pytest.mark.parametrize("by", ["nothing", "gender*nothing", "distance", "", "gender*"])
def test_unknown_partitions_are_named(by):
    with pytest.raises(UnknownNameError, match="no partition"):
        group_labels(TABLE, by)


@pytest.mark.parametrize("by", ["age", "age:", "age:x", "age:20,10", "age:10,10", "age:nan"])
def test_numbers_need_rising_cuts(by):
    with pytest.raises(MeasureError, match="cut it at rising values"):
        group_labels(TABLE, by)


def test_categories_cannot_be_cut_and_gaps_are_counted():
    with pytest.raises(MeasureError, match="it is no number"):
        group_labels(TABLE, "gender:3")
    with pytest.raises(MeasureError, match="2 of 6 rows have no value of 'race'"):
        group_labels(TABLE.assign(race=["x", None, None, "y", "x", "y"]), "race")
