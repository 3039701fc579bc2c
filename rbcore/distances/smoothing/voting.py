"""The votes of a network on noisy copies of images, of which the smoothed classifier g is made."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.distances.base import Batch, Network
from rbcore.distances.batching import fastest_size
from rbcore.distances.networks import CountedNetwork, InBlocks
from rbcore.distances.smoothing.noise import noisy_passes
from rbcore.errors import MethodError

_VOTERS: WeakKeyDictionary[CountedNetwork, dict[str, CountedNetwork]] = WeakKeyDictionary()
_PASS_SIZES: WeakKeyDictionary[CountedNetwork, int] = WeakKeyDictionary()


@dataclass(frozen=True)
class SmoothedClassifier:
    """The classifier g of a network and a noise, known by its votes.

    Attributes
    ----------
    network
        Whose classes are counted; see `voting_network`.
    noise
        Standard deviation in [0, 1] pixel space.
    n0, n
        Noisy copies of an image to guess a class from, and to count it in.
    size
        Largest number of copies in a pass.
    """

    network: CountedNetwork
    noise: float
    n0: int
    n: int
    size: int

    def votes(
        self,
        images: Tensor,
        seeds: np.ndarray,
        *,
        stream: int = 0,
        done: Callable[[int], None] = lambda n: None,
    ) -> np.ndarray:
        """Return the votes of n0 and of n copies of images, int64, shape (images, 2, n_classes).

        As `count_votes`.
        """
        return count_votes(
            *(self.network, images, seeds),
            noise=self.noise,
            phases=(self.n0, self.n),
            size=self.size,
            stream=stream,
            done=done,
        )


def smoothed(
    network: CountedNetwork,
    batch: Batch,
    *,
    noise: float,
    n0: int,
    n: int,
    precision: str = "float32",
) -> SmoothedClassifier:
    """Return the smoothed classifier of a network, with passes of the fastest size."""
    voter = voting_network(network, batch.images, precision)
    size = pass_size(voter, batch.images[:1], batch.size)
    return SmoothedClassifier(voter, noise, n0, n, size)


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
    """Return how often the network gives each class to noisy copies of images.

    Int64, shape (n, len(phases), n_classes).

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
    """Return the network that votes, always the same one.

    The fused one, or for ``bfloat16`` a copy that computes in it.

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
        _PASS_SIZES[network] = fastest_size(
            network.network, image, most, backward=False, layout=_layout(network.network)
        )
    return min(_PASS_SIZES[network], most)


class InBfloat16(nn.Module):
    """A copy of a network that computes in bfloat16: a classifier of its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        """Return the copy's logits, bfloat16, shape (n, n_classes)."""
        logits: Tensor = self.network(images.to(torch.bfloat16))
        return logits


def _layout(network: Network) -> torch.memory_format:
    """Return the layout a network's convolutions want: that of their weights, see `folded`."""
    layers = network.modules() if isinstance(network, nn.Module) else ()
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Conv2d)]
    is_last = any(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    return torch.channels_last if is_last else torch.contiguous_format
