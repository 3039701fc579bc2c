import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.layouts import write_class_folders
from rbcore.datasets import load_dataset
from rbcore.datasets.reading.image_files import TRANSPARENT, TURNED, read_image
from tests.datasets.hostile_images import png_of, write_hostile

FORMATS = ("JPEG", "PNG")
ORIENTATION = 0x0112


def seen(path, size=8, **options):
    picture = read_image(path, path.parent, size, FORMATS, options.get("is_cropped", False))
    assert not isinstance(picture, str), picture
    return picture.pixels.transpose(1, 2, 0), picture.marks


def on_white(color, alpha):
    """What a color of that opacity, both 0 to 255, looks like on white paper."""
    return [round((part * alpha + 255 * (255 - alpha)) / 255) for part in color]


@pytest.mark.parametrize("alpha", [0, 1, 100, 254])
def test_transparent_pixels_are_composited_on_white(tmp_path, alpha):
    colors = np.full((8, 8, 4), (200, 50, 0, alpha), np.uint8)
    colors[:4] = (10, 20, 30, 255)
    path = tmp_path / "a.png"
    Image.fromarray(colors).save(path)
    pixels, marks = seen(path)
    np.testing.assert_array_equal(pixels[:4], np.full((4, 8, 3), (10, 20, 30)))
    np.testing.assert_array_equal(pixels[4:], np.full((4, 8, 3), on_white((200, 50, 0), alpha)))
    assert marks == (TRANSPARENT,)
    Image.fromarray(colors).convert("LA").save(path)
    gray = Image.fromarray(colors).convert("L").getpixel((0, 7))
    assert seen(path)[0][7, 0].tolist() == on_white((gray,) * 3, alpha) and seen(path)[1] == (
        TRANSPARENT,
    )


