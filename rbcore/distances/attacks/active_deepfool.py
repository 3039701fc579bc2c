"""DeepFool in an active pool, from which an image leaves as soon as it is nearly across.

Moosavi-Dezfooli et al. (2016); after the first step only the nearest class is followed.
"""

import torch
from torch import Tensor, nn

from rbcore.distances.base import Batch
from rbcore.distances.tensors import wide
from rbcore.norms import lengths

OVERSHOOT = 0.02
STEPS = 50
NEARLY = 0.03
"""An image leaves when its last step was a smaller share of the way: the line search does the rest
without gradients.
"""
STEPS_BETWEEN_SYNCS = {"cpu": 1, "cuda": 4}


def pooled_deepfool(
    fused: nn.Module, batch: Batch, candidates: int, nearly: float = NEARLY
) -> tuple[Tensor, Tensor, Tensor]:
    """Run DeepFool on all images in an active pool.

    Those still active wait in a queue, and every pass takes as many of them as fit.

    An image leaves when it fools, or nearly does.

    Returns
    -------
    reached, classes, planes
        Where each image was left; the candidate classes of each image, the nearest linearized
        boundary first, and how far these lie from the clean image, infinite where there is
        none: (n, candidates).
    """
    images, labels = batch.images, batch.labels
    everyone = torch.arange(len(labels), device=labels.device)
    classes, total = _likeliest(batch, candidates), torch.empty_like(images)
    planes = torch.empty_like(classes, dtype=images.dtype)
    for rows in torch.split(everyone, batch.size):
        total[rows], classes[rows], planes[rows] = _first_step(
            fused, images[rows], labels[rows], classes[rows]
        )
    age, queue = torch.ones_like(labels), everyone
    while len(queue):
        rows, queue = queue[: batch.size], queue[batch.size :]
        for _ in range(STEPS_BETWEEN_SYNCS[images.device.type]):
            step, fools = newton_step(
                fused, beyond(images[rows], total[rows]), labels[rows], classes[rows, 0]
            )
            step = torch.where(wide(fools), 0.0, step)
            total[rows], age[rows] = total[rows] + step, age[rows] + 1
        is_done = fools | (age[rows] >= STEPS) | (lengths(step) < nearly * lengths(total[rows]))
        queue = torch.cat([queue, rows[~is_done]])
    return beyond(images, total), classes, planes


def _likeliest(batch: Batch, candidates: int) -> Tensor:
    """Return the most likely wrong classes of each image, shape (n, candidates)."""
    wrong = batch.logits.scatter(1, batch.labels[:, None], -torch.inf)
    classes: Tensor = wrong.topk(min(candidates, wrong.shape[1] - 1), 1).indices
    return classes


def _first_step(
    fused: nn.Module, images: Tensor, labels: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the step to the nearest of the classes' linearized boundaries.

    Also return the classes and their distances, the nearest first.
    """
    gaps, slopes = _gaps(fused, images, labels, classes)
    distances = torch.stack(
        [gap / lengths(slope) for gap, slope in zip(gaps, slopes, strict=True)], 1
    )
    distances, order = distances.nan_to_num(torch.inf, torch.inf).sort(dim=1, stable=True)
    step = torch.zeros_like(images)
    for number, (gap, slope) in enumerate(zip(gaps, slopes, strict=True)):
        step = torch.where(wide(order[:, 0] == number), _onto_plane(gap, slope), step)
    return step, classes.gather(1, order), distances


def _gaps(
    fused: nn.Module, images: Tensor, labels: Tensor, others: Tensor
) -> tuple[Tensor, Tensor]:
    """Return ``f_y - f_k`` for every column k of ``others``, and their gradients.

    Shape (k, n), from one forward pass.
    """
    moved = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = fused(moved)
        gaps = (logits.gather(1, labels[:, None]) - logits.gather(1, others)).T
        return gaps.detach(), gradients(gaps, moved)


def gradients(values: Tensor, images: Tensor) -> Tensor:
    """Return the gradient of each row of values, shape (k, n), for its own image.

    Shape (k, *images.shape).

    One batched backward pass on a GPU; on a CPU one after the other, which is faster there.
    """
    if images.device.type == "cpu":
        last = len(values) - 1
        each = [
            torch.autograd.grad(row.sum(), images, retain_graph=k < last)[0]
            for k, row in enumerate(values)
        ]
        return torch.stack(each)
    ones = torch.eye(len(values), dtype=values.dtype, device=values.device)[:, :, None].expand(
        -1, -1, values.shape[1]
    )
    batched: Tensor = torch.autograd.grad(values, images, ones, is_grads_batched=True)[0]
    return batched


def newton_step(
    fused: nn.Module, moved: Tensor, labels: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the step onto the linearized boundary with the target class.

    Also return whether the image fools already.
    """
    moved = moved.detach().requires_grad_()
    with torch.enable_grad():
        logits = fused(moved)
        gap = (logits.gather(1, labels[:, None]) - logits.gather(1, target[:, None]))[:, 0]
        (gradient,) = torch.autograd.grad(gap.sum(), moved)
    return _onto_plane(gap.detach(), gradient), logits.detach().argmax(1) != labels


def _onto_plane(gap: Tensor, gradient: Tensor) -> Tensor:
    """Return the shortest step after which a linear function has fallen by ``gap``.

    0 without a gradient.
    """
    squared = gradient.flatten(1).square().sum(1)
    return torch.where(wide(squared > 0), -gradient * wide(gap / squared), 0.0)


def beyond(images: Tensor, total: Tensor) -> Tensor:
    """Return the images moved by their total steps and a little farther, in [0, 1]."""
    return (images + (1 + OVERSHOOT) * total).clamp(0, 1)
