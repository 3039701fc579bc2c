"""The last resort of an attack: bisect toward the nearest image of another predicted class."""

import torch
from torch import Tensor

from rbcore.distances.base import Batch
from rbcore.distances.batching import in_batches, in_passes
from rbcore.distances.networks import CLEAR_LEAD, CheckedNetwork
from rbcore.distances.samples import Samples
from rbcore.distances.tensors import between
from rbcore.norms import Norm, gaps

BISECTIONS = 25


class Fallback:
    """Perturbed images for samples at which an attack failed.

    Parameters
    ----------
    network, samples
        As the engine has them; the targets are ``samples.fallback_targets``.
    norm
        In which a target is the nearest.
    """

    def __init__(self, network: CheckedNetwork, samples: Samples, norm: Norm) -> None:
        self.network = network
        self.samples = samples
        self.norm = norm
        self._target_logits: Tensor | None = None

    def perturbed(self, batch: Batch) -> Tensor:
        """Bisect from each image to its nearest target, to where the other class leads clearly."""
        images, needed = batch.images, CLEAR_LEAD * largest_logits(batch.logits)
        target = self.nearest_targets(batch, needed)
        outside = torch.ones(len(images), dtype=images.dtype, device=images.device)
        inside = torch.zeros_like(outside)
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            moved = between(images, target, middle).clamp(0, 1)
            logits = in_passes(self.network, moved, batch.size)
            crossed = logits.amax(1) - logits.gather(1, batch.labels[:, None])[:, 0] > needed
            outside, inside = (
                torch.where(crossed, middle, outside),
                torch.where(crossed, inside, middle),
            )
        return between(images, target, outside).clamp(0, 1)

    def nearest_targets(self, batch: Batch, needed: Tensor) -> Tensor:
        """Return the nearest target at which another class than the label leads.

        By more than ``needed``, shape (n,); NaN where there is none.
        """
        images, device = batch.images, batch.images.device
        chunks = list(in_batches(self.samples.fallback_targets, batch.size))
        if self._target_logits is None:
            self._target_logits = torch.cat(
                [
                    in_passes(self.network, self.samples.images(chunk, device), batch.size)
                    for chunk in chunks
                ]
            )
        nearest = torch.full_like(images, torch.nan)
        closest = torch.full((len(images),), torch.inf, dtype=images.dtype, device=device)
        for chunk, logits in zip(chunks, torch.split(self._target_logits, batch.size), strict=True):
            targets = self.samples.images(chunk, device)
            leads = logits.amax(1) - logits[:, batch.labels].T
            apart = gaps(images, targets, self.norm)
            apart = torch.where(leads > needed[:, None], apart, torch.inf)
            gap, which = apart.min(dim=1)
            closer = gap < closest
            nearest[closer], closest = targets[which[closer]], torch.where(closer, gap, closest)
        return nearest


def largest_logits(logits: Tensor) -> Tensor:
    """Return the largest logit of each image in absolute value, shape (n,); positive."""
    largest: Tensor = logits.abs().amax(1).clamp_min(torch.finfo(logits.dtype).tiny)
    return largest
