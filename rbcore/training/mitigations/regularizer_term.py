"""The term of the fairness regularizer and its gradient (paper, section 9 and appendix B).

``loss = CE + alpha * | mean over P of s((tau - d) / T) - mean over the rest of s((tau - d) / T) |``

over the correctly classified images of a batch, with the logistic ``s`` in place of the indicator
of ``d <= tau`` and ``d`` a distance by linearization, L2 in [0, 1] pixel space (the network holds
its normalization). The group's own indicator and its complement differ by a sign, so this is the
relaxed RB(P, tau) of equation 2.

Three linearizations (`rbcore.training.mitigations.regularizer.FORMS`). On a linear model both
margins are the exact distance, ``margin`` always and ``runner_up`` where the weights of the classes
lie equally far apart or the runner-up is the nearest class, as with two classes; the paper's
``logit`` is not: it measures to where one logit is zero, which is no boundary between classes.

The gradient of the loss flows through the norm of the gradient too: without that part a network
could widen distances only by larger logits. The distances are those of the network in evaluation
mode, with BatchNorm's statistics frozen and dropout off, since batch statistics mix the images and
the gradient of a summed logit would be no image's own.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rbcore.norms import smooth_slopes
from rbcore.outputs.modes import evaluating
from rbcore.training.mitigations.groups import group_codes
from rbcore.training.mitigations.regularizer import Regularizer

FEWEST = 4
"""Images of a group in a batch below which others of the group join it, for the term alone."""
SMALLEST_NORM = 1e-6
"""Floor of a gradient's norm, in logits per unit of L2: below it a distance is the margin over the
floor and the norm has no gradient.
"""


@dataclass(frozen=True)
class GroupAssignment:
    """A regularizer on the samples of a dataset: who stands on which side.

    Attributes
    ----------
    settings
        The regularizer.
    codes
        Group of each sample, int64, shape (n,): 1 is the protected group and 0 the rest, or
        one number a group.
    protected
        Codes of the groups that are each compared with all other images.
    """

    settings: Regularizer
    codes: np.ndarray
    protected: tuple[int, ...]

    def codes_of(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """Return the groups of some rows on a device."""
        return torch.as_tensor(self.codes[rows]).to(device)


def group_assignment(settings: Regularizer, samples: pd.DataFrame) -> GroupAssignment:
    """Return the sides of a dataset's samples.

    Raises
    ------
    UnknownNameError, TrainingError
        As `rbcore.training.mitigations.groups.group_codes`.
    """
    codes = group_codes(settings.by, settings.group, samples)
    return GroupAssignment(
        settings, codes, (1,) if settings.group is not None else tuple(range(codes.max() + 1))
    )


def oversampled_rows(
    codes: np.ndarray, batch: np.ndarray, rows: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return rows that join a batch for the term alone.

    With them every group has `FEWEST` images in it, or all that it has.

    Parameters
    ----------
    codes
        Group of each sample, shape (n,).
    batch, rows
        Row numbers of the batch and of the training split.
    random
        Draws them, without repetition and none of the batch.
    """
    drawn = []
    for code in np.unique(codes[rows]):
        n_missing = FEWEST - int((codes[batch] == code).sum())
        if n_missing > 0:
            others = np.setdiff1d(rows[codes[rows] == code], batch)
            drawn.append(random.choice(others, size=min(n_missing, len(others)), replace=False))
    return np.concatenate([batch[:0], *drawn])


def linearized_distances(
    network: nn.Module, images: Tensor, labels: Tensor, form: str, *, create_graph: bool = True
) -> Tensor:
    """Return each image's linearized distance, shape (n,), L2 in [0, 1] pixel space.

    Neither an upper nor a lower bound, but the exact distance of the network's linearization at the
    image (paper, equation 8, for ``logit``). It is meant for correctly classified images: a margin
    is negative for others.

    Parameters
    ----------
    network
        In evaluation mode, so that an image's distance does not depend on its neighbors.
    images, labels
        In [0, 1], shape (n, channels, height, width); int64, shape (n,).
    form
        One of `FORMS`.
    create_graph
        Whether the result can be differentiated by the parameters, through the norm
        of the gradient too.
    """
    with torch.enable_grad():
        images = images.detach().clone().requires_grad_()
        logits = network(images)
        own = logits.gather(1, labels[:, None])
        others = logits.masked_fill(
            nn.functional.one_hot(labels, logits.shape[1]).bool(), -torch.inf
        )
        ranking = others.detach().argsort(dim=1, descending=True, stable=True)[:, :-1]
        if form == "logit":
            return _over_its_norm(own[:, 0].abs(), images, create_graph=create_graph)
        margins = own - logits.gather(1, ranking)
        nearest = torch.zeros_like(labels)
        if form == "margin" and ranking.shape[1] > 1:
            found = [
                _over_its_norm(margin, images, create_graph=False, keep=True)
                for margin in margins.unbind(1)
            ]
            nearest = torch.stack(found, dim=1).detach().argmin(dim=1)
        chosen = margins.gather(1, nearest[:, None])[
            :, 0
        ]  # the minimum's gradient is that of the smallest
        return _over_its_norm(chosen, images, create_graph=create_graph)


