"""Arithmetic on batches of images that the attacks share: one number an image."""

from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Return one number an image, shape (n,), as (n, 1, 1, 1), to apply to all its pixels."""
    return values.view(-1, 1, 1, 1)


def between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Return the images at a share of the way from ``start`` to ``end``.

    Beyond ``end`` where the share, shape (n,), exceeds 1.
    """
    return start + wide(share) * (end - start)
