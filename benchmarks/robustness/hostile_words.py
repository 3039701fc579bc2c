"""Invalid text: command-line values, and names of methods, partitions, epochs and runs."""

import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rbcore as rb
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome, must_refuse
from benchmarks.robustness.commands import command
from benchmarks.robustness.hostile_tables import clean
from benchmarks.robustness.world import World
from rbcore.distances import METHODS, resolve_method
from rbcore.measures import Policy
from rbcore.runs.checkpoints import find_run

COMMANDS, SPELLINGS = "command-line values", "spellings of methods, partitions, epochs and policies"
METHOD_SPELLINGS, PARTITION_SPELLINGS = 150, 120
VALUES = (
    *(
        "",
        " ",
        "-1",
        "0",
        "nan",
        "inf",
        "-inf",
        "1e309",
        "9" * 400,
        "0x10",
        "1_0",
        "½",
        "٣",
        "1,5",
        "--help",
        "-",
    ),
    *(
        "a" * 5000,
        "../..",
        "/dev/null",
        "/dev/zero",
        "\udcff",
        "\N{COLLISION SYMBOL}",
        "%s%n",
        "$(id)",
        "'; DROP TABLE",
        "a\nb",
    ),
    *(
        "\x1b[31m",
        "None",
        "null",
        "[]",
        "{}",
        "=cmd",
        "\u202eabc",
        "e\u0301",
        "true",
        "1 2",
        "*",
        "?",
        ":",
        "=",
        "a=b",
    ),
)
TRAIN = ("train", "digits", "logistic_regression", "--epochs", "1", "--device", "cpu")
ESTIMATE = (
    "estimate",
    "digits",
    "logistic_regression",
    "exact",
    "--run",
    "plane",
    "--limit",
    "12",
    "--device",
    "cpu",
)
BIAS = ("bias", "digits", "logistic_regression", "exact", "--run", "plane", "--by", "class")
GRID = (
    "grid",
    "digits",
    "logistic_regression",
    "--regularize",
    "class=1",
    "--epochs",
    "1",
    "--device",
    "cpu",
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,95}")
Fits = Callable[[str], bool]


def _whole(low: int, high: float = math.inf) -> Fits:
    def fits(text: str) -> bool:
        try:
            return low <= int(text) <= high
        except ValueError:
            return False

    return fits


def _number(low: float, high: float = math.inf, *, also_low: bool = False) -> Fits:
    def fits(text: str) -> bool:
        try:
            value = float(text)
        except ValueError:
            return False
        return (low <= value if also_low else low < value) and value < high

    return fits


def _list_of(fits: Fits) -> Fits:
    return lambda text: all(fits(part) for part in text.split(","))


def _words(*words: str) -> Fits:
    return lambda text: text in words


def _nothing(text: str) -> bool:
    return False


def _name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


OF_EACH = 20
"""Values that are tried with an option."""
OPTIONS: tuple[tuple[tuple[str, ...], str, Fits], ...] = (
    (("train", "digits", "logistic_regression", "--device", "cpu"), "--epochs", _whole(1)),
    (TRAIN, "--size", _nothing),
    (TRAIN, "--seed", _whole(0)),
    (TRAIN, "--validation", _number(0, 1, also_low=True)),
    (TRAIN, "--run", _name),
    (TRAIN, "--keep", _whole(1)),
    (TRAIN, "--recipe", _nothing),
    (TRAIN[:-2], "--device", _nothing),
    (TRAIN, "--weights", _nothing),
    (TRAIN, "--builder", _nothing),
    (TRAIN, "--regularize", _nothing),
    ((*TRAIN, "--regularize", "class=1"), "--alpha", _number(0, also_low=True)),
    ((*TRAIN, "--regularize", "class=1"), "--tau", _number(0, also_low=True)),
    ((*TRAIN, "--regularize", "class=1"), "--temperature", _number(0)),
    ((*TRAIN, "--regularize", "class=1"), "--form", _nothing),
    ((*TRAIN, "--regularize", "class"), "--over", _nothing),
    ((*TRAIN, "--regularize", "class=1"), "--clip", _number(0, also_low=True)),
    (TRAIN, "--adversarial", _number(0)),
    ((*TRAIN, "--adversarial", "0.1"), "--pgd-steps", _whole(1)),
    (TRAIN, "--reweight", _nothing),
    ((*TRAIN, "--reweight", "class=1"), "--share", _number(0, 1)),
    (GRID, "--alphas", _list_of(_number(0, also_low=True))),
    (GRID, "--taus", _list_of(_number(0, also_low=True))),
    (GRID, "--epsilons", _list_of(_number(0))),
    (GRID, "--shares", _list_of(_number(0, 1))),
    (("train", "folder", "logistic_regression", "--epochs", "1"), "--root", _nothing),
    (ESTIMATE, "--epoch", _words("1", "2", "all")),
    (("estimate", "digits", "logistic_regression", "exact", "--limit", "12"), "--run", _nothing),
    (ESTIMATE, "--split", _nothing),
    (ESTIMATE[:6], "--limit", _whole(1)),
    (ESTIMATE, "--every", _whole(1)),
    (ESTIMATE, "--batch-size", _whole(1)),
    (ESTIMATE, "--set", _nothing),
    (ESTIMATE[:-2], "--device", _nothing),
    (BIAS[:-2], "--by", _nothing),
    (BIAS, "--misclassified", _nothing),
    (BIAS, "--rest", _nothing),
    (BIAS, "--failed", _nothing),
    (BIAS, "--tau-max", _number(0)),
    (BIAS, "--format", _nothing),
    (("verify",), "--rows", _whole(0)),
    (("reproduce", "--quick"), "--dataset", _nothing),
    (("reproduce", "--quick", "--dataset", "digits"), "--data", _nothing),
    (("bias", "digits"), "", _nothing),
    (("models",), "--format", _nothing),
)
"""For every option a command that goes well without it, and which values mean something."""


