import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbcore.reports.spreadsheet import csv_text

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?%?", re.ASCII)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\n'=1"),
        (" =1", "' =1"),
        ("a;=1", "a;'=1"),
        ("＝1", "'＝1"),
        ("-0.5", "-0.5"),
        ("+1.36", "+1.36"),
        ("-1e-05", "-1e-05"),
        ("-3%", "-3%"),
        ("25-40", "25-40"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_cell_that_would_run_is_text_and_a_number_stays(cell, written):
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"group": [cell, "x"]})), newline="")))
    assert (
        rows[0] == ["group"]
        and rows[2] == ["x"]
        and (rows[1] == [written] or (not cell and rows[1] in ([], [""])))
    )


def test_numbers_are_written_as_pandas_writes_them_and_headings_cannot_run():
    table = pd.DataFrame(
        {
            "=1+1": [-0.5, float("nan")],
            "n": [-3, 4],
            "ok": [True, False],
            "kind": pd.Categorical(["=x", "y"]),
        }
    )
    assert csv_text(table) == "'=1+1,n,ok,kind\n-0.5,-3,True,'=x\n,4,False,y\n"
    assert csv_text(table[["n"]]) == table[["n"]].to_csv(index=False)
    assert csv_text(pd.DataFrame({"a": [-1 / 3]}), float_format="%.6g") == "a\n-0.333333\n"
    twice = pd.DataFrame([["=1", 2]], columns=["a", "a"])
    assert csv_text(twice) == "a,a\n'=1,2\n"


@given(st.lists(st.text(st.sampled_from("=+-@;,\t\r\n \"'0.5eab%＝")), min_size=1, max_size=4))
def test_no_cell_runs_wherever_a_program_takes_a_cell_to_begin(cells):
    text = csv_text(pd.DataFrame({"a": cells}))
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            for part in [] if NUMBER.fullmatch(cell) else re.split(r"[;\t\r\n]", cell):
                assert not part.lstrip().startswith(("=", "+", "-", "@", "＝"))
