"""The trial of `benchmarks.robustness`: its worker and its verdicts, and a few
cases of every kind.
"""

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.robustness.cases import (
    DAMAGED,
    FAULTS,
    HOSTILE,
    KILLED,
    REFUSED,
    SAME,
    VALID,
    Case,
    Outcome,
    refusal,
    same_as,
)
from benchmarks.robustness.report import is_fault
from benchmarks.robustness.runner import run_cases

ROOT = Path(__file__).resolve().parent.parent


def tried(tmp_path, act, **more):
    case = Case(HOSTILE, "kind", "name", act, same_as(1), **more)
    (finding,) = run_cases([case], tmp_path, 1, lambda finding: None)
    return finding


def fill_new_memory(n):
    """Take n bytes from the system itself: the tests before may have left as much in the heap,
    which would be used again.
    """
    with mmap.mmap(-1, n, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for start in range(0, n, mmap.PAGESIZE):
            memory[start] = 1
    return 1


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda folder: 1, "same"),
        (lambda folder: 2, "wrong"),
        (lambda folder: 1 / 0, "traceback"),
        (lambda folder: os._exit(3), "traceback"),
        (lambda folder: os.read(os.pipe()[0], 1), "hang"),
        (lambda folder: fill_new_memory(1_500_000_000), "over 1 GB"),
    ],
)
def test_a_worker_says_what_its_case_came_to(tmp_path, act, word):
    finding = tried(tmp_path, act, seconds=2 if word == "hang" else 90)
    assert finding.outcome.word == word, finding.outcome.note
    assert is_fault(finding) == (word != "same")


def test_a_refusal_is_one_line_that_names_its_thing():
    assert refusal("The file a.csv is damaged.", ("a.csv",)).word == REFUSED
    for text, names in (
        ("It is damaged.", ("a.csv",)),
        ("a.csv\nis", ("a.csv",)),
        ("\x1b[31ma.csv", ("a.csv",)),
        ("", ()),
    ):
        assert refusal(text, names).word in FAULTS


def test_a_refusal_of_what_is_valid_is_a_fault(tmp_path):
    finding = tried(tmp_path, lambda folder: 1)
    for family, is_bad in ((VALID, True), (HOSTILE, False), (DAMAGED, False), (KILLED, False)):
        case = Case(family, "kind", "name", finding.case.act, finding.case.judge)
        assert is_fault(type(finding)(case, Outcome(REFUSED), 0.0, 0)) == is_bad
        assert not is_fault(type(finding)(case, Outcome(SAME), 0.0, 0))


@pytest.mark.slow
def test_some_cases_of_every_kind_come_to_nothing_that_must_not_be(tmp_path):
    """It exits with 1 for a wrong number, a traceback, a hang, a gigabyte, or a refusal
    among the valid.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.robustness", "--quick"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    for family in (DAMAGED, HOSTILE, KILLED, VALID):
        assert f"{family}: " in done.stdout