def _over_its_norm(
    values: Tensor, images: Tensor, *, create_graph: bool, keep: bool = False
) -> Tensor:
    (gradient,) = torch.autograd.grad(
        values.sum(), images, create_graph=create_graph, retain_graph=create_graph or keep
    )
    return values / smooth_slopes(gradient, SMALLEST_NORM)  # below it no gradient, and no 0 / 0


def difference_of_groups(distances: Tensor, codes: Tensor, sides: GroupAssignment) -> Tensor | None:
    """Return the term without alpha, a number in [0, 1], for the distances of correct images.

    None where no group has a rest.

    Parameters
    ----------
    distances, codes
        Of the correctly classified images: L2 in pixel space, and int64 groups, both of shape (n,).
    sides
        The settings and the groups to compare; those that are absent, or alone, do not count.
    """
    relaxed = torch.sigmoid((sides.settings.tau - distances) / sides.settings.temperature)
    members = [codes == code for code in sides.protected]
    gaps = [
        (relaxed[is_member].mean() - relaxed[~is_member].mean()).abs()
        for is_member in members
        if is_member.any() and not is_member.all()
    ]
    if not gaps:
        return None
    return torch.stack(gaps).mean() if sides.settings.over == "mean" else torch.stack(gaps).max()


def add_gradient(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    codes: Tensor,
    sides: GroupAssignment,
    micro_batch: int | None = None,
) -> tuple[float, bool] | None:
    """Add alpha times the gradient of the term, clipped, to the parameters' gradients.

    Return the term and whether it was clipped.

    None says that it was skipped: among the correctly classified images, no protected group has
    both a member and a rest. In parts of at most ``micro_batch`` images the gradient is the same: a
    first turn finds the term's slope along every distance, a second one the distances' own
    gradients. BatchNorm's statistics and all modes are left as they were.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    size, form = micro_batch or len(images), sides.settings.form
    with evaluating(network):
        with torch.no_grad():
            predicted = torch.cat([network(part).argmax(1) for part in torch.split(images, size)])
        is_correct = predicted == labels
        images, labels, codes = images[is_correct], labels[is_correct], codes[is_correct]
        if not any(
            bool((codes == code).any()) and bool((codes != code).any()) for code in sides.protected
        ):
            return None
        parts = list(zip(torch.split(images, size), torch.split(labels, size), strict=True))
        is_whole = len(parts) == 1
        found = [
            linearized_distances(network, *part, form, create_graph=is_whole) for part in parts
        ]
        leaf = torch.cat(found).detach().requires_grad_()
        term = difference_of_groups(leaf, codes, sides)
        if term is None:
            return None
        (slopes,) = torch.autograd.grad(term, leaf)
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for part, slope, distances in zip(parts, torch.split(slopes, size), found, strict=True):
            if not is_whole:
                distances = linearized_distances(network, *part, form)
            gradients = torch.autograd.grad(distances, parameters, slope, allow_unused=True)
            for whole, gradient in zip(total, gradients, strict=True):
                if gradient is not None:
                    whole += gradient
    length = float(torch.stack([gradient.square().sum() for gradient in total]).sum().sqrt())
    is_clipped = 0 < sides.settings.clip < length
    weight = sides.settings.alpha * (sides.settings.clip / length if is_clipped else 1.0)
    for parameter, gradient in zip(parameters, total, strict=True):
        scaled = gradient.mul_(weight)
        parameter.grad = scaled if parameter.grad is None else parameter.grad + scaled
    return float(term.detach()), is_clipped
