"""Invalid or oversized image files among valid ones, which must stay unaffected."""

import io
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import rbcore as rb
from benchmarks.robustness.cases import HOSTILE, SAME, WRONG, Case, Outcome
from benchmarks.robustness.damage import damages
from benchmarks.robustness.world import SIDE, World, facts_of_images

KIND = "pictures"
FILE = "train/cat/0.png"
DAMAGED_PNG, DAMAGED_JPEG = 120, 40


def picture_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield pictures in place of one that is in order."""
    content = (world.images / FILE).read_bytes()
    for name, damage in damages(seed, len(content), DAMAGED_PNG):
        yield picture_case(world, f"PNG {name}", damage(content), may_be_right=True)
    jpeg = _encoded("JPEG", quality=90)
    for place in np.linspace(0, len(jpeg) - 3, DAMAGED_JPEG).astype(int):
        yield picture_case(world, f"JPEG cut off at {place}", jpeg[:place])
    for name, other in odd_files():
        yield picture_case(world, name, other)
    for name, other in large_files():
        yield picture_case(world, name, other)


def picture_case(
    world: World, name: str, content: bytes, *, may_be_right: bool = False, file: str = FILE
) -> Case:
    """Return the case of an image that must be skipped and named, or may be decoded correctly."""

    def make(folder: Path) -> None:
        shutil.copytree(world.images, folder / "images")
        (folder / "images" / file).unlink(missing_ok=True)
        (folder / "images" / file).write_bytes(content)

    def act(folder: Path) -> dict[str, Any]:
        dataset = rb.load_dataset("folder", root=folder / "images", size=16)
        return {
            "facts": facts_of_images(dataset),
            "skipped": [skip.file for skip in dataset.skipped],
        }

    def judge(found: dict[str, Any]) -> Outcome:
        right, pixels = world.facts["images"]["pixels"], found["facts"]["pixels"]
        for sample, image in right.items():
            if sample == file:
                is_left_out = sample not in pixels and sample in found["skipped"]
                if not is_left_out and not (may_be_right and pixels.get(sample) == image):
                    return Outcome(
                        WRONG,
                        f"{file} was read, with other pixels"
                        if sample in pixels
                        else "nothing is said",
                    )
            elif pixels.get(sample) != image:
                return Outcome(WRONG, f"{sample} has other pixels or is left out")
        return Outcome(SAME)

    return Case(HOSTILE, KIND, name, act, judge, make)


def _encoded(
    kind: str, size: tuple[int, int] = (SIDE, SIDE), mode: str = "RGB", **options: Any
) -> bytes:
    random = np.random.default_rng(1)
    image = Image.fromarray(random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).convert(
        mode
    )
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int,
    height: int,
    *,
    depth: int = 8,
    color: int = 2,
    data: bytes = b"",
    chunks: bytes = b"",
) -> bytes:
    """Return a PNG with these words in its header, whatever they promise."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = _chunk(b"IHDR", header) + chunks + _chunk(b"IDAT", data)
    return b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b"")


def odd_files() -> Iterator[tuple[str, bytes]]:
    """Yield files that are no picture, or none of the kinds that are read."""
    yield "empty", b""
    yield "one byte", b"\x89"
    yield "only the signature of PNG", b"\x89PNG\r\n\x1a\n"
    yield "only the signature of JPEG", b"\xff\xd8\xff"
    yield "HTML", b"<!doctype html><html><body>404</body></html>"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield (
        "an SVG that names a file",
        b'<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="/etc/passwd"/></svg>',
    )
    yield "XML entities", b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><svg>&b;</svg>'
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\nshowpage\n"
    yield "PDF", b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"
    yield "a zip", b"PK\x03\x04" + bytes(200)
    yield "a pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07pwd_cmd\x94."
    yield (
        "an LFS pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234\n",
    )
    yield "text", b"hello"
    yield "random bytes", np.random.default_rng(2).bytes(5000)
    yield "zeros", bytes(5000)
    for kind in ("GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "PCX", "SGI", "JPEG2000"):
        try:
            yield f"a {kind} called .png", _encoded(kind)
        except (OSError, KeyError):
            continue
    for color in (1, 5, 7, 8, 255):
        yield (
            f"PNG of color type {color}",
            png(20, 20, color=color, data=zlib.compress(bytes(2000))),
        )
    for depth in (0, 3, 5, 7, 9, 32, 64, 255):
        yield f"PNG of depth {depth}", png(20, 20, depth=depth, data=zlib.compress(bytes(2000)))
    for width, height in (
        (0, 0),
        (0, 20),
        (20, 0),
        (2**31 - 1, 1),
        (1, 2**31 - 1),
        (2**32 - 1, 2**32 - 1),
    ):
        yield f"PNG of {width} x {height}", png(width, height, data=zlib.compress(bytes(2000)))
    yield "PNG without data", png(20, 20)
    yield "PNG with too little data", png(20, 20, data=zlib.compress(bytes(100)))
    yield "PNG with data that are no zlib", png(20, 20, data=b"\x00" * 300)
    yield (
        "PNG with palette colors and no palette",
        png(20, 20, color=3, data=zlib.compress(bytes(420))),
    )
    filters = zlib.compress(b"".join(bytes([9]) + bytes(60) for _ in range(20)))
    yield "PNG with a filter that does not exist", png(20, 20, data=filters)
    yield (
        "PNG whose chunk promises 2 GB",
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31 - 1) + b"IHDR",
    )


def large_files() -> Iterator[tuple[str, bytes]]:
    """Yield small files that unpack to much, or that take long."""
    for side in (8_001, 20_000, 50_000, 100_000):
        rows = zlib.compress(bytes(min(side * side * 3 + side, 60_000_000)), 9)
        yield f"PNG of {side} x {side}", png(side, side, data=rows)
    for width, height in ((1, 60_000_000), (60_000_000, 1), (65_500, 976), (4, 2**24), (2**24, 4)):
        yield (
            f"PNG of {width} x {height}",
            png(width, height, data=zlib.compress(bytes(60_000_000), 9)),
        )
    bomb = zlib.compress(bytes(200_000_000), 9)
    yield (
        "PNG with a text of 200 MB packed small",
        png(20, 20, chunks=_chunk(b"zTXt", b"a\0\0" + bomb), data=b""),
    )
    yield (
        "PNG with a color profile of 200 MB packed small",
        png(20, 20, chunks=_chunk(b"iCCP", b"a\0\0" + bomb), data=b""),
    )
    texts = b"".join(_chunk(b"tEXt", b"k%d\0v" % number) for number in range(100_000))
    yield "PNG with 100,000 texts and no picture", png(20, 20, chunks=texts)
    for kind, side in (("JPEG", 60_000), ("GIF", 60_000)):
        content = bytearray(_encoded(kind))
        if kind == "JPEG":
            place = content.index(b"\xff\xc0") + 5
            content[place : place + 4] = struct.pack(">HH", side, side)
        else:
            content[6:10] = struct.pack("<HH", side, side)
        yield f"{kind} that says it has {side} x {side}", bytes(content)
