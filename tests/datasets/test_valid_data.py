"""Odd but valid data are accepted with the right values; `python -m benchmarks.robustness` runs the
same cases, each in a process.
"""

import pytest

from benchmarks.robustness.cases import SAME
from benchmarks.robustness.valid_data import valid_data_cases

CASES = valid_data_cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.name!a}" for case in CASES])
def test_what_is_odd_but_valid_is_read_right(case, tmp_path, cache):
    case.make(tmp_path)
    outcome = case.judge(case.act(tmp_path))
    assert outcome.word == SAME, outcome.note


def test_there_are_a_hundred():
    assert len(CASES) >= 100 and len({(case.kind, case.name) for case in CASES}) == len(CASES)
