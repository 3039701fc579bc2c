"""Our own minimum-norm attack: the smallest perturbation that we know how to find, in three tiers.

1. *fast*: DeepFool (Moosavi-Dezfooli et al. 2016) in an active pool, from which an image leaves as
   soon as it is nearly across; after the first step only the nearest class is followed; then a line
   search for the point where the boundary is crossed.
2. *standard*: DeepFool finds a class, not the class, so the nearest class besides is tried as well
   where its linearized boundary is no farther than DeepFool's result, and the better of both is
   refined: steps down the margin, relative to the current distance, on a sphere that shrinks while
   the image fools and grows while it does not (after Rony et al. 2019, whose absolute steps break
   where distances are small).
3. *thorough*: more classes, more steps, and the best starts refined again with twice the step.

The search runs on the folded network (`CountedNetwork.fused`); what counts is decided on
the network itself.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rbcore.distances.base import AttackResult, Batch
from rbcore.distances.networks import CLEAR_LEAD, CountedNetwork
from rbcore.distances.tensors import between, wide
from rbcore.norms import lengths

OVERSHOOT = 0.02
DEEPFOOL_STEPS = 50
A_FEW = 8
"""Images on which a folded network must give the same answers."""
NEARLY = 0.03
"""An image leaves DeepFool when its last step was a smaller share of the way: the line search does
the rest without gradients.
"""
NEWTON_STEPS = 2
REACHES = (1.03, 1.1, 1.5, 3.0)
"""How far the line search looks beyond an image that does not fool yet, in units
of its distance.
"""
FAR = 1.1
"""An image that had to be looked for farther than this is left to DeepFool after all."""
CLOSER = 0.99
SECANTS, FINAL_SECANTS = 1, 3
"""Steps of the line search, after DeepFool and at the very end."""
BEYOND = 2e-4
"""How far beyond the boundary the line search aims, as a share of the distance."""
FIRST_STEP, LAST_STEP = 1.0, 0.02
FIRST_GROWTH, LAST_GROWTH = 0.05, 0.001
SAME = 1e-5
"""Share of a distance by which rounding may part two that are the same."""
NOT_TRIED = -1
"""Stands for a class that lies too far."""
UNPROVEN = 1.3
"""Factor on the estimated distance of a start that does not fool yet, when starts are compared."""
STEPS_BETWEEN_SYNCS = {"cpu": 1, "cuda": 4}


@dataclass(frozen=True)
class Settings:
    """The method's parameters, as `rbcore.distances.methods` declares them.

    Attributes
    ----------
    candidates
        Classes whose linearized boundaries are compared at the clean image, the most likely first.
    starts, farthest, trial_steps
        How many of them are tried, DeepFool's own included, how far their linearized boundaries may
        lie, in units of DeepFool's distance, and for how many steps.
    kept, steps
        How many of those are refined, and for how many steps; 0 steps: DeepFool's
        result is returned.
    restarts
        How often the best is refined again with twice the step.
    """

    candidates: int
    starts: int
    farthest: float
    trial_steps: int
    kept: int
    steps: int
    restarts: int

    @property
    def all_steps(self) -> int:
        """Steps of a start that is refined."""
        return self.trial_steps + self.steps


def run(network: CountedNetwork, batch: Batch, **parameters: Any) -> AttackResult:
    """Search the nearest image of another class: an upper bound of the network's own distance.

    Parameters
    ----------
    network, batch
        As `rbcore.distances.Method.run` says.
    **parameters
        See `Settings`.
    """
    settings = Settings(**parameters)
    if batch.logits.shape[1] < 2:  # no other class, no boundary
        return AttackResult(torch.full_like(batch.images, torch.nan))
    fused = network.fused(batch.images[:A_FEW])
    begun, classes, planes = _deepfool(fused, batch, settings.candidates)
    found = []
    for start in range(0, len(batch.labels), batch.size):
        part = slice(start, start + batch.size)
        images, labels, clean = batch.images[part], batch.labels[part], batch.logits[part]
        across, reach = _crossing(fused, images, labels, clean, begun[part])
        missed = torch.nonzero(reach > FAR).flatten()
        if len(missed):
            rest = batch.take(start + missed)
            again, *_ = _deepfool(fused, rest, settings.candidates, nearly=0.0)
            ends = _crossing(fused, rest.images, rest.labels, rest.logits, again)
            across[missed], reach[missed] = _nearer(
                rest.images, (across[missed], reach[missed]), ends
            )
        if settings.steps:
            distance = _length(images, across, reach)
            search = _Search(across, across, distance, lengths(across - images))
            is_near = planes[part] <= settings.farthest * distance[:, None]
            others = torch.where(is_near, classes[part], NOT_TRIED)[:, 1 : settings.starts]
            best = _refined(fused, images, labels, search, others, settings)
            ends = _crossing(fused, images, labels, clean, best.perturbed, FINAL_SECANTS)
            across, reach = _nearer(images, (across, reach), ends)
        found.append(across)
        batch.done(len(labels))
    return AttackResult(torch.cat(found))


@dataclass(frozen=True)
class _Search:
    """Images on their way, with the nearest ones found so far that fool.

    Attributes
    ----------
    moved
        Where the search stands, shape (n, channels, height, width).
    perturbed
        The nearest image that fools, or where the search stands if none does; same shape.
    distance
        Its distance, shape (n,); infinite if none does.
    estimate
        Distance of the linearized boundary, as seen from where the search stands, shape (n,).
    """

    moved: Tensor
    perturbed: Tensor
    distance: Tensor
    estimate: Tensor

    def score(self) -> Tensor:
        """Return what the start promises: its distance.

        If it does not fool yet, somewhat more than the estimated one.
        """
        return torch.where(self.distance.isfinite(), self.distance, UNPROVEN * self.estimate)


def _deepfool(
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
            step, fools = _newton_step(
                fused, _beyond(images[rows], total[rows]), labels[rows], classes[rows, 0]
            )
            step = torch.where(wide(fools), 0.0, step)
            total[rows], age[rows] = total[rows] + step, age[rows] + 1
        is_done = (
            fools | (age[rows] >= DEEPFOOL_STEPS) | (lengths(step) < nearly * lengths(total[rows]))
        )
        queue = torch.cat([queue, rows[~is_done]])
    return _beyond(images, total), classes, planes


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


def _newton_step(
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


def _beyond(images: Tensor, total: Tensor) -> Tensor:
    return (images + (1 + OVERSHOOT) * total).clamp(0, 1)


def _refined(
    fused: nn.Module,
    images: Tensor,
    labels: Tensor,
    begun: _Search,
    classes: Tensor,
    settings: Settings,
) -> _Search:
    """Refine the most promising of DeepFool's result and of other starts; return the best.

    There is a start toward each column of ``classes``.
    """
    trial, rest = range(settings.trial_steps), range(settings.trial_steps, settings.all_steps)
    tried = [_followed(fused, images, labels, begun, trial, settings.all_steps)]
    for target in classes.unbind(1):
        rows = torch.nonzero(target != NOT_TRIED).flatten()
        if len(rows):
            start = _start_toward(fused, images[rows], labels[rows], target[rows])
            found = _followed(fused, images[rows], labels[rows], start, trial, settings.all_steps)
            tried.append(_among_all(found, rows, begun))
    order = torch.stack([search.score() for search in tried]).argsort(dim=0, stable=True)
    promising = [_picked(tried, row) for row in order[: settings.kept]]
    refined = [
        _followed(fused, images, labels, search, rest, settings.all_steps) for search in promising
    ]
    best = _best([*refined, begun])
    for _ in range(settings.restarts):
        again = replace(best, moved=best.perturbed)
        best = _best(
            [
                _followed(
                    fused,
                    images,
                    labels,
                    again,
                    range(settings.all_steps),
                    settings.all_steps,
                    stride=2.0,
                ),
                best,
            ]
        )
    return best


def _start_toward(fused: nn.Module, images: Tensor, labels: Tensor, target: Tensor) -> _Search:
    """Take a few Newton steps toward one class."""
    total = torch.zeros_like(images)
    for _ in range(NEWTON_STEPS):
        step, fools = _newton_step(fused, _beyond(images, total), labels, target)
        total = total + torch.where(wide(fools), 0.0, step)
    moved = _beyond(images, total)
    distance = lengths(moved - images)
    return _Search(moved, moved, torch.full_like(distance, torch.inf), distance)


def _followed(
    fused: nn.Module,
    images: Tensor,
    labels: Tensor,
    search: _Search,
    steps: range,
    total: int,
    stride: float = 1.0,
) -> _Search:
    """Follow a search for some of the ``total`` steps of a schedule that ends with small ones."""
    moved, perturbed, distance, estimate = (
        search.moved,
        search.perturbed,
        search.distance,
        search.estimate,
    )
    for number in steps:
        share = (1 + math.cos(math.pi * number / total)) / 2
        length = stride * (LAST_STEP + (FIRST_STEP - LAST_STEP) * share)
        growth = LAST_GROWTH + (FIRST_GROWTH - LAST_GROWTH) * share
        margin, gradient = _margin(fused, moved, labels)
        norm, slope = (
            lengths(moved - images),
            lengths(gradient).clamp_min(torch.finfo(gradient.dtype).tiny),
        )
        fools = margin < 0
        is_nearer = fools & (
            norm <= distance * (1 + SAME)
        )  # of two as near, the later one lies farther across
        perturbed, distance = (
            torch.where(wide(is_nearer), moved, perturbed),
            torch.where(is_nearer, norm, distance),
        )
        estimate = norm + margin / slope
        radius = torch.where(
            fools,
            torch.minimum(norm, distance) * (1 - growth),
            torch.minimum(norm * (1 + growth), distance),
        )
        turned = moved - images - gradient * wide(length * radius / slope)
        moved = (
            images
            + turned * wide(radius / lengths(turned).clamp_min(torch.finfo(turned.dtype).tiny))
        ).clamp(0, 1)
    return _Search(moved, perturbed, distance, estimate)


def _margin(fused: nn.Module, moved: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``f_y`` minus the largest other logit, and its gradient."""
    moved = moved.detach().requires_grad_()
    with torch.enable_grad():
        margin = _margin_of(fused(moved), labels)
        (gradient,) = torch.autograd.grad(margin.sum(), moved)
    return margin.detach(), gradient


