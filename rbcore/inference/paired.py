"""What a share or a mean changed by on the same images under another model, with its interval."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from rbcore.inference.intervals import difference_ends, half_width
from rbcore.inference.resampling import (
    CONFIDENCE,
    N_RESAMPLES,
    checked_confidence,
    resampled_means,
    seeded,
)


@dataclass(frozen=True)
class Change:
    """A number under the first and the second model, and their difference.

    Attributes
    ----------
    before, after
        Under the first and the second model; NaN where nothing counts.
    low, high
        Ends of the interval of ``after - before``; NaN where none is defined.
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_share(first: np.ndarray, second: np.ndarray, confidence: float = CONFIDENCE) -> Change:
    """Compare the share of True among the same images, as accuracy is one.

    The interval is that of Bonett and Price (2012) for paired proportions: Wald's with one image
    added to those that only the first and to those that only the second model has right. It is
    closed, and has a width also where no image changed.

    Parameters
    ----------
    first, second
        Shape (n,), bool, in the same order; n at least 1.
    """
    n = len(first)
    gained, lost = ((second & ~first).sum() + 1) / (n + 2), ((first & ~second).sum() + 1) / (n + 2)
    z = special.ndtri((1 + checked_confidence(confidence)) / 2)
    half = z * np.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
    low, high = max(gained - lost - half, -1.0), min(gained - lost + half, 1.0)
    return Change(float(first.mean()), float(second.mean()), float(low), float(high))


def paired_mean(
    first: np.ndarray,
    second: np.ndarray,
    first_counts: np.ndarray,
    second_counts: np.ndarray,
    *,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Change:
    """Compare a mean over the images that count, which may be others under the second model.

    The interval is a bootstrap-t over images, drawn for both sides alike, of the linearized
    difference: an image moves a mean by its distance from it, over the share of images that count.
    Where all count on both sides, that is the bootstrap-t of the mean of their differences. Its
    ends allow for skewed values: `rbcore.inference.intervals.difference_ends`.

    Parameters
    ----------
    first, second
        Values, not negative, shape (n,), in the same order.
    first_counts, second_counts
        Which of them count, bool, shape (n,).
    """
    sides = ((first, first_counts), (second, second_counts))
    before, after = (
        float(values[counts].mean()) if counts.any() else np.nan for values, counts in sides
    )
    n = len(first)
    if n < 2 or np.isnan(after - before):
        return Change(before, after, np.nan, np.nan)
    influences = [
        np.where(counts, values - mean, 0.0) / counts.mean()
        for (values, counts), mean in zip(sides, (before, after), strict=True)
    ]
    moved = influences[1] - influences[0]
    drawn, square = resampled_means(np.stack([moved, moved**2]), n_resamples, seeded(seed))
    error = np.array([moved.std(ddof=1) / np.sqrt(n)])
    half = half_width(
        np.zeros(1),
        error,
        drawn[:, None],
        np.sqrt(np.maximum(square - drawn**2, 0.0) / (n - 1))[:, None],
        freedom=np.array([n - 1.0]),
        confidence=confidence,
    )
    with_first, with_second = (
        np.array([(own * moved).sum() / (n * (n - 1))]) for own in influences
    )
    low, high = difference_ends(
        np.array([before]), np.array([after]), with_first, with_second, error, half
    )
    return Change(before, after, float(low[0]), float(high[0]))
