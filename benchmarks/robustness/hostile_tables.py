"""Tables of a stranger's given to `robustness_bias`: odd types, odd spellings, missing values.

The right numbers are worked out here.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rbcore as rb
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome, must_refuse
from benchmarks.robustness.world import World
from rbcore.measures import Policy

KIND = "tables given to robustness_bias"
N = 60
Found = dict[str, tuple[int, float]]
"""For each group its n and sigma."""
POLICIES = [
    {"misclassified": misclassified, "rest": rest, "tau_max": tau_max}
    for misclassified, rest, tau_max in product(
        ("zero", "exclude"), ("pooled", "mean", "sum"), (None, 0.9)
    )
]
EVERY = 3
"""Each change is tried under every third policy, another third for the next change."""


@dataclass(frozen=True)
class Change:
    """A change of the table: name, how it is made, and the clean table it must equal, if any."""

    name: str
    make: Callable[[pd.DataFrame], pd.DataFrame]
    means: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    by: str = "group"


def clean(n: int = N) -> pd.DataFrame:
    """Return a table with three groups, some misclassified samples and no failed ones."""
    random = np.random.default_rng(5)
    label = random.integers(0, 2, n)
    correct = random.random(n) < 0.8
    return pd.DataFrame(
        {
            "sample_id": [f"s{number}" for number in range(n)],
            "label": label,
            "prediction": np.where(correct, label, 1 - label),
            "is_correct": correct,
            "distance": np.where(correct, random.gamma(2.0, 0.4, n), np.nan),
            "bound": "upper",
            "status": np.where(correct, "found", "misclassified"),
            "perturbed_prediction": np.where(correct, 1 - label, -1),
            "class": np.where(label == 0, "cat", "dog"),
            "group": np.array(["A", "B", "C"])[np.arange(n) % 3],
            "age": np.arange(n) % 40 + 20,
        }
    )


def right(table: pd.DataFrame, policy: dict[str, Any], by: str = "group") -> Found:
    """Return n and sigma of every group, by a loop over the rows of a clean table."""
    values: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for row in table.to_dict("records"):
        group = str(row[by])
        sizes[group] = sizes.get(group, 0) + 1
        kept = values.setdefault(group, [])
        if row["status"] != "failed" and (row["is_correct"] or policy["misclassified"] == "zero"):
            distance = float(row["distance"]) if row["is_correct"] else 0.0
            kept.append(distance if policy["tau_max"] is None else min(distance, policy["tau_max"]))
    areas = {group: sum(kept) / len(kept) for group, kept in values.items()}
    found = {}
    for group in areas:
        others = [other for other in areas if other != group]
        if policy["rest"] == "pooled":
            rest = sum(sum(values[other]) for other in others) / sum(
                len(values[other]) for other in others
            )
        else:
            rest = sum(areas[other] for other in others) / (
                len(others) if policy["rest"] == "mean" else 1
            )
        found[group] = (sizes[group], (areas[group] - rest) / rest if rest > 0 else math.nan)
    return found


def table_input_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield every change of the table under a third of the policies."""
    for number, change in enumerate(changes()):
        for policy in POLICIES[(number + seed) % EVERY :: EVERY]:
            yield _case(change, policy)


def _case(change: Change, policy: dict[str, Any]) -> Case:
    def act(folder: Path) -> Found:
        bias = rb.robustness_bias(
            change.make(clean()),
            change.by,
            policy=Policy(**policy),
            n_resamples=40,
            n_permutations=40,
        )
        rb.verdict(bias)
        return {
            str(row["group"]): (int(row["n"]), float(row["sigma"]))
            for row in bias.to_dict("records")
        }

    def judge(found: Found) -> Outcome:
        if change.means is None:
            return must_refuse(found)
        expected = right(change.means(clean()), policy, change.by.partition(":")[0])
        return compare(found, expected)

    return Case(HOSTILE, KIND, f"{change.name}, {policy}", act, judge)


