"""Make a cache that the version before wrote readable: nothing is computed, only said anew.

Files before format 2 have no number of a format, tables no norm in their key (all were L2), and
sidecars no types. Each file is checked against its own seal and checksum first, then written under
its new name, and the old one is removed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rbcore.datasets.attributes import SamplesFacts
from rbcore.datasets.reading.decoded import DecodedFacts
from rbcore.datasets.reading.folders import Folders, Unchecked
from rbcore.errors import StoreError
from rbcore.norms import Norm
from rbcore.runs.sidecar import Sidecar
from rbcore.runtime import Progress, no_progress
from rbcore.store.files import cache_root
from rbcore.store.parquet import CHECKSUM, read_arrow, read_rows, refuse_altered, write_arrow
from rbcore.store.records import (
    FORMAT_FIELD,
    R,
    Record,
    parsed,
    read_content,
    unsealed_of_any_format,
    write_record,
)
from rbcore.store.tables import PartFacts, TableFacts


@dataclass
class Migrated:
    """What became of the files of one kind.

    Attributes
    ----------
    kind
        What they are, for people.
    n_migrated, n_readable
        Files that were rewritten, and those that were readable already.
    problems
        A sentence on each file that could not be migrated: its name, why, and the remedy.
    """

    kind: str
    n_migrated: int = 0
    n_readable: int = 0
    problems: list[str] = field(default_factory=list)


Content = dict[str, object]
Migrate = Callable[[Path], bool]
"""Rewrites one file; False says that it is readable already."""


def migrate(*, progress: Progress = no_progress) -> list[Migrated]:
    """Rewrite the user's cache in the form of this version.

    Whatever is cut short goes on with the next call; a second call changes nothing.

    Returns
    -------
    list of Migrated
        One entry a kind of file.
    """
    root = cache_root()
    work: list[tuple[Migrated, list[Path], Migrate]] = [
        (Migrated(kind), sorted(found), rewrite) for kind, found, rewrite in _kinds(root)
    ]
    n_files, done = sum(len(paths) for _, paths, _ in work), 0
    for result, paths, rewrite in work:
        for path in paths:
            progress(done, n_files, "migrating the cache")
            done += 1
            try:
                if rewrite(path):
                    result.n_migrated += 1
                else:
                    result.n_readable += 1
            except StoreError as error:
                result.problems.append(str(error))
    progress(n_files, n_files, "migrating the cache")
    return [result for result, _, _ in work]


def _kinds(root: Path) -> Iterator[tuple[str, Iterator[Path], Migrate]]:
    yield "tables of distances", (root / "distances").glob("*.parquet"), _migrate_table
    yield "finished batches of estimates", (root / "parts").glob("*/*.parquet"), _migrate_part
    yield "samples of datasets", (root / "samples").glob("*.parquet"), _migrate_samples
    yield "sidecars of runs", (root / "runs").glob("*/*/*/epoch-*.json"), _migrate_sidecar
    yield "lists beside decoded images", (root / "datasets").glob("*.json"), _migrate_list


def _migrate_table(path: Path) -> bool:
    def target(facts: TableFacts) -> Path:
        if path.stem != facts.key.old_digest:
            raise StoreError(
                f"{path} holds the distances of another key: it was renamed. Delete it."
            )
        return path.with_name(f"{facts.key.digest}.parquet")

    return _migrate_rows(path, TableFacts, _with_norm, target)


def _migrate_part(path: Path) -> bool:
    def target(facts: PartFacts) -> Path:
        return path.parent.parent / facts.key.digest / path.name

    is_migrated = _migrate_rows(path, PartFacts, _with_norm, target)
    with suppress(OSError):  # others are in it still
        path.parent.rmdir()
    return is_migrated


def _migrate_samples(path: Path) -> bool:
    return _migrate_rows(path, SamplesFacts, lambda content: content, lambda facts: path)


def _with_norm(content: Content) -> Content:
    """Return the content of an old table, or of a part of one, with the norm that all had."""
    key = content.pop("key_facts", None)
    return {**content, "key": {**key, "norm": Norm.L2.value} if isinstance(key, dict) else key}


def _migrate_rows(
    path: Path,
    kind: type[R],
    converted: Callable[[Content], Content],
    target: Callable[[R], Path],
) -> bool:
    """Write rows again, byte by byte, with what stands beside them in the form of today."""
    table, found = read_arrow(path)
    content = unsealed_of_any_format(path, found)
    refuse_altered(path, table, content)
    if FORMAT_FIELD in content:
        return False
    checksum = str(content.pop(CHECKSUM))
    record = parsed(path, converted(content), kind)
    new = target(record)
    if new != path and new.exists():
        if read_rows(new, kind)[1:] != (record, checksum):
            raise StoreError(
                f"{path} is not migrated, since the same table was computed again as {new}. Delete "
                "one of the two."
            )
    else:
        write_arrow(new, table, record, checksum)
    if new != path:
        path.unlink()
    return True


def _migrate_sidecar(path: Path) -> bool:
    content = unsealed_of_any_format(path, read_content(path))
    if FORMAT_FIELD in content:
        return False
    history = content.get("history")
    # What the newest epoch says of the mitigation stood in the sidecar a second time.
    last = history[-1] if isinstance(history, list) and history else {}
    kept = {
        name: value
        for name, value in content.items()
        if name in Sidecar.model_fields or name not in last
    }
    write_record(path, parsed(path, kept, Sidecar))
    return True


def _migrate_list(path: Path) -> bool:
    content = unsealed_of_any_format(path, read_content(path))
    if FORMAT_FIELD in content:
        return False
    record: Record
    if path.stem == "folders":
        record = parsed(path, {"folders": content}, Folders)
    elif path.stem == "unchecked":
        record = parsed(path, {"folders": content}, Unchecked)
    else:
        record = parsed(path, content, DecodedFacts)
    write_record(path, record)
    return True
