"""Files of others are opened here and nowhere else: regular files below the folder a user named.

A pipe would block for ever, a device can be endless, and a link can show a file that nobody meant
to give. Everything here answers a path that is too long, or holds a byte that no path may hold, as
it answers one that does not exist.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

OUTSIDE = "it is a link that leads outside the folder"
MOST_TEXT = 100_000_000
"""Bytes of the largest table that is read; its records are held in memory."""


def open_below(path: Path, root: Path) -> BufferedReader:
    """Open a regular file below ``root`` for reading.

    Links are followed as long as they stay below ``root``.

    Raises
    ------
    OSError
        If it cannot be opened, is a folder, pipe, socket or device, or lies elsewhere;
        ``strerror`` says which.
    """
    real = _real_below(path, root)
    # Before it is opened, since opening alone can wait, or act on a device.
    _refuse_irregular(Path(real).stat().st_mode, path)
    file = open(real, "rb", opener=_open_at_once)  # noqa: SIM115  (the caller closes it)
    try:
        _refuse_irregular(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def _real_below(path: Path, root: Path) -> str:
    """Return where a path leads, or raise `OSError` if that is not below ``root``."""
    try:
        real = os.path.realpath(path, strict=True)
        base = os.path.realpath(root, strict=True)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    if os.path.commonpath([real, base]) != base:
        raise OSError(errno.EXDEV, OUTSIDE, str(path))
    return real


def stat_below(path: Path, root: Path, checked: set[Path]) -> os.stat_result:
    """Return what is known of a file below ``root`` without opening it, for many files.

    Parameters
    ----------
    checked
        Folders that were found to lie below ``root``; this one is added.

    Raises
    ------
    OSError
        If there is no such file, or it lies elsewhere.
    """
    if path.parent not in checked:
        _real_below(path.parent, root)
        checked.add(path.parent)
    status = path.lstat()
    return Path(_real_below(path, root)).stat() if stat.S_ISLNK(status.st_mode) else status


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _refuse_irregular(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe, socket or device, not a file", str(path))


def read_below(path: Path, root: Path, most: int = MOST_TEXT) -> bytes:
    """Return the bytes of a regular file below ``root``.

    Raise `OSError` as `open_below` does, or if they are more than ``most``.
    """
    with open_below(path, root) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most / 1e6:,.0f} MB", str(path))
    return content


def decode_text(content: bytes) -> str:
    """Return the text of bytes in UTF-8, or in UTF-16 as spreadsheets write it.

    Raises
    ------
    UnicodeDecodeError
        If they are neither.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if content[1:2] == b"\0":
        return content.decode("utf-16-le")
    if content[:1] == b"\0":
        return content.decode("utf-16-be")
    return content.decode("utf-8-sig")


def user_path(text: str | os.PathLike[str]) -> Path:
    """Return a path as a user wrote it, with ``~`` for the home folder.

    One of a user who does not exist stays as it is.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of that name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Return whether there is a regular file of that name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