def test_what_is_fully_opaque_is_not_counted_as_transparent(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found, marks = seen(tmp_path / "a.png")
    np.testing.assert_array_equal(found, pixels[..., :3])
    assert marks == ()


@pytest.mark.parametrize(
    ("mode", "key"), [("RGB", (255, 0, 0)), ("L", 76), ("P", 0), ("1", 0), ("I;16", 76 * 257)]
)
def test_one_transparent_value_is_white_and_the_others_stay(tmp_path, mode, key):
    """A red square, or its gray, black or 16-bit twin, that the file calls transparent; the
    rest is bright.
    """
    picture = Image.new("RGB", (8, 8), (255, 0, 0))
    picture.paste((250, 250, 250), (4, 0, 8, 8))
    if mode == "I;16":
        values = np.broadcast_to(
            np.where(np.arange(8) < 4, key, 60_000).astype(np.uint16), (8, 8)
        ).copy()
        picture = Image.fromarray(values)
    elif mode == "P":
        picture = picture.quantize(2)
        key = picture.getpixel((0, 0))
    else:
        picture = picture.convert(mode)
        key = picture.getpixel((0, 0))
    picture.save(tmp_path / "a.png", transparency=key)
    pixels, marks = seen(tmp_path / "a.png")
    assert (pixels[:, :4] == 255).all() and marks == (TRANSPARENT,)
    assert (
        pixels[:, 4:] == (60_000 // 256 if mode == "I;16" else 255 if mode == "1" else 250)
    ).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_rotation_is_applied_as_pillow_does_it(tmp_path, orientation, suffix):
    random = np.random.default_rng(orientation)
    image = Image.fromarray(random.integers(0, 256, (13, 20, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        shown = ImageOps.exif_transpose(stored).convert("RGB")
    assert shown.size == ((13, 20) if orientation > 4 else (20, 13))
    expected = np.asarray(shown.resize((8, 8), Image.Resampling.BILINEAR))
    pixels, marks = seen(path)
    np.testing.assert_array_equal(pixels, expected)
    assert marks == ((TURNED,) if orientation > 1 else ())
    side, left, top = 13, (shown.width - 13) // 2, (shown.height - 13) // 2
    square = shown.resize((8, 8), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    np.testing.assert_array_equal(seen(path, is_cropped=True)[0], np.asarray(square))


def test_16_bits_are_scaled_and_cmyk_is_ink(tmp_path):
    levels = np.arange(0, 65_536, 1024, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "gray.png")
    pixels, _ = seen(tmp_path / "gray.png")
    assert np.abs(pixels - levels[..., None] / 257).max() <= 1 and (pixels.std(axis=2) == 0).all()
    Image.new("CMYK", (8, 8), (255, 100, 0, 0)).save(
        tmp_path / "ink.jpg", quality=100, subsampling=0
    )
    pixels, _ = seen(tmp_path / "ink.jpg")
    assert np.abs(pixels.astype(int) - (0, 155, 255)).max() <= 2


def test_what_was_done_to_images_is_counted_and_said(tmp_path):
    write_class_folders(tmp_path)
    clear = np.zeros((16, 16, 4), np.uint8)
    for k in range(3):
        Image.fromarray(clear).save(tmp_path / "cat" / f"logo{k}.PNG")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (16, 16)).save(tmp_path / "dog" / "phone.JPG", exif=exif)
    for _ in range(2):  # decoded, and from the cache
        dataset = load_dataset("folder", root=tmp_path, size=16)
        assert dataset.notes == (
            "3 images with transparent pixels, composited on white",
            "1 image rotated as the EXIF data say",
        )


MEASURE = """
import os, resource, sys
from pathlib import Path
from rbcore.datasets.reading.image_files import read_image
for path in sorted(Path(sys.argv[1]).iterdir()):
    child = os.fork()
    if not child:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = read_image(path, path.parent, 400, ("JPEG", "PNG"), False)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000
        print(path.name, grown, found if isinstance(found, str) else "read", sep="|", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(
    not hasattr(resource, "RUSAGE_SELF") or sys.platform != "linux",
    reason="memory is measured on Linux",
)
@pytest.mark.slow
def test_no_file_takes_more_than_320_megabytes(tmp_path):
    """Each in a process of its own; 124 kB took 2.6 GB before."""
    paths = write_hostile(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path], capture_output=True, text=True, check=True
    )
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert {line[0] for line in lines} == {path.name for path in paths}
    assert max(int(line[1]) for line in lines) <= 320, lines
    said = {line[0]: line[2] for line in lines}
    assert {name for name, answer in said.items() if answer == "read"} == {
        "64 megapixels.png",
        "64 megapixels.jpg",
    }
    assert (
        said["alpha.png"]
        == "its 8000 x 8000 pixels take 589 MB to decode; more than 300 MB are not spent"
    )
    assert said["one long row.png"] == "64000000 x 1 pixels have a side longer than 32,000"
    assert said["tags.jpg"] == "its EXIF data hold 5,000 entries, more than 500"
    assert "2010 scans" in said["scans.jpg"] and "beside its pixels" in said["long text.png"]
    assert (
        "100,000 pieces" in said["many pieces.png"]
        and "header is longer than 16 MB" in said["long header.jpg"]
    )


def test_a_large_photograph_is_decoded_at_half_its_size_and_looks_the_same(tmp_path, monkeypatch):
    """Where memory is short a JPEG file is halved in decoding: the picture stays within
    3 of 255 levels.
    """
    x = np.linspace(0, 250, 640)
    smooth = np.stack(np.broadcast_arrays(x[None], x[:, None] / 2, 128.0), axis=2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    whole, _ = seen(tmp_path / "a.jpg")
    monkeypatch.setattr("rbcore.datasets.reading.image_files.MOST_MEMORY", 640 * 640 * 5)
    halved, _ = seen(tmp_path / "a.jpg")
    assert not np.array_equal(whole, halved) and np.abs(whole.astype(int) - halved).max() <= 3


def test_a_palette_image_without_its_palette_is_no_readable_image(tmp_path):
    """Pillow fails an assertion on it."""
    path = tmp_path / "a.png"
    header = struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)  # color type 3: indices into a palette
    path.write_bytes(
        png_of([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9 * 8))), (b"IEND", b"")])
    )
    reason = read_image(path, tmp_path, 8, ("PNG",), False)
    assert isinstance(reason, str) and reason.startswith("no readable PNG")
