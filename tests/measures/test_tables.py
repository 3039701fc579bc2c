import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rbcore as rb
from rbcore import analyses, inference
from rbcore.errors import MeasureError
from rbcore.measures.tables import checked
from tests.measures.test_robustness import NAN, PAPER_EXAMPLE, table

EXPECTED = rb.robustness_bias(PAPER_EXAMPLE, "group", n_permutations=99, n_resamples=99)
TRUTHS = PAPER_EXAMPLE["is_correct"]


def measured(**columns) -> pd.DataFrame:
    rows = PAPER_EXAMPLE.assign(**columns)
    return rb.robustness_bias(rows, "group", n_permutations=99, n_resamples=99)


@pytest.mark.parametrize(
    "columns",
    [
        {"is_correct": TRUTHS.map({True: "True", False: "False"})},  # "False" counted as correct
        {"is_correct": TRUTHS.map({True: " TRUE", False: "false"})},
        {"is_correct": TRUTHS.astype(int)},
        {"is_correct": TRUTHS.astype(float)},
        {"is_correct": TRUTHS.map({True: "1", False: "0"})},
        {"is_correct": TRUTHS.astype(object)},
        {"is_correct": TRUTHS.astype("boolean")},
        {"is_correct": TRUTHS.astype("category")},
        {"distance": PAPER_EXAMPLE["distance"].astype(str)},
        {
            "distance": PAPER_EXAMPLE["distance"].map(
                lambda value: "" if np.isnan(value) else f" {value} "
            )
        },
        {"distance": PAPER_EXAMPLE["distance"].astype("float32")},
        {"distance": PAPER_EXAMPLE["distance"].astype("Float64")},
        {"distance": PAPER_EXAMPLE["distance"].astype(object).where(TRUTHS, None)},
        {"status": PAPER_EXAMPLE["status"].str.upper()},
        {"status": PAPER_EXAMPLE["status"] + " "},
        {"status": PAPER_EXAMPLE["status"].astype("category")},
        {"bound": "Upper"},
    ],
    ids=lambda columns: f"{next(iter(columns))} {next(iter(columns.values()))[0]!r}",
)
def test_what_is_unambiguous_gives_the_same_numbers(columns):
    pd.testing.assert_frame_equal(measured(**columns), EXPECTED)


def test_a_status_in_capitals_counts_as_what_it_says():
    """A failed sample of distance 0 counted as found."""
    rows = table(
        [1.0, 3.0, 0.0, 2.0, 2.0],
        list("aaabb"),
        status=["found", "found", "FAILED ", "found", "found"],
    )
    bias = rb.robustness_bias(rows, "group", n_permutations=99, n_resamples=99)
    assert list(bias["n_failed"]) == [1, 0] and list(bias["auc"]) == [2.0, 2.0]


def text(column, **values):
    """The column as text, with some rows' values replaced."""
    changed = PAPER_EXAMPLE[column].astype(object)
    for row, value in values.items():
        changed[int(row[1:])] = value
    return {column: changed}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            text("is_correct", r1="yes"),
            r"'is_correct' holds 'yes' \(sample s1, row 2\), which is neither true nor false",
        ),
        (
            text("is_correct", r1=None, r3=2),
            r"'is_correct' holds None \(sample s1, row 2\) \(and 1 more\)",
        ),
        (text("is_correct", r0=0.5), "'is_correct' holds 0.5"),
        (text("distance", r3="2,0"), "'distance' holds '2,0' .* no number; write it as 0.5"),
        (text("distance", r3="far"), "'distance' holds 'far'"),
        ({"distance": [True] * 6}, "'distance' holds True .* a truth value and no number"),
        (text("distance", r3=-1.0), "'distance' holds -1.0 .* negative; a distance is 0 or more"),
        (text("distance", r3=np.inf), "'distance' holds inf .* infinite"),
        (text("distance", r3=NAN), "'distance' holds nan .* missing without the status 'failed'"),
        (text("status", r0="error"), "'status' holds 'error' .* none of found, fallback, failed"),
        (text("status", r0=None), "'status' holds None"),
        (
            text("status", r0="misclassified"),
            "'status' holds 'misclassified' .* whose is_correct is True",
        ),
        ({"bound": ["upper"] * 3 + ["lower"] * 3}, "joins upper bounds with lower ones"),
        ({"bound": "above"}, "'bound' holds 'above' .* none of upper, lower, exact"),
        (text("sample_id", r5="s0"), r"'sample_id' holds 's0' \(row 6\), which is there twice"),
        (text("sample_id", r5=None), "'sample_id' holds None .* no name of a sample"),
    ],
)
def test_what_cannot_be_read_is_refused_with_column_value_and_remedy(columns, says):
    with pytest.raises(MeasureError, match=says):
        measured(**columns)


