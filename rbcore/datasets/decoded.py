"""Images decoded once: the pixels of many files as one memory-mapped array in the cache, and the files that are no images."""

import hashlib
import io
import math
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from rbcore.datasets.base import SkippedFile
from rbcore.errors import DatasetError, StoreError
from rbcore.running import Progress
from rbcore.store import Facts, cache_root, make_folder, read_json, sha256_of_facts, write_atomically, write_json

SIZES = (8, 400)
MEGAPIXELS = 64
"""The largest image that is decoded: a small file can unpack to any size, so its header is asked first."""
DECODE_VERSION = 1
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow raises on damaged and hostile files."""


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
        Files that are no readable images.
    sha256
        SHA-256 of the pixels.
    """

    images: np.ndarray
    names: list[str]
    broken: list[SkippedFile]
    sha256: str


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
    formats: tuple[str, ...] = ("JPEG",),
    is_cropped: bool = False,
) -> Decoded:
    """Decode image files to ``size`` x ``size`` pixels in colour, once.

    The array is kept under a key of the files' names, lengths and times, the size and the decoder's version.

    Parameters
    ----------
    dataset
        Name of the dataset; it stands in the array's file name, so its other arguments must not change between calls.
    files
        Path of each file by the name it is known by.
    formats
        What a file may be, whatever its name says.
    is_cropped
        Take the largest central square; otherwise the whole image is squeezed to a square.
    """
    listing: list[list[object]] = []
    absent: list[SkippedFile] = []
    for name, path in files.items():
        try:
            status = path.stat()
        except OSError as error:
            absent.append(SkippedFile(name, f"the file cannot be opened ({error.strerror})"))
        else:
            listing.append([name, status.st_size, status.st_mtime_ns])
    names = [str(facts[0]) for facts in listing]

    def read(number: int) -> np.ndarray | str:
        return _read_image(files[names[number]], size, formats, is_cropped)

    key_facts = {"files": listing, "size": size, "version": DECODE_VERSION}
    decoded = _cached(f"{dataset}-{size}px", key_facts, names, (3, size, size), read, progress)
    return Decoded(decoded.images, decoded.names, absent + decoded.broken, decoded.sha256)


def _read_image(path: Path, size: int, formats: tuple[str, ...], is_cropped: bool) -> np.ndarray | str:
    kinds = " or ".join(formats)
    try:
        with Image.open(path, formats=formats) as image:
            width, height = image.size
            if width * height > MEGAPIXELS * 1_000_000:
                return f"{width} x {height} pixels are more than {MEGAPIXELS} megapixels"
            if image.mode[0] in "IF":  # 16 bits or more a pixel, which a conversion would cut off, not scale
                return f"its pixels are of the kind {image.mode!r}, not of 8 bits a colour"
            side = min(width, height)
            left, top = ((width - side) // 2, (height - side) // 2) if is_cropped else (0, 0)
            box = (left, top, left + side, top + side) if is_cropped else None
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box)
        return np.asarray(resized).transpose(2, 0, 1)
    except UNREADABLE as error:
        return f"no readable {kinds} ({type(error).__name__})"


def resize_images(dataset: str, images: np.ndarray, size: int, progress: Progress) -> tuple[np.ndarray, str]:
    """Return images, uint8 of shape (n, channels, height, width), at another size, and the SHA-256 of their pixels.

    At their own size they come back as they are; otherwise they are resized once and kept like decoded files.
    """
    digest = _sha256(images)
    n, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images, digest

    def read(number: int) -> np.ndarray:
        planes = [Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR) for plane in images[number]]
        return np.stack([np.asarray(plane) for plane in planes])

    key_facts = {"images": digest, "size": size, "version": DECODE_VERSION}
    names = [str(number) for number in range(n)]
    resized = _cached(f"{dataset}-{size}px", key_facts, names, (channels, size, size), read, progress)
    return resized.images, resized.sha256


def _cached(
    stem: str,
    key_facts: Facts,
    names: list[str],
    shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray | str],
    progress: Progress,
) -> Decoded:
    key = sha256_of_facts(key_facts)[:32]
    array_path = cache_root() / "datasets" / f"{stem}-{key}.npy"
    facts_path = array_path.with_suffix(".json")
    header = _header((len(names), *shape))
    found = _read_cached(array_path, facts_path, len(header), shape)
    if found is None:
        write_json(facts_path, _decode(array_path, names, header, shape, read, progress))
        found = _read_cached(array_path, facts_path, len(header), shape)
    if found is None:
        raise DatasetError(f"The decoded images in {array_path} do not come back as they were written; check the disk.")
    return found


def _header(shape: tuple[int, int, int, int]) -> bytes:
    """Return what stands before the pixels in the array's file, so that NumPy opens it too."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _read_cached(array_path: Path, facts_path: Path, start: int, shape: tuple[int, int, int]) -> Decoded | None:
    """Open a decoded array and compare its pixels with their hash; None where there is none or it is damaged."""
    try:
        facts = read_json(facts_path)
        n = len(facts["names"])
        images = np.memmap(array_path, np.uint8, "r", start, (n, *shape)) if n else np.empty((0, *shape), np.uint8)
    except (StoreError, OSError, ValueError):
        return None  # absent, damaged or cut short: decoded anew
    if _sha256(images) != facts["sha256"]:
        return None
    return Decoded(images, facts["names"], [SkippedFile(*skip) for skip in facts["broken"]], facts["sha256"])


def _sha256(images: np.ndarray) -> str:
    return (
        hashlib.sha256(np.ascontiguousarray(images).data).hexdigest() if len(images) else hashlib.sha256().hexdigest()
    )


def _decode(
    array_path: Path,
    names: list[str],
    header: bytes,
    shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray | str],
    progress: Progress,
) -> Facts:
    """Write one image after another, so that memory never holds them all; return what the list beside the array says."""
    n_bytes = len(names) * math.prod(shape)
    make_folder(array_path.parent)
    free = shutil.disk_usage(array_path.parent).free
    if n_bytes > free:
        raise StoreError(
            f"The decoded images take {n_bytes / 1e9:,.1f} GB but {array_path.parent} has {free / 1e9:,.1f} GB left; choose a "
            "smaller size or set RBCORE_CACHE to another folder."
        )
    used: list[str] = []
    broken: list[tuple[str, str]] = []
    digest = hashlib.sha256()

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(header)
            for number, name in enumerate(names):
                image = read(number)
                if isinstance(image, str):
                    broken.append((name, image))
                else:
                    pixels = image.tobytes()
                    digest.update(pixels)
                    file.write(pixels)
                    used.append(name)
                progress(number + 1, len(names), f"decoding images at {shape[-1]} px")
            file.truncate(len(header) + n_bytes)  # broken files leave their room at the end, where nothing reads it

    write_atomically(array_path, write)
    return {"names": used, "broken": broken, "sha256": digest.hexdigest()}
