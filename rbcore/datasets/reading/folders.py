"""Where each dataset's files lie, and which are accepted without their published checksums."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from rbcore.datasets.base import DatasetSpec
from rbcore.datasets.reading.opening import is_file, user_path
from rbcore.store import Record, cache_root, read_record, write_record

R = TypeVar("R", bound=Record)


class Folders(Record):
    """The folder last used, by the name of the dataset."""

    folders: dict[str, str] = Field(default_factory=dict)


class Unchecked(Record):
    """Folders whose files are not compared with published checksums, by the name of the dataset."""

    folders: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def known_folder(spec: DatasetSpec) -> Path | None:
    """Return the folder of a dataset's files: the environment's, else the last one, or None."""
    if not spec.needs_folder:
        return None
    variable = os.environ.get(spec.folder_variable)
    if variable:
        return user_path(variable)
    remembered = _read("folders", Folders).folders.get(spec.name)
    return None if remembered is None else Path(remembered)


def remember_folder(spec: DatasetSpec, folder: Path) -> None:
    """Keep the folder of a dataset's files for the next call that names none."""
    remembered = _read("folders", Folders).folders
    if remembered.get(spec.name) != str(folder.resolve()):
        _write("folders", Folders(folders={**remembered, spec.name: str(folder.resolve())}))


def download_folder() -> Path:
    """Return where a download goes when no folder is named."""
    return cache_root() / "datasets" / "originals"


def is_checked(spec: DatasetSpec, folder: Path) -> bool:
    """Return whether files in this folder are compared with their published checksums."""
    return str(folder.resolve()) not in _read("unchecked", Unchecked).folders.get(spec.name, ())


def remember_check(spec: DatasetSpec, folder: Path, is_wanted: bool) -> None:
    """Keep whether the files in this folder are compared with their published checksums."""
    if is_checked(spec, folder) != is_wanted:
        unchecked, path = _read("unchecked", Unchecked).folders, str(folder.resolve())
        others = tuple(other for other in unchecked.get(spec.name, ()) if other != path)
        now = others if is_wanted else (*others, path)
        _write("unchecked", Unchecked(folders={**unchecked, spec.name: now}))


def _read(name: str, kind: type[R]) -> R:
    path = cache_root() / "datasets" / f"{name}.json"
    return read_record(path, kind) if is_file(path) else kind()


def _write(name: str, record: Record) -> None:
    write_record(cache_root() / "datasets" / f"{name}.json", record)
