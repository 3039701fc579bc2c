"""Randomized smoothing: a radius within which the smoothed classifier g keeps its class.

The class of g(x) is the one that the network f gives most often to ``x + noise * N(0, I)`` (Cohen,
Rosenfeld, Kolter 2019). CERTIFY guesses that class from n0 noisy copies, counts it in n further
ones, and bounds its probability p_A from below. With probability at least 1 - alpha over the draws,
no image nearer than ``noise * Phi^-1(p_A)`` has another class under g (paper, section 4.2). Nothing
is said of f.
"""

from dataclasses import replace

import numpy as np

from rbcore.distances.base import AttackResult, Batch
from rbcore.distances.networks import CountedNetwork
from rbcore.distances.smoothing.radii import certified_radius
from rbcore.distances.smoothing.voting import smoothed
from rbcore.measures.tables import Status


def certify(votes: np.ndarray, labels: np.ndarray, *, noise: float, alpha: float) -> AttackResult:
    """Turn votes into certificates, by the algorithm CERTIFY.

    Parameters
    ----------
    votes
        Of n0 copies to guess the class from and of n to count it in: int, shape
        (images, 2, n_classes).
    labels
        True classes, int64, shape (images,).
    noise, alpha
        Standard deviation of the noise, and the largest probability of a radius that is too large.

    Returns
    -------
    AttackResult
        ``distance`` is the radius for g, float64, a lower bound with probability at least 1 -
        alpha; 0 where g abstains or certifies another class than the label. ``prediction`` is g's
        class: the one certified, and where g abstains the one with the most votes of all, without
        confidence. Columns as `Method.columns`, but for the network's own class.
    """
    guess = votes[:, 0].argmax(1)
    count = votes[np.arange(len(votes)), 1, guess]
    radius = certified_radius(count, int(votes[:1, 1].sum()), noise, alpha)
    is_sure, is_label = radius > 0, guess == labels
    status = np.select(
        [~is_sure, ~is_label], [Status.ABSTAINED, Status.OVERRULED], Status.CERTIFIED
    ).astype(object)
    columns = {"smoothed_prediction": np.where(is_sure, guess, -1), "votes": count}
    prediction = np.where(is_sure, guess, votes.sum(axis=1).argmax(1))
    return AttackResult(None, np.where(is_label, radius, 0.0), status, columns, prediction)


def run(
    network: CountedNetwork,
    batch: Batch,
    *,
    noise: float,
    n0: int,
    n: int,
    alpha: float,
    precision: str,
) -> AttackResult:
    """Return g's certified radius for each image, L2 in [0, 1] pixel space: see `certify`.

    Also where f is wrong. A lower bound of the distance of g, not of f, each with probability at
    least 1 - alpha over the draws. With ``precision="bfloat16"``, g is the smoothed bfloat16 copy
    of the network, and the certificate is for that classifier.
    """
    g = smoothed(network, batch, noise=noise, n0=n0, n=n, precision=precision)
    votes = g.votes(batch.images, batch.seeds, done=batch.done)
    found = certify(votes, batch.labels.cpu().numpy(), noise=noise, alpha=alpha)
    own = batch.logits.argmax(1).cpu().numpy()
    return replace(found, columns={"network_prediction": own, **found.columns})