def command_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield every option with values that mean nothing to it."""
    draw = random.Random(seed)  # noqa: S311
    for arguments, option, fits in OPTIONS:
        for value in draw.sample(VALUES, OF_EACH):
            if (
                fits(value)
                or value == "--help"
                or (value == "" and option in ("--builder", "--root"))
            ):
                continue
            given = (
                (*arguments, option, value)
                if option
                else (*arguments, value, "exact", "--by", "class")
            )
            yield _command_case(
                world, given, f"{option or 'model'} {value[:24]!r} after {' '.join(arguments[:4])}"
            )


def _command_case(world: World, arguments: tuple[str, ...], name: str) -> Case:
    return Case(
        HOSTILE,
        COMMANDS,
        name,
        act=lambda folder: command(*arguments)[:200],
        judge=must_refuse,
        make=lambda folder: shutil.copytree(world.cache, folder / "cache") and None,
        seconds=45,
    )


def spelling_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield misspelled methods and partitions, and odd epochs, runs and policies."""
    draw = random.Random(seed)  # noqa: S311
    for _ in range(METHOD_SPELLINGS):
        yield _method_case(changed(draw, draw.choice(METHOD_WORDS)))
    for _ in range(PARTITION_SPELLINGS):
        yield _partition_case(
            changed(
                draw, draw.choice(("group", "class", "age:30,40", "group*class", "age:30*group"))
            )
        )
    for epoch in (
        *VALUES,
        "01",
        "1.0",
        " 1",
        "+1",
        "LAST",
        "last ",
        "first\n",
        "3",
        "\N{FULLWIDTH DIGIT TWO}",
        "²",
    ):
        yield _epoch_case(world, epoch)
    for name in VALUES:
        yield _run_case(world, name)
    for field, value in policies():
        yield _policy_case(field, value)


METHOD_WORDS = (
    "minimal",
    "minimal:fast",
    "minimal steps=20",
    "deepfool:paper",
    "minimal:fast candidates=4",
    "smoothing",
    "exact",
)
NOISE = (*" \t\n:=*,.;-_'\"\\/%\0", "\u200b", "é", "A", "0", "9", "1e5", "\U0001f4a5", "x" * 300)


def changed(draw: random.Random, text: str) -> str:
    """Return a spelling after one to three small changes."""
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(text) + 1)
        how = draw.choice(("insert", "insert", "delete", "double", "upper"))
        if how == "insert":
            text = text[:place] + draw.choice(NOISE) + text[place:]
        elif how == "delete":
            text = text[:place] + text[place + 1 :]
        elif how == "double":
            text = text[:place] + text[max(0, place - 3) : place] + text[place:]
        else:
            text = text[:place] + text[place : place + 1].upper() + text[place + 1 :]
    return text


def _method_case(text: str) -> Case:
    def act(folder: Path) -> list[Any]:
        method, values = resolve_method(text)
        return [method.name, values]

    return Case(
        HOSTILE, SPELLINGS, f"method {text[:60]!r}", act, lambda found: _judge_method(text, found)
    )


