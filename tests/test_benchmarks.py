"""What all benchmarks share, and what none of them may do."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import results
from benchmarks.results import as_table, page, read, save

FOLDER = Path(results.__file__).parent
SOURCES = sorted(FOLDER.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_benchmark_imports_no_test_and_calls_no_private_name_of_the_library(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.module.split(".")[0] != "tests"
            if node.module.split(".")[0] == "rbcore":
                assert not any(alias.name.startswith("_") for alias in node.names)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_own = isinstance(node.func.value, ast.Name) and node.func.value.id in ("self", "os")
            is_private = node.func.attr.startswith("_") and not node.func.attr.endswith("__")
            assert is_own or not is_private, node.func.attr


def test_results_are_read_as_they_were_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.results.FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["/checkout/benchmarks/toy.py", "--n", "3 4"])
    rows = [{"what": "a|b", "s": np.float32(0.5)}, {"what": "c", "s": math.nan, "n": np.int64(7)}]
    saved = save("toy", {"Speed": iter(rows)}, seeds=(1, 2))
    assert saved == read("toy") and saved.facts == {"seeds": [1, 2]}
    assert saved.command == "python -m benchmarks.toy --n '3 4'"
    assert saved.tables == {"Speed": [{"what": "a|b", "s": 0.5}, {"what": "c", "s": None, "n": 7}]}
    assert page(saved, {"s": ".2f"}).splitlines()[-4:] == [
        "| what | s | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.50 |  |",
        "| c |  | 7 |",
    ]


def test_a_benchmark_that_was_not_run_has_no_report(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.results.FOLDER", tmp_path)
    with pytest.raises(SystemExit, match=r"run `python -m benchmarks\.toy` first"):
        read("toy")
    assert as_table([]) == "None."