def compare(found: Found, expected: Found) -> Outcome:
    """Judge groups with their n and sigma."""
    close = set(found) == set(expected) and all(
        found[name][0] == n
        and np.isclose(found[name][1], sigma, rtol=1e-9, atol=1e-9, equal_nan=True)
        for name, (n, sigma) in expected.items()
    )
    return (
        Outcome(SAME)
        if close
        else Outcome(WRONG, f"{str(found)[:250]} instead of {str(expected)[:250]}")
    )


def _set(column: str, value: Any, rows: Any = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change that puts a value into rows of a column, whatever its type."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        new = table.copy()
        new[column] = new[column].astype(object)
        for row in [rows] if isinstance(rows, int) else rows:
            new.at[row, column] = value
        return new

    return change


def _map(column: str, function: Callable[[Any], Any]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = pd.Series(
            [function(value) for value in table[column]], index=table.index, dtype=object
        )
        return table.assign(**{column: values})

    return change


def _first(table: pd.DataFrame, is_correct: bool) -> int:
    return int(np.flatnonzero(table["is_correct"].to_numpy() == is_correct)[0])


def _same(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _failed(table: pd.DataFrame) -> pd.DataFrame:
    row = _first(table, True)
    return table.assign(status=table["status"].where(table.index != row, "failed"))


def changes() -> Iterator[Change]:
    """Yield every change."""
    correct, wrong = _first(clean(), True), _first(clean(), False)
    texts: dict[str, Callable[[Any], Any]] = {
        "text": str,
        "lower case": lambda value: str(value).lower(),
        "numbers": int,
        "floats": float,
        "text of numbers": lambda value: str(int(value)),
        "yes and no": lambda value: "yes" if value else "no",
        "numpy objects": np.bool_,
        "t and f": lambda value: "t" if value else "f",
        "text with spaces": lambda value: f" {value} ",
    }
    for name, function in texts.items():
        yield Change(f"is_correct as {name}", _map("is_correct", function), _same)

        def zeros(table: pd.DataFrame, function: Callable[[Any], Any] = function) -> pd.DataFrame:
            return _map("is_correct", function)(
                table.assign(distance=table["distance"].fillna(0.0))
            )

        yield Change(f"is_correct as {name}, distance 0 where wrong", zeros, _same)
    yield Change(
        "is_correct nullable", lambda table: table.astype({"is_correct": "boolean"}), _same
    )
    yield Change(
        "is_correct a category", lambda table: table.astype({"is_correct": "category"}), _same
    )
    for value in (None, np.nan, 2, -1, "", "maybe", "None", [], pd.NA, 0.5):
        yield Change(f"is_correct is {value!r} once", _set("is_correct", value, wrong))
    for value in (
        "Found",
        "FOUND",
        " found",
        "found ",
        "fouńd",
        "",
        None,
        np.nan,
        3,
        "fallbak",
        "ok",
        b"found",
        pd.NA,
    ):
        yield Change(f"status is {value!r} once", _set("status", value, correct), _same)
    for value in ("Failed", "FAILED", " failed", "fail", "failed.", "échec"):
        yield Change(
            f"status of a failed sample is {value!r}", _set("status", value, correct), _failed
        )

        def missing(table: pd.DataFrame, value: str = value) -> pd.DataFrame:
            return _set("distance", np.nan, correct)(_set("status", value, correct)(table))

        yield Change(f"status of a failed sample without distance is {value!r}", missing, _failed)
    yield Change("status a category", lambda table: table.astype({"status": "category"}), _same)
    yield Change("status misclassified but correct", _set("status", "misclassified", correct))
    yield Change(
        "status found but misclassified, no distance", _set("status", "found", wrong), _same
    )
    for value in (
        -1.0,
        -1e-30,
        np.inf,
        -np.inf,
        np.nan,
        None,
        "far",
        "",
        "1,5",
        [],
        1j,
        "nan",
        pd.NaT,
        pd.NA,
    ):
        yield Change(f"distance is {value!r} once", _set("distance", value, correct))
    yield Change("distance as text", _map("distance", str), _same)
    yield Change("distance as objects", lambda table: table.astype({"distance": object}), _same)
    yield Change("distance nullable", lambda table: table.astype({"distance": "Float64"}), _same)
    yield Change(
        "distance missing as None",
        _map("distance", lambda value: None if value != value else value),
        _same,
    )
    for value in (1e308, 1.7e308, 1e-320):
        extreme = _set("distance", value, [correct])
        yield Change(
            f"distance {value} once", extreme, lambda table, extreme=extreme: extreme(table)
        )
    for column in ("is_correct", "distance", "status", "group"):
        yield Change(f"no column {column}", lambda table, column=column: table.drop(columns=column))
        yield Change(
            f"column {column} twice",
            lambda table, column=column: pd.concat([table, table[[column]]], axis=1),
            _same,
        )
        yield Change(f"column {column} all missing", _map(column, lambda value: None))
    for column in (
        "sample_id",
        "label",
        "prediction",
        "bound",
        "perturbed_prediction",
        "class",
        "age",
    ):
        yield Change(
            f"no column {column}", lambda table, column=column: table.drop(columns=column), _same
        )
    yield Change("no rows", lambda table: table.iloc[:0])
    yield Change("one row", lambda table: table.iloc[:1])
    yield Change("one group", lambda table: table.assign(group="A"))
    yield Change("a group without a correct sample", _no_correct, _no_correct)
    yield Change("no correct sample at all", _all_wrong, _all_wrong)
    for name, index in {
        "repeated": [0] * N,
        "of text": list("ab" * (N // 2)),
        "reversed": list(range(N))[::-1],
    }.items():
        yield Change(f"index {name}", lambda table, index=index: table.set_axis(index), _same)
    yield Change(
        "index of two levels", lambda table: table.set_index([table["group"], table["age"]]), _same
    )
    yield Change("rows shuffled", lambda table: table.sample(frac=1, random_state=1), _same)
    yield from _groups()


def _no_correct(table: pd.DataFrame) -> pd.DataFrame:
    of = table["group"] == "A"
    return table.assign(
        is_correct=table["is_correct"] & ~of, status=table["status"].where(~of, "misclassified")
    )


def _all_wrong(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(is_correct=False, status="misclassified")


def _groups() -> Iterator[Change]:
    """Yield changes of the column that is grouped by."""
    renamed: dict[str, Callable[[Any], Any]] = {
        "an emoji": lambda value: "\N{COLLISION SYMBOL}" + value,
        "markup": lambda value: f"<script>{value}</script>",
        "a formula": lambda value: f"=cmd({value})",
        "a right-to-left override": lambda value: f"\u202e{value}",
        "a line break": lambda value: f"{value}\nx",
        "a NUL": lambda value: f"{value}\x00",
        "5,000 letters": lambda value: value * 5000,
        "a lone surrogate": lambda value: value + "\udcff",
        "a times sign": lambda value: f"{value} × {value}",  # noqa: RUF001
        "text that looks like a number": lambda value: str(ord(value)),
        "text that looks like a bin": lambda value: f"{ord(value)}-{ord(value) + 1}",
    }
    for name, function in renamed.items():
        yield Change(f"groups named with {name}", _map("group", function), _map("group", function))
    yield Change("groups a category with unused levels", _as_category, _same)
    yield Change(
        "groups of truth values",
        _map("group", lambda value: value == "A"),
        _map("group", lambda v: v == "A"),
    )
    for value in (None, np.nan, pd.NA, pd.NaT):
        yield Change(f"a group is {value!r} once", _set("group", value), _set("group", "unknown"))
    for value in ([], {}, {"a": 1}):
        yield Change(f"a group is {value!r} once", _set("group", value), _set("group", str(value)))
    yield Change("groups are numbers and no bins are named", _map("group", ord), _map("group", ord))
    for spelled in (
        "",
        "*",
        "group*",
        "group*group:1",
        "group:1",
        "age:",
        "age:x",
        "age:9,1",
        "age:1,1",
        "age:nan",
    ):
        yield Change(f"by={spelled!r}", _same, by=spelled)
    for spelled in (
        "distance",
        "status",
        "is_correct",
        "sample_id",
        "nosuch",
        "Group",
        "age:30:40",
        "age:1e400",
        "x" * 9000,
    ):
        yield Change(f"by={spelled[:20]!r}", _same, by=spelled)


def _as_category(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(group=pd.Categorical(table["group"], ["C", "Z", "A", "B"]))
