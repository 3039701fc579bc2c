"""Damaged tables of distances, and damaged parts of an estimate that was interrupted."""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import rbcore as rb
from benchmarks.robustness.cases import AGAIN, DAMAGED, SAME, WRONG, Case, Outcome
from benchmarks.robustness.damage import Damage, damages, replace_bytes
from benchmarks.robustness.world import (
    BATCH,
    LIMIT,
    TABLES,
    World,
    digest_of_rows,
    estimated,
    spelled,
    stored,
)

Table = tuple[str, int, str]
FLIPPED, PARTS = 84, 120
"""Damages of each of the four tables' bytes; and of parts."""


def table_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield damaged tables: bytes, metadata, rows, and one in place of another."""
    files = {table: file_of(world, table) for table in TABLES}
    for number, (table, file) in enumerate(files.items()):
        for name, damage in damages(seed + number, file.stat().st_size, FLIPPED):
            yield _case(world, table, file, name, partial(_damage_bytes, damage=damage))
        for name, value, place in _leaves(_facts(file)):
            yield _case(
                world,
                table,
                file,
                f"metadata {name} changed",
                partial(_edit_facts, place=place, value=value),
            )
        for name in (
            "distance",
            "label",
            "status",
            "row dropped",
            "rows exchanged",
            "column dropped",
        ):
            yield _case(world, table, file, f"{name} changed", partial(_edit_rows, what=name))
        for other, source in files.items():
            if other != table:
                name = f"replaced by the table of {spelled(*other)}"
                yield _case(world, table, file, name, partial(_put, source=source))
        empty: Damage = lambda content: b""  # noqa: E731
        yield _case(world, table, file, "emptied", partial(_damage_bytes, damage=empty))


def _case(world: World, table: Table, file: Path, name: str, change: Any) -> Case:
    where = file.relative_to(world.cache)

    def make(folder: Path) -> None:
        shutil.copytree(world.cache, folder / "cache")
        change(folder / "cache" / where)

    return Case(
        DAMAGED,
        "tables of distances",
        f"{spelled(*table)}: {name}",
        act=lambda folder: _read(table),
        judge=partial(_judge, world.facts["tables"][spelled(*table)]),
        make=make,
        names=(where.name,),
    )


def file_of(world: World, table: Table) -> Path:
    """Return the file of a table of the world, found by what it says of itself."""
    key = world.facts["tables"][spelled(*table)]["key"]
    found = [
        path for path in (world.cache / "distances").glob("*.parquet") if _facts(path)["key"] == key
    ]
    return found[0]


def _read(table: Table) -> tuple[str, Any]:
    """Read a table; where the store says that there is none, estimate it again."""
    found = stored(*table)
    return (SAME, found) if found is not None else (AGAIN, estimated(*table))


def _judge(right: dict[str, Any], found: tuple[str, Any]) -> Outcome:
    how, answer = found
    if how == AGAIN:
        return Outcome(AGAIN if answer == right["rows"] else WRONG, "computed again")
    differing = [name for name in right if answer[name] != right[name]]
    return Outcome(WRONG, f"other {', '.join(differing)}") if differing else Outcome(SAME)


def _metadata(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the entry of a table's metadata that holds its facts."""
    for name, value in (pq.read_schema(path).metadata or {}).items():
        if name != b"pandas":
            return name, json.loads(value)
    raise ValueError(f"{path} holds no facts")


def _facts(path: Path) -> dict[str, Any]:
    return _metadata(path)[1]


def _leaves(
    facts: Any, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[str, Any, tuple[str | int, ...]]]:
    """Yield every single fact with another value of the same type."""
    if isinstance(facts, dict | list):
        for key, value in facts.items() if isinstance(facts, dict) else enumerate(facts):
            yield from _leaves(value, (*place, key))
    elif isinstance(facts, bool) or facts is None:
        yield ".".join(map(str, place)), not facts, place
    elif isinstance(facts, int | float):
        yield ".".join(map(str, place)), facts + 1, place
    else:
        yield ".".join(map(str, place)), facts[:-1] + ("0" if facts[-1:] != "0" else "1"), place


def _damage_bytes(path: Path, damage: Damage) -> None:
    replace_bytes(path, damage(path.read_bytes()))


def _edit_facts(path: Path, place: tuple[str | int, ...], value: Any) -> None:
    key, facts = _metadata(path)
    inner = facts
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, key: json.dumps(facts).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def _edit_rows(path: Path, what: str) -> None:
    import pyarrow as pa

    table = pq.read_table(path)
    rows = table.to_pandas()
    first = rows["distance"].first_valid_index()
    if what == "distance":
        rows.loc[first, "distance"] *= 1.001
    elif what == "label":
        rows.loc[first, "label"] = (rows.loc[first, "label"] + 1) % 10
    elif what == "status":
        rows.loc[first, "status"] = "fallback"
    elif what == "row dropped":
        rows = rows.drop(index=first)
    elif what == "rows exchanged":
        rows.loc[[0, 1], "sample_id"] = rows.loc[[1, 0], "sample_id"].to_numpy()
    else:
        rows = rows.drop(columns="prediction")
    edited = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(edited.replace_schema_metadata(table.schema.metadata), path)


def _put(path: Path, source: Path) -> None:
    replace_bytes(path, source.read_bytes())


def part_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield interrupted estimates, one of whose parts is damaged, exchanged or lost."""
    parts = sorted((world.interrupted / "parts").rglob("*.parquet"))
    for number in range(PARTS - 2 * len(parts)):
        file = parts[number % len(parts)]
        ((name, damage),) = damages(seed + number, file.stat().st_size, 1)
        yield _part_case(world, file, name, partial(_damage_bytes, damage=damage))
    for number, file in enumerate(parts):
        yield _part_case(world, file, "a distance changed", partial(_edit_rows, what="distance"))
        other = parts[(number + 1) % len(parts)]
        yield _part_case(
            world, file, f"replaced by the part {other.name}", partial(_put, source=other)
        )


def _part_case(world: World, file: Path, name: str, change: Any) -> Case:
    where = file.relative_to(world.interrupted)
    right = world.facts["tables"][spelled("small_cnn", 2, "minimal:fast")]["rows"]

    def make(folder: Path) -> None:
        shutil.copytree(world.interrupted, folder / "cache")
        change(folder / "cache" / where)

    def act(folder: Path) -> dict[str, Any]:
        digits = rb.load_dataset("digits")
        network = rb.load_model("small_cnn", digits, run="net", device="cpu")
        rows = rb.estimate_distances(network, digits, "minimal:fast", limit=LIMIT, batch_size=BATCH)
        kept = stored("small_cnn", 2, "minimal:fast")
        n = sum(history["rows"] for history in kept["provenance"]["computed"]) if kept else 0
        return {"returned": digest_of_rows(rows), "kept": kept and kept["rows"], "n": n}

    def judge(found: dict[str, Any]) -> Outcome:
        wrong = [name for name in ("returned", "kept") if found[name] != right]
        wrong += [f"{found['n']} rows in the provenance"] if found["n"] != LIMIT else []
        return Outcome(WRONG, f"other {', '.join(wrong)}") if wrong else Outcome(AGAIN)

    title = f"{where.name}: {name}"
    return Case(DAMAGED, "parts of interrupted runs", title, act, judge, make, names=(where.name,))
