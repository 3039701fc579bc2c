"""What the user's cache takes on the disk, and how a run or a table of distances is deleted.

What ships is never touched.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rbcore.distances import METHODS, format_method
from rbcore.errors import OldCacheError, StoreError
from rbcore.runs.checkpoints import RUN_NAME
from rbcore.store import TableKey, bundled_root, cache_root, table_facts

KINDS = {
    "runs": "trained runs with their checkpoints",
    "distances": "tables of distances",
    "parts": "finished batches of estimates that did not end",
    "datasets": "decoded images",
    "samples": "attributes of the images",
}
"""The folders of a cache and what lies in them."""

TABLE = re.compile(r"[0-9a-f]{32}\.parquet")


@dataclass(frozen=True)
class Item:
    """One thing in the user's cache that can be deleted.

    Attributes
    ----------
    path
        A run's folder or a table's file.
    name
        What it is, for people.
    n_bytes
        What it takes on the disk.
    """

    path: Path
    name: str
    n_bytes: int


def disk_use() -> dict[str, int]:
    """Return the bytes of each folder of the user's cache.

    What ships with the project is not counted.
    """
    return {kind: _bytes_below(_folder(kind)) for kind in KINDS}


def deletable_runs() -> list[Item]:
    """Return the user's runs, the largest first.

    Also damaged ones and those whose training did not end.
    """
    top = _folder("runs")
    folders = (
        folder for folder in top.glob("*/*/*") if _is_below(folder, top, 3) and folder.is_dir()
    )
    return _largest_first(
        Item(folder, " / ".join(folder.parts[-3:]), _bytes_below(folder)) for folder in folders
    )


def deletable_tables() -> list[Item]:
    """Return the user's tables of distances, also damaged ones, the largest first."""
    top = _folder("distances")
    files = (
        file
        for file in top.glob("*.parquet")
        if TABLE.fullmatch(file.name) and _is_below(file, top, 1)
    )
    return _largest_first(Item(file, _name_of(file), _bytes_of(file)) for file in files)


def delete_run(folder: Path) -> None:
    """Delete a run of the user's with all its checkpoints; distances estimated on it stay.

    Raises
    ------
    StoreError
        If the folder is not a run in the user's cache, or cannot be deleted.
    """
    if not all(RUN_NAME.fullmatch(part) for part in folder.parts[-3:]):
        raise StoreError(f"{folder} is not the folder of a run, so it is not deleted.")
    _refuse_others(folder, _folder("runs"), depth=3)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise _cannot_delete(folder, error) from error


def delete_table(file: Path) -> None:
    """Delete a table of distances of the user's.

    Raises
    ------
    StoreError
        If the file is no table in the user's cache, or cannot be deleted.
    """
    if not TABLE.fullmatch(file.name):
        raise StoreError(f"{file} is not a table of distances, so it is not deleted.")
    _refuse_others(file, _folder("distances"), depth=1)
    try:
        file.unlink()
    except OSError as error:
        raise _cannot_delete(file, error) from error


def _refuse_others(path: Path, top: Path, depth: int) -> None:
    """Raise `StoreError` unless the path lies ``depth`` below ``top`` and does not ship.

    Links are followed.
    """
    if not _is_below(path, top, depth):
        raise StoreError(f"{path} is not in this user's cache, so it is not deleted.")
    if not path.exists():
        raise StoreError(f"{path} is gone already.")


def _is_below(path: Path, top: Path, depth: int) -> bool:
    """Return whether a path that does not ship lies ``depth`` below a folder.

    Links are followed; and it can be looked at.
    """
    try:
        is_inside = not path.is_symlink() and path.resolve().parents[depth - 1] == top.resolve()
    except (OSError, RuntimeError, IndexError):
        return False
    return is_inside and not _ships(path)


def _ships(path: Path) -> bool:
    return path.resolve().is_relative_to(bundled_root().resolve())


def _cannot_delete(path: Path, error: OSError) -> StoreError:
    return StoreError(f"Cannot delete {path}: {error.strerror or error}. Delete it by hand.")


def _folder(kind: str) -> Path:
    return cache_root() / kind


def _name_of(file: Path) -> str:
    try:
        facts = table_facts(file)
        made = facts.provenance
        where = f"{made.dataset} / {made.model} / {made.run} / epoch {made.epoch}"
        return f"{where} / {_method_of(facts.key)}"
    except OldCacheError:
        return f"of an older version: {file.name}"
    except StoreError:
        return f"damaged: {file.name}"


def _method_of(key: TableKey) -> str:
    if key.method not in METHODS:
        return key.method
    return format_method(METHODS[key.method], key.parameters)


def _largest_first(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (-item.n_bytes, item.name))


def _bytes_below(folder: Path) -> int:
    return sum(_bytes_of(path) for path in folder.rglob("*"))


def _bytes_of(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # gone meanwhile: a job renames its files
        return 0
