"""Records: what a file of the cache says, typed; reading the file is parsing it.

A file holds the fields of its record, the number of the format, and a seal, the hash of both. A
file that is damaged, altered, foreign, or of another format is refused by its name.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rbcore.errors import OldCacheError, StoreError
from rbcore.store.files import REMEDY, sha256_of_facts, write_text

FORMAT = 2
"""Of all files written here; raised whenever a field changes. Files before it have no number."""
MIGRATE = "python -m rbcore migrate"
_SEAL, FORMAT_FIELD = "seal", "format"


class Record(BaseModel):
    """What is said in one file, or a part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


R = TypeVar("R", bound=Record)

Numbers = dict[str, int | float | None]
"""Named numbers that some other file declares, such as what a mitigation says of an epoch."""
Settings = dict[str, int | float | str | None]
"""Named settings that some other file declares, such as those of a mitigation."""


def sealed(content: Mapping[str, object]) -> dict[str, object]:
    """Return content as JSON gives it back, with the number of the format and the seal."""
    numbered: dict[str, object] = json.loads(json.dumps({**content, FORMAT_FIELD: FORMAT}))
    return {**numbered, _SEAL: sha256_of_facts(numbered)}


def unsealed(path: Path, content: object) -> dict[str, object]:
    """Return the content of a file without seal and format.

    Raises
    ------
    OldCacheError
        If an older version wrote it.
    StoreError
        If the seal is missing or does not fit. The text names the file.
    """
    found = unsealed_of_any_format(path, content)
    number = found.pop(FORMAT_FIELD, None)
    if number is None:
        raise old_file(path)
    if number != FORMAT:
        raise StoreError(
            f"Cannot read {path}: it is of format {number}, and this version reads {FORMAT}. Use "
            "the version that wrote it, or delete the file."
        )
    return found


def unsealed_of_any_format(path: Path, content: object) -> dict[str, object]:
    """Return the content of a file without its seal, after comparing the two."""
    if not isinstance(content, dict):
        raise StoreError(f"Cannot read {path}: it holds no facts. {REMEDY}")
    found = {name: value for name, value in content.items() if name != _SEAL}
    if _SEAL not in content:
        raise StoreError(
            f"Cannot trust {path}: it has no seal, so another program wrote it. {REMEDY}"
        )
    if content[_SEAL] != sha256_of_facts(found):
        raise StoreError(
            f"Cannot trust {path}: it was altered after it was written, or is damaged. {REMEDY}"
        )
    return found


def old_file(path: Path) -> OldCacheError:
    """Return the error for a file that an older version wrote."""
    return OldCacheError(
        f"{path} was written by an older version. Make the cache readable again: {MIGRATE}"
    )


def parsed(path: Path, content: Mapping[str, object], kind: type[R]) -> R:
    """Return what a file says as a record, or raise `StoreError` naming the file and the field."""
    try:
        return kind.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise StoreError(f"Cannot read {path}: {_said(first['type'], where)}. {REMEDY}") from error


def _said(kind: str, where: str) -> str:
    if kind == "missing":
        return f"it lacks {where!r}"
    if kind == "extra_forbidden":
        return f"it holds {where!r}, which nothing here reads"
    return f"its {where!r} is not what it must be ({kind.replace('_', ' ')})"


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON, atomically."""
    content = sealed(record.model_dump(mode="json"))
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_record(path: Path, kind: type[R]) -> R:
    """Read a record that `write_record` wrote.

    A file that is unreadable, altered, or no such record raises `StoreError`.
    """
    return parsed(path, unsealed(path, read_content(path)), kind)


def read_content(path: Path) -> object:
    """Return what a file of JSON holds, or raise `StoreError` naming it."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"Cannot read {path}: {error}. {REMEDY}") from error
    return content
