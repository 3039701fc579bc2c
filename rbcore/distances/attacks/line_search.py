"""The line search of `minimal`: where on a line the boundary is crossed."""

import torch
from torch import Tensor, nn

from rbcore.distances.attacks.active_deepfool import OVERSHOOT
from rbcore.distances.networks import CLEAR_LEAD
from rbcore.distances.tensors import between, wide
from rbcore.norms import lengths

REACHES = (1.03, 1.1, 1.5, 3.0)
"""How far the search looks beyond an image that does not fool yet, in units of its distance."""
CLOSER = 0.99
SECANTS, FINAL_SECANTS = 1, 3
"""Steps after DeepFool and at the very end."""
BEYOND = 2e-4
"""How far beyond the boundary the search aims, as a share of the distance."""


def crossing(
    fused: nn.Module,
    images: Tensor,
    labels: Tensor,
    clean: Tensor,
    perturbed: Tensor,
    secants: int = SECANTS,
) -> tuple[Tensor, Tensor]:
    """Find on the line through each perturbed image where another class begins to lead.

    The line begins at the clean image; the class leads by more than rounding.

    Outwards by trying, back by secants aimed `BEYOND` the estimated root, since the end must fool.

    Returns
    -------
    across, reach
        The images there, and how far beyond the perturbed ones had to be looked: 1 where these
        fool, infinite where none does.
    """
    needed = CLEAR_LEAD * clean.abs().amax(1)

    def excess(rows: Tensor, share: Tensor) -> Tensor:
        moved = between(images[rows], perturbed[rows], share).clamp(0, 1)
        with torch.no_grad():
            return margins(fused(moved), labels[rows]) + needed[rows]

    everyone = torch.arange(len(labels), device=images.device)
    before = torch.full_like(
        needed, 1 / (1 + OVERSHOOT)
    )  # where DeepFool without its overshoot stands
    margin_before = excess(everyone, before)
    tried = torch.where(margin_before < 0, CLOSER * before, 1.0)
    margin = excess(everyone, tried)
    low = torch.where(
        margin_before < 0,
        torch.where(margin < 0, 0.0, tried),
        torch.where(margin < 0, before, tried),
    )
    high = torch.where(margin < 0, tried, torch.where(margin_before < 0, before, torch.inf))
    looked = torch.where(high.isfinite(), 1.0, torch.inf)
    for reach in REACHES:
        rows = torch.nonzero(high.isinf()).flatten()
        if not len(rows):
            break
        before[rows], margin_before[rows], tried[rows] = tried[rows], margin[rows], reach
        margin[rows] = excess(rows, tried[rows])
        crossed = rows[margin[rows] < 0]
        low[rows], high[crossed], looked[crossed] = before[rows], reach, reach
    rows = torch.nonzero(high.isfinite()).flatten()
    for _ in range(secants):
        root = tried - margin * (tried - before) / (margin - margin_before)
        before, margin_before = tried, margin
        is_inside = (root > low) & (root < high)  # false where it is NaN
        tried = torch.minimum(
            torch.where(is_inside, root, (low + high) / 2) * (1 + BEYOND), high
        ).nan_to_num(1.0, 1.0)
        margin = margin.index_copy(0, rows, excess(rows, tried[rows]))
        high, low = torch.where(margin < 0, tried, high), torch.where(margin < 0, low, tried)
    outside = torch.where(high.isfinite(), high, 1.0)
    return between(images, perturbed, outside).clamp(0, 1), looked


def nearer(
    images: Tensor, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return for each image the nearer of two ends of `crossing`, and how far it was sought."""
    is_other = reached_length(images, *other) < reached_length(images, *one)
    return torch.where(wide(is_other), other[0], one[0]), torch.where(is_other, other[1], one[1])


def reached_length(images: Tensor, across: Tensor, reach: Tensor) -> Tensor:
    """Return the distance of each end of `crossing`, shape (n,); infinite where none fools."""
    return torch.where(reach.isfinite(), lengths(across - images), torch.inf)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the label leads the best other class, shape (n,)."""
    wrong = logits.scatter(1, labels[:, None], -torch.inf)
    margin: Tensor = logits.gather(1, labels[:, None])[:, 0] - wrong.amax(1)
    return margin
