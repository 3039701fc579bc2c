"""An attack on the smoothed classifier g (after Salman et al. 2019).

It gives an upper bound beside the certificates.

It lowers the label's mean probability over fixed noisy copies (SmoothAdv) by minimum-norm steps,
and then walks along the line it found until fresh votes show, with confidence 1 - alpha, that g has
another class there. Showing it by n votes costs distance: on a linear network about
``1.25 * (Phi^-1(1 - alpha / TRIES) + 1) * noise / sqrt(n)``, which is 0.02 by default.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

from rbcore.distances.base import AttackResult, Batch
from rbcore.distances.networks import CountedNetwork
from rbcore.distances.smoothing.certify import certify
from rbcore.distances.smoothing.noise import noisy_passes
from rbcore.distances.smoothing.radii import lower_confidence_bound
from rbcore.distances.smoothing.voting import SmoothedClassifier, smoothed
from rbcore.distances.tensors import wide
from rbcore.measures.tables import Status
from rbcore.norms import lengths

CLEAN, SEARCH, LINE = 0, 1, 2
"""Streams of draws; the clean image's are those of ``smoothing``, and each try on the
line has its own.
"""
TRIES = 6
"""Votes along the line; each may err with probability alpha / TRIES, so all of them
together with alpha.
"""
FIRST_GROWTH, LAST_GROWTH = 0.3, 0.02
"""Relative change of the distance a step, shrinking geometrically."""
FIRST_STEP, LAST_STEP = 1.0, 0.1
"""Step across the sphere, as a share of the current distance."""
WORTH_WHILE = 0.01
"""Smallest relative gain for which another vote nearer to the image is counted."""


@dataclass(frozen=True)
class VerifiedEnd:
    """Where the search on the line ended; NaN and -1 where nothing was verified.

    Attributes
    ----------
    images
        Shape (n, channels, height, width).
    is_verified
        Whether votes show that g has another class there, shape (n,).
    prediction, votes
        The class that beats the label, and its votes, shape (n,).
    """

    images: Tensor
    is_verified: np.ndarray
    prediction: np.ndarray
    votes: np.ndarray


def run(
    network: CountedNetwork,
    batch: Batch,
    *,
    noise: float,
    draws: int,
    steps: int,
    n0: int,
    n: int,
    alpha: float,
) -> AttackResult:
    """Return images in [0, 1] whose class under g is another than the label.

    Each with probability at least 1 - alpha.

    Their L2 distance is an upper bound of g's distance, not of f's, whose class of the clean image
    does not matter. Where g certifies another class than the label there, the status is
    ``overruled`` and the distance 0; where it abstains, the image is attacked like others.
    """
    g = smoothed(network, batch, noise=noise, n0=n0, n=n)
    n_images, group = len(batch.labels), max(1, batch.size // draws)
    perturbed = torch.full_like(batch.images, torch.nan)
    status = np.full(n_images, Status.FAILED, dtype=object)
    columns = {name: np.full(n_images, -1) for name in ("smoothed_prediction", "votes")}
    prediction = np.full(n_images, -1)
    for start in range(0, n_images, group):
        part = slice(start, start + group)
        images, labels, seeds = batch.images[part], batch.labels[part], batch.seeds[part]
        votes = g.votes(images, seeds, stream=CLEAN)
        clean = certify(votes, labels.cpu().numpy(), noise=noise, alpha=alpha)
        prediction[part] = clean.prediction
        overruled = np.asarray(clean.status) == Status.OVERRULED
        status[part][overruled] = Status.OVERRULED
        for name, values in clean.columns.items():
            columns[name][part][overruled] = values[overruled]
        rows = np.flatnonzero(~overruled)
        if len(rows):
            images, labels, seeds = images[rows], labels[rows], seeds[rows]
            passes = noisy_passes(
                images, seeds, noise=noise, draws=draws, size=batch.size, stream=SEARCH
            )
            noisy = torch.cat([one.clone() for one in passes]).view(-1, draws, *images.shape[1:])
            moved = search(
                network.fused(images),
                images,
                noisy,
                labels,
                steps=steps,
                first=noise,
                size=batch.size,
            )
            found = verified_end(g, images, moved, labels, seeds, alpha=alpha)
            perturbed[start + rows] = found.images
            status[start + rows[found.is_verified]] = Status.FOUND
            columns["smoothed_prediction"][start + rows] = found.prediction
            columns["votes"][start + rows] = found.votes
        batch.done(len(overruled))
    distance = lengths(perturbed.double() - batch.images.double()).cpu().numpy()
    columns["network_prediction"] = batch.logits.argmax(1).cpu().numpy()
    return AttackResult(
        perturbed, np.where(status == Status.OVERRULED, 0.0, distance), status, columns, prediction
    )


def search(
    network: CountedNetwork,
    images: Tensor,
    noisy: Tensor,
    labels: Tensor,
    *,
    steps: int,
    first: float,
    size: int,
) -> Tensor:
    """Return the nearest images found at which another class is more probable.

    It has a larger mean probability over the noisy copies.

    Where none was found, those tried last.

    Parameters
    ----------
    network
        With gradients.
    images, labels
        Shape (n, channels, height, width), in [0, 1]; and the classes to leave, shape (n,).
    noisy
        Fixed noisy copies, shape (n, draws, channels, height, width).
    steps
        Steps, each a pass forward and backward of all copies.
    first
        Distance to begin at.
    size
        Largest number of copies in a pass.
    """
    moved, best = torch.zeros_like(images), torch.zeros_like(images)
    radius = images.new_full((len(images),), first)
    closest = torch.full_like(radius, torch.inf)
    for step in range(steps + 1):
        log_shares, gradient = _log_shares(network, noisy, moved, labels, size)
        label_share = log_shares.gather(1, labels[:, None])[:, 0]
        length = lengths(moved)
        is_fooled = (_without(log_shares, labels).amax(1) > label_share) & (length > 0)
        is_closer = is_fooled & (length < closest)
        best, closest = (
            torch.where(wide(is_closer), moved, best),
            torch.where(is_closer, length, closest),
        )
        if step == steps:
            break
        growth = _geometric(FIRST_GROWTH, LAST_GROWTH, step, steps)
        if step:
            radius = torch.where(
                is_fooled, (1 - growth) * torch.minimum(radius, closest), (1 + growth) * radius
            )
        stride = _geometric(FIRST_STEP, LAST_STEP, step, steps) * radius
        moved = moved + wide(stride / lengths(gradient).clamp_min(1e-30)) * gradient
        moved = moved * wide(radius / lengths(moved).clamp_min(1e-30))
        moved = (images + moved).clamp(0, 1) - images
    return images + torch.where(wide(closest.isfinite()), best, moved)


def _log_shares(
    network: CountedNetwork, noisy: Tensor, moved: Tensor, labels: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """Return the logarithm of each class's mean probability, and a gradient.

    The gradient of all but the label's, up to a positive factor.

    In logarithms, so that a network sure of the label still has a gradient; summed chunk by chunk,
    so that any number of copies fits into passes of ``size``.
    """
    n, draws = noisy.shape[:2]
    a_chunk = max(1, size // n)
    total: Tensor | None = None
    gradient = torch.zeros_like(moved)
    for start in range(0, draws, a_chunk):
        chunk = noisy[:, start : start + a_chunk]
        with torch.enable_grad():
            variable = moved.detach().requires_grad_()
            logits = network((chunk + variable[:, None]).flatten(0, 1)).view(n, chunk.shape[1], -1)
            log_shares = logits.log_softmax(2).logsumexp(1)
            elsewhere = _without(log_shares, labels).logsumexp(1)
            (slope,) = torch.autograd.grad(elsewhere.sum(), variable)
        before = torch.full_like(log_shares, -torch.inf) if total is None else total
        total = torch.logaddexp(before, log_shares.detach())
        both, earlier = (_without(part, labels).logsumexp(1) for part in (total, before))
        gradient = (
            wide((earlier - both).exp()) * gradient
            + wide((elsewhere.detach() - both).exp()) * slope
        )
    if total is None:
        raise ValueError("There is no noisy copy to attack.")
    return total - math.log(draws), gradient


def _without(values: Tensor, labels: Tensor) -> Tensor:
    """Return logarithms, shape (n, n_classes), with the label's at minus infinity."""
    return values.scatter(1, labels[:, None], -torch.inf)


