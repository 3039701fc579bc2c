"""The fairness regularizer (paper, section 9 and appendix B): a term of the loss that wants a group as far from the boundary as the rest.

``loss = CE + alpha * | mean over P of s((tau - d) / T) - mean over the rest of s((tau - d) / T) |``

over the correctly classified images of a batch, with the logistic ``s`` in place of the indicator
of ``d <= tau`` and ``d`` a distance by linearization, L2 in [0, 1] pixel space (the network holds
its normalization). The group's own indicator and its complement differ by a sign, so this is the
relaxed RB(P, tau) of equation 2.

Three linearizations (`FORMS`). On a linear model both margins are the exact distance, ``margin``
always and ``runner_up`` where the weights of the classes lie equally far apart or the runner-up is
the nearest class, as with two classes; the paper's ``logit`` is not: it measures to where one logit
is zero, which is no boundary between classes.

The gradient of the loss flows through the norm of the gradient too: without that part a network
could widen distances only by larger logits. The distances are those of the network in evaluation
mode, with BatchNorm's statistics frozen and dropout off, since batch statistics mix the images and
the gradient of a summed logit would be no image's own.
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rbcore.errors import TrainingError
from rbcore.norms import smooth_slopes
from rbcore.registry import unknown_name
from rbcore.store import Settings
from rbcore.training.mitigations.groups import group_codes, split_spelling, whom_in_a_name
from rbcore.training.mitigations.modes import evaluating

FORMS = {
    "logit": "|f_y| / ||grad f_y||, the paper's (equation 8)",
    "runner_up": "(f_y - f_r) / ||grad (f_y - f_r)|| with r the runner-up",
    "margin": (
        "min over k of (f_y - f_k) / ||grad (f_y - f_k)||, as many backward passes as classes"
    ),
}
"""How a distance is linearized, for people."""
OVER = ("worst", "mean")
"""How the differences of all groups become one: the largest, or their mean."""
FEWEST = 4
"""Images of a group in a batch below which others of the group join it, for the term alone."""
SMALLEST_NORM = 1e-6
"""Floor of a gradient's norm, in logits per unit of L2: below it a distance is the margin over the
floor and the norm has no gradient.
"""


@dataclass(frozen=True)
class Regularizer:
    """The settings of the term.

    Attributes
    ----------
    by
        A partition, as it is spelled everywhere: ``lighting``, ``class``,
        ``age:15,25``, ``gender*race``.
    group
        The protected group P; None for every group in turn against its rest.
    alpha
        Weight of the term, from 0; with 0 the weights are those of the plain run, and the term
        is still recorded.
    tau
        Distance to the boundary at which the groups are compared, L2 in [0, 1] pixel space.
    temperature
        T: the distance over which the relaxed indicator falls from 0.73 to 0.27, L2 in pixel space.
    form
        One of `FORMS`.
    over
        ``worst`` or ``mean`` over all groups; None for one protected group.
    clip
        Largest L2 norm over all weights of the term's gradient, before alpha; a longer one is
        shortened to it. 0: never. A distance is a margin over a gradient's norm, which is small in
        an untrained network, so that without it the first steps can destroy the network (seen with
        alpha = 1 on the digits).
    """

    by: str
    group: str | None = None
    alpha: float = 1.0
    tau: float = 0.5
    temperature: float = 0.1
    form: str = "runner_up"
    over: str | None = None
    clip: float = 1.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown_name("form of the regularizer", self.form, list(FORMS))
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise TrainingError(
                f"alpha={self.alpha:g} is no weight of a term; give a number from 0."
            )
        if not (math.isfinite(self.tau) and self.tau >= 0):
            raise TrainingError(
                f"tau={self.tau:g} is no distance; give a number from 0, L2 in [0, 1] pixel space."
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise TrainingError(
                f"temperature={self.temperature:g} relaxes nothing; give a number "
                "above 0, such as 0.1."
            )
        if not (math.isfinite(self.clip) and self.clip >= 0):
            raise TrainingError(
                f"clip={self.clip:g} is no length of a gradient; give a number above "
                "0, or 0 for never."
            )
        if self.group is None and self.over not in OVER:
            raise unknown_name("way to join all groups", self.over, list(OVER))
        if self.group is not None and self.over is not None:
            raise TrainingError(
                f"over={self.over!r} joins all groups, but one is protected: "
                f"{self.by}={self.group}. Leave out one of the two."
            )

    def as_facts(self) -> Settings:
        """Return the settings as JSON-able facts."""
        return {"kind": "regularizer", **asdict(self)}

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+lighting=dim-a1-t0.5-runner_up``."""
        whom = f"{self.by}={self.group}" if self.group is not None else f"{self.by}-{self.over}"
        relaxed = (
            "" if self.temperature == Regularizer.temperature else f"-temp{self.temperature:g}"
        )
        clipped = "" if self.clip == Regularizer.clip else f"-clip{self.clip:g}"
        return (
            f"+{whom_in_a_name(whom)}-a{self.alpha:g}-t{self.tau:g}-{self.form}{relaxed}{clipped}"
        )


def regularizer_of(text: str, **settings: float | str | None) -> Regularizer:
    """Return the regularizer of ``PARTITION=GROUP``, or of ``PARTITION`` for all groups, the worst one where nothing else is said."""
    by, group = split_spelling(text)
    given = {name: value for name, value in settings.items() if value is not None}
    if group is None:
        given = {"over": OVER[0], **given}
    return Regularizer(by, group, **given)  # type: ignore[arg-type]


def grid_of(base: Regularizer, alphas: list[float], taus: list[float]) -> list[Regularizer]:
    """Return the regularizers of a grid, alpha by alpha."""
    return [replace(base, alpha=alpha, tau=tau) for alpha in alphas for tau in taus]


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
    """Return rows that join a batch for the term alone, so that every group has `FEWEST` images in it, or all that it has.

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
    """Return each image's linearized distance to the boundary, shape (n,), L2 in [0, 1] pixel space.

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
