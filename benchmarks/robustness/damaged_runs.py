"""Damaged sidecars and checkpoints of runs, and damaged arrays of decoded images."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import rbcore as rb
from benchmarks.robustness.cases import AGAIN, DAMAGED, SAME, WRONG, Case, Outcome
from benchmarks.robustness.damage import damages, replace_bytes
from benchmarks.robustness.world import (
    DATASET,
    World,
    digest_of_tensors,
    facts_of_images,
    stored,
)
from rbcore.runs.checkpoints import damaged_runs, find_run

BAD_VALUES: tuple[object, ...] = (None, -1, "x", [], {}, 1e308, True)
SIDECARS, WEIGHTS, ARRAYS = 120, 100, 60
RUN = f"runs/{DATASET}/small_cnn/net"

Change = Callable[[Path], None]


def sidecar_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield damaged sidecars: bytes, fields of another type or missing, one in place of another."""
    for epoch in (1, 2):
        path = world.cache / RUN / f"epoch-{epoch:04d}.json"
        facts = json.loads(path.read_text())
        for name, damage in damages(seed + epoch, path.stat().st_size, SIDECARS // 2):
            yield _run_case(world, "sidecars", path, name, partial(_change_bytes, change=damage))
        for fact, value in facts.items():
            bad = [
                other
                for other in BAD_VALUES
                if other != value or isinstance(other, bool) != isinstance(value, bool)
            ]
            for other in bad if epoch == 2 else bad[:1]:
                title = f"{fact} is {other!r}"
                yield _run_case(
                    world, "sidecars", path, title, partial(_set_fact, fact=fact, value=other)
                )
            yield _run_case(
                world, "sidecars", path, f"{fact} is missing", partial(_set_fact, fact=fact)
            )
            near = _near(value)
            if near is not None:
                title = f"{fact} is {near!r}"
                yield _run_case(
                    world, "sidecars", path, title, partial(_set_fact, fact=fact, value=near)
                )
        for text in ("", "[]", "null", "{}", "{" * 100_000, '{"dataset": NaN}'):
            change = partial(_change_bytes, change=lambda content, text=text: text.encode())
            yield _run_case(world, "sidecars", path, f"holds {text[:20]!r}", change)
        source = world.cache / RUN / f"epoch-{3 - epoch:04d}.json"
        change = partial(_change_bytes, change=lambda content, source=source: source.read_bytes())
        yield _run_case(world, "sidecars", path, f"replaced by {source.name}", change)


def weights_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield damaged checkpoints."""
    for epoch in (1, 2):
        path = world.cache / RUN / f"epoch-{epoch:04d}.safetensors"
        for name, damage in damages(seed + epoch, path.stat().st_size, WEIGHTS // 2):
            yield _run_case(
                world, "weights of runs", path, name, partial(_change_bytes, change=damage)
            )
        source = world.cache / RUN / f"epoch-{3 - epoch:04d}.safetensors"
        change = partial(_change_bytes, change=lambda content, source=source: source.read_bytes())
        yield _run_case(world, "weights of runs", path, f"replaced by {source.name}", change)


def _near(value: object) -> object:
    """Return another value of the same type, or None where none is made."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str) and value:
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    if isinstance(value, list) and value:
        return value[::-1] if value[::-1] != value else value[:-1]
    return None


def _run_case(world: World, kind: str, file: Path, name: str, change: Change) -> Case:
    where = file.relative_to(world.cache)

    def make(folder: Path) -> None:
        shutil.copytree(world.cache, folder / "cache")
        change(folder / "cache" / where)

    return Case(
        DAMAGED,
        kind,
        f"{file.name}: {name}",
        act=lambda folder: _read_runs(),
        judge=partial(_judge_runs, world),
        make=make,
        names=(file.stem, "'net'"),
    )


def _read_runs() -> dict[str, Any]:
    """Read all that the library says of the damaged run and of the other, and its weights.

    What it refuses stays refused.
    """
    listed = {(run.model, run.name) for run in rb.list_runs(DATASET)}
    if ("logistic_regression", "plane") not in listed:
        return {"lost": "the other run is not listed"}
    if ("small_cnn", "net") not in listed and not any(
        "net" in sentence for sentence in damaged_runs()
    ):
        return {"lost": "the damaged run is neither listed nor named"}
    run = find_run(DATASET, "small_cnn", "net")
    facts = {str(epoch): run.sidecar(epoch).model_dump(mode="json") for epoch in (1, 2)}
    digits = rb.load_dataset(DATASET)
    for epoch in (1, 2):
        network = rb.load_model("small_cnn", digits, epoch=epoch, run="net", device="cpu").network
        facts[f"weights {epoch}"] = digest_of_tensors(network.get_submodule("network").state_dict())
    table = stored("small_cnn", 2, "minimal:fast")
    return {
        **facts,
        "newest": run.facts.model_dump(mode="json"),
        "epochs": list(run.epochs),
        "table": table and table["rows"],
    }


def _judge_runs(world: World, found: dict[str, Any]) -> Outcome:
    if "lost" in found:
        return Outcome(WRONG, found["lost"])
    right = dict(world.facts["runs"]["small_cnn"])
    right |= {"newest": right["2"], "epochs": [1, 2], "weights 2": world.facts["weights"]}
    right["weights 1"] = world.facts["weights of epoch 1"]
    right["table"] = world.facts["tables"]["small_cnn 2 minimal:fast"]["rows"]
    for name, value in right.items():
        if found[name] != value:
            return Outcome(WRONG, f"other {name}: {_difference(found[name], value)}")
    return Outcome(SAME)


def _difference(found: Any, right: Any) -> str:
    if isinstance(found, dict) and isinstance(right, dict):
        return ", ".join(
            f"{name} {str(found.get(name))[:60]}"
            for name in {**right, **found}
            if found.get(name) != right.get(name)
        )
    return str(found)[:60]


def _change_bytes(path: Path, change: Callable[[bytes], bytes]) -> None:
    replace_bytes(path, change(path.read_bytes()))


def _set_fact(path: Path, fact: str, **value: Any) -> None:
    facts = json.loads(path.read_text())
    facts.pop(fact)
    if "value" in value:
        facts[fact] = value["value"]
    path.write_text(json.dumps(facts))


def array_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield damaged arrays of decoded images, and damaged lists beside them."""
    (array,) = (world.decoded / "datasets").glob("*.npy")
    listing = array.with_suffix(".json")
    for file in (array, listing):
        for name, damage in damages(seed + len(file.suffix), file.stat().st_size, ARRAYS):
            yield _array_case(world, file, name, partial(_change_bytes, change=damage))
    facts = json.loads(listing.read_text())
    for fact, value in facts.items():
        for other in (*BAD_VALUES, _near(value)):
            yield _array_case(
                world,
                listing,
                f"{fact} is {str(other)[:40]}",
                partial(_set_fact, fact=fact, value=other),
            )
        yield _array_case(world, listing, f"{fact} is missing", partial(_set_fact, fact=fact))
    yield _array_case(world, array, "removed", lambda path: path.unlink())
    yield _array_case(world, listing, "removed", lambda path: path.unlink())
    yield _array_case(world, array, "images exchanged", _exchange_images)
    yield _array_case(world, array, "holds another type", _other_type)


def _array_case(world: World, file: Path, name: str, change: Change) -> Case:
    where = file.relative_to(world.decoded)

    def make(folder: Path) -> None:
        shutil.copytree(world.decoded, folder / "cache")
        change(folder / "cache" / where)

    def act(folder: Path) -> dict[str, Any]:
        before = _content(folder / "cache" / where)
        found = facts_of_images(rb.load_dataset("folder", root=world.images, size=16))
        return {"found": found, "replaced": _content(folder / "cache" / where) != before}

    def judge(answer: dict[str, Any]) -> Outcome:
        wrong = [
            name for name, value in world.facts["images"].items() if answer["found"][name] != value
        ]
        if wrong:
            return Outcome(WRONG, f"other {', '.join(wrong)}")
        return Outcome(AGAIN if answer["replaced"] else SAME)

    return Case(
        DAMAGED, "decoded arrays", f"{file.suffix}: {name}", act, judge, make, names=(file.stem,)
    )


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _exchange_images(path: Path) -> None:
    images = np.load(path)
    np.save(path, images[::-1])


def _other_type(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float32))