def verified_end(
    g: SmoothedClassifier,
    images: Tensor,
    moved: Tensor,
    labels: Tensor,
    seeds: np.ndarray,
    *,
    alpha: float,
) -> VerifiedEnd:
    """Find on the line from each image through the one found where votes just show g's change.

    A class is guessed from n0 copies. A try counts where that class beats the label in n others by
    the exact binomial test, on the votes for the two, at level alpha / `TRIES`: then its
    probability is the larger, and g's class is not the label. Along the line of a smoothed linear
    network ``Phi^-1(p)`` grows by 1 / noise a unit of distance, and nowhere faster (Salman et al.
    2019): this tells how far to go for the next try, or to come back.
    """
    direction = moved - images
    length = lengths(direction).clamp_min(1e-6)
    direction = direction / wide(lengths(direction).clamp_min(1e-30))
    k = len(images)
    ends = torch.full_like(images, torch.nan)
    closest, prediction, counted = np.full(k, np.inf), np.full(k, -1), np.full(k, -1)
    active = np.arange(k)
    for attempt in range(TRIES):
        candidates = (images[active] + wide(length[active]) * direction[active]).clamp(0, 1)
        votes = g.votes(candidates, seeds[active], stream=LINE + attempt)
        guess, count, against = _duel(votes, labels[active].cpu().numpy())
        duels = np.maximum(count + against, 1)
        is_verified = lower_confidence_bound(count, duels, alpha / TRIES) > 0.5
        reached = length[active].cpu().numpy()
        is_closer = is_verified & (reached < closest[active])
        at = active[is_closer]
        ends[at], closest[at] = candidates[is_closer], reached[is_closer]
        prediction[at], counted[at] = guess[is_closer], count[is_closer]
        wanted = np.minimum(
            0.5 + (1 - special.ndtri(alpha / TRIES)) / (2 * duels**0.5), 1 - 0.5 / duels
        )
        share = np.clip(count, 0.5, duels - 0.5) / duels
        missing = g.noise * (special.ndtri(wanted) - special.ndtri(share))
        outwards = np.maximum(missing, 0.05 * g.noise) * 1.5**attempt
        following = reached + np.where(is_verified, missing, outwards)
        goes_on = np.where(
            is_verified, following < (1 - WORTH_WHILE) * reached, np.isinf(closest[active])
        ) & (following > 0)
        length[active] = torch.as_tensor(following, dtype=length.dtype, device=length.device)
        active = active[goes_on]
        if not len(active):
            break
    return VerifiedEnd(ends, np.isfinite(closest), prediction, counted)


def _duel(votes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the class other than the label with the most first votes.

    And its second votes, and the label's.
    """
    rows = np.arange(len(votes))
    first = votes[:, 0].copy()
    first[rows, labels] = -1
    guess = first.argmax(1)
    return guess, votes[rows, 1, guess], votes[rows, 1, labels]


def _geometric(first: float, last: float, step: int, steps: int) -> float:
    return float(first * (last / first) ** (step / max(steps - 1, 1)))
