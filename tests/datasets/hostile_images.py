"""Small image files that ask for much: of memory, of time, or for what is not theirs. Nothing here
is a real picture.
"""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image


def png(
    width: int,
    height: int,
    *,
    kind: int = 2,
    rows: int | None = None,
    before: list[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return a PNG file of one color; ``kind`` 2 is RGB, 6 RGBA; ``rows`` of it are there, the
    others are missing.
    """
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[kind])
    pixels = b"".join(
        [packer.compress(row) for _ in range(height if rows is None else rows)] + [packer.flush()]
    )
    return png_of([(b"IHDR", header), *before, (b"IDAT", pixels), (b"IEND", b"")])


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG file of the given pieces, with their checksums."""
    pieces = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def jpeg(
    width: int,
    height: int,
    *,
    mode: str = "RGB",
    head: bytes = b"",
    scans: int = 0,
    **options: object,
) -> bytes:
    """Return a small JPEG file whose header claims other sides; ``head`` is put at its start,
    ``scans`` more scans at its end.
    """
    buffer = io.BytesIO()
    Image.new(mode, (16, 16)).save(buffer, "JPEG", **options)
    content = bytearray(buffer.getvalue())
    place = next(
        place
        for place in range(2, len(content))
        if content[place] == 0xFF and content[place + 1] in (0xC0, 0xC2)
    )
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    scan = content[content.rindex(b"\xff\xda") : -2]
    return bytes(content[:2] + head + content[2:-2] + scan * scans + content[-2:])


def segment(marker: int, data: bytes) -> bytes:
    """Return one piece of a JPEG file's header."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def tags(n: int, size: int, total: int) -> bytes:
    """Return EXIF data of ``total`` bytes with ``n`` entries, each of which refers to the same
    ``size`` bytes.
    """
    entries = b"".join(struct.pack(">HHLL", 1000 + k, 7, size, 8) for k in range(n))
    return (b"MM\0*" + struct.pack(">LH", 8, n) + entries).ljust(total, b"\0")


def hostile_images() -> dict[str, bytes]:
    """Return the files by name."""
    text = zlib.compress(bytes(100_000_000), 9)
    exif = b"Exif\0\0" + tags(5000, 60_000, 65_000)
    return {
        "64 megapixels.png": png(8000, 8000),
        "one long row.png": png(64_000_000, 1),
        "one long column.png": png(1, 1_000_000),
        "wide.png": png(32_000, 2000),
        "alpha.png": png(8000, 8000, kind=6, rows=10),
        "texts.png": png(8, 8, before=[(b"zTXt", b"a%d\0\0" % k + text) for k in range(80)]),
        "profile.png": png(8, 8, before=[(b"iCCP", b"a\0\0" + text)]),
        "long text.png": png(8, 8, before=[(b"tEXt", b"a\0" + bytes(60_000_000))]),
        "exif.png": png(8, 8, before=[(b"eXIf", tags(60_000, 1_000_000, 1_000_100))]),
        "many pieces.png": png(8, 8, before=[(b"tEXt", b"a\0b")] * 200_000),
        "64 megapixels.jpg": jpeg(8000, 8000),
        "progressive.jpg": jpeg(8000, 8000, progressive=True, subsampling=0),
        "progressive cmyk.jpg": jpeg(6000, 6000, mode="CMYK", progressive=True),
        "scans.jpg": jpeg(6000, 6000, progressive=True, scans=2000),
        "tags.jpg": jpeg(16, 16, head=segment(0xE1, exif)),
        "tags in pieces.jpg": jpeg(16, 16, head=segment(0xE1, exif) * 200),
        "tags of a series.jpg": jpeg(16, 16, head=segment(0xE2, b"MPF\0" + exif[6:])),
        "long header.jpg": jpeg(16, 16, head=segment(0xE5, bytes(65_000)) * 1000),
        "65,535 sides.jpg": jpeg(65_535, 65_535),
    }


def write_hostile(folder: Path) -> list[Path]:
    """Write the files into a folder."""
    paths = []
    for name, content in hostile_images().items():
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    return paths
