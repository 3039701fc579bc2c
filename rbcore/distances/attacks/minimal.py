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

from rbcore.distances.attacks.active_deepfool import beyond, newton_step, pooled_deepfool
from rbcore.distances.attacks.line_search import (
    FINAL_SECANTS,
    crossing,
    margins,
    nearer,
    reached_length,
)
from rbcore.distances.base import AttackResult, Batch
from rbcore.distances.networks import CountedNetwork
from rbcore.distances.tensors import wide
from rbcore.norms import lengths

A_FEW = 8
"""Images on which a folded network must give the same answers."""
NEWTON_STEPS = 2
FAR = 1.1
"""An image that had to be looked for farther than this is left to DeepFool after all."""
FIRST_STEP, LAST_STEP = 1.0, 0.02
FIRST_GROWTH, LAST_GROWTH = 0.05, 0.001
SAME = 1e-5
"""Share of a distance by which rounding may part two that are the same."""
NOT_TRIED = -1
"""Stands for a class that lies too far."""
UNPROVEN = 1.3
"""Factor on the estimated distance of a start that does not fool yet, when starts are compared."""


@dataclass(frozen=True)
class Settings:
    """The method's parameters, as `rbcore.distances.method_parameters` declares them.

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
    begun, classes, planes = pooled_deepfool(fused, batch, settings.candidates)
    found = []
    for start in range(0, len(batch.labels), batch.size):
        part = slice(start, start + batch.size)
        images, labels, clean = batch.images[part], batch.labels[part], batch.logits[part]
        across, reach = crossing(fused, images, labels, clean, begun[part])
        missed = torch.nonzero(reach > FAR).flatten()
        if len(missed):
            rest = batch.take(start + missed)
            again, *_ = pooled_deepfool(fused, rest, settings.candidates, nearly=0.0)
            ends = crossing(fused, rest.images, rest.labels, rest.logits, again)
            across[missed], reach[missed] = nearer(
                rest.images, (across[missed], reach[missed]), ends
            )
        if settings.steps:
            distance = reached_length(images, across, reach)
            search = _Search(across, across, distance, lengths(across - images))
            is_near = planes[part] <= settings.farthest * distance[:, None]
            others = torch.where(is_near, classes[part], NOT_TRIED)[:, 1 : settings.starts]
            best = _refined(fused, images, labels, search, others, settings)
            ends = crossing(fused, images, labels, clean, best.perturbed, FINAL_SECANTS)
            across, reach = nearer(images, (across, reach), ends)
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
        step, fools = newton_step(fused, beyond(images, total), labels, target)
        total = total + torch.where(wide(fools), 0.0, step)
    moved = beyond(images, total)
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
        margin = margins(fused(moved), labels)
        (gradient,) = torch.autograd.grad(margin.sum(), moved)
    return margin.detach(), gradient


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
