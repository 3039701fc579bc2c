"""Adversarial training (Madry et al. 2018): every step descends the cross entropy of images that an attack has moved first.

``min over theta of the mean of max over ||delta||_2 <= epsilon of CE(f_theta(x + delta),
y)``, the inner maximum by projected gradient ascent (PGD) in [0, 1] pixel space (the network holds
its normalization). It widens every image's distance alike and knows no group, which makes it the
baseline for whatever treats groups apart.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.errors import TrainingError
from rbcore.norms import lengths
from rbcore.store import Settings
from rbcore.training.mitigations.modes import evaluating

REACH = 2.5
"""The steps together are so many epsilon long, so that an image can be crossed to the other side of
its ball (Madry et al.).
"""
SMALLEST_NORM = 1e-12
"""Floor of a gradient's norm; an image without a gradient stays where it is."""


@dataclass(frozen=True)
class AdversarialTraining:
    """The settings of the attack.

    Attributes
    ----------
    epsilon
        Farthest an image is moved, L2 in [0, 1] pixel space, above 0.
    steps
        Gradient steps an image, each of length 2.5 epsilon / steps; with the step on the
        weights a batch takes ``steps`` + 1 passes forward and backward, so 3 cost about what
        the regularizer does.
    """

    epsilon: float = 0.5
    steps: int = 3

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise TrainingError(
                f"epsilon={self.epsilon:g} is no distance to move an image; give a number above "
                "0, L2 in [0, 1] pixel space."
            )
        if self.steps < 1:
            raise TrainingError(
                f"steps={self.steps} moves no image; give a whole number from 1, such as 3."
            )

    def as_facts(self) -> Settings:
        """Return the settings as JSON-able facts."""
        return {"kind": "adversarial", **asdict(self)}

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+adversarial-e0.5``."""
        longer = "" if self.steps == AdversarialTraining.steps else f"-steps{self.steps}"
        return f"+adversarial-e{self.epsilon:g}{longer}"


def random_starts(shape: tuple[int, ...], epsilon: float, random: np.random.Generator) -> Tensor:
    """Return one perturbation an image, drawn evenly from the L2 ball of radius epsilon, float32."""
    n, d = shape[0], math.prod(shape[1:])
    directions = torch.as_tensor(random.standard_normal(shape, dtype=np.float32))
    radii = torch.as_tensor(epsilon * random.random(n) ** (1 / d), dtype=torch.float32)
    return _scaled(directions, radii)


def perturbed(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    starts: Tensor,
    settings: AdversarialTraining,
) -> Tensor:
    """Return the images moved by PGD, each at most epsilon away in L2 and inside [0, 1].

    The network is attacked in evaluation mode, so an image's attack depends on no other and
    BatchNorm's statistics stay as they were.

    Parameters
    ----------
    network
        Its modes and its parameters' gradients are left as they were.
    images, labels
        In [0, 1], shape (n, channels, height, width); int64, shape (n,).
    starts
        The first perturbation of each image, of the images' shape, at most epsilon long.
    settings
        Epsilon and the number of steps.
    """
    length = torch.full(
        (len(images),), REACH * settings.epsilon / settings.steps, device=images.device
    )
    moved = (images + starts).clamp(0, 1)
    with evaluating(network), torch.enable_grad():
        for _ in range(settings.steps):
            moved.requires_grad_()
            loss = nn.functional.cross_entropy(network(moved), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            delta = moved.detach() + _scaled(gradient, length) - images
            norms = lengths(delta)
            moved = (images + _scaled(delta, norms.clamp_max(settings.epsilon))).clamp(
                0, 1
            )  # clipping only shortens
    return moved.detach()


def _scaled(vectors: Tensor, reach: Tensor) -> Tensor:
    """Return each image's vector at the given length; one of length 0 stays 0."""
    norms = lengths(vectors).clamp_min(SMALLEST_NORM)
    scaled: Tensor = vectors * (reach / norms).view(-1, *(1,) * (vectors.ndim - 1))
    return scaled
