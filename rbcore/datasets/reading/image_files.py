"""One image file decoded as a person sees it, in bounded memory and time."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin

from rbcore.datasets.reading.image_headers import HeaderError, read_header
from rbcore.datasets.reading.opening import open_below

MEGAPIXELS = 64
"""The largest image that is decoded: a small file can unpack to any size, so its header
is asked first.
"""
LONGEST_SIDE = 32_000
MOST_MEMORY = 300_000_000
"""Bytes that decoding one image may take."""
MOST_FILE = 256_000_000
MOST_VISITS = 1_000_000_000
"""Pixels times scans: what a progressive JPEG file may cost in time."""
BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
"""What Pillow keeps for a pixel of each mode; 4 for all others."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""
TRANSPARENT, TURNED = "transparent", "turned"
MARKS = {
    TRANSPARENT: "{} with transparent pixels, composited on white",
    TURNED: "{} rotated as the EXIF data say",
}
"""What can have been done to an image, in words; a number of images is put in."""
UNREADABLE = (
    *(
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
        MemoryError,
        AssertionError,
    ),
    *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow raises on damaged and hostile files."""


@dataclass(frozen=True)
class Picture:
    """A decoded image: uint8 of shape (channels, height, width), and which of `MARKS` apply."""

    pixels: np.ndarray
    marks: tuple[str, ...] = ()


def notes_of(marks: Mapping[str, int]) -> tuple[str, ...]:
    """Say what was done to how many images."""
    return tuple(
        MARKS[mark].format("1 image" if n == 1 else f"{n:,} images")
        for mark, n in marks.items()
        if n and mark in MARKS
    )


def read_image(
    path: Path, root: Path, size: int, formats: tuple[str, ...], is_cropped: bool
) -> Picture | str:
    """Return an image of ``size`` x ``size`` pixels in color, or in words why there is none.

    Parameters
    ----------
    root
        Folder that the file must lie in; see `rbcore.datasets.reading.opening`.
    formats
        What the file may be, whatever its name says.
    is_cropped
        Take the largest central square; otherwise the whole image is squeezed to a square.
    """
    kinds = " or ".join(formats)
    try:
        file = open_below(path, root)
    except OSError as error:
        return f"the file cannot be opened ({error.strerror})"
    try:
        with file:
            if file.seek(0, 2) > MOST_FILE:
                return f"the file is larger than {MOST_FILE / 1e6:.0f} MB"
            header = read_header(file)
            with Image.open(file, formats=formats) as image:
                turn = TURNS.get(header.orientation)
                if problem := _too_much(image, size, header.n_scans, is_turned=turn is not None):
                    return problem
                shown, is_transparent = _on_white(image)
                if turn is not None:
                    shown = shown.transpose(turn)
                pixels = np.asarray(
                    shown.resize((size, size), Image.Resampling.BILINEAR, _box(shown, is_cropped))
                )
    except HeaderError as error:
        return str(error)
    except UNREADABLE as error:
        return f"no readable {kinds} ({type(error).__name__})"
    marks = (TRANSPARENT,) * is_transparent + (TURNED,) * (turn is not None)
    return Picture(pixels.transpose(2, 0, 1), marks)


def _box(image: Image.Image, is_cropped: bool) -> tuple[int, int, int, int] | None:
    if not is_cropped:
        return None
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return left, top, left + side, top + side


def _too_much(image: Image.Image, size: int, n_scans: int, *, is_turned: bool) -> str:
    """Say why an image takes too much memory or time to decode; nothing where it does not.

    Large JPEG files are set to be halved.
    """
    width, height = image.size
    if width * height > MEGAPIXELS * 1_000_000:
        return f"{width} x {height} pixels are more than {MEGAPIXELS} megapixels"
    if max(width, height) > LONGEST_SIDE:
        return f"{width} x {height} pixels have a side longer than {LONGEST_SIDE:,}"
    if width * height * n_scans > MOST_VISITS:
        return (
            f"its {width} x {height} pixels are written in {n_scans} scans, which take "
            "too long to decode"
        )
    needed = _memory_needed(image, size, is_turned)
    if needed > MOST_MEMORY and isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (image.width // 2, image.height // 2))
        needed = _memory_needed(image, size, is_turned)
    if needed > MOST_MEMORY:
        return (
            f"its {width} x {height} pixels take {needed / 1e6:,.0f} MB to decode; more than "
            f"{MOST_MEMORY / 1e6:.0f} MB are not spent"
        )
    return ""


def _memory_needed(image: Image.Image, size: int, is_turned: bool) -> int:
    """Return how many bytes decoding takes at most: the image, each copy, and its format's own."""
    width, height = image.size
    stored = BYTES_A_PIXEL.get(image.mode, 4)
    a_pixel = stored + 4 * is_turned
    if image.has_transparency_data:
        a_pixel += 4 + 4 * (image.mode != "RGBA") + 1
    elif image.mode != "RGB":
        a_pixel += 4
    if isinstance(image, PngImagePlugin.PngImageFile) and getattr(image, "n_frames", 1) > 1:
        a_pixel += 2 * stored  # an animation keeps the frame before
    coefficients = 0
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # A decoder can have to keep two bytes for each coefficient of the full image, however
        # small it is decoded.
        scale = image.decoderconfig[0] if image.decoderconfig else 1
        across, down = (
            max((layer[1] for layer in image.layer), default=1),
            max((layer[2] for layer in image.layer), default=1),
        )
        share = sum(max(layer[1] * layer[2], 1) / max(across * down, 1) for layer in image.layer)
        coefficients = round(2 * share * width * height * scale**2)
    return width * height * a_pixel + coefficients + 4 * size * max(width, height)


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image in RGB as on white paper, and whether any of it was transparent."""
    alpha_of: Image.Image | None = None
    if image.mode.startswith("I"):
        image, alpha_of = _from_16_bits(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha_of = image
    if alpha_of is None:
        return (image if image.mode == "RGB" else image.convert("RGB")), False
    alpha = alpha_of.getchannel("A") if alpha_of.mode == "RGBA" else alpha_of
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB"), False
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white, True


def _from_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a gray image of 16 bits in 8, as Pillow does it with colored ones, and its alpha."""
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    alpha = (
        Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
        if transparent is not None
        else None
    )
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB"), alpha