def _margin_of(logits: Tensor, labels: Tensor) -> Tensor:
    wrong = logits.scatter(1, labels[:, None], -torch.inf)
    margin: Tensor = logits.gather(1, labels[:, None])[:, 0] - wrong.amax(1)
    return margin


def _among_all(found: _Search, rows: Tensor, begun: _Search) -> _Search:
    """Return searches of all images: those found for some rows, elsewhere those begun.

    These count as if they promised nothing.
    """
    nothing = torch.full_like(begun.distance, torch.inf)
    return _Search(
        begun.moved.index_copy(0, rows, found.moved),
        begun.perturbed.index_copy(0, rows, found.perturbed),
        nothing.index_copy(0, rows, found.distance),
        nothing.index_copy(0, rows, found.estimate),
    )


def _picked(searches: list[_Search], which: Tensor) -> _Search:
    """Return for each row the search of that number."""
    picked = searches[0]
    for number, search in enumerate(searches[1:], 1):
        here = which == number
        picked = _Search(
            torch.where(wide(here), search.moved, picked.moved),
            torch.where(wide(here), search.perturbed, picked.perturbed),
            torch.where(here, search.distance, picked.distance),
            torch.where(here, search.estimate, picked.estimate),
        )
    return picked


def _best(searches: list[_Search]) -> _Search:
    """Return for each row the nearest search that fools; of those as near, the first."""
    distances = torch.stack([search.distance for search in searches])
    is_nearest = distances <= distances.amin(0) * (1 + SAME)
    return _picked(searches, is_nearest.int().argmax(0))


def _crossing(
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
            return _margin_of(fused(moved), labels[rows]) + needed[rows]

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


def _nearer(
    images: Tensor, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return for each image the nearer of two ends of `_crossing`, and how far it was sought."""
    is_other = _length(images, *other) < _length(images, *one)
    return torch.where(wide(is_other), other[0], one[0]), torch.where(is_other, other[1], one[1])


def _length(images: Tensor, across: Tensor, reach: Tensor) -> Tensor:
    return torch.where(reach.isfinite(), lengths(across - images), torch.inf)
