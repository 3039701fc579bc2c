"""What a vote among noisy copies certifies: from counts to bounds and radii, without a network."""

import numpy as np
from scipy import special


def lower_confidence_bound(votes: np.ndarray, n: int | np.ndarray, alpha: float) -> np.ndarray:
    """Return the one-sided Clopper-Pearson lower bound of a probability, float64.

    For so many votes out of n. It exceeds the true probability with probability at most ``alpha``.
    """
    votes = np.asarray(votes)
    some = np.clip(votes, 1, n)
    bound = np.where(some == n, alpha ** (1 / n), special.betaincinv(some, n - some + 1, alpha))
    lower: np.ndarray = np.where(votes == 0, 0.0, bound)
    return lower


def ceiling(noise: float, n: int, alpha: float) -> float:
    """Return the largest radius n votes can certify, ``noise * Phi^-1(alpha^(1/n))``.

    That of a unanimous vote, exactly. A radius at the ceiling says that more votes might certify
    more, not that the boundary is there.
    """
    return float(noise * special.ndtri(alpha ** (1 / n)))


def certified_radius(votes: np.ndarray, n: int, noise: float, alpha: float) -> np.ndarray:
    """Return the L2 radius in [0, 1] pixel space that votes out of n certify for g, float64.

    0 where p_A may be 1/2 or less.

    A lower bound of g's distance with probability at least 1 - alpha for each image, not for
    all of them together.
    """
    lower = lower_confidence_bound(votes, n, alpha)
    radius: np.ndarray = np.where(lower > 0.5, noise * special.ndtri(np.maximum(lower, 0.5)), 0.0)
    return radius
