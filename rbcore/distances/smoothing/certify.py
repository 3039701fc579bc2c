"""Randomized smoothing: a radius within which the smoothed classifier g keeps its class (Cohen, Rosenfeld, Kolter 2019).

g(x) is the class that the network f gives most often to ``x + noise * N(0, I)``. CERTIFY guesses
that class from n0 noisy copies, counts it in n further ones, and bounds its probability p_A from
below. With probability at least 1 - alpha over the draws, no image nearer than
``noise * Phi^-1(p_A)`` has another class under g (paper, section 4.2). Nothing is said of f.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.distances.base import AttackResult, Batch, Network
from rbcore.distances.batching import seconds_of_a_pass
from rbcore.distances.networks import CountedNetwork, InBlocks
from rbcore.distances.smoothing.noise import noisy_passes
from rbcore.distances.smoothing.radii import certified_radius
from rbcore.errors import MethodError
from rbcore.measures.tables import Status

SMALLEST_PASS = 16
TUNING_SECONDS, TUNING_ROUNDS = 1.0, 7

_VOTERS: WeakKeyDictionary[CountedNetwork, dict[str, CountedNetwork]] = WeakKeyDictionary()
_PASS_SIZES: WeakKeyDictionary[CountedNetwork, int] = WeakKeyDictionary()


def count_votes(
    network: CountedNetwork,
    images: Tensor,
    seeds: np.ndarray,
    *,
    noise: float,
    phases: tuple[int, ...],
    size: int,
    stream: int = 0,
    done: Callable[[int], None] = lambda n: None,
) -> np.ndarray:
    """Return how often the network gives each class to noisy copies of images: int64, shape (n, len(phases), n_classes).

    Parameters
    ----------
    network
        Whose classes are counted; see `voting_network`.
    images, seeds, noise, size, stream
        As in `noisy_passes`.
    phases
        Copies of an image in each count, all drawn independently.
    done
        Called with the number of images finished since the last call.

    Raises
    ------
    MethodError
        If the network gives NaN or infinity for a noisy image.
    """
    draws, n_classes, position = sum(phases), 0, 0
    classes = torch.empty(len(images) * draws, dtype=torch.int16, device=images.device)
    passes = noisy_passes(
        images,
        seeds,
        noise=noise,
        draws=draws,
        size=size,
        stream=stream,
        layout=_layout(network.network),
    )
    for noisy in passes:
        with torch.inference_mode():
            logits = network(noisy)
            usable = logits.isfinite().all(1)
            end, n_classes = position + len(noisy), logits.shape[1]
            classes[position:end] = torch.where(usable, logits.argmax(1), -1)
        done(end // draws - position // draws)
        position = end
    counted = classes.cpu().numpy().reshape(len(images), draws)
    if (counted < 0).any():
        raise MethodError(
            "The model gives NaN or infinite outputs for noisy images; lower the noise or use "
            "precision=float32."
        )
    parts = np.split(counted, np.cumsum(phases)[:-1], axis=1)
    return np.stack(
        [[np.bincount(row, minlength=n_classes) for row in part] for part in parts], axis=1
    )


def voting_network(
    network: CountedNetwork, images: Tensor, precision: str = "float32"
) -> CountedNetwork:
    """Return the network that votes, always the same one: the fused one, or for ``bfloat16`` a copy that computes in it.

    Votes of the copy certify the smoothed copy: rounding of images, weights and sums is part of
    that classifier. Passes are not cut into the fused network's blocks, which serve searches: a
    single vote that hangs on rounding moves no radius.
    """
    voters = _VOTERS.setdefault(network, {})
    if precision not in voters:
        fused = network.fused(images[:1]).network
        inner = fused.network if isinstance(fused, InBlocks) else fused
        if precision == "bfloat16":
            inner = _in_bfloat16(inner, images[:1])
        voters[precision] = CountedNetwork(inner, network.cancel, network.counts)
    return voters[precision]


def _in_bfloat16(network: Network, image: Tensor) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise MethodError(
            "precision=bfloat16 needs a torch module, and this network is another "
            "callable; use float32."
        )
    half = InBfloat16(network)
    try:
        with torch.inference_mode():
            half(image)
    except RuntimeError as error:
        raise MethodError(
            f"This network cannot compute in bfloat16; use precision=float32. ({error})"
        ) from error
    return half


def pass_size(network: CountedNetwork, image: Tensor, most: int) -> int:
    """Return the number of images a pass, at most ``most``, at which a network is fastest forward.

    Measured once, about a second.

    Parameters
    ----------
    network
        As `voting_network` returns it.
    image
        Shape (1, channels, height, width).
    most
        As many as memory allows.
    """
    if network not in _PASS_SIZES:
        _PASS_SIZES[network] = _fastest_forward(network.network, image, most)
    return min(_PASS_SIZES[network], most)


def _fastest_forward(network: Network, image: Tensor, most: int) -> int:
    """Return the size whose quickest pass is fastest: ever larger ones first, then all in turn while the time lasts."""
    seconds: dict[int, float] = {}
    sizes, started = [min(SMALLEST_PASS, most)], time.perf_counter()
    while sizes[-1] < most:
        sizes.append(min(2 * sizes[-1], most))
    layout = _layout(network)
    for size in sizes * TUNING_ROUNDS:
        if seconds and time.perf_counter() - started > TUNING_SECONDS:
            break
        images = image.expand(size, -1, -1, -1).contiguous(memory_format=layout)
        seconds[size] = min(
            seconds.get(size, math.inf), seconds_of_a_pass(network, images, backward=False)
        )
    return max(seconds, key=lambda size: size / seconds[size])


class InBfloat16(nn.Module):
    """A copy of a network that rounds images and weights to bfloat16 and computes in it: a classifier of its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        """Return the copy's logits, bfloat16, shape (n, n_classes)."""
        logits: Tensor = self.network(images.to(torch.bfloat16))
        return logits


def _layout(network: Network) -> torch.memory_format:
    """Return the layout a network's convolutions want: channels last where their weights have it, as `folded` makes them."""
    layers = network.modules() if isinstance(network, nn.Module) else ()
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Conv2d)]
    is_last = any(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    return torch.channels_last if is_last else torch.contiguous_format


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
    """Return g's certified radius for each image, also where f is wrong, L2 in [0, 1] pixel space: see `certify`.

    A lower bound of the distance of g, not of f, each with probability at least 1 - alpha over the
    draws. With ``precision="bfloat16"``, g is the smoothed bfloat16 copy of the network, and the
    certificate is for that classifier.
    """
    voter = voting_network(network, batch.images, precision)
    votes = count_votes(
        voter,
        batch.images,
        batch.seeds,
        noise=noise,
        phases=(n0, n),
        size=pass_size(voter, batch.images[:1], batch.size),
        done=batch.done,
    )
    found = certify(votes, batch.labels.cpu().numpy(), noise=noise, alpha=alpha)
    return replace(
        found, columns={"network_prediction": batch.logits.argmax(1).cpu().numpy(), **found.columns}
    )
