"""A process killed at every step of writing: run again, it ends with the same result.

What Python opens for writing, renames, removes or makes is seen by an audit hook, whoever does it;
a kill stands before each such step, and once more within it: a file that is to be renamed is cut in
half first, as if its writing had been interrupted, and one that is opened is left empty.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rbcore as rb
from benchmarks.robustness.cases import AGAIN, KILLED, WRONG, Case, Outcome
from benchmarks.robustness.world import World, digest_of_rows, digest_of_tensors, facts_of_images
from rbcore.runs.checkpoints import find_run
from rbcore.runs.importing import import_weights
from rbcore.store import storage

STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
"""What an audit hook calls the steps; the last thing that it hears of each is the open folder that
the path starts from, or -1.
"""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
MOST = 60
"""Steps of one task that are tried; none has more."""
IGNORED = {"locks"}
"""Folders of the cache whose files may stay: empty, and used again."""


@dataclass(frozen=True)
class Task:
    """Something that writes: what it needs in the cache, what it does, and what there is then."""

    name: str
    prepare: Callable[[World, Path], None]
    work: Callable[[World, Path], None]
    result: Callable[[World, Path], object]


def kill_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield a kill before and a kill within every step of every task."""
    for task in tasks():
        for step in range(world.facts["steps"][task.name]):
            for is_within in (False, True):
                yield _case(world, task, step, is_within)


def _case(world: World, task: Task, step: int, is_within: bool) -> Case:
    def make(folder: Path) -> None:
        task.prepare(world, folder)
        pid = os.fork()
        if pid == 0:
            sys.addaudithook(killer(step, is_within, folder / "cache"))
            try:
                task.work(world, folder)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise RuntimeError("the process was not killed")

    def act(folder: Path) -> Any:
        task.work(world, folder)
        return [task.result(world, folder), listing(folder / "cache")]

    def judge(found: Any) -> Outcome:
        result, files = world.facts["undisturbed"][task.name]
        if found[0] != result:
            return Outcome(WRONG, f"{str(found[0])[:200]} instead of {str(result)[:200]}")
        if found[1] != files:
            left, lost = sorted(set(found[1]) - set(files)), sorted(set(files) - set(found[1]))
            return Outcome(WRONG, f"left over {left}, lost {lost}")
        return Outcome(AGAIN)

    name = (
        f"{'within' if is_within else 'before'} step {step + 1} of "
        f"{world.facts['steps'][task.name]}"
    )
    return Case(KILLED, task.name, name, act, judge, make)


