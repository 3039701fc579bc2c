"""Files of a cache: its folders, writing that leaves no half of a file, seals and hashes."""

import glob
import hashlib
import json
import os
import platform
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import platformdirs
import psutil
import safetensors

from rbcore.errors import StoreError

REMEDY = "Delete it; it will be computed again."

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent


def cache_root() -> Path:
    """Return the folder for what this user computes.

    ``RBCORE_CACHE`` if it is set, else ``cache/`` of the checkout this package lies in, else the
    user's cache folder.
    """
    chosen = os.environ.get("RBCORE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if (_CHECKOUT / "pyproject.toml").is_file():
        return _CHECKOUT / "cache"
    return Path(platformdirs.user_cache_dir("rbcore"))


def bundled_root() -> Path:
    """Return the read-only folder of results that ship with the project; it may be absent."""
    checkout = _CHECKOUT / "cache" / "bundled"
    return checkout if checkout.is_dir() else _PACKAGE / "bundled"


def roots() -> list[Path]:
    """Return the folders that are searched, the user's first."""
    return [cache_root(), bundled_root()]


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or raise `StoreError` naming it and the remedy."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: Exception) -> StoreError:
    reason = getattr(error, "strerror", None) or str(error)
    return StoreError(
        f"Cannot write {path}: {reason}. Set RBCORE_CACHE to a folder that can be written."
    )


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary name beside ``path``, and rename the result.

    So no reader sees half a file.

    Raises
    ------
    StoreError
        If the folder cannot be made or the file cannot be written; the text names
        it and the remedy.
    """
    temporary = path.with_name(
        f".{path.name}.{_machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    )
    make_folder(path.parent)
    _remove_left_over(path)
    try:
        write(temporary)
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # on a read-only disk this fails although there is no such file
            temporary.unlink()


@lru_cache(1)
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove_left_over(path: Path) -> None:
    """Remove temporary files of a path that killed processes of this machine left.

    Another machine's may be in use.
    """
    with suppress(OSError):
        for left in path.parent.glob(f".{glob.escape(path.name)}.{_machine()}.*.tmp"):
            process = left.name.split(".")[-3]
            if process.isdecimal() and not psutil.pid_exists(int(process)):
                left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, as `write_atomically` does."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_facts(facts: Mapping[str, object]) -> str:
    """Return the SHA-256 of facts in canonical JSON, in hex, whatever their order."""
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
