"""Arithmetic on batches of images that the attacks share: one number an image, stretched over its pixels."""

from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """Return one number an image, shape (n,), as (n, 1, 1, 1), so that it applies to all its pixels."""
    return values.view(-1, 1, 1, 1)


def between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Return the images at a share of the way from ``start`` to ``end``, beyond it where the share, shape (n,), exceeds 1."""
    return start + wide(share) * (end - start)
