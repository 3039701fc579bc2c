"""What the header of a JPEG or PNG file says, read before any decoder sees it.

A decoder reads every text, profile and tag of a header into memory, and goes over the pixels once a
scan; a small file can so ask for any amount of memory and time. What no camera and no program
writes is refused.
"""

import struct
from dataclasses import dataclass
from typing import IO

from PIL import JpegImagePlugin

MOST_HEADER = 16_000_000
"""Bytes of all that a file holds beside its pixels: texts, profiles, thumbnails."""
MOST_CHUNKS = 100_000
MOST_TAGS = 500
"""Entries of a block of EXIF tags; each can refer to the whole block, and is copied."""
JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
START_OF_SCAN = b"\xff\xda"
ORIENTATION = 0x0112
_BARE = {marker for marker, (_, _, handler) in JpegImagePlugin.MARKER.items() if handler is None}
"""JPEG markers after which Pillow expects no length; it and this module must agree on where a
segment begins.
"""
_WHOLE_NUMBERS = {3: "H", 4: "L"}
CHUNK = 1 << 20


class HeaderError(ValueError):
    """A header that no program writes.

    The text says what of it, as the reason for leaving a file out.
    """


@dataclass(frozen=True)
class Header:
    """What is known before decoding.

    Attributes
    ----------
    orientation
        EXIF orientation, 1 to 8; 1 is upright.
    n_scans
        How often a decoder goes over the pixels.
    """

    orientation: int = 1
    n_scans: int = 1


def read_header(file: IO[bytes]) -> Header:
    """Return what the header of an open image file says; of what is neither JPEG nor PNG, nothing.

    Leaves the file at its start.

    Raises
    ------
    HeaderError
        If decoding would cost more than any usual header does.
    """
    file.seek(0)
    start = file.read(len(PNG_START))
    try:
        if start.startswith(JPEG_START):
            return _jpeg_header(file)
        return _png_header(file) if start == PNG_START else Header()
    finally:
        file.seek(0)


def _jpeg_header(file: IO[bytes]) -> Header:
    file.seek(0)
    head = file.read(MOST_HEADER)
    place, exif = 2, b""
    while (place := head.find(b"\xff", place)) >= 0 and place + 4 <= len(head):
        marker, length = struct.unpack_from(">HH", head, place)
        if marker in (0xFF00, 0xFFFF):
            place += 1
        elif marker in _BARE:
            place += 2
        elif marker == 0xFFDA:
            return Header(_orientation(exif), _count_scans(file))
        else:
            segment = head[place + 4 : place + 2 + length]
            if marker == 0xFFE1 and segment.startswith(b"Exif\0\0"):
                if exif:
                    raise HeaderError("it holds EXIF data twice")
                exif = segment[6:]
                _refuse_many_tags(exif)
            elif marker == 0xFFE2 and segment.startswith(b"MPF\0"):
                _refuse_many_tags(segment[4:])
            place += 2 + max(length, 2)
    if len(head) == MOST_HEADER:
        raise HeaderError(f"its header is longer than {MOST_HEADER / 1e6:.0f} MB")
    return Header()


def _count_scans(file: IO[bytes]) -> int:
    """Count the scans of a JPEG file; a thumbnail's count too."""
    file.seek(0)
    n, tail = 0, b""
    while block := file.read(CHUNK):
        n += (tail + block).count(START_OF_SCAN)
        tail = block[-1:]
    return n


def _png_header(file: IO[bytes]) -> Header:
    total, orientation = 0, 1
    for _ in range(MOST_CHUNKS):
        start = file.read(8)
        if len(start) < 8:
            return Header(orientation)
        length, kind = struct.unpack(">L4s", start)
        if kind == b"eXIf" and length <= MOST_HEADER:
            exif = file.read(length)
            _refuse_many_tags(exif)
            orientation = _orientation(exif)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
        if kind != b"IDAT":
            total += length
        if total > MOST_HEADER:
            raise HeaderError(f"it holds more than {MOST_HEADER / 1e6:.0f} MB beside its pixels")
        if kind == b"IEND":
            return Header(orientation)
    raise HeaderError(f"it consists of more than {MOST_CHUNKS:,} pieces")


def _tags(exif: bytes) -> tuple[str, int, int]:
    """Return byte order, offset and number of the entries of the first block of tags.

    None where there is no such block.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return ">", 0, 0
    offset = struct.unpack_from(order + "L", exif, 4)[0]
    if offset + 2 > len(exif):
        return order, 0, 0
    return order, offset + 2, struct.unpack_from(order + "H", exif, offset)[0]


def _refuse_many_tags(exif: bytes) -> None:
    n = _tags(exif)[2]
    if n > MOST_TAGS:
        raise HeaderError(f"its EXIF data hold {n:,} entries, more than {MOST_TAGS}")


def _orientation(exif: bytes) -> int:
    order, start, n = _tags(exif)
    for place in range(start, min(start + 12 * n, len(exif) - 11), 12):
        tag, kind = struct.unpack_from(order + "HH", exif, place)
        if tag == ORIENTATION and kind in _WHOLE_NUMBERS:
            value = struct.unpack_from(order + _WHOLE_NUMBERS[kind], exif, place + 8)[0]
            return value if 1 <= value <= 8 else 1
    return 1
