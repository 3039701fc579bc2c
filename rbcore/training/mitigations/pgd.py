"""The attack of adversarial training (Madry et al. 2018): projected gradient ascent (PGD).

``min over theta of the mean of max over ||delta||_2 <= epsilon of CE(f_theta(x + delta),
y)``, the inner maximum by PGD in [0, 1] pixel space (the network holds its normalization).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.norms import lengths
from rbcore.outputs.modes import evaluating
from rbcore.training.mitigations.adversarial import AdversarialTraining

REACH = 2.5
"""The steps together are so many epsilon long, so that an image can be crossed to the other side of
its ball (Madry et al.).
"""
SMALLEST_NORM = 1e-12
"""Floor of a gradient's norm; an image without a gradient stays where it is."""


def random_starts(shape: tuple[int, ...], epsilon: float, random: np.random.Generator) -> Tensor:
    """Return one perturbation an image, float32, drawn evenly from the L2 ball."""
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
