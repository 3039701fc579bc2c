"""The closed form for linear models (paper, section 6).

The distance is the minimum over k != y of (f_y - f_k) / ||w_y - w_k||.

It ignores the box [0, 1], so it is a lower bound for any attack that is confined to valid images.
"""

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.distances.base import AttackResult, Batch
from rbcore.distances.networks import CLEAR_LEAD
from rbcore.errors import MethodError
from rbcore.measures.tables import Status
from rbcore.norms import gaps_of_slopes

TOLERANCE = 1e-4
"""Largest difference between a network and its linearization, relative to its largest logit, that
counts as linear.
"""


def affine_form(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights and biases of a network that is affine.

    Float64, shapes (n_classes, n_pixels) and (n_classes,).

    Raises
    ------
    MethodError
        If the network's logits for these images differ from its linearization at the origin,
        so it is not linear.
    """
    origin = torch.zeros_like(images[:1], requires_grad=True)
    with torch.enable_grad():
        logits = network(origin)[0]
        gradients = [
            torch.autograd.grad(logit, origin, retain_graph=True)[0].flatten() for logit in logits
        ]
    weights, biases = torch.stack(gradients).double(), logits.detach().double()
    with torch.no_grad():
        actual = network(images).double()
    linear = images.flatten(1).double() @ weights.T + biases
    if (actual - linear).abs().max() > TOLERANCE * actual.abs().max():
        raise MethodError(
            "The exact distance exists for linear models only, and this network is not "
            "linear; use minimal."
        )
    return weights, biases


def run(network: nn.Module, batch: Batch) -> AttackResult:
    """Return the exact distance to the nearest class boundary, and an image beyond it.

    The image lies beyond by what rounding cannot take back.
    """
    images, labels = batch.images, batch.labels
    weights, biases = affine_form(network, images)
    flat = images.flatten(1).double()
    logits = flat @ weights.T + biases
    rows = torch.arange(len(images), device=images.device)
    margins = (logits[rows, labels][:, None] - logits).clamp_min(0.0)
    slopes = gaps_of_slopes(weights)[labels]
    distances = torch.where(slopes > 0, margins / slopes, torch.inf)
    distances[rows, labels] = torch.inf
    distance, nearest = distances.min(dim=1)
    normal = (weights[labels] - weights[nearest]) / slopes[rows, nearest][:, None]
    beyond = CLEAR_LEAD * logits.abs().amax(1) / slopes[rows, nearest]
    projected = flat - (distance + beyond)[:, None] * normal
    has_boundary = distance.isfinite().cpu().numpy()  # no other class: no boundary
    return AttackResult(
        projected.to(images.dtype).view_as(images),
        np.where(has_boundary, distance.cpu().numpy(), np.nan),
        np.where(has_boundary, Status.EXACT, Status.FAILED).astype(object),
    )