def killer(step: int, is_within: bool, cache: Path) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that kills the process at a step below a folder, before or within it."""
    count = -1

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if not is_step(event, arguments, cache):
            return
        count += 1
        if count == step:
            if is_within:
                _half(event, arguments)
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def is_step(event: str, arguments: tuple[Any, ...], cache: Path) -> bool:
    """Return whether an audit event changes something below a folder."""
    if event == "open":
        _, mode, flags = arguments
        is_writing = any(letter in (mode or "") for letter in "wax+") or bool(
            (flags or 0) & WRITING
        )
        return is_writing and _is_below(arguments[0], -1, cache)
    return event in STEPS and _is_below(arguments[0], arguments[-1], cache)


def _is_below(path: object, folder: object, cache: Path) -> bool:
    """Return whether a path, which may be relative to an open folder, lies in the cache."""
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    text = os.fsdecode(path)
    if isinstance(folder, int) and folder >= 0:
        text = f"{Path(f'/proc/self/fd/{folder}').readlink()}/{text}"
    return text.startswith(str(cache))


def _half(event: str, arguments: tuple[Any, ...]) -> None:
    """Do part of a step by system calls that no hook sees again: the count has passed it."""
    if event == "os.rename" and os.path.isfile(arguments[0]):  # noqa: PTH113
        os.truncate(arguments[0], os.path.getsize(arguments[0]) // 2)  # noqa: PTH202
    elif event == "open" and not os.path.exists(arguments[0]):  # noqa: PTH110
        os.close(os.open(arguments[0], os.O_WRONLY | os.O_CREAT, 0o644))


def listing(cache: Path) -> list[str]:
    """Return the files below a cache, without those that may stay."""
    files = (path.relative_to(cache) for path in cache.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if path.parts[0] not in IGNORED)


def undisturbed(world: World, folder: Path) -> dict[str, Any]:
    """Run every task once; return the steps that each takes, and what it leaves."""
    steps: dict[str, int] = {}
    results: dict[str, Any] = {}
    for task in tasks():
        place = folder / task.name.replace(" ", "-")
        os.environ["RBCORE_CACHE"] = str(place / "cache")
        task.prepare(world, place)
        seen: list[str] = []
        _counting.append((seen, place / "cache"))
        task.work(world, place)
        _counting.clear()
        steps[task.name] = min(MOST, len(seen))
        results[task.name] = [task.result(world, place), listing(place / "cache")]
        shutil.rmtree(place)
    return {"steps": steps, "undisturbed": results}


_counting: list[tuple[list[str], Path]] = []


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    for seen, cache in _counting:
        if is_step(event, arguments, cache):
            seen.append(event)


def start_counting() -> None:
    """Add the hook that counts steps.

    A hook cannot be taken away, so only the process that builds the world does this.
    """
    sys.addaudithook(_count)


def tasks() -> list[Task]:
    """Return everything that writes into the cache."""
    return [
        Task("train", _nothing, _train, _weights),
        Task("estimate", _runs, _estimate, _rows),
        Task("import", _nothing, _import, _imported),
        Task("load_dataset", _nothing, _load, _images),
        Task("delete a run", _runs, _delete_run, _weights_of_others),
        Task("delete a table", _runs, _delete_table, _nothing_left),
    ]


def _nothing(world: World, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _runs(world: World, folder: Path) -> None:
    shutil.copytree(world.cache, folder / "cache")


def _train(world: World, folder: Path) -> None:
    rb.train("logistic_regression", rb.load_dataset("digits"), epochs=2, run="killed", device="cpu")


def _weights(world: World, folder: Path) -> object:
    digits = rb.load_dataset("digits")
    run = find_run("digits", "logistic_regression", "killed")
    networks = [
        rb.load_model(run.model, digits, epoch=epoch, run=run.name, device="cpu").network
        for epoch in run.epochs
    ]
    accuracies = [record.test_accuracy for record in run.facts.history]
    return [*(digest_of_tensors(network.state_dict()) for network in networks), accuracies]


def _estimate(world: World, folder: Path) -> None:
    digits = rb.load_dataset("digits")
    network = rb.load_model("logistic_regression", digits, run="plane", device="cpu")
    rb.estimate_distances(network, digits, "minimal:fast", limit=24, batch_size=1)


def _rows(world: World, folder: Path) -> object:
    table = rb.stored_distances(
        find_run("digits", "logistic_regression", "plane"), "last", "minimal:fast"
    )
    return [
        digest_of_rows(table.rows),
        sum(history.rows for history in table.provenance.computed),
    ]


def _import(world: World, folder: Path) -> None:
    import_weights(
        rb.load_dataset("digits"),
        "small_cnn",
        world.weights / "net.pth",
        run="imported",
        device="cpu",
    )


def _imported(world: World, folder: Path) -> object:
    digits = rb.load_dataset("digits")
    model = rb.load_model("small_cnn", digits, run="imported", device="cpu")
    return [digest_of_tensors(model.network.state_dict()), model.facts.test_accuracy]


def _load(world: World, folder: Path) -> None:
    rb.load_dataset("folder", root=world.images, size=16)


def _images(world: World, folder: Path) -> object:
    return facts_of_images(rb.load_dataset("folder", root=world.images, size=16))


def _delete_run(world: World, folder: Path) -> None:
    run = folder / "cache" / "runs" / "digits" / "small_cnn" / "net"
    if run.exists():
        storage.delete_run(run)


def _weights_of_others(world: World, folder: Path) -> object:
    return [run.name for run in rb.list_runs("digits") if run.folder.is_relative_to(folder)]


def _delete_table(world: World, folder: Path) -> None:
    for file in sorted((folder / "cache" / "distances").glob("*.parquet")):
        storage.delete_table(file)


def _nothing_left(world: World, folder: Path) -> object:
    return [item.name for item in storage.deletable_tables()]
