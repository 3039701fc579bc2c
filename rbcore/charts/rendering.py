"""Images to look at, as 8-bit arrays: clean, perturbation magnified, perturbed."""

from collections.abc import Sequence

import numpy as np

GRAY = 0.5


def magnification(clean: np.ndarray, perturbed: np.ndarray) -> float:
    """Return the factor that brings the largest change of a pixel to half the range.

    1 where nothing changes.
    """
    largest = float(np.abs(perturbed - clean).max())
    return GRAY / largest if largest > 0 else 1.0


def perturbation_picture(
    clean: np.ndarray, perturbed: np.ndarray, factor: float | None = None
) -> np.ndarray:
    """Return the perturbation around mid gray, magnified as far as it fits or by ``factor``.

    Float in [0, 1], shape as the images.
    """
    factor = magnification(clean, perturbed) if factor is None else factor
    picture: np.ndarray = np.clip(GRAY + (perturbed - clean) * factor, 0, 1)
    return picture


def to_uint8(image: np.ndarray, side: int = 160) -> np.ndarray:
    """Return an image (channels, height, width) in [0, 1] as uint8 (height, width, 3).

    It is enlarged to about ``side`` pixels, which stay sharp squares, since smoothing would hide
    what an attack changed. It is for looking at: rounding to 8 bits moves the image, so a
    prediction of the rounded picture can differ.
    """
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    colored = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    factor = max(1, round(side / max(colored.shape[:2])))
    enlarged: np.ndarray = colored.repeat(factor, axis=0).repeat(factor, axis=1)
    return enlarged


def rounded(images: np.ndarray) -> np.ndarray:
    """Return images as an 8-bit file would hold them, float32.

    Clipped to [0, 1] and moved to the nearest of 256 levels.
    """
    levels: np.ndarray = (np.rint(np.clip(images, 0, 1) * 255) / 255).astype(np.float32)
    return levels


def strip(
    clean: np.ndarray, perturbed: np.ndarray, side: int = 160, factor: float | None = None
) -> np.ndarray:
    """Return clean | perturbation magnified | perturbed side by side.

    ``factor`` as `perturbation_picture`.
    """
    return row([clean, perturbation_picture(clean, perturbed, factor), perturbed], side)


def row(images: Sequence[np.ndarray], side: int = 160) -> np.ndarray:
    """Return images of one size side by side, uint8 (height, width, 3), with white gaps."""
    panels = [to_uint8(image, side) for image in images]
    gap = np.full((panels[0].shape[0], 6, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (gap, panel)]
    return np.concatenate(parts[1:], axis=1)