def _judge_method(text: str, found: list[Any]) -> Outcome:
    """Compare with a reading of the spelling by one pattern.

    Whoever reads more than that has guessed.
    """
    match = re.fullmatch(r"\s*(?P<name>\w+)(:(?P<preset>\w*))?(?P<rest>(\s+\w+=[^\s=]+)*)\s*", text)
    if match is None or match["name"] not in METHODS:
        return Outcome(WRONG, f"accepted as {found}")
    method = METHODS[match["name"]]
    values = {parameter.name: parameter.default for parameter in method.parameters}
    values |= method.presets.get(match["preset"] or "", {})
    for word in match["rest"].split():
        name, _, value = word.partition("=")
        if name not in values:
            return Outcome(WRONG, f"accepted as {found}")
        values[name] = type(values[name])(value)
    return (
        Outcome(SAME)
        if found == [method.name, values]
        else Outcome(WRONG, f"{found} instead of {values}")
    )


def _partition_case(text: str) -> Case:
    def act(folder: Path) -> dict[str, int]:
        bias = rb.robustness_bias(clean(), text, n_resamples=20, n_permutations=20)
        return dict(zip(bias["group"], map(int, bias["n"]), strict=True))

    return Case(
        HOSTILE,
        SPELLINGS,
        f"partition {text[:60]!r}",
        act,
        lambda found: _judge_partition(text, found),
    )


def _judge_partition(text: str, found: dict[str, int]) -> Outcome:
    """Compare the sizes of the groups with those counted here, in the order of size.

    The names are the library's.
    """
    sizes: dict[tuple[object, ...], int] = {}
    parts = [part.strip() for part in text.split("*")]
    for row in clean().to_dict("records"):
        key = []
        for part in parts:
            name, _, cuts = part.partition(":")
            if name not in ("group", "class", "age") or (name == "age") != bool(cuts):
                return Outcome(WRONG, f"accepted as {found}")
            key.append(
                sum(row[name] >= float(cut) for cut in cuts.split(",")) if cuts else row[name]
            )
        sizes[tuple(key)] = sizes.get(tuple(key), 0) + 1
    is_same = sorted(sizes.values()) == sorted(found.values())
    return (
        Outcome(SAME) if is_same else Outcome(WRONG, f"{found} instead of {sorted(sizes.values())}")
    )


def _epoch_case(world: World, text: str) -> Case:
    right = {"1": 1, "2": 2, "01": 1, "\N{FULLWIDTH DIGIT TWO}": 2}

    def act(folder: Path) -> int:
        return find_run("digits", "small_cnn", "net").epoch(text)

    def judge(found: int) -> Outcome:
        return Outcome(SAME) if found == right.get(text.strip()) else must_refuse(found)

    return Case(
        HOSTILE,
        SPELLINGS,
        f"epoch {text[:40]!r}",
        act,
        judge,
        lambda folder: _copied(world, folder),
    )


def _run_case(world: World, name: str) -> Case:
    def act(folder: Path) -> str:
        return find_run("digits", "small_cnn", name).name

    return Case(
        HOSTILE,
        SPELLINGS,
        f"run {name[:40]!r}",
        act,
        must_refuse,
        lambda folder: _copied(world, folder),
    )


def _copied(world: World, folder: Path) -> None:
    shutil.copytree(world.cache, folder / "cache")


def policies() -> Iterator[tuple[str, Any]]:
    """Yield settings of a measure that mean nothing."""
    for field in ("misclassified", "rest", "failed"):
        for value in ("", "Zero", "zero ", "none", "\x1b[31m", "x" * 5000):
            yield field, value
    for value in (0, 0.0, -1, math.nan, math.inf, -math.inf, 10**400):
        yield "tau_max", value
    for value in (0, 1, 1.5, -0.1, math.nan, 95):
        yield "confidence", value
    for field in ("n_resamples", "n_permutations"):
        for value in (0, -1):
            yield field, value
    for value in (-1, 2**70):
        yield "seed", value


def _policy_case(field: str, value: Any) -> Case:
    def act(folder: Path) -> object:
        if field in ("misclassified", "rest", "failed", "tau_max"):
            return Policy(**{field: value})
        bias = rb.robustness_bias(
            clean(), "group", **{"n_resamples": 20, "n_permutations": 20, field: value}
        )
        return bias[["low", "high", "p"]].to_dict("records")

    judge: Callable[[Any], Outcome] = must_refuse
    if field == "seed" and value > 0:  # any whole number from 0 may be a seed
        judge = lambda found: Outcome(SAME)  # noqa: E731
    return Case(HOSTILE, SPELLINGS, f"{field}={str(value)[:30]!r}", act, judge)
