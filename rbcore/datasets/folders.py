"""Where each dataset's files lie, and which of them are accepted without their published checksums: both are remembered."""

import os
from pathlib import Path

from rbcore.datasets.base import DatasetSpec
from rbcore.datasets.opening import is_file, user_path
from rbcore.store import Facts, cache_root, read_json, write_json


def known_folder(spec: DatasetSpec) -> Path | None:
    """Return the folder of a dataset's files from the environment, else the one last used, else None."""
    if not spec.needs_folder:
        return None
    variable = os.environ.get(spec.folder_variable)
    if variable:
        return user_path(variable)
    remembered = _read("folders").get(spec.name)
    return Path(remembered) if isinstance(remembered, str) else None


def remember_folder(spec: DatasetSpec, folder: Path) -> None:
    """Keep the folder of a dataset's files for the next call that names none."""
    remembered = _read("folders")
    if remembered.get(spec.name) != str(folder.resolve()):
        _write("folders", {**remembered, spec.name: str(folder.resolve())})


def download_folder() -> Path:
    """Return where a download goes when no folder is named."""
    return cache_root() / "datasets" / "originals"


def is_checked(spec: DatasetSpec, folder: Path) -> bool:
    """Return whether the files of a dataset in this folder are compared with their published checksums."""
    return str(folder.resolve()) not in _read("unchecked").get(spec.name, [])


def remember_check(spec: DatasetSpec, folder: Path, is_wanted: bool) -> None:
    """Keep whether the files in this folder are compared with their published checksums."""
    if is_checked(spec, folder) != is_wanted:
        unchecked = _read("unchecked")
        others = [path for path in unchecked.get(spec.name, []) if path != str(folder.resolve())]
        _write(
            "unchecked",
            {**unchecked, spec.name: others if is_wanted else [*others, str(folder.resolve())]},
        )


def _read(name: str) -> Facts:
    path = cache_root() / "datasets" / f"{name}.json"
    return read_json(path) if is_file(path) else {}


def _write(name: str, facts: Facts) -> None:
    write_json(cache_root() / "datasets" / f"{name}.json", facts)
