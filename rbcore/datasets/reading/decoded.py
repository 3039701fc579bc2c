"""Images decoded once: the pixels of many files as one memory-mapped array in the cache."""

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from rbcore.datasets.base import SkippedFile
from rbcore.datasets.reading.image_files import MARKS, Picture, notes_of, read_image
from rbcore.datasets.reading.opening import stat_below
from rbcore.errors import DatasetError, OldCacheError, StoreError
from rbcore.runtime import Progress
from rbcore.store import (
    Record,
    cache_root,
    make_folder,
    read_record,
    sha256_of_facts,
    write_atomically,
    write_record,
)

SIZES = (8, 400)
DECODE_VERSION = 2


class DecodedFacts(Record):
    """What stands beside an array of decoded images.

    Attributes
    ----------
    names
        Names of the images in their order.
    broken
        Files that are not readable images, each with the reason.
    sha256
        SHA-256 of the pixels.
    marks
        What was done to images, and to how many.
    """

    names: tuple[str, ...]
    broken: tuple[tuple[str, str], ...]
    sha256: str
    marks: dict[str, int]


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Attributes
    ----------
    images
        Uint8, shape (n, channels, size, size), memory-mapped.
    names
        Names of the n files, in their order.
    broken
        Files that are not readable images.
    sha256
        SHA-256 of the pixels.
    notes
        What was done to some of them, such as a rotation, in words.
    """

    images: np.ndarray
    names: list[str]
    broken: list[SkippedFile]
    sha256: str
    notes: tuple[str, ...] = ()


def check_size(title: str, size: int) -> None:
    """Raise `DatasetError` for a size no image can be brought to."""
    if not SIZES[0] <= size <= SIZES[1]:
        raise DatasetError(f"{title} can be loaded at {SIZES[0]} to {SIZES[1]} pixels, not {size}.")


def decode_files(
    dataset: str,
    files: dict[str, Path],
    size: int,
    progress: Progress,
    *,
    root: Path,
    formats: tuple[str, ...] = ("JPEG",),
    is_cropped: bool = False,
) -> Decoded:
    """Decode image files to ``size`` x ``size`` pixels in color, once.

    The array is kept under a key of the files' names, lengths and times, the size and the
    decoder's version.

    Parameters
    ----------
    dataset
        Name of the dataset; it stands in the array's file name, so its other arguments must not
        change between calls.
    files
        Path of each file by the name it is known by.
    root
        Folder below which they must lie.
    formats
        What a file may be, whatever its name says.
    is_cropped
        Take the largest central square; otherwise the whole image is squeezed to a square.
    """
    listing: list[list[object]] = []
    absent: list[SkippedFile] = []
    checked: set[Path] = set()
    for name, path in files.items():
        try:
            status = stat_below(path, root, checked)
        except OSError as error:
            absent.append(SkippedFile(name, f"the file cannot be opened ({error.strerror})"))
        else:
            listing.append([name, status.st_size, status.st_mtime_ns])
    names = [str(facts[0]) for facts in listing]

    def read(number: int) -> Picture | str:
        return read_image(files[names[number]], root, size, formats, is_cropped)

    key_facts = {"files": listing, "size": size, "version": DECODE_VERSION}
    decoded = _cached(f"{dataset}-{size}px", key_facts, names, (3, size, size), read, progress)
    return replace(decoded, broken=absent + decoded.broken)


def resize_images(
    dataset: str, images: np.ndarray, size: int, progress: Progress
) -> tuple[np.ndarray, str]:
    """Return images, uint8 of shape (n, channels, height, width), at another size.

    Beside them the SHA-256 of their pixels.

    At their own size they come back as they are; otherwise they are resized once and kept
    like decoded files.
    """
    digest = _sha256(images)
    n, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images, digest

    def read(number: int) -> Picture:
        planes = [
            Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR)
            for plane in images[number]
        ]
        return Picture(np.stack([np.asarray(plane) for plane in planes]))

    key_facts = {"images": digest, "size": size, "version": DECODE_VERSION}
    names = [str(number) for number in range(n)]
    resized = _cached(
        f"{dataset}-{size}px", key_facts, names, (channels, size, size), read, progress
    )
    return resized.images, resized.sha256


def _cached(
    stem: str,
    key_facts: dict[str, object],
    names: list[str],
    shape: tuple[int, int, int],
    read: Callable[[int], Picture | str],
    progress: Progress,
) -> Decoded:
    key = sha256_of_facts(key_facts)[:32]
    array_path = cache_root() / "datasets" / f"{stem}-{key}.npy"
    facts_path = array_path.with_suffix(".json")
    found = _read_cached(array_path, facts_path, shape)
    if found is None:
        write_record(facts_path, _decode(array_path, names, shape, read, progress))
        found = _read_cached(array_path, facts_path, shape)
    if found is None:
        raise DatasetError(
            f"The decoded images in {array_path} do not come back as they were "
            "written; check the disk."
        )
    return found


def _read_cached(array_path: Path, facts_path: Path, shape: tuple[int, int, int]) -> Decoded | None:
    """Open a decoded array and compare its pixels with their hash.

    None where there is none or it is damaged.
    """
    try:
        facts = read_record(facts_path, DecodedFacts)
        images = np.lib.format.open_memmap(array_path, "r")[: len(facts.names)]
    except OldCacheError:
        raise
    except (StoreError, OSError, ValueError, OverflowError):
        return None  # absent, damaged or cut short: decoded anew
    is_fine = images.dtype == np.uint8 and images.shape == (len(facts.names), *shape)
    if not is_fine or _sha256(images) != facts.sha256:
        return None
    broken = [SkippedFile(*skip) for skip in facts.broken]
    return Decoded(images, list(facts.names), broken, facts.sha256, notes_of(facts.marks))


def _sha256(images: np.ndarray) -> str:
    return (
        hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
        if len(images)
        else hashlib.sha256().hexdigest()
    )


def _decode(
    array_path: Path,
    names: list[str],
    shape: tuple[int, int, int],
    read: Callable[[int], Picture | str],
    progress: Progress,
) -> DecodedFacts:
    """Write one image after another, so that memory never holds them all.

    Return what the list beside the array says.
    """
    n_bytes = len(names) * math.prod(shape)
    make_folder(array_path.parent)
    free = shutil.disk_usage(array_path.parent).free
    if n_bytes > free:
        raise StoreError(
            f"The decoded images take {n_bytes / 1e9:,.1f} GB but {array_path.parent} "
            f"has {free / 1e9:,.1f} GB left; choose a smaller size or set RBCORE_CACHE "
            "to another folder."
        )
    used: list[str] = []
    broken: list[tuple[str, str]] = []
    marks = dict.fromkeys(MARKS, 0)
    digest = hashlib.sha256()

    header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), *shape)}

    def write(path: Path) -> None:
        with path.open("wb") as file:
            # Not through a memory map: on a disk that fills up, that would kill the process.
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            for number, name in enumerate(names):
                image = read(number)
                if isinstance(image, str):
                    broken.append((name, image))
                else:
                    for mark in image.marks:
                        marks[mark] += 1
                    pixels = image.pixels.tobytes()
                    digest.update(pixels)
                    file.write(pixels)
                    used.append(name)
                progress(number + 1, len(names), f"decoding images at {shape[-1]} px")
            file.truncate(
                start + n_bytes
            )  # broken files leave their room at the end, where nothing reads it

    write_atomically(array_path, write)
    return DecodedFacts(
        names=tuple(used), broken=tuple(broken), sha256=digest.hexdigest(), marks=marks
    )
