"""Files as their makers published them: where they lie, their checksums, how to fetch them."""

import hashlib
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from rbcore.datasets.reading.names import LONGEST
from rbcore.datasets.reading.opening import is_file, is_folder, open_below
from rbcore.errors import DatasetError
from rbcore.runtime import Progress
from rbcore.store import make_folder, write_atomically

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without an answer after which a download gives up."""

AS_IT_IS = (
    "with checksum=False, by --no-checksum, or in the app by a tick at 'These files are not "
    "the published ones'"
)


@dataclass(frozen=True)
class OfficialFile:
    """A published file's name below the folder, and its published MD5."""

    name: str
    md5: str


@dataclass(frozen=True)
class Archive:
    """What is downloaded: a ``.tar.gz`` that holds the files, or one of the files itself.

    And its MD5.
    """

    url: str
    md5: str


@dataclass(frozen=True)
class Official:
    """The published files of a dataset.

    Attributes
    ----------
    folder
        Where they lie below the folder a user names; that folder itself may be named too.
    files
        Their names and checksums.
    archives
        What to download, none where no program can.
    page
        Where a person gets them.
    """

    folder: str
    files: tuple[OfficialFile, ...]
    archives: tuple[Archive, ...]
    page: str

    def locate(self, root: Path) -> Path:
        """Return the folder that holds the files: ``root``, or the published name below it."""
        for folder in self._folders(root):
            if self._holds_any(folder):
                return folder
        raise DatasetError(
            f"{root} holds no {self.files[0].name}, neither itself nor in {self.folder}/; name "
            "the folder of the unpacked files."
        )

    def _folders(self, root: Path) -> tuple[Path, Path]:
        return root / self.folder, root

    def _holds_any(self, folder: Path) -> bool:
        return any(is_file(published_path(folder, file.name)) for file in self.files)

    def count(self, root: Path) -> str:
        """Say how many of the published files there are, by their names alone."""
        folder = self.locate(root)
        n = sum(is_file(published_path(folder, file.name)) for file in self.files)
        return f"{n} of {len(self.files)} published files"

    def check(self, root: Path) -> None:
        """Compare every file with its published checksum, or raise `DatasetError`."""
        folder = self.locate(root)
        for file in self.files:
            path = published_path(folder, file.name)
            if not is_file(path):
                raise DatasetError(
                    f"{folder} lacks the file {file.name}; download the dataset again "
                    f"from {self.page}."
                )
            if path.name != file.name:
                raise DatasetError(
                    f"{path} is an unpacked file, and only the archive has a published checksum: "
                    f"put {Path(file.name).name} beside it, or accept it as it is {AS_IT_IS}."
                )
            found = md5_of_file(path, root)
            if found != file.md5:
                raise DatasetError(
                    f"{path} is not the published file (MD5 {found}, published {file.md5}): get "
                    f"it anew, or accept it as it is {AS_IT_IS}."
                )

    def download(self, root: Path, title: str, progress: Progress) -> None:
        """Fetch the files that are missing, check what came, and unpack it.

        Files that are there are left as they are.

        Raises
        ------
        DatasetError
            If no program can fetch it, there is no way to its server, or what came is not
            what was published.
        """
        if not self.archives:
            raise DatasetError(
                f"{title} cannot be fetched by a program; get it from {self.page} "
                "and name its folder."
            )
        folder = next(
            (folder for folder in self._folders(root) if self._holds_any(folder)),
            root / self.folder,
        )
        missing = [file for file in self.files if not is_file(published_path(folder, file.name))]
        names = {file.name for file in missing}
        for archive in self.archives:
            name = archive.url.rsplit("/", 1)[-1]
            if name.endswith(".tar.gz"):
                if missing and _is_file_with(root / name, archive.md5):  # fetched by hand
                    _unpack(root / name, self.folder, missing, folder)
                elif missing:
                    fetched = root / f"fetched-{name}"
                    fetch(archive, fetched, title, self.page, progress)
                    try:
                        _unpack(fetched, self.folder, missing, folder)
                    finally:
                        fetched.unlink()
            elif name in names:
                fetch(archive, folder / name, title, self.page, progress)


def existing_folder(root: Path | None, title: str, variable: str) -> Path:
    """Return the folder a user named, or raise `DatasetError` that says how to name one."""
    if root is None:
        raise DatasetError(
            f"{title} needs the folder of its images: pass root=, --root, set {variable}, or name "
            "it in the app on 'Your data and model'."
        )
    if not is_folder(root):
        shown = str(root)
        shown = (
            shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}... ({len(shown):,} characters)"
        )
        raise DatasetError(
            f"The {title} folder {shown} does not exist or is not a folder; check the path."
        )
    return root


def published_path(folder: Path, name: str) -> Path:
    """Return a file's path, or that of its unpacked twin where only that is there."""
    path = folder / name
    unpacked = path.with_suffix("") if path.suffix == ".gz" else path
    return unpacked if is_file(unpacked) and not is_file(path) else path


def md5_of_file(path: Path, root: Path) -> str:
    """Return the MD5 of the bytes of a file below ``root``, in hex: what these datasets publish.

    It proves no origin.
    """
    try:
        with open_below(path, root) as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}); check that you may open it."
        ) from error


def _is_file_with(path: Path, md5: str) -> bool:
    return is_file(path) and md5_of_file(path, path.parent) == md5


def fetch(archive: Archive, path: Path, title: str, page: str, progress: Progress) -> None:
    """Download one file beside its place, check its MD5, and put it there.

    A failure leaves nothing behind.
    """
    make_folder(path.parent)
    temporary = path.with_name(path.name + ".part")
    try:
        with (
            urllib.request.urlopen(archive.url, timeout=TIMEOUT) as answer,  # noqa: S310
            temporary.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                # The total is one more than what came until the file is checked: a bar
                # closes when it is full.
                progress(done, max(total, done) + 1, f"downloading {path.name}")
        found = md5_of_file(temporary, temporary.parent)
        if found != archive.md5:
            raise DatasetError(
                f"What came from {archive.url} is not the published file (MD5 {found}, published "
                f"{archive.md5}); try again later."
            )
        temporary.replace(path)
        progress(done + 1, done + 1, f"downloading {path.name}")
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DatasetError(
            f"{title} could not be downloaded from {archive.url} ({reason}); get it on another "
            f"machine from {page} and name its folder with root= or --root."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unpack(archive: Path, inside: str, files: Sequence[OfficialFile], folder: Path) -> None:
    """Write the named files out of an archive; no path in it decides where anything goes."""
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for file in files:
                member = packed.extractfile(f"{inside}/{file.name}")
                if member is None:
                    raise KeyError(file.name)
                with member:
                    _write(folder / file.name, member)
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"{archive} does not hold what was published ({error}); try again later."
        ) from error


def _write(path: Path, source: IO[bytes]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            shutil.copyfileobj(source, file)

    write_atomically(path, write)