@pytest.mark.parametrize("column", ["is_correct", "distance", "status"])
def test_a_missing_column_is_named(column):
    lacking = PAPER_EXAMPLE.drop(columns=column)
    for measure in (
        lambda: rb.robustness_bias(lacking, "group"),
        lambda: inference.curves(lacking, "group", taus=np.array([0.5])),
        lambda: inference.overlap(lacking, "group", "class"),
        lambda: inference.standardized_bias(lacking, "group", "class"),
        lambda: inference.compare_bias(PAPER_EXAMPLE, lacking, "group"),
        lambda: inference.decompose_bias(lacking, "group"),
        lambda: analyses.fooled_at(lacking, "group", budget=0.1),
        lambda: analyses.median_distance(lacking),
        lambda: analyses.paired_distances(lacking, PAPER_EXAMPLE, "group"),
        lambda: analyses.paired_sigmas(PAPER_EXAMPLE, lacking, ["group"]),
        lambda: analyses.choose_images(lacking, "group"),
        lambda: rb.charts.robustness_curves(lacking, "group"),
        lambda: rb.statuses_in_words(lacking, "deepfool"),
    ):
        with pytest.raises(MeasureError, match=f"no column '{column}'. Add it: for each sample"):
            measure()


def test_what_is_no_table_is_named():
    with pytest.raises(MeasureError, match="not list"):
        rb.robustness_bias([1, 2], "group")
    twice = pd.concat([PAPER_EXAMPLE, PAPER_EXAMPLE[["distance"]]], axis=1)
    with pytest.raises(MeasureError, match="two columns 'distance'"):
        rb.robustness_bias(twice, "group")
    with pytest.raises(MeasureError, match="no column 'label'"):
        inference.compare_bias(PAPER_EXAMPLE.drop(columns="label"), PAPER_EXAMPLE, "group")


def test_a_table_of_ours_comes_back_as_it_is():
    assert checked(PAPER_EXAMPLE) is PAPER_EXAMPLE


@given(
    st.lists(
        st.sampled_from(["True", "False", "true", " FALSE ", 1, 0, 1.0, 0.0, True, False]),
        min_size=1,
    )
)
def test_every_mix_of_spellings_is_read_as_it_says(values):
    says = [str(value).strip().lower() in ("true", "1", "1.0") for value in values]
    rows = pd.DataFrame({"is_correct": values, "distance": 1.0, "status": "found"}, dtype=object)
    assert checked(rows)["is_correct"].tolist() == says


@pytest.mark.parametrize("kind", [complex, np.complex64, object], ids=str)
def test_a_complex_distance_is_refused_whatever_its_column(kind):
    distance = PAPER_EXAMPLE["distance"].astype(kind)
    distance.iloc[2] = 1j
    with pytest.raises(MeasureError, match="'distance' holds .*j.* no number"):
        measured(distance=distance)


def test_a_group_that_cannot_be_written_is_named():
    with pytest.raises(
        MeasureError, match="'group' holds .*not text that can be written. Rename that group"
    ):
        measured(group=pd.Series(["a", "\udcff"] * (len(PAPER_EXAMPLE) // 2), dtype=object))
