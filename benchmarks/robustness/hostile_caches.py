"""What lies in a cache folder that nobody put there, and a cache folder that is none."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rbcore as rb
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome
from benchmarks.robustness.hostile_folders import things
from benchmarks.robustness.world import TABLES, World, facts_of_images, spelled, stored
from rbcore.datasets import DATASETS, count_on_disk
from rbcore.runs.checkpoints import damaged_runs
from rbcore.store import damaged_tables, storage, verify

KIND = "cache folders"
PLACES = (
    *(
        "",
        "distances",
        "runs",
        "runs/digits",
        "runs/digits/small_cnn",
        "runs/digits/small_cnn/net",
        "datasets",
        "locks",
    ),
    *("parts", "runs/digits/small_cnn/other", "parts/0123456789abcdef0123456789abcdef"),
)
FILES = {
    "an empty table": ("distances", "0" * 32 + ".parquet", b""),
    "a table that is text": ("distances", "1" * 32 + ".parquet", b"hello"),
    "a table without a name": ("distances", ".parquet", b"PAR1"),
    "a table of escape codes": ("distances", "\x1b[31m.parquet", b"PAR1"),
    "a sidecar that is empty": ("runs/digits/small_cnn/other", "epoch-0001.json", b""),
    "a sidecar that is a list": ("runs/digits/small_cnn/other", "epoch-0001.json", b"[]"),
    "a sidecar of brackets": ("runs/digits/small_cnn/other", "epoch-0001.json", b"[" * 100_000),
    "an epoch of 40 digits": ("runs/digits/small_cnn/net", f"epoch-{'9' * 40}.json", b"{}"),
    "an epoch in letters": ("runs/digits/small_cnn/net", "epoch-last.json", b"{}"),
    "epoch 0": ("runs/digits/small_cnn/net", "epoch-0000.json", b"{}"),
    "what resumes, empty": ("runs/digits/small_cnn/net", "resume.safetensors", b""),
    "what resumes, text": ("runs/digits/small_cnn/net", "resume.safetensors", b"hello"),
    "a temporary file": ("distances", ".x.parquet.1.a.tmp", b"x" * 100),
    "a lock that is a text": ("locks", "0" * 32 + ".lock", b"hello"),
    "a part that is text": ("parts/" + "0" * 32, "0" * 24 + ".parquet", b"hello"),
}
REMEMBERED = (
    *(
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"folder": 5}',
        b'{"folder": null}',
        b'{"folder": ["a"]}',
        b'{"folder": "\\u0000"}',
    ),
    *(
        b'{"folder": "/nonexistent"}',
        b'{"cifar10": 5}',
        b'{"cifar10": null}',
        b'{"cifar10": "x"}',
        b"\x00\xff",
        b'{"cifar10": [5]}',
    ),
    *(
        b'{"folder": "' + b"a" * 5000 + b'"}',
        b'{"folder": "/dev/zero"}',
        b'{"utkface": "/proc"}',
        b"[" * 100_000,
        b'{"folder": ""}',
    ),
)
ROOTS: dict[str, Callable[[Path], object]] = {
    "the cache is a file": lambda at: at.write_bytes(b"x"),
    "the cache is a pipe": lambda at: os.mkfifo(at),
    "the cache is a loop": lambda at: at.symlink_to(at.name),
    "the cache is a link to nothing": lambda at: at.symlink_to("nosuch"),
    "the cache is /dev/null": lambda at: at.symlink_to("/dev/null"),
    "the cache is /proc": lambda at: at.symlink_to("/proc"),
    "distances is a file": lambda at: (at.mkdir(), (at / "distances").write_bytes(b"x")),
    "runs is a file": lambda at: (at.mkdir(), (at / "runs").write_bytes(b"x")),
    "datasets is a file": lambda at: (at.mkdir(), (at / "datasets").write_bytes(b"x")),
    "locks is a file": lambda at: (at.mkdir(), (at / "locks").write_bytes(b"x")),
    "parts is a file": lambda at: (at.mkdir(), (at / "parts").write_bytes(b"x")),
}


def cache_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield caches with foreign files: valid results stay valid, the rest is refused or named."""
    for place in PLACES:
        for name, put in things().items():
            yield _case(
                world,
                f"{name} in {place or 'the top'}",
                lambda cache, put=put, place=place: put(cache / place),
                place,
            )
    for name, (place, file, content) in FILES.items():
        yield _case(
            world,
            name,
            lambda cache, p=place, f=file, c=content: (cache / p / f).write_bytes(c),
            place,
        )
    for file in ("folders.json", "unchecked.json"):
        for content in REMEMBERED:
            name = f"{file} holds {content[:30]!r}"
            yield _case(
                world,
                name,
                lambda cache, f=file, c=content: (cache / "datasets" / f).write_bytes(c),
                "datasets",
            )
    for name, make in ROOTS.items():
        yield _root_case(world, name, make)


def _case(world: World, name: str, put: Callable[[Path], object], place: str) -> Case:
    def make(folder: Path) -> None:
        shutil.copytree(world.cache, folder / "cache")
        shutil.copytree(
            world.decoded / "datasets", folder / "cache" / "datasets", dirs_exist_ok=True
        )
        (folder / "cache" / place).mkdir(parents=True, exist_ok=True)
        put(folder / "cache")

    return Case(
        HOSTILE,
        KIND,
        name,
        lambda folder: read_all(world),
        lambda found: _judge(world, found),
        make,
        seconds=45,
    )


def read_all(world: World) -> dict[str, Any]:
    """Read what a page reads: runs, tables, storage, folders of datasets, and images."""
    [count_on_disk(spec) for spec in DATASETS.values()]
    damaged_runs()
    damaged_tables()
    storage.disk_use()
    storage.deletable_runs()
    storage.deletable_tables()
    verify.verify(rows=0)
    runs = {(run.model, run.name) for run in rb.list_runs("digits")}
    return {
        "runs": sorted(name for name in runs if name[1] in ("net", "plane")),
        "tables": {spelled(*table): stored(*table) for table in TABLES},
        "images": facts_of_images(rb.load_dataset("folder", root=world.images, size=16)),
    }


def _judge(world: World, found: dict[str, Any]) -> Outcome:
    wrong = [name for name in ("tables", "images") if found[name] != world.facts[name]]
    wrong += [] if len(found["runs"]) == 2 else ["runs"]
    return Outcome(WRONG, f"other {', '.join(wrong)}") if wrong else Outcome(SAME)


def _root_case(world: World, name: str, make: Callable[[Path], object]) -> Case:
    def act(folder: Path) -> object:
        digits = rb.load_dataset("digits")
        run = rb.train("logistic_regression", digits, epochs=1, run="new", device="cpu")
        network = rb.load_model("logistic_regression", digits, run=run.name, device="cpu")
        rows = rb.estimate_distances(network, digits, "exact", limit=12)
        return json.dumps([run.name, len(rows)]), facts_of_images(
            rb.load_dataset("folder", root=world.images, size=16)
        )

    def judge(found: Any) -> Outcome:
        is_right = found[0] == json.dumps(["new", 12]) and found[1] == world.facts["images"]
        return Outcome(SAME) if is_right else Outcome(WRONG, str(found)[:200])

    return Case(
        HOSTILE, KIND, name, act, judge, lambda folder: make(folder / "cache") and None, seconds=45
    )
